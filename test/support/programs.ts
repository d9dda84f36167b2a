import { spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../src/lib/errors.ts';
import { ensureTree, type Tree, type TreeRequest } from '../../src/lab/packages.ts';
import { SERVER_TREES } from '../../src/lab/programs.ts';
import type { Command } from '../../src/lab/run.ts';

/** Client programs of MariaDB, and a Python with PyMySQL and what it needs for RSA. */
const NATIVE_CLIENTS: TreeRequest = {
  name: 'test-clients',
  suite: 'native',
  packages: ['mariadb-client', 'python3-minimal', 'python3-pymysql', 'python3-cryptography'],
};
const SYSBENCH: TreeRequest = { name: 'sysbench', suite: 'native', packages: ['sysbench'] };

interface Source {
  readonly tree: TreeRequest;
  /** In the tree; where there is none, the program's name is looked for on the PATH. */
  readonly file: string;
  readonly args?: readonly string[];
  readonly env?: (tree: Tree) => Record<string, string>;
}

const mysqlTool = (name: string): Source => ({
  tree: SERVER_TREES.mysql,
  file: `usr/bin/${name}`,
  args: ['--no-defaults'],
});
const mariadbTool = (name: string): Source => ({
  tree: NATIVE_CLIENTS,
  file: `usr/bin/${name}`,
  args: ['--no-defaults'],
  env: pluginFolder,
});

/** Where MariaDB's client library finds `caching_sha2_password`. */
function pluginFolder(tree: Tree): Record<string, string> {
  const triplet = process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu';
  return { MARIADB_PLUGIN_DIR: tree.path(`usr/lib/${triplet}/libmariadb3/plugin`) };
}

const SOURCES = {
  mysql: mysqlTool('mysql'),
  mysqldump: mysqlTool('mysqldump'),
  mysqlbinlog: mysqlTool('mysqlbinlog'),
  mariadb: mariadbTool('mariadb'),
  'mariadb-dump': mariadbTool('mariadb-dump'),
  'mariadb-binlog': mariadbTool('mariadb-binlog'),
  python3: {
    tree: NATIVE_CLIENTS,
    file: 'usr/bin/python3',
    env: (tree) => ({
      PYTHONHOME: tree.path('usr'),
      PYTHONPATH: tree.path('usr/lib/python3/dist-packages'),
      PYTHONDONTWRITEBYTECODE: '1',
    }),
  },
  'redis-server': {
    tree: { name: 'redis', suite: 'native', packages: ['redis-server'] },
    file: 'usr/bin/redis-server',
  },
  sysbench: { tree: SYSBENCH, file: 'usr/bin/sysbench', env: pluginFolder },
} as const satisfies Record<string, Source>;

/** A program that tests know how to get. */
export type ProgramName = keyof typeof SOURCES;

/** How to run the program, or why it cannot be. */
export type Found =
  | { readonly command: Command; readonly missing: null }
  | { readonly command: null; readonly missing: string };

/**
 * Finds a program: in the distribution's packages, which are fetched once, else on the PATH.
 * What is missing is said, so that no test is skipped in silence.
 */
export async function findProgram(name: ProgramName): Promise<Found> {
  const source: Source = SOURCES[name];
  try {
    const tree = await ensureTree(source.tree);
    const command = tree.command(source.file, source.args ?? []);
    const env = { ...command.env, ...source.env?.(tree) };
    return { command: { ...command, env }, missing: null };
  } catch (error) {
    const path = await onPath(name);
    if (path !== null) return { command: { file: path, args: source.args ?? [] }, missing: null };
    const missing = `${name} is not on the PATH and its package cannot be had: ${messageOf(error)}`;
    console.warn(`Not run: tests with ${missing}`);
    return { command: null, missing };
  }
}

/** The program; throws where it is missing. For tests that are skipped in that case. */
export function commandOf(found: Found): Command {
  if (found.command === null) throw new Error(found.missing);
  return found.command;
}

async function onPath(name: string): Promise<string | null> {
  for (const folder of (process.env['PATH'] ?? '').split(':')) {
    const path = join(folder, name);
    const canRun = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (folder !== '' && canRun) return path;
  }
  return null;
}

/** How a program ended and what it printed. */
export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Options of {@link execute}. */
export interface ExecuteOptions {
  /** Written to its standard input. */
  readonly input?: string | Buffer;
  /** It is killed after this time. */
  readonly deadlineMs?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** Called with the process when it runs, for signals. */
  readonly onStart?: (child: ReturnType<typeof spawn>) => void;
}

const DEADLINE_MS = 60_000;

/** Runs a program to its end, whatever its exit code. */
export function execute(
  command: Command,
  args: readonly string[],
  options: ExecuteOptions = {},
): Promise<Outcome> {
  const { promise, resolve, reject } = Promise.withResolvers<Outcome>();
  const child = spawn(command.file, [...command.args, ...args], {
    env: { ...process.env, ...command.env, ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), options.deadlineMs ?? DEADLINE_MS);
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  child.on('error', (error) => {
    clearTimeout(timer);
    reject(error);
  });
  child.on('close', (code) => {
    clearTimeout(timer);
    resolve({
      code,
      stdout: Buffer.concat(stdout).toString('utf8'),
      stderr: Buffer.concat(stderr).toString('utf8'),
    });
  });
  // A program that ends without reading its input is judged by its exit code, not by EPIPE.
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.input ?? '');
  options.onStart?.(child);
  return promise;
}
