import type { Flavor } from '../../src/topology/snapshot.ts';
import { any, oneOf, only, rowId, small, type Sql, sql } from './statement-text.ts';

/** Reads of the client's own tables, of shared ones, and of nothing. */
export function reads(flavor: Flavor): Sql {
  return any(
    sql`SELECT id, v, w FROM t# ORDER BY id`,
    sql`SELECT id, v, w FROM t# WHERE id = ${rowId}`,
    sql`SELECT COUNT(*), SUM(v), MAX(w) FROM t# WHERE v > ${small}`,
    sql`SELECT v.* FROM v# v ORDER BY id`,
    sql`SELECT f#(${rowId}) AS f`,
    sql`SELECT * FROM u# ORDER BY id`,
    sql`SELECT d, ts, dt, da, c, l FROM u# WHERE id <= ${rowId} ORDER BY id`,
    oneOf(
      'SELECT id, v FROM s ORDER BY id',
      'SELECT a.id, b.v FROM s a LEFT JOIN t# b USING (id) ORDER BY 1',
      'SELECT id, v FROM $B.t# ORDER BY id',
      'SELECT id FROM $A.t# UNION SELECT id FROM $B.t# ORDER BY 1',
      'WITH c AS (SELECT id, v FROM t# WHERE v IS NOT NULL) SELECT * FROM c ORDER BY id DESC',
      "SELECT GROUP_CONCAT(w ORDER BY id SEPARATOR '-') FROM t#",
      'SELECT id, (SELECT COUNT(*) FROM t# i WHERE i.id < o.id) AS n FROM t# o ORDER BY id',
      'SELECT DISTINCT v > 20 AS big FROM t# ORDER BY 1',
      '(SELECT id FROM t# ORDER BY id LIMIT 1)',
    ),
    expressions(),
    looksAtState(flavor),
    shows(),
    errors(),
    ...only(flavor, 'mysql', oneOf('TABLE s ORDER BY id')),
    ...only(
      flavor,
      'mariadb',
      oneOf('SET STATEMENT sql_select_limit = 1 FOR SELECT id FROM t# ORDER BY id'),
    ),
  );
}

/** The same and what is not prepared: with a cursor MySQL answers VALUES once and then no more. */
export function textReads(flavor: Flavor): Sql {
  return any(
    reads(flavor),
    reads(flavor),
    oneOf(flavor === 'mysql' ? 'VALUES ROW(1, 2), ROW(3, 4)' : 'VALUES (1, 2), (3, 4)'),
  );
}

function expressions(): Sql {
  return any(
    oneOf(
      'SELECT 1',
      "SELECT 'é' AS e, LENGTH('é'), CHARSET('é'), COLLATION('é')",
      "SELECT 'a' || 'b' AS joined",
      'SELECT "quoted" AS q',
      "SELECT 'back\\\\slash\\n' AS b",
      "SELECT FROM_UNIXTIME(1700000000), CONVERT_TZ('2024-01-01 00:00:00', '+00:00', '+05:00')",
      "SELECT NULL, TRUE, 1.50, 1e3, X'41', DATE '2024-02-29'",
      'SELECT 10 DIV 3, 10 / 3, -7 % 3',
      'SELECT NOT 1 BETWEEN -5 AND 5 AS n',
      "SELECT DATE_FORMAT('2024-03-04', '%W %M'), WEEK('2024-03-04')",
      'SELECT VERSION() IS NOT NULL, DATABASE(), SCHEMA(), USER(), CURRENT_USER()',
      'SELECT /* a comment */ 2 /*! + 1 */ AS three',
      'SELECT COUNT (*) FROM t#',
      'SELECT CONNECTION_ID() > 0',
      "SELECT REPEAT('x', 300) AS long_text",
    ),
    // Warnings, by sql_mode.
    sql`SELECT CAST(${oneOf("'12abc'", "'x'", "''", "'3.7'")} AS SIGNED) AS n, 1 / 0 AS z`,
    sql`SELECT id, CAST(w AS UNSIGNED) AS n FROM t# WHERE id <= ${rowId} ORDER BY id`,
  );
}

const STATE = [
  'sql_mode',
  'time_zone',
  'autocommit',
  'character_set_client',
  'character_set_results',
  'character_set_connection',
  'collation_connection',
  'foreign_key_checks',
  'unique_checks',
  'group_concat_max_len',
  'sql_select_limit',
  'sql_safe_updates',
  'sql_notes',
  'sql_warnings',
  'sql_auto_is_null',
  'max_error_count',
  'div_precision_increment',
  'default_week_format',
  'lc_time_names',
  'auto_increment_increment',
  'innodb_lock_wait_timeout',
  'lock_wait_timeout',
  'default_storage_engine',
  'optimizer_switch',
  'wait_timeout',
  'completion_type',
  'max_sort_length',
  'insert_id',
  'collation_database',
  'character_set_database',
];

function looksAtState(flavor: Flavor): Sql {
  const names = [...STATE, flavor === 'mysql' ? 'transaction_isolation' : 'tx_isolation'];
  return any(
    sql`SELECT @@${oneOf(...names)} AS value`,
    sql`SELECT @@SESSION.${oneOf(...names)}, @@${oneOf(...names)}`,
    sql`SHOW VARIABLES LIKE '${oneOf(...names)}'`,
  );
}

function shows(): Sql {
  return oneOf(
    "SHOW TABLES LIKE 't#'",
    'SHOW COLUMNS FROM t#',
    'DESCRIBE u#',
    'SHOW CREATE TABLE u#',
    'SHOW CREATE VIEW v#',
    "SHOW DATABASES LIKE '$A%'",
    'SHOW CREATE DATABASE $B',
    "SHOW COLLATION LIKE 'latin1_bin'",
    "SELECT table_name AS n FROM information_schema.tables WHERE table_schema = '$A' AND table_name IN ('t#', 'n#') ORDER BY 1",
  );
}

function errors(): Sql {
  return any(
    oneOf(
      'SELECT nothing FROM t#',
      'SELECT id FROM missing#',
      'SELECT no_such_function#(1)',
      'SELEC 1',
      'SELECT 1 FROM',
      "SELECT 'open",
      'SELECT id FROM no_such_schema.t#',
      'SELECT @@no_such_variable',
      '',
      ';',
      '-- only a comment',
      'SELECT (SELECT id FROM t#)',
      'SELECT id FROM n#',
    ),
    sql`SELECT SLEEP(0), ${small} + missing_column`,
  );
}
