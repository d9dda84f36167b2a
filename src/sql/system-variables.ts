/**
 * System variables whose session value is the client's own (restored on every connection that
 * serves it) or the same on every server of a sane cluster. Drivers ask for them at each connect,
 * so a replica may answer. Every other variable may differ from server to server (`server_id`,
 * `hostname`, `read_only`, `gtid_executed`, buffer sizes): the primary answers, so that a client
 * gets one and the same truth.
 */
export const PORTABLE_VARIABLES = [
  'AUTO_INCREMENT_INCREMENT',
  'AUTO_INCREMENT_OFFSET',
  'AUTOCOMMIT',
  'BIG_TABLES',
  'CHARACTER_SET_CLIENT',
  'CHARACTER_SET_CONNECTION',
  'CHARACTER_SET_RESULTS',
  'COLLATION_CONNECTION',
  'DEFAULT_WEEK_FORMAT',
  'DIV_PRECISION_INCREMENT',
  'EXPLICIT_DEFAULTS_FOR_TIMESTAMP',
  'FOREIGN_KEY_CHECKS',
  'GROUP_CONCAT_MAX_LEN',
  'HAVE_QUERY_CACHE',
  'HAVE_OPENSSL',
  'HAVE_SSL',
  'INIT_CONNECT',
  'INTERACTIVE_TIMEOUT',
  'LC_MESSAGES',
  'LC_TIME_NAMES',
  'LICENSE',
  'LOCK_WAIT_TIMEOUT',
  'INNODB_LOCK_WAIT_TIMEOUT',
  'LOWER_CASE_TABLE_NAMES',
  'MAX_ALLOWED_PACKET',
  'MAX_EXECUTION_TIME',
  'MAX_STATEMENT_TIME',
  'NET_BUFFER_LENGTH',
  'NET_READ_TIMEOUT',
  'NET_WRITE_TIMEOUT',
  'PERFORMANCE_SCHEMA',
  'PROTOCOL_VERSION',
  'QUERY_CACHE_SIZE',
  'QUERY_CACHE_TYPE',
  'SQL_AUTO_IS_NULL',
  'SQL_BIG_SELECTS',
  'SQL_MODE',
  'SQL_NOTES',
  'SQL_QUOTE_SHOW_CREATE',
  'SQL_SAFE_UPDATES',
  'SQL_SELECT_LIMIT',
  'SQL_WARNINGS',
  'SYSTEM_TIME_ZONE',
  'TIME_ZONE',
  'TIMESTAMP',
  'TRANSACTION_ISOLATION',
  'TRANSACTION_READ_ONLY',
  'TX_ISOLATION',
  'TX_READ_ONLY',
  'UNIQUE_CHECKS',
  'VERSION',
  'VERSION_COMMENT',
  'WAIT_TIMEOUT',
] as const;

/** About the statement before: only the server that ran it knows. */
export const DIAGNOSTIC_VARIABLES = ['WARNING_COUNT', 'ERROR_COUNT'] as const;

/** Another name of LAST_INSERT_ID(): only the connection that inserted knows. */
export const INSERT_ID_VARIABLES = ['IDENTITY', 'LAST_INSERT_ID'] as const;

/** Schemas whose tables tell of the server that is asked, like SHOW STATUS does. */
export const SERVER_SCHEMAS = ['PERFORMANCE_SCHEMA', 'SYS'] as const;

/** Tables of information_schema that tell of the one server; the others hold metadata. */
export const SERVER_TABLES = [
  'CLIENT_STATISTICS',
  // On a replica every event's status is "disabled on the replica".
  'EVENTS',
  'GLOBAL_STATUS',
  'GLOBAL_VARIABLES',
  'INNODB_BUFFER_PAGE',
  'INNODB_BUFFER_POOL_STATS',
  'INNODB_LOCK_WAITS',
  'INNODB_LOCKS',
  'INNODB_METRICS',
  'INNODB_TRX',
  'PLUGINS',
  'PROCESSLIST',
  'PROFILING',
  'SESSION_STATUS',
  'SESSION_VARIABLES',
  'USER_STATISTICS',
] as const;

/** How a read of a system variable is routed. */
export const VARIABLE_KIND = { SERVER: 0, PORTABLE: 1, DIAGNOSTIC: 2, INSERT_ID: 3 } as const;
