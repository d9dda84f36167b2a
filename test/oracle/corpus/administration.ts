import { lines, primary, server, unrun, type Chapter } from '../statement.ts';

/** Table maintenance, plugins and components, FLUSH, RESET, KILL, replication. */
export const administration: Chapter = (flavor) => [
  ...MAINTENANCE,
  ...PLUGINS,
  ...FLUSHES,
  ...PURGES,
  ...KILLS,
  ...REPLICATION,
  ...(flavor === 'mysql' ? MYSQL : MARIADB),
];

const MAINTENANCE = [
  ...primary(`
    ANALYZE {{¦LOCAL¦NO_WRITE_TO_BINLOG}} {{TABLE¦TABLES}} {{item¦item, part}}
    OPTIMIZE {{¦LOCAL¦NO_WRITE_TO_BINLOG}} TABLE {{part¦old}}
    REPAIR {{¦LOCAL¦NO_WRITE_TO_BINLOG}} TABLE old {{¦QUICK¦EXTENDED¦USE_FRM}}
    CHECK TABLE {{item¦item, part}} {{¦FOR UPGRADE¦QUICK¦FAST¦MEDIUM¦EXTENDED¦CHANGED}}
    CACHE INDEX old {{¦KEY (PRIMARY)}} IN default
    LOAD INDEX INTO CACHE old {{¦INDEX (PRIMARY)¦IGNORE LEAVES}}
  `),
  ...lines(`
    CHECKSUM TABLE {{item¦item, part¦shop.item¦old}} {{¦QUICK¦EXTENDED}}
  `),
];

const PLUGINS = lines(`
  INSTALL PLUGIN made SONAME 'missing.so'
  UNINSTALL PLUGIN missing
  DROP FUNCTION {{missing_function}}
`);

const FLUSHES = primary(`
  FLUSH {{¦LOCAL¦NO_WRITE_TO_BINLOG}} {{PRIVILEGES¦STATUS¦TABLES¦TABLE item¦TABLES item, part¦USER_RESOURCES¦LOGS¦BINARY LOGS¦ENGINE LOGS¦ERROR LOGS¦GENERAL LOGS¦SLOW LOGS¦RELAY LOGS}}
  FLUSH PRIVILEGES, STATUS
  flush tables
`);

const PURGES = primary(`
  PURGE BINARY LOGS {{TO 'binlog.000001'¦BEFORE '2020-01-01 00:00:00'¦BEFORE NOW() - INTERVAL 9 DAY}}
`);

const KILLS = unrun(`
  KILL {{5¦CONNECTION 5¦QUERY 5¦CONNECTION_ID()¦QUERY CONNECTION_ID()¦(SELECT 5)}}
  kill query 123
  SHUTDOWN
`);

const REPLICATION = unrun(`
  START {{REPLICA¦SLAVE¦REPLICA SQL_THREAD¦REPLICA IO_THREAD}}
  STOP {{REPLICA¦SLAVE¦REPLICA SQL_THREAD¦REPLICA IO_THREAD}}
  RESET {{REPLICA¦SLAVE¦REPLICA ALL}}
  BINLOG 'AAAA'
`);

const MYSQL = [
  ...primary(`
    FLUSH {{OPTIMIZER_COSTS¦RELAY LOGS FOR CHANNEL ''}}
    ANALYZE TABLE item {{UPDATE HISTOGRAM ON name WITH 8 BUCKETS¦UPDATE HISTOGRAM ON name, qty¦DROP HISTOGRAM ON name¦UPDATE HISTOGRAM ON qty AUTO UPDATE}}
    ALTER TABLE sales {{CHECK¦ANALYZE}} PARTITION ALL
    CACHE INDEX old PARTITION (ALL) IN default
  `),
  ...lines(`
    INSTALL COMPONENT 'file://component_missing' {{¦SET GLOBAL x.y = 1}}
    UNINSTALL COMPONENT 'file://component_missing'
    INSTALL COMPONENT 'file://component_validate_password'
    INSTALL PLUGIN rewriter SONAME 'rewriter.so'
  `),
  ...unrun(`
    RESTART
    IMPORT TABLE FROM 'x.sdi'
    {{CREATE¦ALTER}} LIBRARY made COMMENT 'x'
    CREATE MASKING POLICY made (a) a
    DROP MASKING POLICY made
    CLONE LOCAL DATA DIRECTORY '/nonexistent-folder/x'
    CLONE INSTANCE FROM 'u'@'h':3306 IDENTIFIED BY 'x'
    RESET BINARY LOGS AND GTIDS
    CHANGE REPLICATION SOURCE TO SOURCE_HOST = 'h', SOURCE_AUTO_POSITION = 1
    CHANGE REPLICATION FILTER REPLICATE_DO_DB = (shop)
    {{START¦STOP}} GROUP_REPLICATION
  `),
];

const MARIADB = [
  // FLUSH MASTER is RESET MASTER: it takes the binary log from under statements that others write to
  // it. MariaDB 10.11.19 crashed so in FLUSH HOSTS and in FLUSH USER_STATISTICS, once in thirty runs.
  ...unrun('FLUSH {{HOSTS¦MASTER}}'),
  ...primary(`
    FLUSH {{QUERY CACHE¦DES_KEY_FILE¦USER_STATISTICS¦USER_VARIABLES¦SSL¦CLIENT_STATISTICS¦INDEX_STATISTICS¦TABLE_STATISTICS}}
    ANALYZE TABLE item PERSISTENT FOR {{ALL¦COLUMNS (name) INDEXES ()¦COLUMNS ALL INDEXES ALL}}
    RESET QUERY CACHE
    PURGE MASTER LOGS TO 'binlog.000001'
    CHECK VIEW item_v
    REPAIR VIEW item_v
    OPTIMIZE TABLE part {{WAIT 1¦NOWAIT}}
  `),
  ...lines(`
    INSTALL SONAME 'missing'
    UNINSTALL SONAME 'missing'
    INSTALL PLUGIN IF NOT EXISTS made SONAME 'missing'
  `),
  ...unrun(`
    RESET {{MASTER¦SLAVE ALL¦SLAVE 'c1' ALL}}
    CHANGE MASTER {{TO¦'c1' TO}} MASTER_HOST = 'h', MASTER_USE_GTID = slave_pos
    {{START¦STOP}} ALL {{SLAVES¦REPLICAS}}
    KILL {{HARD¦SOFT}} {{QUERY¦CONNECTION}} 5
    KILL {{USER 'u1'¦QUERY ID 5}}
    SHUTDOWN WAIT FOR ALL SLAVES
  `),
  ...server('SHOW RELAYLOG EVENTS'),
];
