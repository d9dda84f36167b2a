import type { Flavor } from '../topology/snapshot.ts';

/** How a server is asked, by flavour and version. */
export interface Dialect {
  readonly flavor: Flavor;
  readonly version: string;
  /** `SHOW …` statement for the replication channels. */
  readonly statusSql: string;
  /** `SHOW …` statement for the state of the binary log, and its filters. */
  readonly logStatusSql: string;
  /** The server keeps commit timestamps of transactions (MySQL 8.0 and later). */
  readonly hasCommitTimestamps: boolean;
  /** It tells when its binary log got its newest transaction (MySQL 8.0.20 and later). */
  readonly hasLogTimes: boolean;
}

/**
 * What is asked: everything (roles, threads, positions), or positions and times only, which costs
 * the server a fraction of it.
 */
export type ProbeKind = 'full' | 'light';

/** What is asked for beside the variables. */
export interface ProbeParts {
  readonly commitTimestamps: boolean;
  /** Reads the newest heartbeat; null to leave it out. */
  readonly heartbeatSql: string | null;
}

/** Reads `VERSION()`: `9.7.4`, `8.0.36-28`, `10.11.19-MariaDB-0+deb12u1`. */
export function dialectOf(version: string): Dialect {
  if (/mariadb/i.test(version)) {
    return {
      flavor: 'mariadb',
      version,
      statusSql: 'SHOW ALL SLAVES STATUS',
      logStatusSql: 'SHOW MASTER STATUS',
      hasCommitTimestamps: false,
      hasLogTimes: false,
    };
  }
  const [major = 0, minor = 0, patch = 0] = version.split(/[.-]/, 3).map(Number);
  const release = major * 10_000 + minor * 100 + patch;
  return {
    flavor: 'mysql',
    version,
    // The old form is gone in 8.4, the new one came with 8.0.22.
    statusSql: release >= 80_022 ? 'SHOW REPLICA STATUS' : 'SHOW SLAVE STATUS',
    // The same with 8.2.
    logStatusSql: release >= 80_200 ? 'SHOW BINARY LOG STATUS' : 'SHOW MASTER STATUS',
    hasCommitTimestamps: release >= 80_000,
    hasLogTimes: release >= 80_020,
  };
}

/** The server's own clock, in seconds with a fraction, as of the beginning of the statement. */
const CLOCK = 'UNIX_TIMESTAMP(NOW(6)) AS clock';

const MYSQL_VARIABLES = `SELECT @@global.read_only AS readOnly,
  @@global.super_read_only AS superReadOnly, @@global.server_uuid AS serverUuid,
  @@global.server_id AS serverNumber, @@global.gtid_mode AS gtidMode,
  @@global.log_bin AS logBin, @@global.gtid_executed AS gtidSet, ${CLOCK}`;

const MARIADB_VARIABLES = `SELECT @@global.read_only AS readOnly,
  @@global.server_id AS serverNumber, @@global.log_bin AS logBin,
  @@global.gtid_current_pos AS gtidSet, @@global.gtid_slave_pos AS appliedGtidSet,
  @@global.gtid_binlog_state AS binlogState, ${CLOCK}`;

const MARIADB_POSITION = `SELECT @@global.gtid_current_pos AS gtidSet,
  @@global.gtid_slave_pos AS appliedGtidSet, ${CLOCK}`;

/**
 * Ages in µs by the replica's own clock. A column without a time holds a zero date, for which
 * TIMESTAMPDIFF gives NULL.
 * https://dev.mysql.com/doc/refman/9.4/en/performance-schema-replication-connection-status-table.html
 */
