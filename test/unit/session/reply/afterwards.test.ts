import { describe, expect, test } from 'vitest';
import {
  answerAfterwards,
  saveWarnings,
  signalOf,
  warningsIn,
  withNumbers,
} from '../../../../src/session/reply/afterwards.ts';
import { CAP, has } from '../../../../src/wire/capability.ts';
import { COM } from '../../../../src/wire/command.ts';
import { encodeErr } from '../../../../src/wire/packets/err.ts';
import { STATUS } from '../../../../src/wire/status.ts';
import { decodeOnlyValue, encodeTextResultset } from '../../../../src/wire/text-resultset.ts';
import { fakeBackend } from '../../../support/fake-backend.ts';
import { commandsIn } from '../../../support/fake-pool.ts';
import { NEW_CAPS, OLD_CAPS } from '../../../support/replies.ts';

const status = STATUS.AUTOCOMMIT;
const COLUMNS = ['Level', 'Code', 'Message'];
const ROWS = [
  ['Warning', '1265', 'Data truncated'],
  ['Error', '1146', "Table 'a.b' doesn't exist"],
  ['Note', '1051', 'Error is what this note is about'],
  ['Error', '1064', 'Syntax'],
];
const listed = (rows: string[][], caps: number) =>
  encodeTextResultset({ columns: COLUMNS, rows }, { seq: 1, caps, status });

describe('an error that a connection is made to have', () => {
  const signal = (message: string) => signalOf({ code: 1146, sqlState: '42S02', message });

  test('keeps its quotes in any sql_mode', () => {
    expect(signal("Table 'a.b' doesn't exist")).toBe(
      "SIGNAL SQLSTATE '42S02' SET MYSQL_ERRNO=1146, MESSAGE_TEXT='Table ''a.b'' doesn''t exist'",
    );
  });

  test('has no backslash, which would escape in some modes only', () => {
    expect(signal("a\\' b")).toContain("MESSAGE_TEXT='a '' b'");
  });

  test('is cut before its quotes are doubled', () => {
    expect(signal("'".repeat(200))).toContain(`MESSAGE_TEXT='${"'".repeat(256)}'`);
  });
});

