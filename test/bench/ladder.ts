import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Lab } from '../../src/lab/lab.ts';
import { startLab } from '../../src/lab/start-lab.ts';
import type { Flavor } from '../../src/topology/snapshot.ts';
import { CrowdClient } from '../support/crowd-client.ts';
import { type ProxyProcess, startProxyProcess } from '../support/proxy-process.ts';
import { until } from '../support/until.ts';
import {
  COMPARED,
  type Compared,
  quantile,
  readOnly,
  run,
  type RungFigures,
  rungFigures,
  since,
  sum,
  writeThenRead,
} from './ladder-load.ts';
import {
  type FirstRung,
  type LadderOptions,
  type LadderResult,
  reportLadder,
  type Scenario,
} from './ladder-report.ts';
import { cpuUsOf, machineUsage } from './meters.ts';
import { integer } from './options.ts';
import { describeCommit, describeMachine, describeRuntime } from './result.ts';

export const LADDER_USAGE = `Usage: npm run bench -- --ladder [options]

What reads behind a write cost, by how they reach what they must see: replicas at level, one of two
behind, both behind.

  --flavors LIST     mysql,mariadb
  --clients N        clients that write and read (8)
  --pause N          milliseconds between two rounds of a client (20)
  --seconds N        length of one round (5)
  --rounds N         rounds of each level in each scenario (3)
  --lag N            by how many milliseconds replicas are behind (2000)
`;

const SCENARIOS = [
  { name: 'at level', behind: [] },
  { name: 'one of two behind', behind: ['db3'] },
  { name: 'both behind', behind: ['db2', 'db3'] },
] as const;
const REPLICAS = ['db2', 'db3'];
/** Reads of one block of the first rung: short, so that both levels meet the same machine. */
const BLOCK = 100;
const BLOCKS = 200;
const WARMUP_BLOCKS = 20;
/** Blocks whose reads are compared together: enough for a p99, few enough to meet the same machine. */
const GROUP = 10;
const FIRST_RUNG_CLIENTS = [1, 8];
const KNOWN_DEADLINE_MS = 30_000;
const RESULTS = fileURLToPath(new URL('./results/', import.meta.url));

/** Measures the ladder and prints tables; the figures go to a file. */
export async function benchLadder(args: readonly string[], signal: AbortSignal): Promise<boolean> {
  const options = readLadderOptions(args);
  if (options === null) {
    process.stdout.write(LADDER_USAGE);
    return true;
  }
  const at = new Date().toISOString();
  const result: LadderResult = {
    format: 1,
    bench: 'ladder',
    at,
    commit: describeCommit(),
    machine: describeMachine(),
    versions: describeRuntime(),
    options,
    scenarios: [],
    firstRung: [],
  };
  for (const flavor of options.flavors) {
    await using lab = await startLab({ flavor, onStep: say });
    signal.throwIfAborted();
    result.versions[flavor] = lab.version;
    await measureFlavor(lab, result, signal);
  }
  process.stdout.write(`${reportLadder(result)}\n`);
  await mkdir(RESULTS, { recursive: true });
  const name = `${at.slice(0, 16).replaceAll(':', '')}-${result.commit.replace('+', '-changed')}-ladder.json`;
  await writeFile(join(RESULTS, name), `${JSON.stringify(result, null, 1)}\n`);
  say(`Figures: ${join(RESULTS, name)}`);
  return result.scenarios.every(({ level, stale }) => level !== 'session' || stale === 0);
}

async function measureFlavor(lab: Lab, result: LadderResult, signal: AbortSignal): Promise<void> {
  const { options } = result;
  const rows = Array.from({ length: options.clients }, (_, id) => `(${id}, 0)`).join(', ');
  await lab.rootQuery('db1', 'CREATE TABLE app.ladder (id INT PRIMARY KEY, n BIGINT NOT NULL)');
  await lab.rootQuery('db1', `INSERT INTO app.ladder VALUES ${rows}`);
  await lab.waitReplicated();
  await using proxy = await startProxyProcess(lab, {
    listen: { port: 0, tls: { mode: 'off' } },
    serverTls: { mode: 'off' },
    // Whoever was behind serves again at once: this measures reads, not the way back.
    routing: { rampMs: 0 },
    log: { level: 'info' },
  });
  const clients = await Promise.all(
    Array.from({ length: options.clients }, () =>
      CrowdClient.connect({
        host: '127.0.0.1',
        port: proxy.port,
        ...lab.accounts.app,
        database: 'app',
      }),
    ),
  );
  try {
    const bench = { lab, proxy, clients, result, signal };
    await untilLags(proxy, [], options.lagMs);
    await measureFirstRung(bench);
    for (const scenario of SCENARIOS) await measureScenario(bench, scenario);
  } finally {
    for (const client of clients) client.close();
  }
}

