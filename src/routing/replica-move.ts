import type { ServerView, Snapshot } from '../topology/snapshot.ts';
import type { FiguresOf } from './choose-replica.ts';
import { isEligible, type ReplicaDemand } from './replica-demand.ts';
import { costOf, countedLatencyMs, effectiveWeight } from './replica-figures.ts';
import { isNear, isOverrun, MOVE_AWAY, STAY_AWAY } from './replica-zone.ts';

/**
 * A replica is left for another only if that one has clearly fewer sessions. No more than one on
 * top: with few sessions, as of a client's small pool, a replica that came back would stay empty. A
 * session that has moved is never sent back by the same figures.
 */
const MOVE_FACTOR = 1.5;
const MOVE_MARGIN = 1;

/**
 * Where a session should read from now instead of from `reader`, which still would do; null to
 * stay. It stays unless another is clearly better, since each move gives up the place that it has
 * read from, and only so many leave at a time.
 */
export function betterReplica(
  snapshot: Snapshot,
  demand: ReplicaDemand,
  reader: ServerView,
  figuresOf: FiguresOf,
): ServerView | null {
  if (figuresOf(reader.id).movable < 1) return null;
  let best: ServerView | null = null;
  let bestCost = Number.POSITIVE_INFINITY;
  for (const server of snapshot.servers) {
    if (server.id === reader.id || server.weight <= 0) continue;
    if (!isClearlyBetter(server, reader, demand, figuresOf)) continue;
    if (!isEligible(server, demand, snapshot)) continue;
    const cost = costOf(server, figuresOf(server.id), 1);
    if (cost < bestCost) {
      best = server;
      bestCost = cost;
    }
  }
  return best;
}

function isClearlyBetter(
  server: ServerView,
  reader: ServerView,
  demand: ReplicaDemand,
  figuresOf: FiguresOf,
): boolean {
  const theirs = figuresOf(server.id);
  const mine = figuresOf(reader.id);
  const isHome = isNear(server, demand);
  if (isHome === isNear(reader, demand)) {
    const bestMs = Math.min(countedLatencyMs(mine), countedLatencyMs(theirs));
    // By sessions: what is in flight changes too fast to move for, and may only forbid it.
    return (
      mine.readers * effectiveWeight(server, theirs) >
        (theirs.readers * MOVE_FACTOR + MOVE_MARGIN) * effectiveWeight(reader, mine) &&
      costOf(server, theirs, bestMs) <= costOf(reader, mine, bestMs)
    );
  }
  if (!isHome) return isOverrun(reader, server, figuresOf, MOVE_AWAY);
  const hasRoom = theirs.readers < theirs.ramp * (theirs.readers + mine.readers);
  return hasRoom && !isOverrun(server, reader, figuresOf, STAY_AWAY);
}
