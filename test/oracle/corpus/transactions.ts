import { lines, primary, state, unrun, type Chapter } from '../statement.ts';

/** Transactions, locks, XA, and functions that take named locks. */
export const transactions: Chapter = (flavor) => [
  ...PLAIN,
  ...INSIDE,
  ...ISOLATION,
  ...LOCKS,
  ...XA,
  ...LOCK_FUNCTIONS,
  ...(flavor === 'mysql' ? MYSQL : MARIADB),
];

const PLAIN = state(`
  BEGIN{{¦ WORK}}
  START TRANSACTION {{¦READ ONLY¦READ WRITE¦WITH CONSISTENT SNAPSHOT¦WITH CONSISTENT SNAPSHOT, READ ONLY¦READ WRITE, WITH CONSISTENT SNAPSHOT}}
  COMMIT {{¦WORK¦AND CHAIN¦AND NO CHAIN¦RELEASE¦AND NO CHAIN NO RELEASE¦WORK AND CHAIN NO RELEASE}}
  ROLLBACK {{¦WORK¦AND CHAIN¦AND NO CHAIN¦RELEASE¦AND NO CHAIN NO RELEASE¦WORK AND CHAIN NO RELEASE}}
  begin; commit
  /* lead */ START /* mid */ TRANSACTION /* end */
`);

const INSIDE = [
  ...state(
    `
    SAVEPOINT {{s¦\`odd name\`}}
    ROLLBACK {{¦WORK}} TO {{¦SAVEPOINT}} s
    RELEASE SAVEPOINT s
    COMMIT
    ROLLBACK
  `,
    { setup: ['BEGIN', 'SAVEPOINT s'] },
  ),
  ...lines(
    `
    SELECT * FROM item WHERE id = {{1¦2}}
    SHOW CREATE TABLE item
  `,
    { setup: ['START TRANSACTION READ ONLY'] },
  ),
  ...lines(
    `
    UPDATE item SET qty = 1
    INSERT INTO log (msg) VALUES ('x')
    DELETE FROM part
  `,
    { setup: ['START TRANSACTION READ ONLY'] },
  ),
];

const ISOLATION = state(`
  SET {{¦SESSION¦LOCAL}} TRANSACTION {{READ ONLY¦READ WRITE¦ISOLATION LEVEL READ COMMITTED¦ISOLATION LEVEL READ UNCOMMITTED¦ISOLATION LEVEL REPEATABLE READ¦ISOLATION LEVEL SERIALIZABLE¦ISOLATION LEVEL SERIALIZABLE, READ ONLY¦READ WRITE, ISOLATION LEVEL READ COMMITTED}}
  SET GLOBAL TRANSACTION ISOLATION LEVEL REPEATABLE READ
  SET {{autocommit¦@@autocommit¦SESSION autocommit¦@@session.autocommit}} = {{0¦1¦OFF¦ON}}
`);

const LOCKS = [
  ...primary(`
    LOCK {{TABLES¦TABLE}} {{item READ¦item WRITE¦item READ LOCAL¦item AS i READ, part WRITE¦item_v READ¦shop.item i READ}}
    UNLOCK {{TABLES¦TABLE}}
    FLUSH TABLES WITH READ LOCK
    FLUSH TABLES item, part WITH READ LOCK
    FLUSH TABLES item FOR EXPORT
  `),
  ...primary(`UNLOCK TABLES`, { setup: ['LOCK TABLES item READ'] }),
];

const XA = [
  ...state(`
    XA START {{'x1'¦'x1','b'¦'x1','b',7¦X'6162'}}
    XA BEGIN {{'y1'¦'y1','b'¦'y1','b',7¦X'6163'}}
    XA RECOVER
  `),
  ...state(`XA END 'x2'`, { setup: ["XA START 'x2'"] }),
  ...state(`XA ROLLBACK 'x3'`, { setup: ["XA START 'x3'", "XA END 'x3'"] }),
  ...state(`XA COMMIT 'x4' ONE PHASE`, { setup: ["XA START 'x4'", "XA END 'x4'"] }),
  ...state("XA PREPARE 'x6'", { setup: ["XA START 'x6'", "XA END 'x6'"] }),
  ...unrun(`
    XA PREPARE 'x5'
    XA COMMIT 'x5'
    XA START 'x5' {{JOIN¦RESUME}}
    RESIGNAL
    RESIGNAL SQLSTATE '01000'
  `),
];