interface Bench {
  readonly lab: Lab;
  readonly proxy: ProxyProcess;
  readonly clients: readonly CrowdClient[];
  readonly result: LadderResult;
  readonly signal: AbortSignal;
}

async function measureScenario(
  { lab, proxy, clients, result, signal }: Bench,
  { name, behind }: (typeof SCENARIOS)[number],
): Promise<void> {
  const { rounds, seconds, pauseMs, lagMs } = result.options;
  const behindIds: readonly string[] = behind;
  for (const id of REPLICAS) await lab.setLag(id, behindIds.includes(id) ? lagMs : 0);
  say(`${lab.flavor}: replicas ${name}`);
  // It is behind as soon as there is something to be behind of.
  await writeThenRead(clients, { seconds: 2 + lagMs / 1000, pauseMs, signal });
  await untilLags(proxy, behind, lagMs);
  const seen = new Map<
    Compared,
    { figures: RungFigures | null; tookMs: number[]; stale: number }
  >();
  for (const level of COMPARED) seen.set(level, { figures: null, tookMs: [], stale: 0 });
  const foreign = foreignMeter(lab, proxy);
  for (let round = 0; round < rounds; round += 1) {
    for (const [level, all] of seen) {
      await setLevel(clients, level);
      const before = await figuresOf(proxy, level);
      const reads = await writeThenRead(clients, { seconds, pauseMs, signal });
      const figures = since(await figuresOf(proxy, level), before);
      all.figures = all.figures === null ? figures : sum(all.figures, figures);
      all.tookMs.push(...reads.tookMs);
      all.stale += reads.stale;
    }
  }
  const foreignShare = foreign();
  for (const [level, { figures, tookMs, stale }] of seen) {
    if (figures === null) continue;
    const scenario: Scenario = {
      flavor: lab.flavor,
      replicas: name,
      level,
      stale,
      foreignShare,
      figures,
      reads: tookMs.length,
      p50Ms: rounded(quantile(tookMs, 0.5)),
      p99Ms: rounded(quantile(tookMs, 0.99)),
    };
    result.scenarios.push(scenario);
  }
}

/** Reads behind no write: what it costs to know that a replica shows what must be seen. */
async function measureFirstRung({ lab, proxy, clients, result, signal }: Bench): Promise<void> {
  say(`${lab.flavor}: the first rung`);
  // Each session has something to see.
  await setLevel(clients, 'session');
  await Promise.all(
    clients.map((client, id) => run(client, `UPDATE ladder SET n = n + 1 WHERE id = ${id}`)),
  );
  await lab.waitReplicated();
  await until('the replicas are known to have it', async () => {
    const before = await figuresOf(proxy, 'session');
    await readOnly(clients, { count: 1, signal });
    const { known } = since(await figuresOf(proxy, 'session'), before);
    return known.reads === clients.length;
  });
  for (const many of FIRST_RUNG_CLIENTS) {
    const some = clients.slice(0, many);
    const took: Record<Compared, Float64Array[]> = { session: [], eventual: [] };
    const before = await figuresOf(proxy, 'session');
    const foreign = foreignMeter(lab, proxy);
    for (let block = -WARMUP_BLOCKS; block < BLOCKS; block += 1) {
      // Each pair begins with the other one.
      for (const level of block % 2 === 0 ? COMPARED : COMPARED.toReversed()) {
        await setLevel(some, level);
        const tookMs = await readOnly(some, { count: BLOCK, signal });
        if (block >= 0) took[level].push(tookMs);
      }
    }
    const figures = since(await figuresOf(proxy, 'session'), before);
    const first: FirstRung = {
      flavor: lab.flavor,
      clients: many,
      reads: figures.known.reads,
      others: figures.waited.reads + figures.primary.reads,
      foreignShare: foreign(),
      eventual: summaryOf(took.eventual),
      session: summaryOf(took.session),
      addedP50: addedOf(took, 0.5),
      addedP99: addedOf(took, 0.99),
    };
    result.firstRung.push(first);
  }
}

