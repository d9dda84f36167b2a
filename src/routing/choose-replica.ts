import type { ServerId } from '../lib/ids.ts';
import type { ServerView, Snapshot } from '../topology/snapshot.ts';

/** What a replica must be to take a read. */
export interface ReplicaDemand {
  /** The greatest lag allowed, ms. */
  readonly maxLagMs: number;
  /** The moment (monotonic ms) up to which it must have the primary's commits; -1 for any. */
  readonly minCaughtUpToMs: number;
  /** Replicas already tried for this statement. */
  readonly exclude?: ReadonlySet<ServerId> | undefined;
}

/** The outcome of choosing. */
export type Choice = { readonly t: 'chosen'; readonly server: ServerView } | { readonly t: 'none' };

/** A server and whether it may take the read; `why` is for people. */
export interface Candidacy {
  readonly id: ServerId;
  readonly eligible: boolean;
  readonly why: string;
}

const NONE: Choice = Object.freeze({ t: 'none' });

/**
 * How much lag (ms) counts as one more statement in flight. A statement takes about a millisecond,
 * lag is known to a few hundred: it should decide between servers of equal load, and push reads
 * away from one that falls behind well before it reaches the limit, without letting the noise of
 * the measurement choose.
 */
const LAG_MS_PER_STATEMENT = 250;

/**
 * Picks a replica: two different eligible ones at random by weight, then the one with less work in
 * flight for its weight, lag as a penalty. Two random choices come close to the least loaded one
 * without sending every proxy's next read to the same server. `random` returns [0, 1); the result
 * is the same for the same numbers. Linear in the number of servers, and allocates the result only.
 */
export function chooseReplica(
  snapshot: Snapshot,
  demand: ReplicaDemand,
  loadOf: (id: ServerId) => number,
  random: () => number,
): Choice {
  const first = pick(snapshot.servers, demand, null, random);
  if (first === null) return NONE;
  const second = pick(snapshot.servers, demand, first, random);
  if (second === null) return { t: 'chosen', server: first };
  const better = costOf(second, loadOf) < costOf(first, loadOf) ? second : first;
  return { t: 'chosen', server: better };
}

/** One eligible server other than `except`, each with a chance in proportion to its weight. */
function pick(
  servers: readonly ServerView[],
  demand: ReplicaDemand,
  except: ServerView | null,
  random: () => number,
): ServerView | null {
  let total = 0;
  for (const server of servers) {
    if (server !== except && isEligible(server, demand)) total += server.weight;
  }
  if (total === 0) return null;
  let left = random() * total;
  let last: ServerView | null = null;
  for (const server of servers) {
    if (server === except || !isEligible(server, demand)) continue;
    last = server;
    left -= server.weight;
    if (left < 0) break;
  }
  return last;
}

function costOf(server: ServerView, loadOf: (id: ServerId) => number): number {
  const lagMs = server.lag.t === 'known' ? server.lag.lagMs : 0;
  return (loadOf(server.id) + 1 + lagMs / LAG_MS_PER_STATEMENT) / server.weight;
}

/** Whether a server may take a read of this demand. */
export function isEligible(server: ServerView, demand: ReplicaDemand): boolean {
  return (
    server.role === 'replica' &&
    server.ineligible === null &&
    server.weight > 0 &&
    server.lag.t === 'known' &&
    server.lag.lagMs <= demand.maxLagMs &&
    server.caughtUpToMs >= demand.minCaughtUpToMs &&
    demand.exclude?.has(server.id) !== true
  );
}

/** Every server with the reason why it may or may not take the read, for errors and `explain`. */
export function explainReplicas(snapshot: Snapshot, demand: ReplicaDemand): readonly Candidacy[] {
  return snapshot.servers.map((server) => {
    const why = whyNot(server, demand);
    return { id: server.id, eligible: why === null, why: why ?? describe(server) };
  });
}

function whyNot(server: ServerView, demand: ReplicaDemand): string | null {
  if (server.ineligible !== null) return server.ineligible;
  if (server.role !== 'replica') return `It is ${server.role}, not a replica`;
  if (server.weight <= 0) return 'Its weight is 0';
  if (server.lag.t === 'unknown') return `Its lag is unknown: ${server.lag.why}`;
  if (server.lag.lagMs > demand.maxLagMs) {
    return `It lags ${server.lag.lagMs} ms, the limit is ${demand.maxLagMs} ms`;
  }
  if (server.caughtUpToMs < demand.minCaughtUpToMs) {
    return 'It is not proved to have what this session has written or read';
  }
  if (demand.exclude?.has(server.id) === true) return 'It was tried already';
  return null;
}

function describe(server: ServerView): string {
  return server.lag.t === 'known' ? `It lags ${server.lag.lagMs} ms` : 'It may take reads';
}