const LOCK_FUNCTIONS = [
  ...state(`
    SELECT {{GET_LOCK¦get_lock}}('a', 0)
    SELECT GET_LOCK {{('b', 0)}} AS got
    DO {{GET_LOCK('c', 0)¦RELEASE_LOCK('c')¦RELEASE_ALL_LOCKS()}}
    SELECT {{RELEASE_LOCK('a')¦RELEASE_ALL_LOCKS()¦IS_FREE_LOCK('a')¦IS_USED_LOCK('a')}}
    SELECT name FROM item WHERE GET_LOCK(name, 0)
    SELECT IF(IS_FREE_LOCK('a'), GET_LOCK('a', 0), 0)
    WITH c AS (SELECT GET_LOCK('d', 0) AS l) SELECT l FROM c
    SELECT * FROM (SELECT RELEASE_LOCK('d') AS l) d
    SELECT f_locks()
    SELECT f_sets()
    SET @l = GET_LOCK('e', 0)
    SELECT 1 UNION SELECT GET_LOCK('f', 0)
    SELECT LAST_INSERT_ID({{¦5¦id + 1}}) FROM item
    SELECT {{@@identity¦@@last_insert_id¦@@SESSION.last_insert_id¦@@session . identity}}
    SELECT id FROM item WHERE id = LAST_INSERT_ID()
    DO LAST_INSERT_ID(7)
    SELECT FOUND_ROWS()
    SELECT FOUND_ROWS() AS n, 1
    SELECT ROW_COUNT()
    SELECT @@{{warning_count¦error_count¦session.warning_count}}
    SHOW {{VARIABLES¦SESSION VARIABLES}} LIKE '{{warning_count¦error_count}}'
    SHOW {{WARNINGS¦ERRORS¦WARNINGS LIMIT 1¦ERRORS LIMIT 1, 2¦COUNT(*) WARNINGS¦COUNT(*) ERRORS¦count( * ) warnings}}
    GET {{¦CURRENT}} DIAGNOSTICS @n = NUMBER
    GET DIAGNOSTICS CONDITION 1 @s = RETURNED_SQLSTATE, @m = MESSAGE_TEXT
    SELECT CONNECTION_ID()
    SELECT connection_id ( ) AS id
    SELECT id FROM item WHERE id <> CONNECTION_ID()
    SELECT CONNECTION_ID(), 1
  `),
];

const MYSQL = [
  ...state(`
    LOCK INSTANCE FOR BACKUP
    UNLOCK INSTANCE
    SELECT {{SOURCE_POS_WAIT('binlog.000001', 4, 1)¦MASTER_POS_WAIT('binlog.000001', 4, 1)}}
    SELECT WAIT_FOR_EXECUTED_GTID_SET('', 1)
    SELECT ASYNCHRONOUS_CONNECTION_FAILOVER_RESET()
    SELECT INNODB_REDO_LOG_SHARP_CHECKPOINT()
    SELECT PS_THREAD_ID(CONNECTION_ID())
    SET TRANSACTION_ISOLATION = 'SERIALIZABLE'
    SET SESSION TRANSACTION_READ_ONLY = ON
  `),
];

const MARIADB = [
  ...state(`
    BACKUP STAGE START
    BACKUP LOCK item
    BACKUP UNLOCK
    SELECT MASTER_POS_WAIT('binlog.000001', 4, 1)
    SELECT MASTER_GTID_WAIT('', 1)
    SET TX_ISOLATION = 'SERIALIZABLE'
    SET SESSION TX_READ_ONLY = ON
    LOCK TABLES item WRITE CONCURRENT
    LOCK TABLES item READ {{WAIT 1¦NOWAIT}}
    BEGIN NOT ATOMIC SELECT 1; END
  `),
  ...state('BACKUP STAGE {{FLUSH¦BLOCK_DDL¦BLOCK_COMMIT¦END}}', { setup: ['BACKUP STAGE START'] }),
];
