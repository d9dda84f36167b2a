import type { Position } from '../gtid/position.ts';
import type { ServerId } from '../lib/ids.ts';

/** How a lag figure was obtained, best first. */
export type LagMethod = 'gtid' | 'commit-timestamps' | 'heartbeat' | 'seconds-behind';

/** What is known of a replica's lag. Unknown is a state of its own, never zero. */
export type Lag =
  | { readonly t: 'known'; readonly lagMs: number; readonly method: LagMethod }
  | { readonly t: 'unknown'; readonly why: string };

/** What a server is for the router. Found by probing, never configured. */
export type Role =
  /** Writable, nobody's replica: the one that takes writes. At most one server has it. */
  | 'primary'
  /** Replicates from another listed server (or did until its threads stopped). */
  | 'replica'
  /** Reachable, but neither: why is in `ineligible`. */
  | 'unassigned'
  /** Not reachable, or not probed yet. */
  | 'down';

export type Flavor = 'mysql' | 'mariadb';

/** One replication channel of a server. */
export interface ChannelView {
  /** Empty for the default channel. */
  readonly name: string;
  /** Id of the listed server that it fetches from, else `host:port`. */
  readonly source: string;
  /** The thread that fetches events: running, trying to connect, or stopped. */
  readonly receiver: 'on' | 'connecting' | 'off';
  /** The thread that applies them runs. */
  readonly applier: boolean;
  readonly receiverError: string | null;
  readonly applierError: string | null;
  /** The delay that somebody configured (`SOURCE_DELAY`), ms; it is part of the lag. */
  readonly configuredDelayMs: number;
}

/** How a server's replication does. What cannot be told is null, never 0. */
export interface ReplicationView {
  readonly channels: readonly ChannelView[];
  /** Transactions received and not applied. */
  readonly queued: number | null;
  /** Transactions that the primary had when it last answered and this server had not. */
  readonly behind: number | null;
  /** It is applying something right now, else it waits for work (or for a configured delay). */
  readonly isApplying: boolean | null;
  /** Transactions applied per second, smoothed over some seconds. */
  readonly appliedPerSecond: number | null;
  /**
   * How long until it has caught up if it and the primary go on as they do, ms; 0 when it has, null
   * where that cannot be told or it falls back.
   */
  readonly catchUpMs: number | null;
  /** The greatest `configuredDelayMs` of the channels. */
  readonly configuredDelayMs: number;
  /**
   * When a thread was first seen stopped, or the receiver without its source (monotonic ms); null
   * while all are at work.
   */
  readonly stoppedSinceMs: number | null;
}

/** One server as the router sees it. Immutable; a new one is made for each observation. */
export interface ServerView {
  readonly id: ServerId;
  readonly host: string;
  readonly port: number;
  readonly tags: readonly string[];
  readonly zone: string | null;
  /** Only reads that ask for its tags are for it. */
  readonly reserved: boolean;
  /** Relative share of reads; 0 takes none. */
  readonly weight: number;
  readonly role: Role;
  readonly flavor: Flavor | null;
  /** As the server says it, e.g. `9.7.4` or `10.11.19-MariaDB-0+deb12u1`. */
  readonly version: string | null;
  readonly readOnly: boolean | null;
  /** As of `seenAtMs`. */
  readonly lag: Lag;
  /** Null for a server that does not replicate, or does not answer. */
  readonly replication: ReplicationView | null;
  /** Both replication threads run. `null`: not a replica or not known. */
  readonly replicating: boolean | null;
  /**
   * The newest moment (proxy's monotonic clock, ms) for which this server is proved to hold every
   * transaction that the primary had executed then; -1 if there is no proof. The primary has
   * `Infinity`. A session that wrote at T reads its own writes wherever this is ≥ T.
   */
  readonly caughtUpToMs: number;
  /** Executed GTID set as the server says it (MariaDB: `gtid_current_pos`), null if unknown. */
  readonly gtidSet: string | null;
  /**
   * What it had applied at `positionAtMs`, read; null if unknown or without GTIDs. The primary's is
   * what it had executed. Null too where it would prove nothing: see `filters`.
   */
  readonly position: Position | null;
  /**
   * Start of the probe that saw `position` (monotonic ms), -1 never: what the server showed to
   * anybody before that moment is in it.
   */
  readonly positionAtMs: number;
  /**
   * Start of the first probe since which it has answered each time and lost nothing (monotonic ms);
   * `Infinity` while it does not answer. A server that was restarted may have lost what it showed.
   */
  readonly grownSinceMs: number;
  /** When it was last observed alive (monotonic ms), -1 never. */
  readonly seenAtMs: number;
  /**
   * Why having a GTID does not mean having the data, for people: filters leave out something other
   * than system schemas. Of a replica: its own, or those of a source between it and the primary. Of
   * the primary: those of its binary log, and then no server proves anything. Null for none.
   */
  readonly filters: string | null;
  /** Why it takes no reads as a replica (lag and weight aside), or null when it may. For people. */
  readonly ineligible: string | null;
}

/** The whole cluster at one moment. Immutable: a session may keep it for as long as it likes. */
export interface Snapshot {
  /** Grows by one with each published snapshot. */
  readonly version: number;
  /**
   * Grows by one each time another server becomes the primary, or the same one comes back without
   * commits that it was seen with; leases made under another epoch are stale. Losing the primary
   * alone does not change it: a server that comes back as it was is the same primary.
   */
  readonly epoch: number;
  readonly servers: readonly ServerView[];
  readonly primary: ServerView | null;
  /** Why there is no primary, for people; null when there is one. */
  readonly noPrimary: string | null;
}
