import type { ServerId } from '../lib/ids.ts';
import type { Flavor } from './snapshot.ts';

/** One replication channel of a server, as `SHOW REPLICA STATUS` and its kin tell it. */
export interface ReplicaChannel {
  /** Empty for the default channel. */
  readonly name: string;
  readonly sourceHost: string;
  readonly sourcePort: number;
  /** MySQL only; null until the channel has once been connected. */
  readonly sourceUuid: string | null;
  /** Null where the server does not say. */
  readonly sourceServerId: number | null;
  /** The thread that fetches events: running, trying to connect, or stopped. */
  readonly receiver: 'on' | 'connecting' | 'off';
  /** The thread that applies them runs. */
  readonly applier: boolean;
  readonly receiverError: string | null;
  readonly applierError: string | null;
  /**
   * Age of the oldest transaction received and not applied yet, from commit timestamps by the
   * server's own clock, ms; 0 when everything received is applied; null where the server has no such
   * figures. It is the age of the newest received one while none is in work (`isApplying`).
   */
  readonly commitLagMs: number | null;
  /** A transaction is being applied right now; null where the server does not say. */
  readonly isApplying: boolean | null;
  /** How long ago the newest applied transaction was committed on its first server, ms, as above. */
  readonly appliedAgeMs: number | null;
  /** What was received, applied or not; null where the server does not say. */
  readonly receivedGtidSet: string | null;
  /** `SOURCE_DELAY`: the channel is meant to lag by this, ms. */
  readonly configuredDelayMs: number;
  /** `Seconds_Behind_Source`: whole seconds, blind to what was not received. */
  readonly secondsBehind: number | null;
  /**
   * What replication filters make it leave out, as options: `replicate-ignore-db=scratch`. Its
   * position has the transactions all the same. Null for none, or of system schemas only.
   */
  readonly filter: string | null;
}

/** What a server said when it answered a probe. */
export interface ServerReport {
  readonly t: 'ok';
  readonly flavor: Flavor;
  readonly version: string;
  readonly readOnly: boolean;
  readonly superReadOnly: boolean;
  /** MySQL only. */
  readonly serverUuid: string | null;
  /** `server_id`. */
  readonly serverNumber: number;
  /** Its own commits get a GTID: binary log on and, for MySQL, `gtid_mode=ON`. */
  readonly logsGtids: boolean;
  /**
   * What its binary log leaves out, as options (`binlog-ignore-db=scratch`); null for nothing, or
   * system schemas only. Such commits get no GTID, and reach nobody.
   */
  readonly logFilter: string | null;
  /** Why that is not known, for people; null where it is. */
  readonly logFilterProblem: string | null;
  /** `gtid_executed` or `gtid_current_pos`; null where GTIDs are not in use. */
  readonly gtidSet: string | null;
  /**
   * What it has applied from its source: for MySQL the same as `gtidSet`, for MariaDB
   * `gtid_slave_pos`, which local commits do not move.
   */
  readonly appliedGtidSet: string | null;
  /** MariaDB only: `gtid_binlog_state`, the last commit of each server that ever wrote. */
  readonly binlogState: string | null;
  readonly channels: readonly ReplicaChannel[];
  /** Its own clock when it answered, ms since 1970; null if it did not say. */
  readonly clockMs: number | null;
  /** How long ago, by that clock, its binary log got its newest transaction, ms; null if unknown. */
  readonly loggedAgeMs: number | null;
  /** Number of the newest heartbeat of this proxy that it shows; null for none. */
  readonly heartbeat: number | null;
}

/** What a light probe asks of a channel. */
export type ChannelPosition = Pick<
  ReplicaChannel,
  'name' | 'isApplying' | 'commitLagMs' | 'appliedAgeMs'
>;

/** What a server said to a light probe: positions and times. The rest is as it was last seen. */
export interface PositionReport
  extends Pick<
    ServerReport,
    'gtidSet' | 'appliedGtidSet' | 'clockMs' | 'loggedAgeMs' | 'heartbeat'
  > {
  readonly t: 'position';
  /** Empty where there are no commit timestamps to be had. */
  readonly channels: readonly ChannelPosition[];
}

/** A probe that got no usable answer. `why` is for people and holds no secret. */
interface ProbeFailure {
  readonly t: 'failed';
  readonly why: string;
}

/** One probe of one server. Times are of the proxy's monotonic clock, the one sessions use, in ms. */
export interface Observation {
  readonly serverId: ServerId;
  readonly startedAtMs: number;
  readonly finishedAtMs: number;
  readonly result: ServerReport | PositionReport | ProbeFailure;
}