describe.each([
  ['with DEPRECATE_EOF', NEW_CAPS],
  ['with EOF packets', OLD_CAPS],
])('what was saved answers, %s', (_, caps) => {
  const known = { warnings: listed(ROWS, caps), rowCount: 3 };
  const ask = (sql: string, given = known as Parameters<typeof answerAfterwards>[1]) =>
    answerAfterwards(Buffer.from(sql), given, { caps, status });
  /** Name and value of a result of one row of one column. */
  const only = (answer: Buffer | null): [string, string | null] => {
    if (answer === null) throw new Error('It has no answer');
    const nameAt = answer.indexOf('def') + 3;
    // Schema and two names of the table are empty.
    const name = answer.toString('latin1', nameAt + 4, nameAt + 4 + (answer[nameAt + 3] ?? 0));
    return [name, decodeOnlyValue(answer, caps)];
  };

  test.each(['SHOW WARNINGS', 'show warnings;', '  Show\n Warnings ; '])('%j', (sql) => {
    expect(ask(sql)?.equals(known.warnings)).toBe(true);
  });

  test.each(['SHOW ERRORS', ' show errors ;'])(
    '%j: of the warnings those that are errors',
    (sql) => {
      const [, one, , two] = ROWS;
      const expected = listed([one ?? [], two ?? []], caps);
      expect(ask(sql)?.toString('hex')).toBe(expected.toString('hex'));
    },
  );

  test.each([
    ['SHOW WARNINGS LIMIT 1', [0]],
    ['show warnings limit 2 ;', [0, 1]],
    ['SHOW WARNINGS LIMIT 1, 2', [1, 2]],
    ['SHOW WARNINGS LIMIT 2 OFFSET 1', [1, 2]],
    ['SHOW WARNINGS LIMIT 3,9', [3]],
    ['SHOW WARNINGS LIMIT 0', []],
    ['SHOW WARNINGS LIMIT 4, 1', []],
    ['SHOW ERRORS LIMIT 1', [1]],
    ['SHOW ERRORS LIMIT 1, 1', [3]],
  ] as const)('%j: the rows %j', (sql, rows) => {
    const expected = listed(
      rows.map((row) => ROWS[row] ?? []),
      caps,
    );
    expect(ask(sql)?.toString('hex')).toBe(expected.toString('hex'));
  });

  test('SHOW ERRORS without any is an empty list, and what was saved stays as it was', () => {
    const warnings = listed(ROWS.slice(0, 1), caps);
    const before = Buffer.from(warnings);
    expect(ask('SHOW ERRORS', { ...known, warnings })?.equals(listed([], caps))).toBe(true);
    expect(warnings.equals(before)).toBe(true);
  });

  test.each([
    ['SHOW COUNT(*) WARNINGS', '@@session.warning_count', '4'],
    ['show count ( * ) errors ;', '@@session.error_count', '2'],
    ['SELECT @@warning_count', '@@warning_count', '4'],
    ['SELECT @@session.error_count', '@@error_count', '2'],
    ['select @@local.warning_count', '@@warning_count', '4'],
  ])('%j: %s is %s', (sql, _name, value) => {
    expect(only(ask(sql))[1]).toBe(value);
  });

  test('counts take the place of what a server said, each in its column, null in none', () => {
    const columns = [{ signed: 'n' }, { signed: 'f' }];
    const result = (row: string[]) =>
      encodeTextResultset({ columns, rows: [row] }, { seq: 1, caps, status });
    const told = result(['-1', '1']);
    expect(withNumbers(told, [123_456, null], caps).equals(result(['123456', '1']))).toBe(true);
    expect(withNumbers(told, [null, 0], caps).equals(result(['-1', '0']))).toBe(true);
    expect(warningsIn(told, caps)).toBe(0);
  });

  test('counts do not take the place of what is no row of their columns', () => {
    const none = encodeTextResultset(
      { columns: [{ signed: 'n' }], rows: [] },
      { seq: 1, caps, status },
    );
    expect(() => withNumbers(none, [1], caps)).toThrow('one row');
  });

  test.each([
    'SHOW WARNINGS LIMIT',
    'SHOW WARNINGS LIMIT ?',
    'SHOW WARNINGS LIMIT 1,',
    'SHOW WARNINGS LIMIT 1OFFSET 2',
    'SHOW WARNINGS LIMIT 12345678901',
    'GET DIAGNOSTICS @n = NUMBER',
    'SELECT FOUND_ROWS()',
    'SELECT ROW_COUNT() + 1',
    'SELECT ROW_COUNT(), 1',
    'SELECT @@warning_count, @@error_count',
    'SELECT @@global.warning_count',
    "SELECT 'SHOW WARNINGS'",
    '/* SHOW WARNINGS */',
    'SHOW WARNINGS; DROP TABLE t',
    '',
    `SHOW WARNINGS${' '.repeat(200)}`,
  ])('%j is not answered: nobody knows', (sql) => {
    expect(ask(sql)).toBeNull();
  });

  test.each(['SHOW WARNINGS', 'SHOW ERRORS', 'SHOW COUNT(*) ERRORS', 'SELECT @@warning_count'])(
    '%j is not answered where nothing was saved',
    (sql) => {
      expect(ask(sql, { warnings: null, rowCount: 3 })).toBeNull();
    },
  );
});

describe('saving warnings', () => {
  test.each([1, 7, 10_000])('takes the whole list, in pieces of %d', async (pieceBytes) => {
    const { connection, stream } = fakeBackend();
    const saving = saveWarnings(connection, 1_000);
    stream.receive(listed(ROWS, NEW_CAPS), pieceBytes);
    expect((await saving)?.equals(listed(ROWS, NEW_CAPS))).toBe(true);
    expect(commandsIn(stream.bytes)).toEqual([`${COM.QUERY} SHOW WARNINGS`]);
  });

  test('that the server refuses leaves none', async () => {
    const { connection, stream } = fakeBackend();
    const saving = saveWarnings(connection, 1_000);
    stream.receive(encodeErr({ code: 1317, sqlState: '70100', message: 'Interrupted' }, 1));
    expect(await saving).toBeNull();
    expect(has(connection.caps, CAP.DEPRECATE_EOF)).toBe(true);
  });
});
