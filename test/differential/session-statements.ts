import type { Flavor } from '../../src/topology/snapshot.ts';
import { any, oneOf, only, rowId, small, type Sql, sql } from './statement-text.ts';

/** State that can be carried from one server connection to another. */
export function settings(flavor: Flavor): Sql {
  const isolation = flavor === 'mysql' ? 'transaction_isolation' : 'tx_isolation';
  return any(
    sql`SET sql_mode = '${oneOf('', 'ANSI_QUOTES', 'STRICT_TRANS_TABLES', 'NO_BACKSLASH_ESCAPES', 'PIPES_AS_CONCAT', 'ANSI', 'TRADITIONAL', 'HIGH_NOT_PRECEDENCE', 'IGNORE_SPACE', 'NO_SUCH_MODE', 'PAD_CHAR_TO_FULL_LENGTH', 'NO_UNSIGNED_SUBTRACTION,ONLY_FULL_GROUP_BY')}'`,
    oneOf("SET SESSION sql_mode = CONCAT(@@sql_mode, ',ANSI_QUOTES')", 'SET sql_mode = DEFAULT'),
    sql`SET time_zone = '${oneOf('+03:00', '-08:00', 'SYSTEM', '+99:00')}'`,
    sql`SET NAMES ${oneOf('utf8mb4', 'latin1', 'utf8mb4 COLLATE utf8mb4_bin', 'gbk', 'binary', 'ascii', 'DEFAULT', 'nonsense', "'utf8mb4'")}`,
    sql`SET CHARACTER SET ${oneOf('latin1', 'utf8mb4', 'DEFAULT')}`,
    oneOf(
      'SET character_set_results = NULL',
      'SET character_set_results = latin1',
      'SET character_set_client = latin1',
      'SET character_set_connection = latin1',
      'SET collation_connection = utf8mb4_bin',
      'SET collation_connection = latin1_german1_ci',
    ),
    sql`SET ${oneOf('foreign_key_checks', 'unique_checks', 'sql_notes', 'sql_warnings', 'sql_safe_updates', 'sql_auto_is_null', 'sql_quote_show_create', 'sql_big_selects')} = ${oneOf('0', '1', 'DEFAULT')}`,
    sql`SET SESSION group_concat_max_len = ${oneOf('4', '1024', '10', 'DEFAULT')}`,
    sql`SET @@SESSION.sql_select_limit = ${oneOf('1', '2', 'DEFAULT')}`,
    sql`SET max_error_count = ${oneOf('1', '0', '64')}, div_precision_increment = ${oneOf('2', '8')}`,
    sql`SET auto_increment_increment = ${oneOf('1', '5')}`,
    sql`SET lc_time_names = '${oneOf('de_DE', 'en_US', 'xx_XX')}', default_week_format = ${oneOf('0', '3')}`,
    sql`SET SESSION TRANSACTION ISOLATION LEVEL ${oneOf('READ COMMITTED', 'REPEATABLE READ', 'READ UNCOMMITTED', 'SERIALIZABLE')}`,
    sql`SET ${isolation} = '${oneOf('READ-COMMITTED', 'REPEATABLE-READ', 'SERIALIZABLE')}'`,
    oneOf(
      "SET optimizer_switch = 'index_merge=off'",
      'SET max_sort_length = 64, no_such_variable = 1',
      'SET SESSION default_storage_engine = MyISAM',
      'SET default_storage_engine = InnoDB',
      'SET wait_timeout = 1000',
      'SET SESSION TRANSACTION READ ONLY',
      'SET SESSION TRANSACTION READ WRITE',
      'USE $A',
      'USE $B',
      'USE no_such_schema',
    ),
    ...only(
      flavor,
      'mysql',
      oneOf('SET SESSION max_execution_time = 10000', 'SET sql_require_primary_key = ON'),
    ),
  );
}

/** State that stays where it was made. */
export function pinning(): Sql {
  return any(
    sql`SET @a = ${small}`,
    oneOf(
      "SET @b = 'é', @c = NULL",
      'SELECT @a, @b, @c',
      'SELECT @a := COALESCE(@a, 0) + 1 AS a',
      'SELECT id FROM t# WHERE id = @a',
      'CREATE TEMPORARY TABLE tt# (id INT PRIMARY KEY, v INT)',
      'CREATE TEMPORARY TABLE tt# SELECT id, v FROM t#',
      'CREATE TEMPORARY TABLE t# (id INT PRIMARY KEY, v INT, w VARCHAR(5))',
      'SELECT id, v FROM tt# ORDER BY id',
      'DROP TEMPORARY TABLE tt#',
      'DROP TEMPORARY TABLE IF EXISTS t#',
      'LOCK TABLES t# WRITE',
      'LOCK TABLES t# READ, u# READ',
      'UNLOCK TABLES',
      "SELECT GET_LOCK('$A.1', 0)",
      "SELECT GET_LOCK('$A.2#', 0)",
      "SELECT RELEASE_LOCK('$A.1')",
      "SELECT RELEASE_LOCK('$A.2#')",
      "SELECT IS_FREE_LOCK('$A.1'), IS_USED_LOCK('$A.1') IS NULL",
      'SELECT RELEASE_ALL_LOCKS()',
      "PREPARE st FROM 'SELECT id, v FROM t# WHERE id = ? OR id = ? ORDER BY id'",
      "PREPARE st FROM 'UPDATE t# SET v = v + ? WHERE id = ?'",
      "PREPARE st FROM 'SELECT nothing'",
      'EXECUTE st USING @a, @a',
      'EXECUTE st',
      'DEALLOCATE PREPARE st',
      'HANDLER t# OPEN AS h',
      'HANDLER h READ FIRST',
      'HANDLER h READ `PRIMARY` NEXT LIMIT 2',
      'HANDLER h CLOSE',
      'SET timestamp = 1700000000',
      'SET timestamp = DEFAULT',
      'SELECT UNIX_TIMESTAMP() = 1700000000 AS frozen',
      'SET insert_id = 500',
      'SET last_insert_id = 77',
      'SET rand_seed1 = 5, rand_seed2 = 7',
      "SET @z = 'z'",
      'SELECT @y, @z',
    ),
    sql`INSERT INTO tt# VALUES (${rowId}, ${small})`,
    sql`SELECT v INTO @a FROM t# WHERE id = ${rowId}`,
    sql`CALL q#(${oneOf('1', '5', '99')}, @y, @z)`,
  );
}

