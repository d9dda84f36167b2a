import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Lab } from '../../src/lab/lab.ts';
import { type ConfigPart, configFor, type LogLine } from './proxy.ts';
import { until, within } from './until.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const START_DEADLINE_MS = 30_000;
const END_DEADLINE_MS = 30_000;
const MAX_LOG_LINES = 20_000;

/** The proxy as users run it: `lagwise start` in a process of its own. */
export class ProxyProcess implements AsyncDisposable {
  /** What it logged so far. */
  readonly logs: LogLine[];
  readonly port: number;
  readonly adminPort: number;
  readonly #child: ChildProcess;
  readonly #folder: string;
  readonly #ended: Promise<number | null>;

  constructor(parts: {
    child: ChildProcess;
    folder: string;
    logs: LogLine[];
    ready: LogLine;
    ended: Promise<number | null>;
  }) {
    this.#child = parts.child;
    this.#folder = parts.folder;
    this.#ended = parts.ended;
    this.logs = parts.logs;
    this.port = Number(parts.ready['port']);
    this.adminPort = Number(parts.ready['adminPort']);
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error('The proxy has no process');
    return this.#child.pid;
  }

  /** Resident memory now. Linux only. */
  async rssBytes(): Promise<number> {
    const status = await readFile(`/proc/${this.pid}/status`, 'utf8');
    const kib = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
    if (kib === undefined) throw new Error('No VmRSS: the proxy has ended');
    return Number(kib) * 1024;
  }

  /** The status and body of a page of the admin server. */
  async get(path: string): Promise<{ status: number; body: string }> {
    const response = await fetch(`http://127.0.0.1:${this.adminPort}${path}`);
    return { status: response.status, body: await response.text() };
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** Resolves with the exit code. */
  ended(): Promise<number | null> {
    return within('the proxy ends', END_DEADLINE_MS, this.#ended);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/**
 * Starts `lagwise start` in front of the lab on free ports and waits until it is ready.
 * @param nodeArgs for Node itself, such as `--expose-gc`
 */
export async function startProxyProcess(
  lab: Lab,
  part: ConfigPart = {},
  nodeArgs: readonly string[] = [],
): Promise<ProxyProcess> {
  const folder = await mkdtemp(join(tmpdir(), 'lagwise-proxy-'));
  const file = join(folder, 'proxy.config.json');
  await writeFile(file, JSON.stringify(configFor(lab, part)));
  const child = spawn(process.execPath, [...nodeArgs, MAIN, 'start', '--config', file], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  // Not 'exit': its output may still be on the way then, and tests look at the last log line.
  const ended = once(child, 'close').then(([code]) => (typeof code === 'number' ? code : null));
  const logs: LogLine[] = [];
  const errors: Buffer[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (logs.length < MAX_LOG_LINES) logs.push(JSON.parse(line) as LogLine);
  });
  child.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
  try {
    const ready = await until(
      'the proxy is ready',
      () => {
        if (child.exitCode !== null) {
          throw new Error(`The proxy ended: ${Buffer.concat(errors).toString('utf8')}`);
        }
        return logs.find(({ msg }) => msg === 'Lagwise is ready for clients');
      },
      START_DEADLINE_MS,
    );
    return new ProxyProcess({ child, folder, logs, ready, ended });
  } catch (error) {
    child.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}
