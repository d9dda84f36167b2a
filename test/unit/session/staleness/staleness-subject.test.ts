import { describe, expect, test } from 'vitest';
import { Command } from '../../../../src/session/command/command.ts';
import {
  judgementOf,
  PreparedStatements,
} from '../../../../src/session/prepared/prepared-statements.ts';
import { isComparable, subjectOf } from '../../../../src/session/staleness/staleness-subject.ts';
import { UNKNOWN_CONTEXT } from '../../../../src/sql/classification.ts';
import { Classifier } from '../../../../src/sql/classify.ts';
import { COM } from '../../../../src/wire/command.ts';
import { PacketWriter } from '../../../../src/wire/writer.ts';
import { aProfile, fakeBackend } from '../../../support/fake-backend.ts';

describe('a text', () => {
  test.each([
    'SELECT a FROM t WHERE id = 1',
    "select version, uuid, now from docs where mail = 'x@example.org'",
    'TABLE t',
    'SELECT a FROM t ORDER BY id LIMIT 10',
    'WITH c AS (SELECT 1 AS x) SELECT x FROM c JOIN t USING (x)',
    'SELECT `user` FROM mysqlusers',
  ])('can be compared: %s', (text) => {
    expect(isComparable(text)).toBe(true);
  });

  test.each([
    'SELECT 1',
    'SELECT a, NOW() FROM t',
    'SELECT a FROM t WHERE at > now ( 6 )',
    'SELECT a FROM t WHERE at > NOW/* here */()',
    'SELECT a FROM t WHERE day = CURRENT_DATE',
    'SELECT a FROM t WHERE day = utc_timestamp',
    'SELECT RAND() FROM t',
    'SELECT UUID() FROM t',
    'SELECT SLEEP(1) FROM t',
    'SELECT BENCHMARK(10, 1) FROM t',
    'SELECT @@hostname FROM t',
    'SELECT @mine FROM t',
    'SELECT a FROM t LIMIT 3',
    'SELECT a FROM t FETCH FIRST ROW ONLY',
    'SELECT * FROM information_schema.tables',
    'SELECT * FROM `mysql` . `user`',
  ])('cannot: %s', (text) => {
    expect(isComparable(text)).toBe(false);
  });
});

describe('a command', () => {
  const SQL = 'SELECT a FROM t WHERE id = 7';

  function query(sql: string, given: Partial<Command> = {}): Command {
    const command = new Command();
    const bytes = new PacketWriter().u8(COM.QUERY).string(sql).finish(0);
    command.begin(COM.QUERY, bytes, 0);
    return Object.assign(command, { textAt: 5, cls: 'read', cause: 'select', ...given });
  }

  function execute(flags = 0, types: Buffer | null = Buffer.from([1, 3, 0])) {
    const profile = aProfile();
    const packet = new PacketWriter()
      .u8(COM.STMT_PREPARE)
      .string('SELECT a FROM t WHERE id = ?')
      .finish(0);
    const found = new Classifier().classify(packet, 5, packet.length, UNKNOWN_CONTEXT);
    const statement = new PreparedStatements().create(packet, profile, judgementOf(found, null));
    statement.parameterCount = 1;
    statement.types = types;
    const command = new Command();
    const body = new PacketWriter()
      .u8(COM.STMT_EXECUTE)
      .u32(42)
      .u8(flags)
      .u32(1)
      .u8(0)
      .u8(0)
      .u32(7);
    command.begin(COM.STMT_EXECUTE, body.finish(0), 0);
    Object.assign(command, { statement, cls: 'read', cause: 'select' });
    return { command, statement, packet };
  }

  test('of text is copied with the state it ran in', () => {
    const { connection } = fakeBackend();
    const command = query(SQL);
    const subject = subjectOf(command, connection);
    expect(subject).toMatchObject({ prepare: null, profile: connection.profile });
    expect(subject?.bytes).toEqual(command.bytes);
    command.bytes.fill(0);
    expect(subject?.bytes.toString('utf8', 5)).toBe(SQL);
  });

  test.each<[string, Command]>([
    ['too long', query(`SELECT a FROM t WHERE b = '${'x'.repeat(20_000)}'`)],
    ['streamed', query(SQL, { isLong: true })],
    ['SHOW', query('SHOW TABLES FROM app', { cause: 'show' })],
    ['assumed to be a read', query('SELECT f(a) FROM t', { cause: 'unknown-function' })],
    ['different each time', query('SELECT RAND() FROM t')],
  ])('is not looked at where it is %s', (_, command) => {
    expect(subjectOf(command, fakeBackend().connection)).toBeNull();
  });

  test('is not looked at where the state of its connection is not known, or reads the server itself', () => {
    const { connection } = fakeBackend();
    connection.profile = null;
    expect(subjectOf(query(SQL), connection)).toBeNull();
    connection.profile = aProfile({ schema: 'SYS' });
    expect(subjectOf(query(SQL), connection)).toBeNull();
  });

  test('that was prepared takes its parameter types along, which its replica knew', () => {
    const { connection } = fakeBackend();
    const { command, packet } = execute();
    const subject = subjectOf(command, connection);
    expect(subject?.prepare).toEqual(packet);
    // The flag, the types and the value in place of the flag alone.
    expect(subject?.bytes.subarray(-7).toString('hex')).toBe('01030007000000');
    expect(subject?.bytes.readUIntLE(0, 3)).toBe(command.bytes.readUIntLE(0, 3) + 2);
  });

  test('that was prepared is not looked at with a cursor, with long data, or in another state', () => {
    const { connection } = fakeBackend();
    expect(subjectOf(execute(1).command, connection)).toBeNull();
    const { command, statement } = execute();
    statement.longDataOn = connection;
    expect(subjectOf(command, connection)).toBeNull();
    connection.profile = aProfile({ schema: 'other' });
    expect(subjectOf(execute().command, connection)).toBeNull();
  });
});
