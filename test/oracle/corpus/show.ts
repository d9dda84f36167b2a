import { lines, server, type Chapter } from '../statement.ts';

/** Every SHOW. What replication carries is a read anywhere, what one server knows is not. */
export const show: Chapter = (flavor) => [
  ...METADATA,
  ...VARIABLES,
  ...OF_THE_SERVER,
  ...(flavor === 'mysql' ? MYSQL : MARIADB),
];

const METADATA = lines(`
  SHOW {{CHARACTER SET¦CHARSET¦COLLATION¦DATABASES¦SCHEMAS¦TABLES¦FULL TABLES¦TABLE STATUS¦TRIGGERS¦PROCEDURE STATUS¦FUNCTION STATUS}} {{¦LIKE 'u%'}}
  SHOW {{CHARACTER SET WHERE Charset = 'utf8mb4'¦COLLATION WHERE Charset = 'utf8mb4'¦DATABASES WHERE \`Database\` = 'shop'¦TABLE STATUS WHERE Name = 'item'¦PROCEDURE STATUS WHERE Db = 'shop'¦FUNCTION STATUS WHERE Name LIKE 'f%'}}
  SHOW {{TABLES¦FULL TABLES¦TABLE STATUS¦TRIGGERS}} {{FROM¦IN}} {{spare¦shop}} {{¦LIKE 'i%'}}
  SHOW {{COLUMNS¦FIELDS¦FULL COLUMNS¦FULL FIELDS}} {{FROM¦IN}} {{item¦item FROM shop¦shop.item¦item IN shop}} {{¦LIKE 'n%'¦WHERE Field = 'id'}}
  SHOW {{INDEX¦INDEXES¦KEYS}} {{FROM¦IN}} {{item¦item FROM shop¦shop.item}} {{¦WHERE Key_name = 'PRIMARY'}}
  SHOW CREATE {{DATABASE shop¦SCHEMA shop¦DATABASE IF NOT EXISTS shop¦TABLE item¦TABLE shop.item¦VIEW item_v¦PROCEDURE p_reads¦FUNCTION f_pure¦TRIGGER item_bi¦USER CURRENT_USER¦USER 'u1'@'localhost'}}
  SHOW GRANTS {{¦FOR CURRENT_USER¦FOR CURRENT_USER()¦FOR 'u1'@'localhost'}}
  SHOW {{PRIVILEGES¦ENGINES¦STORAGE ENGINES}}
  show/**/tables
  show full columns from \`item\`
  SHOW TABLES WHERE Tables_in_shop LIKE '%for update%'
`);

const VARIABLES = [
  ...lines(`
    SHOW {{¦SESSION¦LOCAL}} VARIABLES LIKE '{{sql_mode¦autocommit¦character_set_client¦collation_connection¦time_zone¦version¦wait_timeout¦max_allowed_packet¦lower_case_table_names¦transaction_isolation¦tx_isolation¦net_write_timeout¦version_comment}}'
    SELECT @@{{sql_mode¦session.sql_mode¦SESSION.time_zone¦local.autocommit¦character_set_client¦collation_connection¦version¦version_comment¦max_allowed_packet¦wait_timeout¦interactive_timeout¦lower_case_table_names¦system_time_zone¦foreign_key_checks¦unique_checks¦sql_select_limit¦auto_increment_increment¦div_precision_increment¦group_concat_max_len¦license¦init_connect¦net_buffer_length¦default_week_format¦lc_time_names}}
    SELECT @@sql_mode, @@time_zone AS tz, @@version FROM item
    SELECT id FROM item WHERE @@autocommit = 1
  `),
  ...server(`
    SHOW {{¦SESSION¦GLOBAL}} VARIABLES {{¦LIKE 'innodb%'¦LIKE 'server_id'¦WHERE Variable_name = 'read_only'¦LIKE 'hostname'}}
    SHOW GLOBAL VARIABLES LIKE 'sql_mode'
    SHOW {{¦SESSION¦LOCAL¦GLOBAL}} STATUS {{¦LIKE 'Uptime'¦WHERE Variable_name = 'Threads_connected'}}
    SELECT @@{{server_id¦hostname¦read_only¦global.sql_mode¦GLOBAL.server_id¦port¦datadir¦global.innodb_buffer_pool_size¦sort_buffer_size¦socket¦tmpdir}}
    SELECT @@global.read_only AS ro, 1
    SELECT id, @@hostname FROM item
    SELECT LOAD_FILE('/nonexistent-folder/x')
  `),
];

