import type { ServerId } from '../lib/ids.ts';
import type { ServerView, Snapshot } from '../topology/snapshot.ts';
import { type Requirement, shows } from './visibility.ts';

/** What a replica must be to take a read. */
export interface ReplicaDemand {
  /** The greatest lag allowed, ms. */
  readonly maxLagMs: number;
  /** What it must be known to show; empty for whatever it has. */
  readonly requirements: readonly Requirement[];
  /** Replicas already tried for this statement. */
  readonly exclude?: ReadonlySet<ServerId> | undefined;
  /** It must have all of these tags; without any, only servers that are reserved do not count. */
  readonly tags?: readonly string[] | undefined;
  /** The proxy's zone: its servers come first, which is no matter of eligibility. */
  readonly zone?: string | null | undefined;
  /** Replicas that rest since they stood out, and why. */
  readonly resting?: ReadonlyMap<ServerId, string> | undefined;
}

/** Whether a server may take a read of this demand. */
export function isEligible(server: ServerView, demand: ReplicaDemand, snapshot: Snapshot): boolean {
  return isFit(server, demand) && shows(server, demand.requirements, snapshot);
}

/** Whether it may take the read but for what it is known to show. */
export function isFit(server: ServerView, demand: ReplicaDemand): boolean {
  return (
    server.role === 'replica' &&
    server.ineligible === null &&
    server.weight > 0 &&
    server.lag.t === 'known' &&
    server.lag.lagMs <= demand.maxLagMs &&
    isForTags(server, demand.tags) &&
    demand.resting?.has(server.id) !== true &&
    demand.exclude?.has(server.id) !== true
  );
}

/** Whether a server takes reads that ask for these tags. */
export function isForTags(server: ServerView, tags: readonly string[] | undefined): boolean {
  if (tags === undefined || tags.length === 0) return !server.reserved;
  for (const tag of tags) if (!server.tags.includes(tag)) return false;
  return true;
}