const STAMPS = `c.CHANNEL_NAME AS channel,
  GTID_SUBSET(c.RECEIVED_TRANSACTION_SET, @@global.gtid_executed) AS appliedAll,
  TIMESTAMPDIFF(MICROSECOND,
    c.LAST_QUEUED_TRANSACTION_ORIGINAL_COMMIT_TIMESTAMP, NOW(6)) AS queuedAgoUs,
  (SELECT MAX(TIMESTAMPDIFF(MICROSECOND,
      w.APPLYING_TRANSACTION_ORIGINAL_COMMIT_TIMESTAMP, NOW(6)))
    FROM performance_schema.replication_applier_status_by_worker w
    WHERE w.CHANNEL_NAME = c.CHANNEL_NAME AND w.APPLYING_TRANSACTION <> '') AS applyingAgoUs,
  (SELECT MIN(TIMESTAMPDIFF(MICROSECOND,
      a.LAST_APPLIED_TRANSACTION_ORIGINAL_COMMIT_TIMESTAMP, NOW(6)))
    FROM performance_schema.replication_applier_status_by_worker a
    WHERE a.CHANNEL_NAME = c.CHANNEL_NAME) AS appliedAgoUs,
  (SELECT MAX(TIMESTAMPDIFF(MICROSECOND,
      p.PROCESSING_TRANSACTION_ORIGINAL_COMMIT_TIMESTAMP, NOW(6)))
    FROM performance_schema.replication_applier_status_by_coordinator p
    WHERE p.CHANNEL_NAME = c.CHANNEL_NAME AND p.PROCESSING_TRANSACTION <> '') AS schedulingAgoUs`;

const STAMPS_FROM = 'FROM performance_schema.replication_connection_status c';

/**
 * Despite its name the table tells of logs without compression too: how long ago the newest
 * transaction was written to the binary log.
 * https://dev.mysql.com/doc/refman/9.4/en/performance-schema-binary-log-transaction-compression-stats-table.html
 */
const LOGGED = `(SELECT MIN(TIMESTAMPDIFF(MICROSECOND, b.LAST_TRANSACTION_TIMESTAMP, NOW(6)))
  FROM performance_schema.binary_log_transaction_compression_stats b
  WHERE b.LOG_TYPE = 'BINARY') AS loggedAgoUs`;

/** Sent once on each new connection: the commit timestamps are shown in the session's time zone. */
export const GREETING_SQL = "SET SESSION time_zone = '+00:00'; SELECT VERSION() AS version";

/**
 * The whole probe in one round trip: variables, channels and, if wanted, commit timestamps of the
 * channels, age of the newest logged transaction, heartbeat. One result set each, in this order.
 */
export function probeSql(dialect: Dialect, parts: ProbeParts): string {
  const statements = [
    dialect.flavor === 'mariadb' ? MARIADB_VARIABLES : MYSQL_VARIABLES,
    dialect.statusSql,
  ];
  if (parts.commitTimestamps) {
    const logged = dialect.hasLogTimes ? LOGGED : 'NULL AS loggedAgoUs';
    statements.push(`SELECT ${STAMPS} ${STAMPS_FROM}`, `SELECT ${logged}`);
  }
  return withHeartbeat(statements, parts);
}

/**
 * Positions and times only: one statement, and perhaps the heartbeat. A replica is asked by channel
 * for the commit timestamps, a server that is none for the newest transaction of its log.
 */
export function lightSql(dialect: Dialect, parts: ProbeParts, isReplica: boolean): string {
  return withHeartbeat([positionSql(dialect, parts, isReplica)], parts);
}

function positionSql(dialect: Dialect, parts: ProbeParts, isReplica: boolean): string {
  if (dialect.flavor === 'mariadb') return MARIADB_POSITION;
  const position = `SELECT @@global.gtid_executed AS gtidSet, ${CLOCK}`;
  if (!parts.commitTimestamps) return position;
  if (isReplica) return `${position}, ${STAMPS} ${STAMPS_FROM}`;
  return dialect.hasLogTimes ? `${position}, ${LOGGED}` : position;
}

function withHeartbeat(statements: readonly string[], { heartbeatSql }: ProbeParts): string {
  return (heartbeatSql === null ? statements : [...statements, heartbeatSql]).join('; ');
}
