import { setTimeout as sleep } from 'node:timers/promises';
import type { Lab } from '../lab/lab.ts';
import { startLab } from '../lab/start-lab.ts';
import { LagwiseError } from '../lib/errors.ts';
import type { Flavor } from '../topology/snapshot.ts';
import { failover, type FailoverFacts } from './failover.ts';
import { Ledger } from './ledger.ts';
import { type ProxyProcess, startProxy } from './proxy-process.ts';
import { createSchema, readFinalState } from './schema.ts';
import type { Screen } from './screen.ts';
import { addEvidence, type Evidence, readEvidence } from './server-evidence.ts';
import { type DemoSummary, summarize } from './summary.ts';
import { startWorkload, type Workload } from './workload.ts';

/** What a demo is run with. */
export interface DemoOptions {
  readonly flavor: Flavor;
  /** Where clients connect; null takes 6033, or a free port where that is in use. */
  readonly port: number | null;
  /** Aborted to end early. */
  readonly stop: AbortSignal;
  readonly screen: Screen;
}

/** A cluster with the proxy in front of it, and what the workload has shown. */
export interface Demo extends AsyncDisposable {
  readonly lab: Lab;
  readonly proxy: ProxyProcess;
  readonly summary: DemoSummary;
}

/**
 * Long before the failover and short after it: for the whole run to show reads spread over both
 * replicas, most of it must have two.
 */
const STEADY_MS = 18_000;
const AFTER_PROMOTION_MS = 1_000;
const REJOINED_MS = 1_500;
const REFRESH_MS = 500;
const FIRST_WRITE_DEADLINE_MS = 10_000;
const WRITES_AGAIN_DEADLINE_MS = 30_000;
const POLL_MS = 20;

/**
 * Starts a cluster and Lagwise, lets clients write and read through it, kills the primary, promotes
 * a replica, takes the old primary back, and adds up what happened. The caller disposes of it.
 */
