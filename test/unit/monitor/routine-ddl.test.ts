import { describe, expect, test } from 'vitest';
import { mayChangeRoutines } from '../../../src/monitor/routine-ddl.ts';
import { CHARSET_KIND } from '../../../src/sql/charset-kind.ts';

const CONTEXT = {
  noBackslashEscapes: false,
  ansiQuotes: false,
  ignoreSpace: false,
  charsetKind: CHARSET_KIND.UTF8,
  routines: null,
  flavor: 'mysql',
  serverVersion: 90704,
} as const;

const asks = (sql: string) => {
  const buf = Buffer.from(sql);
  return mayChangeRoutines(buf, 0, buf.length, CONTEXT);
};

describe('what changes routines', () => {
  test.each([
    'CREATE FUNCTION f() RETURNS INT RETURN 1',
    'create definer=`a`@`b` function f() returns int return 1',
    "CREATE AGGREGATE FUNCTION f RETURNS INTEGER SONAME 'udf.so'",
    'DROP PROCEDURE IF EXISTS app.p',
    'ALTER FUNCTION f COMMENT "x"',
    'CREATE OR REPLACE ALGORITHM=MERGE DEFINER=a@b SQL SECURITY DEFINER VIEW v AS SELECT 1',
    'DROP VIEW v',
    'ALTER TABLE t ADD COLUMN n INT, RENAME TO v',
    'RENAME TABLE v TO w',
    'DROP DATABASE app',
    'CREATE SCHEMA app',
    'CREATE /*!50003 FUNCTION */ f() RETURNS INT RETURN 1',
    "INSTALL COMPONENT 'file://component_x'",
    'CREATE OR REPLACE PACKAGE BODY p AS END',
    'CREATE TABLE t (n INT); DROP FUNCTION f',
    "CREATE TABLE t (n INT DEFAULT 'unclosed)",
  ])('may be %s', (sql) => {
    expect(asks(sql)).toBe(true);
  });

  test.each([
    'CREATE TABLE t (n INT)',
    'CREATE TEMPORARY TABLE `view` (`function` INT)',
    "ALTER TABLE t ADD COLUMN kind ENUM('function', 'view')",
    'DROP TABLE app.view',
    'TRUNCATE t /* every view of it */',
    'CREATE INDEX i ON t (n)',
    'FLUSH TABLES',
  ])('is not %s', (sql) => {
    expect(asks(sql)).toBe(false);
  });

  test('may be what is too long to look at', () => {
    expect(asks(`CREATE TABLE t (n INT) COMMENT '${'x'.repeat(70_000)}'`)).toBe(true);
  });
});