const OF_THE_SERVER = [
  ...server(`
    SHOW {{PROCESSLIST¦FULL PROCESSLIST}}
    SHOW {{BINARY LOGS¦EVENTS¦OPEN TABLES¦PLUGINS¦PROFILES¦PROFILE}}
    SHOW {{OPEN TABLES FROM shop¦OPEN TABLES LIKE 'i%'¦EVENTS FROM shop¦EVENTS LIKE 't%'¦PROFILE CPU FOR QUERY 1¦PROFILE ALL}}
    SHOW ENGINE {{INNODB STATUS¦INNODB MUTEX¦PERFORMANCE_SCHEMA STATUS¦PERFORMANCE_SCHEMA LOGS}}
    SHOW BINLOG EVENTS {{¦LIMIT 1¦IN 'binlog.000001' LIMIT 1¦FROM 4 LIMIT 1}}
    SHOW CREATE EVENT tidy
    SELECT * FROM performance_schema.{{threads¦global_status¦setup_consumers}} LIMIT 1
    SELECT * FROM information_schema.{{PROCESSLIST¦INNODB_TRX¦EVENTS¦PLUGINS¦INNODB_METRICS¦INNODB_BUFFER_POOL_STATS}} LIMIT 1
    SELECT * FROM sys.version
    SELECT * FROM mysql.{{general_log¦slow_log¦innodb_table_stats¦innodb_index_stats¦plugin}}
  `),
  ...lines(`
    SELECT {{*¦COUNT(*)}} FROM information_schema.{{TABLES¦COLUMNS¦SCHEMATA¦VIEWS¦ROUTINES¦TRIGGERS¦STATISTICS¦KEY_COLUMN_USAGE¦TABLE_CONSTRAINTS¦REFERENTIAL_CONSTRAINTS¦PARAMETERS¦PARTITIONS¦CHARACTER_SETS¦COLLATIONS¦ENGINES¦SCHEMA_PRIVILEGES¦TABLE_PRIVILEGES¦COLUMN_PRIVILEGES¦USER_PRIVILEGES¦CHECK_CONSTRAINTS¦COLLATION_CHARACTER_SET_APPLICABILITY}} {{¦LIMIT 1}}
    select table_name from information_schema.tables where table_schema = 'shop' {{¦and table_type = 'VIEW'¦order by 1}}
    SELECT COUNT(*) FROM mysql.{{user¦db¦tables_priv¦proxies_priv}}
  `),
];

const MYSQL = [
  ...server(`
    SELECT PS_CURRENT_THREAD_ID()
    SHOW {{REPLICA STATUS¦REPLICAS¦BINARY LOG STATUS¦REPLICA STATUS FOR CHANNEL ''¦RELAYLOG EVENTS¦RELAYLOG EVENTS FOR CHANNEL ''}}
    SELECT * FROM information_schema.{{INNODB_CMP¦FILES¦INNODB_TABLESPACES¦RESOURCE_GROUPS¦INNODB_TABLES¦INNODB_INDEXES¦INNODB_FIELDS}} LIMIT 1
    SELECT * FROM mysql.{{gtid_executed¦slave_worker_info¦component}}
    SELECT * FROM performance_schema.{{replication_connection_status¦data_locks¦metadata_locks}}
    SELECT @@{{global.gtid_executed¦server_uuid¦super_read_only¦session.gtid_next}}
  `),
  ...lines(`
    SHOW EXTENDED {{COLUMNS FROM item¦FULL COLUMNS FROM item¦INDEX FROM item¦TABLES}}
    SHOW EXTENDED FULL TABLES FROM shop
    SHOW LIBRARY STATUS
    SELECT * FROM information_schema.{{COLUMN_STATISTICS¦KEYWORDS¦ST_GEOMETRY_COLUMNS¦ST_SPATIAL_REFERENCE_SYSTEMS¦ST_UNITS_OF_MEASURE¦USER_ATTRIBUTES¦APPLICABLE_ROLES¦ENABLED_ROLES¦VIEW_TABLE_USAGE¦VIEW_ROUTINE_USAGE¦TABLESPACES_EXTENSIONS¦COLUMNS_EXTENSIONS}} LIMIT 1
    SELECT @@{{transaction_isolation¦transaction_read_only¦max_execution_time¦explicit_defaults_for_timestamp}}
  `),
];

const MARIADB = [
  ...server(`
    SELECT BINLOG_GTID_POS('binlog.000001', 4)
    SHOW {{SLAVE STATUS¦REPLICA STATUS¦ALL SLAVES STATUS¦ALL REPLICAS STATUS¦SLAVE HOSTS¦REPLICA HOSTS¦MASTER STATUS¦BINLOG STATUS¦MASTER LOGS¦AUTHORS¦CONTRIBUTORS}}
    SHOW {{CLIENT_STATISTICS¦INDEX_STATISTICS¦TABLE_STATISTICS¦USER_STATISTICS}}
    SELECT @@{{gtid_binlog_pos¦gtid_current_pos¦gtid_slave_pos¦global.gtid_domain_id}}
    SHOW GLOBAL VARIABLES
    SELECT * FROM mysql.{{gtid_slave_pos¦event¦transaction_registry}}
    SELECT * FROM information_schema.{{INNODB_SYS_TABLES¦INNODB_SYS_INDEXES}} LIMIT 1
  `),
  ...lines(`
    SHOW CREATE {{SEQUENCE seq¦PACKAGE pk¦PACKAGE BODY pk}}
    SHOW {{PACKAGE STATUS¦PACKAGE BODY STATUS}}
    SELECT * FROM information_schema.{{APPLICABLE_ROLES¦ENABLED_ROLES¦GEOMETRY_COLUMNS¦SPATIAL_REF_SYS¦KEYWORDS¦SQL_FUNCTIONS}} LIMIT 1
    SELECT * FROM seq
    SELECT next_not_cached_value FROM seq
    SELECT @@{{tx_isolation¦tx_read_only¦max_statement_time¦have_query_cache¦query_cache_type}}
    SELECT * FROM seq_1_to_5
  `),
  ...server('SHOW {{EXPLAIN¦ANALYZE¦ANALYZE FORMAT=JSON}} FOR 999999', { run: false }),
];
