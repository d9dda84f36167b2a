import type { Flavor } from '../topology/snapshot.ts';

/** How a server is asked, by flavour and version. */
export interface Dialect {
  readonly flavor: Flavor;
  readonly version: string;
  /** `SHOW …` statement for the replication channels. */
  readonly statusSql: string;
  /** The server keeps commit timestamps of transactions (MySQL 8.0 and later). */
  readonly hasCommitTimestamps: boolean;
}

/** Reads `VERSION()`: `9.7.4`, `8.0.36-28`, `10.11.19-MariaDB-0+deb12u1`. */
export function dialectOf(version: string): Dialect {
  if (/mariadb/i.test(version)) {
    return {
      flavor: 'mariadb',
      version,
      statusSql: 'SHOW ALL SLAVES STATUS',
      hasCommitTimestamps: false,
    };
  }
  const [major = 0, minor = 0, patch = 0] = version.split(/[.-]/, 3).map(Number);
  const release = major * 10_000 + minor * 100 + patch;
  return {
    flavor: 'mysql',
    version,
    // The old form is gone in 8.4, the new one came with 8.0.22.
    statusSql: release >= 80_022 ? 'SHOW REPLICA STATUS' : 'SHOW SLAVE STATUS',
    hasCommitTimestamps: release >= 80_000,
  };
}

const MYSQL_VARIABLES = `SELECT @@global.read_only AS readOnly,
  @@global.super_read_only AS superReadOnly, @@global.server_uuid AS serverUuid,
  @@global.server_id AS serverNumber, @@global.gtid_mode AS gtidMode,
  @@global.log_bin AS logBin, @@global.gtid_executed AS gtidSet`;

const MARIADB_VARIABLES = `SELECT @@global.read_only AS readOnly,
  @@global.server_id AS serverNumber, @@global.log_bin AS logBin,
  @@global.gtid_current_pos AS gtidSet, @@global.gtid_slave_pos AS appliedGtidSet,
  @@global.gtid_binlog_state AS binlogState`;

/**
 * Ages in µs by the replica's own clock. A column without a time holds a zero date, for which
 * TIMESTAMPDIFF gives NULL.
 * https://dev.mysql.com/doc/refman/9.4/en/performance-schema-replication-connection-status-table.html
 */
const COMMIT_TIMESTAMPS = `SELECT c.CHANNEL_NAME AS channel,
  GTID_SUBSET(c.RECEIVED_TRANSACTION_SET, @@global.gtid_executed) AS appliedAll,
  TIMESTAMPDIFF(MICROSECOND,
    c.LAST_QUEUED_TRANSACTION_ORIGINAL_COMMIT_TIMESTAMP, NOW(6)) AS queuedAgoUs,
  (SELECT MAX(TIMESTAMPDIFF(MICROSECOND,
      w.APPLYING_TRANSACTION_ORIGINAL_COMMIT_TIMESTAMP, NOW(6)))
    FROM performance_schema.replication_applier_status_by_worker w
    WHERE w.CHANNEL_NAME = c.CHANNEL_NAME AND w.APPLYING_TRANSACTION <> '') AS applyingAgoUs,
  (SELECT MAX(TIMESTAMPDIFF(MICROSECOND,
      p.PROCESSING_TRANSACTION_ORIGINAL_COMMIT_TIMESTAMP, NOW(6)))
    FROM performance_schema.replication_applier_status_by_coordinator p
    WHERE p.CHANNEL_NAME = c.CHANNEL_NAME AND p.PROCESSING_TRANSACTION <> '') AS schedulingAgoUs
FROM performance_schema.replication_connection_status c`;

/** Sent once on each new connection: the commit timestamps are shown in the session's time zone. */
export const GREETING_SQL = "SET SESSION time_zone = '+00:00'; SELECT VERSION() AS version";

/** The whole probe in one round trip: variables, channels and, if wanted, commit timestamps. */
export function probeSql(dialect: Dialect, withCommitTimestamps: boolean): string {
  const variables = dialect.flavor === 'mariadb' ? MARIADB_VARIABLES : MYSQL_VARIABLES;
  const base = `${variables}; ${dialect.statusSql}`;
  return withCommitTimestamps ? `${base}; ${COMMIT_TIMESTAMPS}` : base;
}
