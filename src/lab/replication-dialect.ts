import type { Query } from './root-connection.ts';

/** Where a replica connects to. */
export interface Source {
  readonly host: string;
  readonly port: number;
}

/** How a server's two replication threads are. */
export interface ReplicaThreads {
  readonly sourcePort: number;
  /** `Yes`, `No` or `Connecting`, as the server says it. */
  readonly receiver: string;
  readonly applier: string;
  /** The receiver has done with logging in: it waits for events or stores them. */
  readonly streaming: boolean;
  /** The last error of either thread; empty when there is none. */
  readonly error: string;
}

/** The steps of replication set-up, in the words of one flavor. GTID positions are its own text. */
export interface ReplicationDialect {
  /**
   * Makes a server follow `source` by GTID, executing everything `delayS` seconds after its commit
   * there, and starts both threads. It keeps its read-only flag.
   */
  follow(query: Query, source: Source, delayS: number): Promise<void>;
  /** Lets what was received be executed without delay, where that can be done without losing it. */
  endDelay(query: Query): Promise<void>;
  /** Ends a server's life as a replica and forgets its source. */
  unfollow(query: Query): Promise<void>;
  /** Ends the connections of replicas, right before the server is shut down. */
  releaseReplicas(query: Query): Promise<void>;
  setReadOnly(query: Query, readOnly: boolean): Promise<void>;
  /** Whether commits wait for a replica's receipt; only where the semi-sync options are loaded. */
  setSemiSyncSource(query: Query, on: boolean): Promise<void>;
  /** Null when the server follows nobody. */
  threads(query: Query): Promise<ReplicaThreads | null>;
  /** What a replica must have executed to be level with this server. */
  position(query: Query): Promise<string>;
  /** Waits until a replica has executed `position`; false when the time is over. */
  waitFor(query: Query, position: string, deadlineMs: number): Promise<boolean>;
  /** Stops receiving and executes all that was received; false when the time is over. */
  drainRelay(query: Query, deadlineMs: number): Promise<boolean>;
  /** Everything in the server's history, for {@link ReplicationDialect.missing}. */
  history(query: Query): Promise<string>;
  /** What of another server's history this one lacks; empty when nothing. */
  missing(query: Query, history: string): Promise<string>;
}
