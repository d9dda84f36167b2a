import { mkdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { LAB_ACCOUNTS } from '../../src/lab/accounts.ts';
import { messageOf } from '../../src/lib/errors.ts';
import type { Lab } from '../../src/lab/lab.ts';
import { startLab } from '../../src/lab/start-lab.ts';
import { isCpuProfile, type Span, summarizeProfile } from './cpu-profile.ts';
import { abortOnSignals } from './interrupt.ts';
import { integer, isMode, isWorkload, numbers } from './options.ts';
import { startLagwise } from './peers/lagwise.ts';
import { findSysbench, type Mode, type Sysbench, type Workload } from './sysbench.ts';
import { table } from './table.ts';
import { UsageMeter } from './usage-meter.ts';

const USAGE = `Usage: node tools/run.mjs test/bench/profile.ts [options]

  --threads LIST     a run for each (8,32)
  --seconds N        length of a run (10)
  --workload NAME    a workload of the bench (oltp_point_select)
  --mode NAME        text or prepared (text)
  --top N            functions to show (30)
  --keep DIR         keep the .cpuprofile files here, for a viewer
`;

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const WARMUP_SECONDS = 2;
const TOP_FOLDERS = 12;
/** Between two samples; a fifth of the default, because the code that matters is short. */
const SAMPLE_US = 200;

interface ProfileOptions {
  readonly threads: readonly number[];
  readonly seconds: number;
  readonly workload: Workload;
  readonly mode: Mode;
  readonly top: number;
  readonly keepDir: string | null;
}

interface ProfileContext {
  readonly options: ProfileOptions;
  readonly lab: Lab;
  readonly sysbench: Sysbench;
  readonly signal: AbortSignal;
  /** For settings, logs and profiles. */
  readonly dir: string;
}

/** Where a loaded Lagwise spends its time: sysbench through it, Node's CPU profiler inside it. */
async function main(options: ProfileOptions, signal: AbortSignal): Promise<void> {
  await using resources = new AsyncDisposableStack();
  const sysbench = await findSysbench(LAB_ACCOUNTS.app, say);
  const lab = resources.use(await startLab({ onStep: say }));
  // In the lab's folder, which is removed however this process ends.
  const dir = join(lab.dir, 'bench');
  await mkdir(dir);
  await sysbench.prepare(lab, signal);
  for (const threads of options.threads) {
    await profile({ options, lab, sysbench, signal, dir }, threads);
  }
}

async function profile(context: ProfileContext, threads: number): Promise<void> {
  const { options, lab, sysbench, signal, dir } = context;
  const { seconds, workload, mode } = options;
  const profileDir = options.keepDir ?? join(dir, `${threads}`);
  await mkdir(profileDir, { recursive: true });
  const fileName = `${workload}-${mode}-${threads}.cpuprofile`;
  const flags = [
    '--cpu-prof',
    `--cpu-prof-interval=${SAMPLE_US}`,
    `--cpu-prof-dir=${profileDir}`,
    `--cpu-prof-name=${fileName}`,
  ];
  const target = await startLagwise({ lab, dir, before: null, onProgress: say }, flags);
  let span: Span;
  try {
    const load = { workload, mode, threads, port: target.writePort };
    await sysbench.run({ ...load, seconds: WARMUP_SECONDS }, { signal });
    const meter = new UsageMeter({ proxy: target.pid === null ? [] : [target.pid], servers: [] });
    let fromUs = monotonicUs();
    const onLoad = (pid: number) => {
      fromUs = monotonicUs();
      meter.begin(pid);
    };
    const done = await sysbench.run({ ...load, seconds }, { signal, onLoad });
    span = { fromUs, toUs: monotonicUs() };
    if (done.t === 'failed') throw new Error(`sysbench failed: ${done.reason}`);
    const cpuUs = (meter.end()?.proxyUs ?? 0) / done.queries;
    process.stdout.write(
      `\n${workload}, ${mode}, ${threads} threads, profiler on: ${done.qps.toFixed(0)} QPS, p99 ${done.p99Ms} ms, ${cpuUs.toFixed(1)} µs of CPU per query\n\n`,
    );
  } finally {
    // The profile is written when the process ends in order.
    await target.stop();
  }
  await print(join(profileDir, fileName), span, options.top);
}

async function print(path: string, span: Span, top: number): Promise<void> {
  const value: unknown = JSON.parse(await readFile(path, 'utf8'));
  if (!isCpuProfile(value)) throw new Error(`${path} is not a CPU profile`);
  const { functions, folders, busyUs, idleUs } = summarizeProfile(value, span, ROOT);
  const jsUs = functions.reduce((sum, { place, us }) => sum + (place === '' ? 0 : us), 0);
  const share = (us: number, of: number) => `${((us / of) * 100).toFixed(1)} %`;
  const rows = functions.slice(0, top).map(({ name, place, us }) => {
    return [share(us, busyUs), place === '' ? '' : share(us, jsUs), name, place];
  });
  process.stdout.write(`${table(['self', 'of JS', 'function', 'where'], rows)}\n\n`);
  const perFolder = folders.slice(0, TOP_FOLDERS).map(([name, us]) => [share(us, busyUs), name]);
  process.stdout.write(`${table(['self', 'folder'], perFolder)}\n\n`);
  const idle = ((idleUs / (busyUs + idleUs)) * 100).toFixed(0);
  process.stdout.write(`Main thread: busy ${(busyUs / 1e6).toFixed(1)} s, idle ${idle} %\n`);
}

/** The clock that the profiler of another process stamps its samples with. */
function monotonicUs(): number {
  return Number(process.hrtime.bigint() / 1000n);
}

function readProfileOptions(args: readonly string[]): ProfileOptions | null {
  const { values } = parseArgs({
    args: [...args],
    options: {
      threads: { type: 'string', default: '8,32' },
      seconds: { type: 'string', default: '10' },
      workload: { type: 'string', default: 'oltp_point_select' },
      mode: { type: 'string', default: 'text' },
      top: { type: 'string', default: '30' },
      keep: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const { workload, mode } = values;
  if (values.help) return null;
  if (!isWorkload(workload)) throw new Error(`--workload does not know "${workload}"`);
  if (!isMode(mode)) throw new Error(`--mode is text or prepared, not "${mode}"`);
  return {
    workload,
    mode,
    threads: numbers('threads', values.threads),
    seconds: integer('seconds', values.seconds, 1, 600),
    top: integer('top', values.top, 1, 1000),
    keepDir: values.keep === undefined ? null : resolve(values.keep),
  };
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

const signal = abortOnSignals();
try {
  const options = readProfileOptions(process.argv.slice(2));
  if (options === null) process.stdout.write(USAGE);
  else await main(options, signal);
} catch (error) {
  say(messageOf(error));
  process.exitCode ??= 1;
}
