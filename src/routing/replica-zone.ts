import type { ServerId } from '../lib/ids.ts';
import type { ServerView } from '../topology/snapshot.ts';
import type { ReplicaDemand } from './replica-demand.ts';
import { effectiveWeight, type ReplicaFigures } from './replica-figures.ts';

/** When one server has clearly more to do than another. */
interface Excess {
  /** New sessions go by what runs now, old ones move by the average. */
  readonly by: 'active' | 'busy';
  readonly factor: number;
  /** Statements, of a server of the same weight. */
  readonly margin: number;
}

/**
 * Another zone costs a part of a millisecond or more for each read: it takes a queue that is longer
 * by more than chance before that is the faster way.
 */
export const SPILL: Excess = Object.freeze({ by: 'active', factor: 2, margin: 8 });
export const MOVE_AWAY: Excess = Object.freeze({ by: 'busy', factor: 2, margin: 8 });
/** A session comes home only where it would not be sent away again. */
export const STAY_AWAY: Excess = Object.freeze({ by: 'busy', factor: 2, margin: 4 });

/** Whether a server is in the zone that the demand asks for. */
export function isNear(server: ServerView, { zone }: ReplicaDemand): boolean {
  return zone !== null && zone !== undefined && server.zone === zone;
}

/** Whether `server` has clearly more statements to run than `other`, each by its weight. */
export function isOverrun(
  server: ServerView,
  other: ServerView,
  figuresOf: (id: ServerId) => ReplicaFigures,
  { by, factor, margin }: Excess,
): boolean {
  const mine = figuresOf(server.id);
  const theirs = figuresOf(other.id);
  return (
    mine[by] * effectiveWeight(other, theirs) >
    (theirs[by] * factor + margin) * effectiveWeight(server, mine)
  );
}
