import type { MariadbGtid } from '../gtid/mariadb-position.ts';
import type { Position } from '../gtid/position.ts';
import type { ServerId } from '../lib/ids.ts';
import type { ServerReport } from './observation.ts';

/** A server as configured. */
export interface ListedServer {
  readonly id: ServerId;
  readonly host: string;
  readonly port: number;
  readonly tags: readonly string[];
  readonly zone: string | null;
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
  /** Why one of these could not be read. */
  readonly gtidProblem: string | null;
  /** Start of the newest primary probe whose transactions it is proved to hold; -1 none. */
  readonly caughtUpToMs: number;
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
    gtidProblem: null,
    caughtUpToMs: -1,
    suspicion: null,
  };
}
