import { beforeEach, describe, expect, test } from 'vitest';
import type { BackendConnection } from '../../../../src/pool/backend-connection.ts';
import type { ReasonCode } from '../../../../src/sql/classification.ts';
import { EFFECT } from '../../../../src/sql/classification.ts';
import { countsAsked } from '../../../../src/session/reply/afterwards.ts';
import { Command } from '../../../../src/session/command/command.ts';
import { FoundRows } from '../../../../src/session/reply/found-rows.ts';
import { CAP } from '../../../../src/wire/capability.ts';
import { COM } from '../../../../src/wire/command.ts';
import { ReplyFacts } from '../../../../src/wire/reply-fields.ts';
import { STATUS } from '../../../../src/wire/status.ts';

let digestText: string | null;
let found: FoundRows;
beforeEach(() => {
  digestText = 'SELECT n FROM t';
  found = new FoundRows({ textOf: () => digestText });
});

const on = (flavor: string, caps = 0) =>
  ({ flavor, caps, leases: 1 }) as unknown as BackendConnection;

/** A statement that has ended. */
function ran(
  cause: ReasonCode,
  text: string,
  given: { facts?: Partial<ReplyFacts>; connection?: BackendConnection; effects?: number } = {},
): void {
  const command = new Command();
  command.begin(COM.QUERY, Buffer.from(`....\x03${text}`), 0);
  command.textAt = 5;
  command.cause = cause;
  command.effects = given.effects ?? 0;
  const facts = Object.assign(new ReplyFacts(), { status: STATUS.AUTOCOMMIT, ...given.facts });
  found.note(given.connection ?? on('mysql'), command, facts);
}

const select = (rows = 7) => ran('select', 'SELECT n FROM t', { facts: { rows } });

describe('the number', () => {
  test('is 0 before any statement, and no connection need be asked', () => {
    expect([found.value, found.byLast]).toEqual([0, false]);
  });

  test('is that of the rows that a query sent', () => {
    select(7);
    expect([found.value, found.byLast]).toEqual([7, true]);
    ran('show', 'SHOW TABLES', { facts: { rows: 3 } });
    expect(found.value).toBe(3);
  });

  test.each<[ReasonCode, string, string]>([
    ['dml', 'INSERT INTO t VALUES (1)', 'mysql'],
    ['dml', 'REPLACE t SET a = 1', 'mariadb'],
    ['dml', 'delete from `a`.t where n = 1', 'mysql'],
    ['dml', 'UPDATE t SET n = 1', 'mariadb'],
    ['ddl', 'DROP TABLE x', 'mysql'],
    ['commit', 'COMMIT', 'mysql'],
    ['show', '/* why */ SHOW CREATE TABLE t', 'mysql'],
    ['diagnostics', 'SHOW WARNINGS', 'mysql'],
    ['explain', 'EXPLAIN SELECT 1', 'mysql'],
    ['do', 'DO 1', 'mariadb'],
    ['values', 'VALUES (1), (2)', 'mariadb'],
    ['handler', 'HANDLER t OPEN', 'mysql'],
  ])('is left alone by %s: %s', (cause, text, flavor) => {
    select(7);
    ran(cause, text, {
      connection: on(flavor),
      facts: { rows: /^VALUES|SHOW/.test(text) ? 1 : -1 },
    });
    expect([found.value, found.byLast]).toEqual([7, false]);
  });

  test('is left alone by what fails', () => {
    select(7);
    ran('select', 'SELECT n FROM nowhere', { facts: { errno: 1146, rows: 2 } });
    expect([found.value, found.byLast]).toEqual([7, false]);
  });

  test.each<[ReasonCode, string]>([
    ['dml', 'INSERT INTO t SELECT * FROM u'],
    ['dml', 'DELETE t FROM t JOIN u'],
    ['dml', 'UPDATE t, u SET t.n = 1'],
    ['ddl', 'CREATE TABLE x AS SELECT 1'],
    ['call', 'CALL p()'],
    ['multi-statement', 'SELECT 1; SELECT 2'],
  ])('is known to the connection alone after %s: %s', (cause, text) => {
    select(7);
    ran(cause, text);
    expect([found.value, found.byLast]).toEqual([null, true]);
  });

  test('is what MySQL’s UPDATE matched, where its answer says that', () => {
    const facts = { affectedRows: 4 };
    ran('dml', 'UPDATE t SET n = 1', { facts, connection: on('mysql', CAP.FOUND_ROWS) });
    expect(found.value).toBe(4);
    ran('dml', 'UPDATE t SET n = 1', { facts, connection: on('mysql') });
    expect(found.value).toBeNull();
  });

  test.each([
    'SELECT a FROM t LIMIT ?, ...',
    'SELECT a FROM t LIMIT ? OFFSET ?',
    'SELECT a FROM t UNION SELECT b FROM t LIMIT ?',
    `SELECT ${'a'.repeat(1100)}`,
    null,
  ])('is not that of the rows sent where others may have been counted: %s', (text) => {
    digestText = text;
    select(7);
    expect(found.value).toBeNull();
  });

  test('is not that of the rows sent with SQL_CALC_FOUND_ROWS, or from a cursor', () => {
    ran('select', 'SELECT …', { facts: { rows: 1 }, effects: EFFECT.SQL_CALC_FOUND_ROWS });
    expect(found.value).toBeNull();
    const status = STATUS.CURSOR_EXISTS;
    ran('select', 'SELECT …', { facts: { rows: 0, status } });
    expect(found.value).toBeNull();
  });
});

describe('a connection that goes to somebody else', () => {
  test('is asked only if it alone knows what is wanted, and nobody had it since', () => {
    const connection = on('mysql');
    ran('call', 'CALL p()', { connection });
    expect(found.isWantedFrom(connection)).toBe(false);
    found.isWanted = true;
    connection.leases += 1;
    expect(found.isWantedFrom(connection)).toBe(true);
    found.noteTakenBack(connection, 1);
    connection.leases += 1;
    expect(found.isWantedFrom(connection)).toBe(true);
    connection.leases += 1;
    expect(found.isWantedFrom(connection)).toBe(false);
    expect(found.isWantedFrom(on('mysql'))).toBe(false);
  });
});

describe('what asks for counts alone', () => {
  test.each([
    ['SELECT FOUND_ROWS()', ['found-rows']],
    [' select row_count ( ) as n; ', ['row-count']],
    ['SELECT found_rows() `so many`, ROW_COUNT()', ['found-rows', 'row-count']],
    ["SELECT FOUND_ROWS() 'row_count'", ['found-rows']],
  ])('%s', (text, wanted) => {
    expect(countsAsked(Buffer.from(text))).toEqual(wanted);
  });

  test.each([
    'SELECT FOUND_ROWS() + 1',
    'SELECT FOUND_ROWS(), n FROM t',
    'SELECT FOUND_ROWS() FROM t',
    'SELECT FOUND_ROWS() INTO @a',
    `SELECT FOUND_ROWS()${' '.repeat(200)}`,
    '',
  ])('not: %s', (text) => {
    expect(countsAsked(Buffer.from(text))).toBeNull();
  });
});
