import type { MariadbGtid } from '../gtid/mariadb-position.ts';
import type { Position } from '../gtid/position.ts';
import type { ServerId } from '../lib/ids.ts';
import type { ClockOffset } from './clock-offset.ts';
import type { ServerReport } from './observation.ts';
import type { Rate } from './progress.ts';

/** A server as configured. */
export interface ListedServer {
  readonly id: ServerId;
  readonly host: string;
  readonly port: number;
  readonly tags: readonly string[];
  readonly zone: string | null;
  readonly reserved: boolean;
  /** Relative share of reads; 0 takes none. */
  readonly weight: number;
}

/** Everything remembered of one server between observations. Immutable. */
export interface ServerRecord {
  readonly listed: ListedServer;
  /** It has answered or failed at least once. */
  readonly observed: boolean;
  /** It answered its last probe. */
  readonly reachable: boolean;
  /** Why its last probe failed; null while reachable or not observed. */
  readonly failure: string | null;
  /** The last answer, kept while it is unreachable: its identity is needed to know its replicas. */
  readonly report: ServerReport | null;
  /** Times of the last answer, monotonic ms; -1 never. */
  readonly startedAtMs: number;
  readonly finishedAtMs: number;
  /** Start of the last probe of any outcome: answers that overtake each other are dropped. */
  readonly lastProbeMs: number;
  /** Its `gtidSet`, read; null if unknown or malformed. */
  readonly executed: Position | null;
  /** Its `appliedGtidSet`, read. */
  readonly applied: Position | null;
  /** MariaDB's `binlogState`, read; empty if unknown. */
  readonly binlogState: readonly MariadbGtid[];
  /**
   * What it has left out of replication, or a source of its has, since it is known: `filter` of its
   * channels. It stays when the filter is removed, since what is missing is still missing.
   */
  readonly filter: string | null;
  /** The same of its binary log: `logFilter` of its reports. */
  readonly logFilter: string | null;
  /** Why one of these could not be read. */
  readonly gtidProblem: string | null;
  /**
   * Start of the newest primary probe whose GTIDs it is proved to hold; -1 none. With filters that
   * says nothing of the data.
   */
  readonly caughtUpToMs: number;
  /** Start of the first probe since which it has answered each time and lost nothing. */
  readonly grownSinceMs: number;
  /** What each of its channels has received, read, in their order; null where not known. */
  readonly received: readonly (Position | null)[];
  /** How its clock stands; null while unknown. */
  readonly clock: ClockOffset | null;
  /** How fast its executed set grows (a primary's) and its applied one (a replica's). */
  readonly executedRate: Rate | null;
  readonly appliedRate: Rate | null;
  /** When its replication was first seen to stand: a thread stopped, or its source lost; else null. */
  readonly stoppedSinceMs: number | null;
  /** The data path could not reach it; holds until a probe begun later answers. */
  readonly suspicion: { readonly sinceMs: number; readonly why: string } | null;
}

/** All servers, in the order of the configuration. */
export type ServerRecords = ReadonlyMap<ServerId, ServerRecord>;

/** What is known before the first probe. */
export function newRecord(listed: ListedServer): ServerRecord {
  return {
    listed,
    observed: false,
    reachable: false,
    failure: null,
    report: null,
    startedAtMs: -1,
    finishedAtMs: -1,
    lastProbeMs: -1,
    executed: null,
    applied: null,
    binlogState: [],
    filter: null,
    logFilter: null,
    gtidProblem: null,
    caughtUpToMs: -1,
    grownSinceMs: Number.POSITIVE_INFINITY,
    received: [],
    clock: null,
    executedRate: null,
    appliedRate: null,
    stoppedSinceMs: null,
    suspicion: null,
  };
}