const summaryOf = (blocks: readonly Float64Array[]) => {
  const all = blocks.flatMap((block) => [...block]);
  return { p50Ms: rounded(quantile(all, 0.5)), p99Ms: rounded(quantile(all, 0.99)) };
};

/** What the level adds at a quantile, in each group of neighbouring blocks. */
function addedOf(
  took: Readonly<Record<Compared, readonly Float64Array[]>>,
  share: number,
): number[] {
  const at = (level: Compared, group: number) => {
    const blocks = took[level].slice(group * GROUP, (group + 1) * GROUP);
    return quantile(
      blocks.flatMap((block) => [...block]),
      share,
    );
  };
  return Array.from({ length: BLOCKS / GROUP }, (_, group) =>
    rounded((at('session', group) ?? 0) - (at('eventual', group) ?? 0)),
  );
}

const rounded = (ms: number | null): number => Math.round((ms ?? 0) * 10_000) / 10_000;

async function setLevel(clients: readonly CrowdClient[], level: Compared): Promise<void> {
  const sql = `SET @lagwise_consistency = '${level}'`;
  await Promise.all(clients.map((client) => run(client, sql)));
}

async function figuresOf(proxy: ProxyProcess, level: Compared): Promise<RungFigures> {
  return rungFigures((await proxy.get('/metrics')).body, level);
}

/** Waits until the proxy knows who is behind and who is not. */
async function untilLags(
  proxy: ProxyProcess,
  behind: readonly string[],
  lagMs: number,
): Promise<void> {
  await until(
    `the replicas ${behind.join(', ') || 'none'} are behind`,
    async () => {
      const { body } = await proxy.get('/metrics');
      return REPLICAS.every((id) => {
        const line = new RegExp(
          `^lagwise_server_lag_seconds\\{[^}]*server="${id}"[^}]*\\} ([\\d.e-]+)`,
          'm',
        );
        const lag = Number(line.exec(body)?.[1] ?? Number.NaN) * 1000;
        return behind.includes(id) ? lag > lagMs / 2 : lag < lagMs / 4;
      });
    },
    KNOWN_DEADLINE_MS,
  );
}

/** Returns what tells the share of the machine that nobody of the bench has used since. */
function foreignMeter(lab: Lab, { pid }: ProxyProcess): () => number | null {
  const ours = () => {
    const servers = lab.servers.flatMap((server) => (server.pid === null ? [] : [server.pid]));
    return cpuUsOf([...servers, pid, process.pid]);
  };
  const [machine, own] = [machineUsage(), ours()];
  return () => {
    const now = machineUsage();
    if (machine === null || now === null) return null;
    const foreign = now.busyUs - machine.busyUs - (ours() - own);
    return Math.max(0, foreign / Math.max(1, now.totalUs - machine.totalUs));
  };
}

function readLadderOptions(args: readonly string[]): LadderOptions | null {
  const { values } = parseArgs({
    args: [...args],
    options: {
      ladder: { type: 'boolean', default: false },
      flavors: { type: 'string', default: 'mysql,mariadb' },
      clients: { type: 'string', default: '8' },
      pause: { type: 'string', default: '20' },
      seconds: { type: 'string', default: '5' },
      rounds: { type: 'string', default: '3' },
      lag: { type: 'string', default: '2000' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return null;
  return {
    flavors: values.flavors.split(',').map(flavorOf),
    clients: integer('clients', values.clients, 1, 100),
    pauseMs: integer('pause', values.pause, 0, 10_000),
    seconds: integer('seconds', values.seconds, 1, 600),
    rounds: integer('rounds', values.rounds, 1, 100),
    lagMs: integer('lag', values.lag, 1000, 60_000),
  };
}

function flavorOf(text: string): Flavor {
  if (text === 'mysql' || text === 'mariadb') return text;
  throw new Error(`--flavors takes mysql and mariadb, not "${text}"`);
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}