/** Transactions and what happens in them. */
export function transactions(): Sql {
  return any(
    oneOf('BEGIN', 'START TRANSACTION', 'COMMIT', 'ROLLBACK'),
    oneOf('BEGIN', 'COMMIT', 'ROLLBACK'),
    oneOf(
      'START TRANSACTION READ ONLY',
      'START TRANSACTION READ WRITE',
      'START TRANSACTION WITH CONSISTENT SNAPSHOT',
      'COMMIT AND CHAIN',
      'ROLLBACK AND CHAIN',
      'COMMIT RELEASE',
      'SET autocommit = 0',
      'SET autocommit = 1',
      'SAVEPOINT one',
      'SAVEPOINT two',
      'ROLLBACK TO one',
      'ROLLBACK TO SAVEPOINT two',
      'RELEASE SAVEPOINT one',
      'SET TRANSACTION READ ONLY',
      'SET TRANSACTION ISOLATION LEVEL READ COMMITTED',
      'SET TRANSACTION ISOLATION LEVEL SERIALIZABLE',
      'SET completion_type = 1',
      'SET completion_type = 0',
      "XA START '$A.#'",
      "XA END '$A.#'",
      "XA COMMIT '$A.#' ONE PHASE",
      "XA ROLLBACK '$A.#'",
    ),
    oneOf(
      'SELECT id FROM t# WHERE id < 3 ORDER BY id FOR UPDATE',
      'SELECT id FROM t# WHERE id < 3 ORDER BY id LOCK IN SHARE MODE',
      'SELECT id, v FROM s WHERE id = 1 FOR UPDATE NOWAIT',
      'SELECT id, v FROM s WHERE id IN (2, 3) ORDER BY id FOR UPDATE SKIP LOCKED',
    ),
  );
}

/** What asks for the statement before. */
export function diagnostics(): Sql {
  return any(
    oneOf(
      'SHOW WARNINGS',
      'SHOW ERRORS',
      'SHOW WARNINGS LIMIT 1',
      'SHOW COUNT(*) WARNINGS',
      'SHOW COUNT(*) ERRORS',
      'SELECT @@warning_count, @@error_count',
      'SELECT @@warning_count',
      'SELECT ROW_COUNT()',
      'SELECT FOUND_ROWS()',
      'SELECT LAST_INSERT_ID()',
      'SELECT @@last_insert_id, @@identity',
      'SELECT ROW_COUNT(), FOUND_ROWS()',
      'SELECT LAST_INSERT_ID(), ROW_COUNT(), FOUND_ROWS()',
      'SELECT LAST_INSERT_ID(42)',
      'UPDATE t# SET v = LAST_INSERT_ID(v + 1) WHERE id = 1',
      'INSERT INTO t# (v) VALUES (LAST_INSERT_ID())',
      'SELECT SQL_CALC_FOUND_ROWS id FROM t# ORDER BY id LIMIT 2',
      'SELECT id FROM t# WHERE id IS NULL ORDER BY id',
    ),
    oneOf('SHOW WARNINGS', 'SELECT ROW_COUNT()', 'SELECT LAST_INSERT_ID()', 'SELECT FOUND_ROWS()'),
    oneOf(
      'GET DIAGNOSTICS @n = NUMBER, @r = ROW_COUNT',
      'GET DIAGNOSTICS CONDITION 1 @e = MYSQL_ERRNO, @m = MESSAGE_TEXT',
      // Of fixed types: a variable that was never set and one that was set to NULL differ in length.
      'SELECT CAST(@n AS CHAR(20)) AS n, CAST(@r AS CHAR(20)) AS r, CAST(@e AS CHAR(20)) AS e, CAST(@m AS CHAR(200)) AS m',
    ),
  );
}

/** Several in one packet; an error for clients that did not ask for that. */
export function severalStatements(): Sql {
  return any(
    sql`SELECT 1; SELECT id FROM t# WHERE id < ${rowId} ORDER BY id`,
    sql`INSERT INTO t# (v) VALUES (${small}); SELECT LAST_INSERT_ID(); SELECT COUNT(*) FROM t#`,
    oneOf(
      'SET @a = 1; SELECT @a',
      'SELECT 1; SELECT nothing; SELECT 3',
      'BEGIN; UPDATE t# SET v = 0; ROLLBACK; SELECT SUM(v) FROM t#',
      'USE $B; SELECT id FROM t# ORDER BY id',
      "SET sql_mode = ''; INSERT INTO t# (w) VALUES (REPEAT('y', 30)); SHOW WARNINGS",
      'SELECT 1;',
    ),
  );
}
