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
   * Age in ms of the oldest transaction received and not applied yet, from commit timestamps; 0
   * when everything received is applied; null where the server has no such figures.
   */
  readonly commitLagMs: number | null;
  /** `Seconds_Behind_Source`: whole seconds, blind to what was not received. */
  readonly secondsBehind: number | null;
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
  readonly result: ServerReport | ProbeFailure;
}
