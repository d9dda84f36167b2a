import type { ServerView } from '../topology/snapshot.ts';

/** What the proxy itself knows of a replica, from the reads that it sends there. */
export interface ReplicaFigures {
  /** Expected work: statements that run or wait, and a part of one for each session there. */
  readonly work: number;
  /** Statements that run or wait now. */
  readonly active: number;
  /** The same on average over the last second or two. */
  readonly busy: number;
  /** Sessions whose reads go there. */
  readonly readers: number;
  /** Sessions that may leave it now; a bound, so that they do not all run at once. */
  readonly movable: number;
  /** Time to the first byte of an answer, peak-sensitive moving average, ms; 0 unknown. */
  readonly latencyMs: number;
  /** The part of its weight that counts, (0, 1]: below 1 while it comes back. */
  readonly ramp: number;
}

/** The figures of a server that nothing is known of. */
export const NO_FIGURES: ReplicaFigures = Object.freeze({
  work: 0,
  active: 0,
  busy: 0,
  readers: 0,
  movable: Number.POSITIVE_INFINITY,
  latencyMs: 0,
  ramp: 1,
});

/**
 * How much lag (ms) counts as one more statement in flight. A statement takes about a millisecond,
 * lag is known to a few hundred: it should decide between servers of equal load, and push reads
 * away from one that falls behind well before it reaches the limit, without letting the noise of
 * the measurement choose.
 */
const LAG_MS_PER_STATEMENT = 250;
/** Below a millisecond the network and the scheduler decide, not the server. */
const LATENCY_FLOOR_MS = 1;
/**
 * By how much a slow server may look dearer than the fastest. The average jumps with one long
 * report: without a bound a server that ran one would be left alone until it is forgotten.
 */
const MAX_LATENCY_RATIO = 8;

/** The latency that counts, ms: fast ones are all alike. */
export function countedLatencyMs(figures: ReplicaFigures): number {
  return Math.max(figures.latencyMs, LATENCY_FLOOR_MS);
}

/** The part of its weight that a server has now. */
export function effectiveWeight(server: ServerView, figures: ReplicaFigures): number {
  return server.weight * figures.ramp;
}

/**
 * What one more statement costs there: peak-EWMA latency × (work + 1), as Finagle's balancer has
 * it, by weight, with lag as more work.
 * @param bestMs the least counted latency among those that are compared
 */
export function costOf(server: ServerView, figures: ReplicaFigures, bestMs: number): number {
  const lagMs = server.lag.t === 'known' ? server.lag.lagMs : 0;
  const latencyMs = Math.min(countedLatencyMs(figures), bestMs * MAX_LATENCY_RATIO);
  const work = figures.work + 1 + lagMs / LAG_MS_PER_STATEMENT;
  return (latencyMs * work) / effectiveWeight(server, figures);
}
