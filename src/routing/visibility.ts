import { type Position, positionContains } from '../gtid/position.ts';
import type { ServerId } from '../lib/ids.ts';
import type { ServerView, Snapshot } from '../topology/snapshot.ts';

/**
 * Something that a read must be able to see. A server is known to show it, or it is not: what is not
 * known is waited for, or read on the primary.
 */
export type Requirement =
  /** Commits of the primary: its own writes for a session, everybody's for `global`. */
  | {
      readonly t: 'commits';
      /**
       * They had all been committed by then (monotonic ms): a server that is proved to hold what the
       * primary had executed at that moment or later has them. `Infinity` where no moment is known.
       */
      readonly byMs: number;
      /** Exactly these; null where it is not known which. */
      readonly position: Position | null;
      /** A server that has said that it has them, and when (monotonic ms). */
      readonly confirmed?: { readonly server: ServerId; readonly atMs: number } | null;
    }
  /** Nothing older than what `server` showed at a moment. */
  | {
      readonly t: 'seen';
      readonly server: ServerId;
      /** Monotonic ms. */
      readonly atMs: number;
    };

/** Whether a server is known to show all of it. */
export function shows(
  server: ServerView,
  requirements: readonly Requirement[],
  snapshot: Snapshot,
): boolean {
  for (const requirement of requirements) {
    if (!showsOne(server, requirement, snapshot)) return false;
  }
  return true;
}

function showsOne(server: ServerView, requirement: Requirement, snapshot: Snapshot): boolean {
  if (requirement.t === 'commits') {
    const { byMs, position, confirmed } = requirement;
    const isSaid = confirmed?.server === server.id && server.grownSinceMs <= confirmed.atMs;
    // What it said counts for nothing once filters were found.
    if (isSaid && server.filters === null) return true;
    return server.caughtUpToMs >= byMs || (position !== null && holds(server, position));
  }
  const { atMs } = requirement;
  if (server.id === requirement.server) return server.grownSinceMs <= atMs;
  const shown = snapshot.servers.find(({ id }) => id === requirement.server);
  // What it had shown it can tell itself, and only then is it known.
  if (shown?.role === 'replica' && shown.grownSinceMs <= atMs) return false;
  // A replica that is gone has shown what its primary may still have been about to commit.
  return shown?.role === 'primary' && server.caughtUpToMs >= atMs + TELLS_WITHIN_MS;
}

/**
 * Servers show a commit a moment before their own position has it. Nothing bounds that moment, but
 * it is a few instructions of a thread long.
 */
const TELLS_WITHIN_MS = 100;

const holds = (server: ServerView, position: Position): boolean =>
  server.position !== null && positionContains(server.position, position);
