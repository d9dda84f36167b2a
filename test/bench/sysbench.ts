import type { Lab } from '../../src/lab/lab.ts';
import { LAB_SCHEMA, type LabAccount } from '../../src/lab/accounts.ts';
import type { Command } from '../../src/lab/run.ts';
import { type Finished, runToEnd } from './child.ts';
import { findProgram, type ProgramRequest } from './programs.ts';
import { fatalOf, parseSysbench, type SysbenchFigures } from './sysbench-output.ts';

/** Workloads of sysbench that the bench knows, and whether they write. */
export const WORKLOADS = {
  oltp_point_select: { writes: false, options: [] },
  // Inside transactions these reads belong to the primary, for any proxy that cannot know that no
  // write will follow: without them is how reads are spread.
  oltp_read_only: { writes: false, options: ['--skip-trx=on'] },
  oltp_read_write: { writes: true, options: [] },
} as const;
export type Workload = keyof typeof WORKLOADS;

/** How statements travel: as text, or prepared once and executed. */
export const MODES = { text: 'disable', prepared: 'auto' } as const;
export type Mode = keyof typeof MODES;

/** One run of sysbench. */
export interface Load {
  readonly workload: Workload;
  readonly mode: Mode;
  readonly threads: number;
  readonly seconds: number;
  readonly port: number;
}

/** What one run came to: its figures, or why there are none. */
export type LoadResult =
  | ({ readonly t: 'measured' } & SysbenchFigures)
  | { readonly t: 'failed'; readonly reason: string };

/** sysbench with tables on the servers of a lab. */
export interface Sysbench {
  readonly version: string;
  /** Makes and fills the tables, and waits until the replicas have them. */
  prepare(lab: Lab, signal: AbortSignal): Promise<void>;
  run(load: Load, options: SysbenchRunOptions): Promise<LoadResult>;
}

/** What {@link Sysbench.run} is told beside the load. */
export interface SysbenchRunOptions {
  readonly signal: AbortSignal;
  /** Called with sysbench's process id when all its clients have connected and the load begins. */
  readonly onLoad?: (pid: number) => void;
  /** Called now and then with that id while it runs. */
  readonly onPoll?: (pid: number) => void;
}

const SYSBENCH: ProgramRequest = {
  name: 'sysbench',
  packages: { name: 'sysbench', suite: 'native', packages: ['sysbench'] },
  treePath: 'usr/bin/sysbench',
  versionFlag: '--version',
};

const TABLES = ['--tables=4', '--table-size=10000'];
const PREPARE_DEADLINE_MS = 120_000;
/** What sysbench prints when every thread has connected. */
const LOAD_BEGINS = 'Threads started!';
/** To connect 128 clients, and for the last transactions to end. */
const RUN_MARGIN_MS = 30_000;

/** Finds sysbench; its account is the lab's `app`. */
export async function findSysbench(
  account: LabAccount,
  onProgress: (text: string) => void,
): Promise<Sysbench> {
  const { command, version, tree } = await findProgram(SYSBENCH, onProgress);
  const plugins = tree?.path(`usr/lib/${libraryFolder()}/libmariadb3/plugin`);
  const invoke = (workload: Workload, port: number, args: readonly string[]): Command => ({
    file: command.file,
    args: [...command.args, workload, ...connection(account, port), ...TABLES, ...args],
    env: {
      ...command.env,
      // caching_sha2_password is a plugin of the client library, found by an absolute path.
      ...(plugins === undefined ? {} : { MARIADB_PLUGIN_DIR: plugins }),
    },
  });
  return {
    version,
    prepare: async (lab, signal) => {
      const command = invoke('oltp_read_write', lab.primary.port, ['prepare']);
      const done = await runToEnd(command, { deadlineMs: PREPARE_DEADLINE_MS, signal });
      const failure = failureOf(done);
      if (failure !== null) throw new Error(`sysbench could not make its tables: ${failure}`);
      await lab.waitReplicated();
    },
    run: async (load, options) => {
      const args = [...loadArguments(load), ...WORKLOADS[load.workload].options, 'run'];
      const done = await runToEnd(invoke(load.workload, load.port, args), {
        ...options,
        deadlineMs: load.seconds * 1000 + RUN_MARGIN_MS,
        onLine: (line, pid) => {
          if (line.startsWith(LOAD_BEGINS)) options.onLoad?.(pid);
        },
      });
      const failure = failureOf(done);
      if (failure !== null) return { t: 'failed', reason: failure };
      return { t: 'measured', ...parseSysbench(done.stdout) };
    },
  };
}

function connection({ user, password }: LabAccount, port: number): string[] {
  return [
    '--db-driver=mysql',
    '--mysql-host=127.0.0.1',
    `--mysql-port=${port}`,
    `--mysql-user=${user}`,
    `--mysql-password=${password}`,
    `--mysql-db=${LAB_SCHEMA}`,
  ];
}

function loadArguments({ mode, threads, seconds }: Load): string[] {
  return [
    `--db-ps-mode=${MODES[mode]}`,
    `--threads=${threads}`,
    `--time=${seconds}`,
    '--events=0',
    '--percentile=99',
    '--histogram=on',
  ];
}

function failureOf({ code, stdout, stderr }: Finished): string | null {
  if (code === 0) return null;
  const said = fatalOf(`${stdout}\n${stderr}`) ?? stderr.trim().split('\n').at(-1) ?? '';
  const how = code === null ? 'it was killed after its time limit' : `code ${code}`;
  return said === '' ? how : `${how}: ${said}`;
}

function libraryFolder(): string {
  return process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu';
}
