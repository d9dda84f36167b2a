import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePorts, requireFree } from '../lab/free-ports.ts';
import type { Lab } from '../lab/lab.ts';
import { LagwiseError } from '../lib/errors.ts';
import { countsByServer, parseMetrics, type ProxyCounts } from './metrics-text.ts';

/** One server as the proxy sees it. */
export interface ServerLine {
  readonly id: string;
  readonly role: string;
  /** Null where it is unknown, which is not zero. */
  readonly lagMs: number | null;
}

/** Lagwise as a process of its own: what the demo measures is what a user would run. */
export interface ProxyProcess {
  readonly port: number;
  readonly adminPort: number;
  /** The configuration it runs with, for people to look at. */
  readonly configPath: string;
  /** Its own counters, by server id. */
  counts(): Promise<Record<string, ProxyCounts>>;
  /** The servers as it sees them now. */
  servers(): Promise<readonly ServerLine[]>;
  stop(): Promise<void>;
}

const PREFERRED_PORTS = [6033, 6080] as const;
const READY_DEADLINE_MS = 15_000;
const READY_POLL_MS = 50;
const REQUEST_DEADLINE_MS = 2_000;
/** Longer than the proxy drains for (`shutdown.drainMs`). */
const STOP_DEADLINE_MS = 15_000;
const LOG_TAIL_LINES = 5;
/** Waits for the end of a pipe and ends the process with that number: see {@link guard}. */
const GUARD_SCRIPT = 'cat >/dev/null; kill -TERM "$0" 2>/dev/null';

/**
 * Starts `lagwise start` in front of a lab and returns when it can serve. Its configuration and log
 * are in the lab's folder, and vanish with it.
 *
 * @param port where clients connect; 0 takes a free one, null 6033 or, where that is in use, a free one
 * @throws LagwiseError `lab` with the end of its log when it does not start
 */
export async function startProxy(lab: Lab, port: number | null): Promise<ProxyProcess> {
  const [clientPort, adminPort] = await choosePorts(port);
  const configPath = join(lab.dir, 'proxy.config.json');
  writeFileSync(configPath, configText(lab, clientPort, adminPort));
  const logPath = join(lab.dir, 'lagwise.log');
  const child = spawnProxy(configPath, logPath);
  const stopGuard = guard(child);
  const stop = async () => {
    await end(child);
    stopGuard();
  };
  const base = `http://127.0.0.1:${adminPort}`;
  try {
    await waitReady(child, `${base}/readyz`, logPath);
  } catch (error) {
    await stop();
    throw error;
  }
  const ids = lab.servers.map(({ id }) => id);
  return {
    port: clientPort,
    adminPort,
    configPath,
    counts: async () => countsByServer(parseMetrics(await get(`${base}/metrics`)), ids),
    servers: async () => serverLines(JSON.parse(await get(`${base}/api/servers`))),
    stop,
  };
}

async function choosePorts(port: number | null): Promise<readonly [number, number]> {
  if (port === null) {
    const free = await requireFree(PREFERRED_PORTS).then(
      () => true,
      () => false,
    );
    if (free) return PREFERRED_PORTS;
  }
  const [first = 0, second = 0] = await freePorts(2);
  return [port === null || port === 0 ? first : port, second];
}

function configText(lab: Lab, port: number, adminPort: number): string {
  const { monitor } = lab.accounts;
  const config = {
    listen: { host: '127.0.0.1', port },
    admin: { host: '127.0.0.1', port: adminPort },
    servers: lab.servers.map(({ id, host, port }) => ({ id, host, port })),
    monitor,
    users: 'passthrough',
  };
  return `${JSON.stringify(config, null, 2)}\n`;
}

function spawnProxy(configPath: string, logPath: string): ChildProcess {
  const log = openSync(logPath, 'a');
  try {
    // The same entry as ours, as source in development and compiled in the package. A session of
    // its own: the Ctrl-C that ends the demo is to end the proxy in its turn, not before.
    const entry = process.argv[1] ?? '';
    const args = [...process.execArgv, entry, 'start', '--config', configPath];
    return spawn(process.execPath, args, { detached: true, stdio: ['ignore', log, log] });
  } finally {
    closeSync(log);
  }
}

/**
 * Ends the proxy when this process is gone, however it went: the system closes our end of the pipe.
 * @returns ends the guard, which must be done before the proxy's number can belong to another process
 */
function guard(child: ChildProcess): () => void {
  if (child.pid === undefined) return () => undefined;
  const watcher = spawn('/bin/sh', ['-c', GUARD_SCRIPT, String(child.pid)], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  // Without it only the clean-up after a crash is missing.
  watcher.on('error', () => undefined);
  watcher.stdin.on('error', () => undefined);
  watcher.unref();
  const stop = () => {
    watcher.kill('SIGKILL');
    watcher.stdin.destroy();
  };
  child.once('exit', stop);
  return stop;
}

async function waitReady(child: ChildProcess, url: string, logPath: string): Promise<void> {
  let failure: string | null = null;
  child.once('error', (error) => (failure = error.message));
  const deadline = performance.now() + READY_DEADLINE_MS;
  while (performance.now() < deadline) {
    if (failure === null && child.exitCode !== null) failure = `it ended with ${child.exitCode}`;
    if (failure !== null) break;
    const ready = await fetch(url, { signal: AbortSignal.timeout(REQUEST_DEADLINE_MS) }).then(
      (response) => response.ok,
      () => false,
    );
    if (ready) return;
    await sleep(READY_POLL_MS);
  }
  const why = failure ?? `it was not ready within ${READY_DEADLINE_MS} ms`;
  throw new LagwiseError(
    'lab',
    `Lagwise did not start (${why}); its log ends with:\n${tail(logPath)}`,
  );
}

function tail(path: string): string {
  return readFileSync(path, 'utf8').trim().split('\n').slice(-LOG_TAIL_LINES).join('\n');
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
  });
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_DEADLINE_MS);
  await ended;
  clearTimeout(timer);
}

async function get(url: string): Promise<string> {
  const response = await fetch(url, { signal: AbortSignal.timeout(REQUEST_DEADLINE_MS) });
  if (!response.ok) throw new LagwiseError('lab', `${url} answers ${response.status}`);
  return response.text();
}

function serverLines(json: unknown): readonly ServerLine[] {
  if (typeof json !== 'object' || json === null || !('servers' in json)) return [];
  const servers: unknown = json.servers;
  if (!Array.isArray(servers)) return [];
  return servers.map((server: Readonly<Record<string, unknown>>) => ({
    id: String(server['id']),
    role: String(server['role']),
    lagMs: typeof server['lagMs'] === 'number' ? server['lagMs'] : null,
  }));
}