export async function runDemo(options: DemoOptions): Promise<Demo> {
  const { screen, flavor, stop } = options;
  await using parts = new AsyncDisposableStack();
  const lab = parts.use(await orAborted(startDemoLab(flavor, screen), stop));
  await createSchema(lab);
  stop.throwIfAborted();
  const proxy = await startProxy(lab, options.port);
  parts.defer(() => proxy.stop());
  screen.say(`Lagwise listens on 127.0.0.1:${proxy.port}, metrics on 127.0.0.1:${proxy.adminPort}`);
  const summary = await runWorkload({ ...options, lab, proxy });
  const kept = parts.move();
  return { lab, proxy, summary, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

function startDemoLab(flavor: Flavor, screen: Screen): Promise<Lab> {
  return startLab({
    flavor,
    replicas: 2,
    // Without it a killed primary may take the last acknowledged rows with it, whoever the proxy is.
    semiSync: true,
    onStep: (text) => screen.say(text),
  });
}

/** Fetching servers may take minutes, which nobody who gives up has to wait for. */
async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

interface Stage extends DemoOptions {
  readonly lab: Lab;
  readonly proxy: ProxyProcess;
}

async function runWorkload(stage: Stage): Promise<DemoSummary> {
  const { lab, proxy, screen, stop } = stage;
  const startedMs = performance.now();
  const ledger = new Ledger();
  const workload = startWorkload(
    { host: '127.0.0.1', port: proxy.port, ...lab.accounts.app, database: 'app' },
    ledger,
  );
  screen.say(`${workload.sessionCount} sessions write and read through it`);
  const display = showProgress(stage, { workload, ledger, startedMs });
  let facts: FailoverFacts;
  try {
    const first = () => ledger.count('acknowledged') > 0;
    await writes({ when: first, deadlineMs: FIRST_WRITE_DEADLINE_MS, workload, stop });
    await sleep(STEADY_MS, undefined, { signal: stop });
    facts = await failover({ lab, proxy, ledger, screen });
    const again = () => ledger.writesAgain;
    await writes({ when: again, deadlineMs: WRITES_AGAIN_DEADLINE_MS, workload, stop });
    await sleep(AFTER_PROMOTION_MS, undefined, { signal: stop });
    await lab.start(facts.killed);
    await sleep(REJOINED_MS, undefined, { signal: stop });
  } finally {
    await display.end();
    await workload.stop();
  }
  const workloadMs = performance.now() - startedMs;
  return summarizeRun({ lab, proxy, ledger, workload, facts, workloadMs });
}

/** Waits for a write to be acknowledged; without one a run would end with sums of nothing. */
async function writes(wanted: {
  readonly when: () => boolean;
  readonly deadlineMs: number;
  readonly workload: Workload;
  readonly stop: AbortSignal;
}): Promise<void> {
  const startedMs = performance.now();
  while (!wanted.when()) {
    if (performance.now() - startedMs > wanted.deadlineMs) {
      const why = wanted.workload.tally.lastError ?? 'none, they wait';
      throw new LagwiseError(
        'lab',
        `No write was acknowledged within ${wanted.deadlineMs} ms; the clients' last error: ${why}`,
      );
    }
    await sleep(POLL_MS, undefined, { signal: wanted.stop });
  }
}

interface Running {
  readonly workload: Workload;
  readonly ledger: Ledger;
  readonly startedMs: number;
}

function showProgress(stage: Stage, { workload, ledger, startedMs }: Running) {
  const { proxy, screen } = stage;
  const ending = new AbortController();
  const showing = (async () => {
    while (!ending.signal.aborted) {
      const [servers, counts] = await Promise.all([proxy.servers(), proxy.counts()]);
      screen.show({
        elapsedMs: performance.now() - startedMs,
        servers,
        counts,
        rowsAcknowledged: ledger.count('acknowledged'),
        clientErrors: Object.values(workload.tally.errors).reduce((sum, n) => sum + n, 0),
        staleOwnReads: workload.tally.staleOwnReads,
      });
      await sleep(REFRESH_MS, undefined, { signal: ending.signal }).catch(() => undefined);
    }
  })();
  // A proxy that answers no more shows in the workload; the display is not to hide that error.
  const settled = showing.catch(() => screen.say('The proxy does not answer on its admin port'));
  return {
    end: async () => {
      ending.abort();
      await settled;
    },
  };
}

interface Ended {
  readonly lab: Lab;
  readonly proxy: ProxyProcess;
  readonly ledger: Ledger;
  readonly workload: Workload;
  readonly facts: FailoverFacts;
  readonly workloadMs: number;
}

async function summarizeRun(ended: Ended): Promise<DemoSummary> {
  const { lab, proxy, ledger, workload, facts } = ended;
  const { rows, balanceDrift } = await readFinalState(lab);
  const now: Record<string, Evidence> = {};
  for (const { id } of lab.servers) now[id] = await readEvidence(lab, id);
  const whole = Object.entries(now).map(([id, evidence]) => {
    const before = id === facts.killed ? facts.evidenceBeforeKill : null;
    return [id, before === null ? evidence : addEvidence(before, evidence)] as const;
  });
  return summarize({
    flavor: lab.flavor,
    version: lab.version,
    killed: facts.killed,
    promoted: facts.promoted,
    replicas: lab.servers.map(({ id }) => id).filter((id) => id !== facts.killed),
    wallMs: performance.now(),
    workloadMs: ended.workloadMs,
    balance: ledger.compare(rows),
    gaps: ledger.gaps(),
    rowsAcknowledgedBeforeKill: facts.rowsAcknowledgedBeforeKill,
    balanceDrift,
    tally: workload.tally,
    proxy: await proxy.counts(),
    proxyBeforeKill: facts.proxyBeforeKill,
    evidence: Object.fromEntries(whole),
    writesAsReplica: writesAsReplica(now, facts),
  });
}

/** Of the promoted server: what it saw until then, and what it refused afterwards. */
function writesAsReplica(now: Readonly<Record<string, Evidence>>, facts: FailoverFacts) {
  const { promoted, evidenceBeforePromotion: before } = facts;
  return Object.fromEntries(
    Object.entries(now).map(([id, { writes, refusedWrites }]) => [
      id,
      id === promoted ? before.writes + refusedWrites - before.refusedWrites : writes,
    ]),
  );
}
