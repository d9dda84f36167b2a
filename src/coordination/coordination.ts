import type { Position } from '../gtid/position.ts';
import type { Snapshot } from '../topology/snapshot.ts';
import type { UnknownReason } from '../telemetry/labels.ts';

/**
 * What a read that arrives now has to see. `unknown`: nobody can vouch for a position, the primary
 * itself has to be asked, or to run the read; `why` is a metric's label.
 */
export type Newest =
  | { readonly t: 'position'; readonly position: Position }
  | { readonly t: 'unknown'; readonly why: UnknownReason };

/** A proxy of the group, as this one sees it. */
export interface MemberView {
  readonly name: string;
  /** It publishes what it acknowledges, and this proxy holds its word for that now. */
  readonly isPublishing: boolean;
}

/** For people and metrics. */
export type CoordinationState =
  | { readonly t: 'memory' }
  | {
      readonly t: 'connected' | 'away';
      /** Proxy's monotonic clock, ms. */
      readonly sinceMs: number;
      /** This proxy's own name. */
      readonly name: string;
      readonly members: readonly MemberView[];
      /** Somebody in the group reads with consistency `global`, so writes are published. */
      readonly isWanted: boolean;
    };

/**
 * What makes reads of consistency `global` right over all proxies of a group: a read that arrives
 * after a write was acknowledged through any of them sees it. docs/coordination.md has the protocol
 * and the argument why it holds.
 */
export interface Coordination {
  /**
   * Takes what the monitor knows of the primary; call it with each published snapshot, before the
   * snapshot is used for anything else.
   */
  observe(snapshot: Snapshot): void;
  /**
   * A write (or a COMMIT) succeeded on the primary; its OK must not reach the client before the
   * promise resolves. It never rejects, and waits at most 1.6 × `leaseMs`. `null`: nothing to wait
   * for.
   * @param gtid as the server told it, a set of several too; `null` if it told none
   */
  acknowledged(gtid: string | null): Promise<void> | null;
  /**
   * What a read that has arrived must see; ask for each read after its arrival. It never rejects,
   * and waits at most 2 × `commandTimeoutMs`.
   */
  newest(): Newest | Promise<Newest>;
  state(): CoordinationState;
  /** Ends all it has started. Writes that are acknowledged afterwards still wait as they must. */
  stop(): Promise<void>;
}

/** Frozen answers, so that a refusal costs no object. */
export function unknown(why: UnknownReason): Newest {
  return { t: 'unknown', why };
}
