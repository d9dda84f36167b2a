import { setTimeout as sleep } from 'node:timers/promises';
import { createConnection } from 'mysql2/promise';
import type { Lab } from '../../src/lab/lab.ts';
import type { TopologyService } from '../../src/monitor/topology-service.ts';
import type { ServerView } from '../../src/topology/snapshot.ts';
import { until } from '../support/until.ts';
import type { SecondsBehind, Truth } from './truth.ts';

/** Where a replica is held back. */
export type Injection =
  /** The source's packets wait on the way. */
  | { readonly where: 'receiver'; readonly lagMs: number }
  /** SOURCE_DELAY: whole seconds. */
  | { readonly where: 'delay'; readonly lagMs: number }
  /** A lock on the replica stops the applier again and again for so long. */
  | { readonly where: 'applier'; readonly lagMs: number };

/** One published figure, and the truth at the moment that it is of. Times in ms. */
export interface LagSample {
  readonly atMs: number;
  /** The truth was between these two; see `Truth`. */
  readonly leastMs: number;
  readonly mostMs: number;
  /** Null for unknown. */
  readonly reportedMs: number | null;
  readonly method: string;
}

/** All that was seen under one injection. */
export interface Run {
  readonly injection: Injection;
  readonly samples: readonly LagSample[];
  readonly secondsBehind: readonly SecondsBehind[];
  /** The truth in small steps. */
  readonly course: readonly { readonly atMs: number; readonly lagMs: number }[];
}

const COURSE_STEP_MS = 10;
const SETTLE_MS = 1500;
const SETTLED_DEADLINE_MS = 30_000;

/** Holds a replica back for some seconds and compares each published figure with the truth. */
export async function measureRun(
  { lab, topology, truth }: { lab: Lab; topology: TopologyService; truth: Truth },
  { injection, replica, seconds }: { injection: Injection; replica: string; seconds: number },
): Promise<Run> {
  const { where, lagMs } = injection;
  await lab.setLag(replica, where === 'applier' ? 0 : lagMs, { onTheWay: where === 'receiver' });
  const lagNow = () => truth.lagAt(performance.now() - 50)?.leastMs ?? 0;
  const wantedMs = where === 'applier' ? 0 : lagMs;
  await until(`a lag of ${wantedMs} ms`, () => lagNow() >= wantedMs * 0.9, SETTLED_DEADLINE_MS);
  await until(`a lag near ${wantedMs} ms`, () => lagNow() <= wantedMs + 1500, SETTLED_DEADLINE_MS);
  await sleep(SETTLE_MS);
  truth.begin();
  const views: ServerView[] = [];
  const stop = topology.onChange(({ servers }) => {
    const view = servers.find(({ id }) => id === replica);
    if (view !== undefined && view.seenAtMs !== views.at(-1)?.seenAtMs) views.push(view);
  });
  const beginMs = performance.now();
  const untilMs = performance.now() + seconds * 1000;
  if (where === 'applier') await holdApplier(lab, { replica, lagMs, untilMs });
  else await sleep(seconds * 1000);
  stop();
  await sleep(50);
  return {
    injection,
    samples: views.flatMap((view) => sampleOf(view, truth)),
    secondsBehind: [...truth.secondsBehind],
    course: courseOf(truth, beginMs, untilMs),
  };
}

function courseOf(truth: Truth, fromMs: number, toMs: number): { atMs: number; lagMs: number }[] {
  const steps = Math.floor((toMs - fromMs) / COURSE_STEP_MS);
  return Array.from({ length: steps }, (_, step) => fromMs + step * COURSE_STEP_MS).flatMap(
    (atMs) => {
      const found = truth.lagAt(atMs);
      return found === null ? [] : [{ atMs, lagMs: found.mostMs }];
    },
  );
}

function sampleOf({ lag, positionAtMs, seenAtMs }: ServerView, truth: Truth): LagSample[] {
  const atMs = (positionAtMs + seenAtMs) / 2;
  const found = truth.lagAt(atMs);
  if (found === null) return [];
  return lag.t === 'known'
    ? [{ atMs, ...found, reportedMs: lag.lagMs, method: lag.method }]
    : [{ atMs, ...found, reportedMs: null, method: lag.why }];
}

/** A reader's lock on the table, held for a while: the applier waits for it, its thread runs on. */
async function holdApplier(
  lab: Lab,
  held: { readonly replica: string; readonly lagMs: number; readonly untilMs: number },
): Promise<void> {
  const { replica, lagMs, untilMs } = held;
  const { socketPath } = lab.server(replica);
  if (socketPath === null) throw new Error('The servers must be processes of this machine');
  const connection = await createConnection({ socketPath, user: lab.accounts.root.user });
  try {
    while (performance.now() < untilMs) {
      await connection.query('LOCK TABLES app.ticks READ');
      await sleep(lagMs);
      await connection.query('UNLOCK TABLES');
      await sleep(lagMs / 2);
    }
  } finally {
    connection.destroy();
  }
}
