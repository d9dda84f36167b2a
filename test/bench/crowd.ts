import { mkdir, writeFile } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { freePorts } from '../../src/lab/free-ports.ts';
import type { Lab } from '../../src/lab/lab.ts';
import { startLab } from '../../src/lab/start-lab.ts';
import { CrowdClient, type CrowdLogin } from '../support/crowd-client.ts';
import { connectionMeter, type PeakMeter } from '../support/crowd-meter.ts';
import { crowdSchema, type CrowdResult, percentileMs } from '../support/crowd.ts';
import { type Child, startChild, waitUntil } from './child.ts';
import { ClientsProcess } from './crowd-process.ts';
import { processUsage } from './meters.ts';
import { integer } from './options.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
/** Clients are spread over so many processes, so that they are not what is measured. */
const PROCESSES = 2;
/** Descriptors beyond the clients' own: files, pipes, server connections, the monitor. */
const SPARE_DESCRIPTORS = 600;
const STOP_GRACE_MS = 20_000;
/** Memory is read when this much time has passed without anything to do. */
const REST_MS = 3_000;
const READY_DEADLINE_MS = 1_000;
const WARMUP_CLIENTS = 50;
const KIB = 1024;

export const CROWD_USAGE = `Usage: npm run bench -- --crowd [options]

Many connected clients, few of them active, on few server connections: errors, latency, memory.

  --clients N        connected clients (5000)
  --active N         active at a time, in percent of them (5)
  --seconds N        length of the load (60)
  --per-server N     pool.maxPerServer (64)
`;

interface CrowdBenchOptions {
  readonly clients: number;
  readonly active: number;
  readonly seconds: number;
  readonly perServer: number;
}

/** Resident memory of the proxy in bytes, at each stage. */
interface Memory {
  /** Just started, nobody has connected. */
  readonly fresh: number;
  /** After a few clients have come, worked and gone: code is compiled, buffers are there. */
  readonly warm: number;
  /** All clients are logged in and have never said a word. */
  readonly connected: number;
  /** All clients are there and rest, after the load. */
  readonly loaded: number;
  /** All clients are gone. */
  readonly left: number;
}

/**
 * Runs the crowd and prints what it met. Its errors, and more server connections than allowed, make
 * it fail.
 * @returns whether all went well
 */
export async function benchCrowd(args: readonly string[], signal: AbortSignal): Promise<boolean> {
  const options = readCrowdOptions(args);
  if (options === null) {
    process.stdout.write(CROWD_USAGE);
    return true;
  }
  requireDescriptors(options);
  await using resources = new AsyncDisposableStack();
  const lab = resources.use(await startLab({ onStep: say }));
  signal.throwIfAborted();
  for (const sql of crowdSchema(options.clients)) await lab.rootQuery(lab.primary.id, sql);
  await lab.waitReplicated();
  const { child, login } = await startProxy(lab, options);
  resources.defer(() => child.stop(STOP_GRACE_MS));
  const clients = startClients(login, options);
  for (const each of clients) resources.use(each);
  const meter = connectionMeter(lab, login.user);
  resources.defer(async () => {
    await meter.stop();
  });
  signal.addEventListener('abort', () => {
    for (const each of clients) each.kill();
  });
  return await measure({ options, child, login, clients, meter });
}

interface Measured {
  readonly options: CrowdBenchOptions;
  readonly child: Child;
  readonly login: CrowdLogin;
  readonly clients: readonly ClientsProcess[];
  readonly meter: PeakMeter;
}

async function measure({ options, child, login, clients, meter }: Measured): Promise<boolean> {
  const fresh = rssOf(child);
  await warmUp(login);
  await sleep(REST_MS);
  const warm = rssOf(child);
  meter.start();
  say(`${options.clients} clients log in`);
  const began = performance.now();
  await Promise.all(clients.map((each) => each.connect()));
  const loginSeconds = (performance.now() - began) / 1000;
  await sleep(REST_MS);
  const connected = rssOf(child);
  const active = Math.max(PROCESSES, Math.round((options.clients * options.active) / 100));
  say(`${active} of them are active at a time for ${options.seconds} s`);
  const cpuBefore = processUsage(child.pid)?.cpuUs ?? 0;
  const each = Math.ceil(active / PROCESSES);
  const results = await Promise.all(clients.map((one) => one.run(each, options.seconds * 1000)));
  const cpuUs = (processUsage(child.pid)?.cpuUs ?? 0) - cpuBefore;
  await sleep(REST_MS);
  const loaded = rssOf(child);
  const most = await meter.stop();
  await Promise.all(clients.map((one) => one.close()));
  await sleep(REST_MS);
  const memory: Memory = { fresh, warm, connected, loaded, left: rssOf(child) };
  process.stdout.write(report({ options, memory, results, most, loginSeconds, cpuUs }));
  const failed = results.some(({ errors }) => Object.keys(errors).length > 0);
  return !failed && Object.values(most).every((count) => count <= options.perServer);
}

