import type { ServerId } from '../lib/ids.ts';

/** How a lag figure was obtained, best first. */
type LagMethod = 'gtid' | 'commit-timestamps' | 'seconds-behind';

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

/** One server as the router sees it. Immutable; a new one is made for each observation. */
export interface ServerView {
  readonly id: ServerId;
  readonly host: string;
  readonly port: number;
  readonly tags: readonly string[];
  readonly zone: string | null;
  /** Relative share of reads; 0 takes none. */
  readonly weight: number;
  readonly role: Role;
  readonly flavor: Flavor | null;
  /** As the server says it, e.g. `9.7.4` or `10.11.19-MariaDB-0+deb12u1`. */
  readonly version: string | null;
  readonly readOnly: boolean | null;
  readonly lag: Lag;
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
  /** When it was last observed alive (monotonic ms), -1 never. */
  readonly seenAtMs: number;
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
