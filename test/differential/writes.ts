import type { Flavor } from '../../src/topology/snapshot.ts';
import { any, oneOf, only, rowId, small, type Sql, sql, word } from './statement-text.ts';

/** What changes rows. */
export function writes(flavor: Flavor): Sql {
  return any(
    sql`INSERT INTO t# (v, w) VALUES (${small}, ${word})`,
    sql`INSERT INTO t# (v, w) VALUES (${small}, ${word}), (${small}, ${word})`,
    sql`INSERT INTO t# (id, v) VALUES (${rowId}, ${small})`,
    sql`INSERT IGNORE INTO t# (id, v) VALUES (${rowId}, ${small}), (${rowId}, ${small})`,
    sql`INSERT INTO t# (id, v) VALUES (${rowId}, ${small}) ON DUPLICATE KEY UPDATE v = v + 1`,
    sql`REPLACE INTO t# (id, v, w) VALUES (${rowId}, ${small}, ${word})`,
    sql`INSERT INTO t# (v, w) SELECT v, w FROM t# WHERE id < ${rowId} ORDER BY id`,
    sql`UPDATE t# SET v = ${small} WHERE id = ${rowId}`,
    sql`UPDATE t# SET w = ${word} WHERE id <= ${rowId}`,
    sql`UPDATE t# SET v = v`,
    sql`DELETE FROM t# WHERE id = ${rowId}`,
    sql`DELETE FROM t# WHERE v > ${small} ORDER BY id LIMIT 1`,
    // Too long, out of range, not null, no default: errors or warnings, by sql_mode.
    sql`INSERT INTO t# (v, w) VALUES (${small}, REPEAT('x', 25))`,
    sql`INSERT INTO u# (id, n, e) VALUES (${rowId}, 300, 'z')`,
    sql`INSERT INTO u# (id, n, ts, dt) VALUES (${rowId}, 1, '2024-05-05 05:05:05', '2024-02-31')`,
    sql`INSERT INTO u# (id) VALUES (${rowId})`,
    sql`UPDATE u# SET d = ${small} / 7, l = 'é' WHERE id = ${rowId}`,
    sql`INSERT INTO k# VALUES (${rowId}, ${small})`,
    sql`UPDATE s SET v = v + ${small} WHERE id = ${rowId}`,
    sql`INSERT INTO s (id, v) VALUES (1#${rowId}, ${small})`,
    sql`DELETE FROM s WHERE id = 1#${rowId}`,
    sql`INSERT INTO $B.t# VALUES (${rowId}, ${small}, 'b')`,
    sql`CALL p#(${rowId})`,
    sql`SELECT g#(${small}) AS g`,
    sql`DO g#(${small})`,
    oneOf('TRUNCATE TABLE t#', 'UPDATE missing# SET a = 1', 'INSERT INTO v# VALUES (50, 60)'),
    ...only(flavor, 'mariadb', sql`INSERT INTO t# (v) VALUES (${small}) RETURNING id, v`),
    ...only(flavor, 'mariadb', sql`DELETE FROM t# WHERE id = ${rowId} RETURNING *`),
  );
}

/** Data definition; its commits are implicit. */
export function definitions(flavor: Flavor): Sql {
  return any(
    oneOf(
      'CREATE TABLE n# (id INT PRIMARY KEY, v INT)',
      'CREATE TABLE IF NOT EXISTS n# (id INT PRIMARY KEY, v INT)',
      'CREATE TABLE n# AS SELECT id, v FROM t# WHERE id < 3',
      'CREATE TABLE n# LIKE t#',
      'DROP TABLE n#',
      'DROP TABLE IF EXISTS n#',
      'DROP TABLE IF EXISTS n#, m#',
      'RENAME TABLE n# TO m#',
      'ALTER TABLE t# ADD COLUMN x INT DEFAULT 7',
      'ALTER TABLE t# DROP COLUMN x',
      'ALTER TABLE t# MODIFY w VARCHAR(40)',
      "ALTER TABLE t# COMMENT 'changed'",
      'CREATE INDEX i ON t# (w)',
      'DROP INDEX i ON t#',
      'CREATE OR REPLACE VIEW v# AS SELECT v, id, w FROM t#',
      'DROP VIEW IF EXISTS v#',
      'DROP FUNCTION IF EXISTS f#',
      'CREATE FUNCTION f#(x INT) RETURNS INT NO SQL RETURN x * 3',
      'DROP PROCEDURE IF EXISTS p#',
      'CREATE TRIGGER r# BEFORE INSERT ON t# FOR EACH ROW SET NEW.v = NEW.v * 2',
      'DROP TRIGGER IF EXISTS r#',
      'ANALYZE TABLE u#',
      'CHECK TABLE u#',
      'CREATE TABLE broken# (id INT, id INT)',
    ),
    sql`INSERT INTO n# VALUES (${rowId}, ${small})`,
    sql`SELECT id, v FROM n# ORDER BY id`,
    ...only(flavor, 'mariadb', oneOf('CREATE OR REPLACE TABLE n# (id INT PRIMARY KEY, v INT)')),
  );
}
