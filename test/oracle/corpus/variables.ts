import { exactly, lines, primary, server, state, unrun, type Chapter } from '../statement.ts';

/** SET in all its forms. */
export const variables: Chapter = (flavor) => [
  ...USER_VARIABLES,
  ...SESSION,
  ...GLOBAL,
  ...(flavor === 'mysql' ? MYSQL : MARIADB),
];

const USER_VARIABLES = [
  ...state(`
    SET @a {{=¦:=}} {{1¦'x'¦NULL¦@b + 1¦(SELECT MAX(id) FROM item)¦UUID()¦LAST_INSERT_ID()}}
    SET @a = 1, @b = 2, @c := @a
    SET @a = 1, SESSION sort_buffer_size = 262144, @b = 2
    SET @'quoted' = 1
    SET @lagwise_consistency = 'strong'
  `),
  ...exactly(['SET @`odd name` = 1', 'set@a=1', 'SET\n@a\n=\n1', 'SET @a.b = 1'], {
    expect: 'state',
  }),
];

const SESSION = state(`
  SET {{¦SESSION ¦LOCAL ¦@@¦@@session.¦@@local.}}{{sort_buffer_size = 262144¦sql_mode = 'ANSI_QUOTES'¦time_zone = '+00:00'¦foreign_key_checks = 0¦unique_checks = DEFAULT¦sql_select_limit = 10¦wait_timeout = 100¦group_concat_max_len = 1024}}
  SET {{SESSION ¦LOCAL ¦@@session.¦}}sql_mode = {{CONCAT(@@sql_mode, ',ANSI')¦''¦DEFAULT¦@@global.sql_mode¦(SELECT 'ANSI')}}
  SET NAMES {{utf8mb4¦'utf8mb4'¦DEFAULT¦utf8mb4 COLLATE utf8mb4_bin¦latin1}}
  SET {{CHARACTER SET¦CHARSET}} {{utf8mb4¦DEFAULT¦'latin1'}}
  SET {{character_set_client = utf8mb4¦character_set_results = NULL¦collation_connection = utf8mb4_bin}}
  SET {{timestamp = 1700000000¦profiling = 1¦sql_auto_is_null = 1¦big_tables = 1}}
  SET autocommit = 0, sql_mode = 'ANSI', @a = 1
  SET lock_wait_timeout = 2, innodb_lock_wait_timeout = 1
`);

const GLOBAL = [
  ...primary(`
    SET {{¦SESSION ¦@@session.}}sql_log_bin = {{0¦1}}
    SET {{¦SESSION ¦@@}}{{insert_id = 7¦last_insert_id = 8¦identity = 8¦rand_seed1 = 5¦rand_seed2 = 5¦pseudo_thread_id = 9}}
    SET @a = 1, sql_log_bin = 0
    SET NAMES utf8mb4, GLOBAL wait_timeout = 28800
  `),
  ...primary(`
    SET {{GLOBAL ¦@@global.}}{{wait_timeout = 28800¦sort_buffer_size = 262144¦long_query_time = 10¦max_connections = 2000¦general_log = OFF¦slow_query_log = OFF}}
    SET GLOBAL wait_timeout = 28800, SESSION wait_timeout = 100
    SET SESSION wait_timeout = 100, GLOBAL wait_timeout = 28800
    SET GLOBAL key_buffer_size = 8388608
  `),
  ...unrun(`
    SET GLOBAL read_only = {{0¦1¦OFF}}
    SET @@global.read_only = OFF
    SET GLOBAL {{sql_log_bin = 0¦server_id = 77¦event_scheduler = ON}}
  `),
];

const MYSQL = [
  ...primary(`
    SET {{PERSIST¦PERSIST_ONLY}} {{long_query_time = 10¦max_connect_errors = 100}}
    SET {{@@persist.¦@@PERSIST_ONLY.}}long_query_time = 10
    SET {{gtid_next = 'AUTOMATIC'¦SESSION gtid_next = AUTOMATIC}}
    RESET PERSIST {{¦IF EXISTS long_query_time}}
  `),
  ...state(`
    SET RESOURCE GROUP USR_default
    SET SESSION {{session_track_gtids = OWN_GTID¦session_track_state_change = 1¦max_execution_time = 1000¦transaction_read_only = 1¦transaction_isolation = 'READ-COMMITTED'}}
    SELECT /*+ SET_VAR(sql_mode = 'ANSI') */ 1 INTO @a
  `),
  ...unrun(`
    SET GLOBAL {{super_read_only = OFF¦offline_mode = ON¦gtid_purged = ''}}
    SET PERSIST super_read_only = OFF
    SET gtid_next = '3e11fa47-71ca-11e1-9e33-c80aa9429562:1'
  `),
];

const MARIADB = [
  ...state(`
    SET STATEMENT sort_buffer_size = 262144 FOR SET @a = 1
    SET SESSION {{max_statement_time = 5¦tx_read_only = 1¦tx_isolation = 'READ-COMMITTED'¦gtid_domain_id = 0¦skip_replication = 0¦sql_if_exists = 1}}
    SET {{@@max_statement_time = 5¦system_versioning_asof = DEFAULT}}
    SET GLOBAL aria_checkpoint_interval = 30
  `),
  ...server('SET STATEMENT max_statement_time = 5 FOR SHOW STATUS'),
  ...lines('SET STATEMENT max_statement_time = 5 FOR SHOW TABLES'),
];
