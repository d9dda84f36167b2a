import type { ServerId } from '../lib/ids.ts';
import type { ServerView, Snapshot } from '../topology/snapshot.ts';
import { isEligible, type ReplicaDemand } from './replica-demand.ts';
import {
  costOf,
  countedLatencyMs,
  effectiveWeight,
  type ReplicaFigures,
} from './replica-figures.ts';
import { isNear, isOverrun, SPILL } from './replica-zone.ts';

/** Gives what the proxy knows of a server. */
export type FiguresOf = (id: ServerId) => ReplicaFigures;

/** The outcome of choosing. */
export type Choice = { readonly t: 'chosen'; readonly server: ServerView } | { readonly t: 'none' };

/** [0, 1). */
type Random = () => number;

const NONE: Choice = Object.freeze({ t: 'none' });

/**
 * Picks a replica: two different eligible ones at random by weight, then the one where a statement
 * costs less. Two random choices come close to the best one without sending every proxy's next read
 * to the same server. Where the demand has a zone, those of it come first: others are taken where
 * there are none, while they come back, and where they have clearly more to do.
 *
 * `random` returns [0, 1); the result is the same for the same numbers. Linear in the number of
 * servers. Runs for a session's first read and when its replica will not do any more.
 */
export function chooseReplica(
  snapshot: Snapshot,
  demand: ReplicaDemand,
  figuresOf: FiguresOf,
  random: Random,
): Choice {
  const eligible = snapshot.servers.filter((server) => isEligible(server, demand, snapshot));
  const near = eligible.filter((server) => isNear(server, demand));
  const server =
    near.length === 0 || near.length === eligible.length
      ? betterOfTwo(eligible, figuresOf, random)
      : nearestOf(near, eligible, figuresOf, random);
  return server === null ? NONE : { t: 'chosen', server };
}

function nearestOf(
  near: readonly ServerView[],
  eligible: readonly ServerView[],
  figuresOf: FiguresOf,
  random: Random,
): ServerView | null {
  const others = eligible.filter((server) => !near.includes(server));
  const far = betterOfTwo(others, figuresOf, random);
  // Those that come back take their share, and the others go on with the rest.
  const strength = rampOf(near, figuresOf) / rampOf(others, figuresOf);
  if (strength < 1 && random() >= strength) return far;
  const first = betterOfTwo(near, figuresOf, random);
  if (first === null || far === null) return first ?? far;
  return isOverrun(first, far, figuresOf, SPILL) ? far : first;
}

function betterOfTwo(
  servers: readonly ServerView[],
  figuresOf: FiguresOf,
  random: Random,
): ServerView | null {
  const first = pick(servers, null, figuresOf, random);
  if (first === null || servers.length === 1) return first;
  const second = pick(servers, first, figuresOf, random);
  if (second === null) return first;
  const ofFirst = figuresOf(first.id);
  const ofSecond = figuresOf(second.id);
  const bestMs = Math.min(countedLatencyMs(ofFirst), countedLatencyMs(ofSecond));
  return costOf(second, ofSecond, bestMs) < costOf(first, ofFirst, bestMs) ? second : first;
}

/** One server other than `except`, each with a chance in proportion to its weight. */
function pick(
  servers: readonly ServerView[],
  except: ServerView | null,
  figuresOf: FiguresOf,
  random: Random,
): ServerView | null {
  const gone = except === null ? 0 : effectiveWeight(except, figuresOf(except.id));
  let left = random() * (weightOf(servers, figuresOf) - gone);
  let last: ServerView | null = null;
  for (const server of servers) {
    if (server === except) continue;
    last = server;
    left -= effectiveWeight(server, figuresOf(server.id));
    if (left < 0) break;
  }
  return last;
}

/** The part of their weight that servers have together. */
function rampOf(servers: readonly ServerView[], figuresOf: FiguresOf): number {
  return weightOf(servers, figuresOf) / servers.reduce((sum, { weight }) => sum + weight, 0);
}

function weightOf(servers: readonly ServerView[], figuresOf: FiguresOf): number {
  return servers.reduce((sum, server) => sum + effectiveWeight(server, figuresOf(server.id)), 0);
}