function report(run: {
  options: CrowdBenchOptions;
  memory: Memory;
  results: readonly CrowdResult[];
  most: Readonly<Record<string, number>>;
  loginSeconds: number;
  cpuUs: number;
}): string {
  const { options, memory, results, most } = run;
  const statements = results.reduce((sum, result) => sum + result.statements, 0);
  const activeOnce = results.reduce((sum, result) => sum + result.activeOnce, 0);
  const perClient = (bytes: number, base: number) =>
    ((bytes - base) / options.clients / KIB).toFixed(1);
  const mib = (bytes: number) => `${Math.round(bytes / KIB / KIB)} MiB`;
  const lines = [
    `clients            ${options.clients}, logged in in ${run.loginSeconds.toFixed(1)} s; ${activeOnce} were active at least once`,
    `statements         ${statements} in ${options.seconds} s, ${Math.round(statements / options.seconds)}/s, proxy CPU ${(run.cpuUs / statements).toFixed(1)} us each`,
    `latency            p50 ${percentileMs(results, 0.5)} ms, p99 ${percentileMs(results, 0.99)} ms`,
    `server connections ${JSON.stringify(most)} at most (allowed: ${options.perServer} each)`,
    `memory             fresh ${mib(memory.fresh)}, warm ${mib(memory.warm)}, all connected ${mib(memory.connected)}, after the load ${mib(memory.loaded)}, all gone ${mib(memory.left)}`,
    `per idle client    ${perClient(memory.connected, memory.fresh)} KiB over fresh, ${perClient(memory.connected, memory.warm)} KiB over warm; after the load ${perClient(memory.loaded, memory.fresh)} KiB over fresh, ${perClient(memory.loaded, memory.warm)} KiB over warm`,
  ];
  const errors = results.flatMap((result) => Object.entries(result.errors));
  lines.push(`errors             ${errors.length === 0 ? 'none' : ''}`);
  for (const [words, count] of errors) lines.push(`  ${count} x ${words}`);
  return `${lines.join('\n')}\n`;
}

function startClients(login: CrowdLogin, { clients }: CrowdBenchOptions): ClientsProcess[] {
  const share = Math.ceil(clients / PROCESSES);
  return Array.from({ length: PROCESSES }, (_, at) => {
    const first = at * share;
    return new ClientsProcess({
      login,
      first,
      clients: Math.min(share, clients - first),
      seed: at + 1,
    });
  });
}

async function startProxy(
  lab: Lab,
  options: CrowdBenchOptions,
): Promise<{ child: Child; login: CrowdLogin }> {
  const dir = join(lab.dir, 'bench');
  await mkdir(dir);
  const [port = 0, adminPort = 0] = await freePorts(2);
  const config = {
    listen: { port, tls: { mode: 'off' }, maxConnections: options.clients + WARMUP_CLIENTS },
    admin: { port: adminPort },
    servers: lab.servers.map(({ id, host, port: at }) => ({ id, host, port: at })),
    serverTls: { mode: 'off' },
    monitor: lab.accounts.monitor,
    pool: { maxPerServer: options.perServer },
    shutdown: { drainMs: 500 },
    log: { level: 'warn' },
  };
  const configPath = join(dir, 'lagwise.json');
  await writeFile(configPath, JSON.stringify(config, null, 2));
  const flags = ['--disable-warning=ExperimentalWarning', MAIN, 'start', '--config', configPath];
  const command = { file: process.execPath, args: flags };
  const child = await startChild(command, join(dir, 'lagwise.log'));
  await waitUntil(() => isReady(adminPort), child, 'lagwise').catch(async (error: unknown) => {
    await child.stop(STOP_GRACE_MS);
    throw error;
  });
  return { child, login: { host: '127.0.0.1', port, ...lab.accounts.app, database: 'app' } };
}

async function isReady(adminPort: number): Promise<boolean> {
  try {
    const signal = AbortSignal.timeout(READY_DEADLINE_MS);
    return (await fetch(`http://127.0.0.1:${adminPort}/readyz`, { signal })).ok;
  } catch {
    // It does not listen yet: the caller asks again until its deadline.
    return false;
  }
}

/** A few clients come, read and go. */
async function warmUp(login: CrowdLogin): Promise<void> {
  for (let round = 0; round < WARMUP_CLIENTS; round += 1) {
    const client = await CrowdClient.connect(login);
    for (let id = 0; id < WARMUP_CLIENTS; id += 1) {
      await client.query(`SELECT n FROM crowd_shared WHERE id = ${id}`);
    }
    client.close();
  }
}

function rssOf(child: Child): number {
  const usage = processUsage(child.pid);
  if (usage === null) throw new Error('The proxy has ended, or this system has no /proc');
  return usage.rssBytes;
}

/** Fails before anything is started where the proxy could not hold so many sockets. */
function requireDescriptors({ clients, perServer }: CrowdBenchOptions): void {
  const needed = clients + 3 * perServer + SPARE_DESCRIPTORS;
  const limits = readFileSync('/proc/self/limits', 'utf8');
  const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(limits)?.[1] ?? '0';
  if (hard === 'unlimited' || Number(hard) >= needed) return;
  throw new Error(
    `A process may have ${hard} open files here, ${needed} are needed: raise it (ulimit -Hn), or take fewer --clients`,
  );
}

function readCrowdOptions(args: readonly string[]): CrowdBenchOptions | null {
  const { values } = parseArgs({
    args: [...args],
    options: {
      crowd: { type: 'boolean', default: false },
      clients: { type: 'string', default: '5000' },
      active: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '60' },
      'per-server': { type: 'string', default: '64' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return null;
  return {
    clients: integer('clients', values.clients, PROCESSES, 50_000),
    active: integer('active', values.active, 1, 100),
    seconds: integer('seconds', values.seconds, 1, 600),
    perServer: integer('per-server', values['per-server'], 1, 10_000),
  };
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}
