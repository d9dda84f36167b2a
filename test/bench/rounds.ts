import type { Lab } from '../../src/lab/lab.ts';
import { processUsage } from './meters.ts';
import type { BenchOptions } from './options.ts';
import type { Cell, CellKey, Round } from './result.ts';
import { type Sysbench, WORKLOADS } from './sysbench.ts';
import type { Target } from './target.ts';
import { UsageMeter } from './usage-meter.ts';

/** What the rounds are made with. */
export interface RoundsContext {
  readonly options: BenchOptions;
  readonly lab: Lab;
  readonly sysbench: Sysbench;
  readonly targets: readonly Target[];
  readonly signal: AbortSignal;
  readonly onProgress: (text: string) => void;
}

const WARMUP_THREADS = 8;
/** Replicas that are behind apply at the cost of the next round: they get this long to catch up. */
const CATCH_UP_DEADLINE_MS = 120_000;

/** Measures everything that was asked for; cells come out whole, one after the other. */
export async function* measureAll(context: RoundsContext): AsyncGenerator<Cell> {
  const { options } = context;
  for (const workload of options.workloads) {
    for (const mode of options.modes) {
      for (const target of context.targets) {
        await warmUp(context, target, { workload, mode, threads: WARMUP_THREADS });
      }
      for (const threads of options.threads) {
        yield* measureCells(context, { workload, mode, threads });
      }
    }
  }
}

/** The same circumstances for all targets, one after the other in each round. */
async function* measureCells(context: RoundsContext, key: CellKey): AsyncGenerator<Cell> {
  const { options, targets } = context;
  const rounds = new Map<Target, Round[]>(targets.map((target) => [target, []]));
  for (let round = 0; round < options.rounds; round++) {
    // Each round begins with another target: none of them always follows the same neighbour.
    const first = round % targets.length;
    for (const target of [...targets.slice(first), ...targets.slice(0, first)]) {
      const measured = await measure(context, target, key);
      rounds.get(target)?.push(measured);
      context.onProgress(progressLine(key, round, target, measured));
    }
  }
  for (const [target, of] of rounds) yield { ...key, target: target.name, rounds: of };
}

async function warmUp(context: RoundsContext, target: Target, key: CellKey): Promise<void> {
  const { sysbench, options, signal } = context;
  const seconds = options.warmupSeconds;
  if (seconds === 0) return;
  await sysbench.run({ ...key, seconds, port: portOf(target, key) }, { signal });
  await settle(context, key);
}

async function measure(context: RoundsContext, target: Target, key: CellKey): Promise<Round> {
  const { sysbench, options, signal, lab } = context;
  const servers = lab.servers.map(({ pid }) => pid).filter((pid) => pid !== null);
  const proxy = target.pid === null ? [] : [target.pid];
  const meter = new UsageMeter({ proxy, servers });
  const load = { ...key, seconds: options.seconds, port: portOf(target, key) };
  const result = await sysbench.run(load, {
    signal,
    // Logins are left out: one costs what a hundred queries do, and is not what is compared.
    onLoad: (pid) => meter.begin(pid),
    onPoll: (pid) => meter.poll(pid),
  });
  const usage = meter.end();
  const ended = target.ended();
  await settle(context, key);
  if (ended !== null) {
    context.onProgress(await target.logTail());
    return { t: 'failed', reason: `${target.name} ${ended}` };
  }
  if (result.t === 'failed') return result;
  const perQuery = (us: number | undefined, pids: readonly number[]) =>
    us === undefined || pids.length === 0 ? null : rounded(us / result.queries, 2);
  return {
    t: 'measured',
    qps: rounded(result.qps, 1),
    p50Ms: result.p50Ms,
    p99Ms: result.p99Ms,
    proxyCpuUs: perQuery(usage?.proxyUs, proxy),
    serverCpuUs: perQuery(usage?.serversUs, servers),
    rssBytes: target.pid === null ? null : (processUsage(target.pid)?.rssBytes ?? null),
    ignoredErrors: result.ignoredErrors,
    reconnects: result.reconnects,
    foreignCpuShare: usage === null ? null : rounded(usage.foreignShare, 4),
  };
}

async function settle({ lab }: RoundsContext, key: CellKey): Promise<void> {
  if (WORKLOADS[key.workload].writes) await lab.waitReplicated(CATCH_UP_DEADLINE_MS);
}

function portOf(target: Target, key: CellKey): number {
  return WORKLOADS[key.workload].writes ? target.writePort : target.readPort;
}

function progressLine(key: CellKey, index: number, target: Target, round: Round): string {
  const { workload, mode, threads } = key;
  const where = `${workload} ${mode}, ${threads} threads, round ${index + 1}, ${target.name}`;
  if (round.t === 'failed') return `${where}: FAILED: ${round.reason}`;
  return `${where}: ${round.qps.toFixed(0)} QPS, p99 ${round.p99Ms} ms`;
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
