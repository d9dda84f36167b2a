import { describe, expect, test } from 'vitest';
import type { BackendConnection } from '../../../../src/pool/backend-connection.ts';
import { Command } from '../../../../src/session/command/command.ts';
import { packetFor } from '../../../../src/session/prepared/execute-packet.ts';
import {
  type Judgement,
  type PreparedStatement,
  PreparedStatements,
} from '../../../../src/session/prepared/prepared-statements.ts';
import { CAP, union } from '../../../../src/wire/capability.ts';
import { COM } from '../../../../src/wire/command.ts';
import { MalformedPacketError } from '../../../../src/wire/malformed.ts';
import { frame, PacketWriter } from '../../../../src/wire/writer.ts';
import { aProfile, fakeBackend } from '../../../support/fake-backend.ts';
import { NEW_CAPS } from '../../../support/replies.ts';
import { encodeExecute } from '../../../support/scripted-client.ts';

const NAMED_CAPS = union(NEW_CAPS, CAP.QUERY_ATTRIBUTES);
const PREPARE = frame(Buffer.from('\u0016SELECT ?'), 0);

const READ: Judgement = {
  cls: 'read',
  reason: 'select',
  effects: 0,
  digestHi: 0,
  digestLo: 0,
  hintStart: 0,
  hintEnd: 0,
  facts: null,
};
const PROFILE = aProfile();

function statementWith(parameters: number): PreparedStatement {
  const statement = new PreparedStatements().create(PREPARE, PROFILE, READ);
  statement.parameterCount = parameters;
  return statement;
}

/** The server has prepared it, and calls it so. */
function prepare(statement: PreparedStatement, connection: BackendConnection, id: number): void {
  connection.prepared.add(statement.shape, id);
}

function run(
  statement: PreparedStatement,
  packet: Buffer,
  on: ReturnType<typeof fakeBackend>,
  isLong = false,
): Buffer {
  const command = new Command();
  command.begin(packet[4] ?? 0, packet, 0);
  command.isLong = isLong;
  command.statement = statement;
  return packetFor(command, on.connection);
}

describe.each([
  ['plain', NEW_CAPS],
  ['with query attributes', NAMED_CAPS],
])('COM_STMT_EXECUTE, %s', (_, caps) => {
  const execute = (id: number, values: string[], types: boolean) =>
    encodeExecute({ id, values, types, caps });

  test.each([1, 2, 8, 9, 300])('of %d parameters has its types on each server once', (count) => {
    const values = Array.from({ length: count }, (_each, index) => String(index));
    const statement = statementWith(count);
    const one = fakeBackend({ caps });
    const two = fakeBackend({ caps });
    prepare(statement, one.connection, 10);
    prepare(statement, two.connection, 20);
    expect(run(statement, execute(1, values, true), one)).toEqual(execute(10, values, true));
    expect(run(statement, execute(1, values, false), one)).toEqual(execute(10, values, false));
    expect(run(statement, execute(1, values, false), two)).toEqual(execute(20, values, true));
    expect(run(statement, execute(1, values, false), two)).toEqual(execute(20, values, false));
    expect(run(statement, execute(1, values, true), two)).toEqual(execute(20, values, true));
    expect(run(statement, execute(1, values, false), one)).toEqual(execute(10, values, false));
  });

  test('types that change are told to every server again', () => {
    const statement = statementWith(1);
    const one = fakeBackend({ caps });
    const two = fakeBackend({ caps });
    prepare(statement, one.connection, 10);
    prepare(statement, two.connection, 20);
    run(statement, execute(1, ['a'], true), one);
    run(statement, execute(1, ['a'], false), two);
    const other = Buffer.from(execute(1, ['a'], true));
    // The type: behind the flag, in front of name and value.
    const typeAt = other.indexOf(Buffer.from([1, 0xfd, 0])) + 1;
    other[typeAt] = 0xfc;
    run(statement, Buffer.from(other), two);
    expect(run(statement, execute(1, ['a'], false), one)[typeAt]).toBe(0xfc);
  });

  test('prepared again, it needs its types again', () => {
    const statement = statementWith(1);
    const one = fakeBackend({ caps });
    prepare(statement, one.connection, 10);
    run(statement, execute(1, ['a'], true), one);
    prepare(statement, one.connection, 11);
    expect(run(statement, execute(1, ['a'], false), one)).toEqual(execute(11, ['a'], true));
  });

  test('for a connection that was lost meanwhile it stays as it is, and is no defect', () => {
    const statement = statementWith(1);
    const one = fakeBackend({ caps });
    prepare(statement, one.connection, 10);
    one.connection.destroy();
    expect(run(statement, execute(1, ['a'], true), one)).toEqual(execute(1, ['a'], true));
  });

  test('without parameters only the id changes', () => {
    const statement = statementWith(0);
    const one = fakeBackend({ caps });
    prepare(statement, one.connection, 10);
    expect(run(statement, execute(1, [], false), one)).toEqual(execute(10, [], false));
  });

  test('that was never told types passes as it is', () => {
    const statement = statementWith(1);
    const one = fakeBackend({ caps });
    prepare(statement, one.connection, 10);
    expect(run(statement, execute(1, ['a'], false), one)).toEqual(execute(10, ['a'], false));
  });

  test('that is too long to be held has its types put into its head, its length counted on', () => {
    const long = ['x'.repeat(200_000), 'y'];
    const statement = statementWith(2);
    const one = fakeBackend({ caps });
    const two = fakeBackend({ caps });
    prepare(statement, one.connection, 10);
    prepare(statement, two.connection, 20);
    run(statement, execute(1, ['a', 'b'], true), one);
    const untyped = execute(1, long, false);
    const head = run(statement, untyped.subarray(0, 1000), two, true);
    const whole = Buffer.concat([head, untyped.subarray(1000)]);
    expect(whole.equals(execute(20, long, true))).toBe(true);
  });

  test('whose types reach beyond the head at hand is not given others elsewhere', () => {
    const values = Array.from({ length: 300 }, () => 'v');
    const statement = statementWith(300);
    const one = fakeBackend({ caps });
    const two = fakeBackend({ caps });
    prepare(statement, one.connection, 10);
    prepare(statement, two.connection, 20);
    run(statement, execute(1, values, true), two);
    run(statement, execute(1, values, true).subarray(0, 60), one, true);
    // What this server was told last may not be what the client told since.
    expect(() => run(statement, execute(1, values, false), two)).toThrow(/Incorrect arguments/);
  });

  test('without types, of a client that never told any, is not run with those of another', () => {
    const one = fakeBackend({ caps });
    const [first, second] = [statementWith(2), statementWith(2)];
    prepare(first, one.connection, 10);
    run(first, execute(1, ['a', 'b'], true), one);
    expect(() => run(second, execute(1, ['a', 'b'], false), one)).toThrow(/Incorrect arguments/);
  });

  test('that is cut short anywhere in front of its values is malformed, never a crash', () => {
    const whole = execute(1, ['a', 'b', 'c'], true).subarray(4);
    const valuesAt = whole.length - 6;
    for (let length = 5; length < whole.length; length += 1) {
      const statement = statementWith(3);
      const one = fakeBackend({ caps });
      prepare(statement, one.connection, 10);
      const attempt = () => run(statement, frame(whole.subarray(0, length), 0), one);
      if (length < valuesAt) expect(attempt).toThrow(MalformedPacketError);
      else expect(attempt).not.toThrow();
    }
  });
});

describe('commands about a statement', () => {
  test.each([COM.STMT_FETCH, COM.STMT_RESET, COM.STMT_SEND_LONG_DATA])(
    'command %d has the server’s id put in',
    (com) => {
      const statement = statementWith(1);
      const one = fakeBackend();
      prepare(statement, one.connection, 0xdead_beef);
      const packet = new PacketWriter().u8(com).u32(1).u32(10).finish(0);
      expect(run(statement, packet, one)).toEqual(
        new PacketWriter().u8(com).u32(0xdead_beef).u32(10).finish(0),
      );
    },
  );

  test('a query attribute named by the client is kept beside its type', () => {
    const statement = statementWith(0);
    const one = fakeBackend({ caps: NAMED_CAPS });
    prepare(statement, one.connection, 10);
    const body = (id: number) =>
      new PacketWriter()
        .u8(COM.STMT_EXECUTE)
        .u32(id)
        .u8(0x08)
        .u32(1)
        .lenenc(1)
        .u8(0)
        .u8(1)
        .u16(0xfd)
        .lenencString('traceparent')
        .lenencString('00-abc')
        .finish(0);
    expect(run(statement, body(1), one)).toEqual(body(10));
    expect(statement.types?.toString('latin1')).toContain('traceparent');
  });
});

describe('a cursor', () => {
  const execute = (flags: number) =>
    new PacketWriter().u8(COM.STMT_EXECUTE).u32(1).u8(flags).u32(1).finish(0);

  test('once asked for stays in the server’s memory of the statement', () => {
    const statement = statementWith(0);
    const one = fakeBackend();
    prepare(statement, one.connection, 10);
    run(statement, execute(0), one);
    expect(statement.on(one.connection)?.ranCursor).toBe(false);
    run(statement, execute(1), one);
    run(statement, execute(0), one);
    expect(statement.on(one.connection)?.ranCursor).toBe(true);
  });
});

describe('sessions that prepare the same', () => {
  test('share what a connection has, types included', () => {
    const one = fakeBackend();
    const mine = statementWith(1);
    const theirs = statementWith(1);
    expect(theirs.shape).toBe(mine.shape);
    prepare(mine, one.connection, 10);
    const execute = (types: boolean) =>
      encodeExecute({ id: 1, values: ['a'], types, caps: NEW_CAPS });
    run(mine, execute(true), one);
    run(theirs, execute(true), one);
    // The other's types are those that the server was told last: nothing is put in.
    expect(run(mine, execute(false), one)).toEqual(
      encodeExecute({ id: 10, values: ['a'], types: false, caps: NEW_CAPS }),
    );
  });

  test('with other types are each told theirs again', () => {
    const one = fakeBackend();
    const mine = statementWith(1);
    const theirs = statementWith(1);
    prepare(mine, one.connection, 10);
    const typed = (type: number, types: boolean) => {
      const packet = Buffer.from(encodeExecute({ id: 1, values: ['a'], types, caps: NEW_CAPS }));
      const at = packet.indexOf(Buffer.from([1, 0xfd, 0]));
      if (at !== -1) packet[at + 1] = type;
      return packet;
    };
    run(mine, typed(0xfd, true), one);
    run(theirs, typed(0xfc, true), one);
    const again = run(mine, typed(0xfd, false), one);
    expect(again.indexOf(Buffer.from([1, 0xfd, 0]))).not.toBe(-1);
    expect(run(theirs, typed(0xfc, false), one).indexOf(Buffer.from([1, 0xfc, 0]))).not.toBe(-1);
  });

  test('in another state have statements of their own', () => {
    const all = new PreparedStatements();
    const here = all.create(PREPARE, PROFILE, READ);
    const there = all.create(PREPARE, aProfile({ schema: 'shop' }), READ);
    expect(there.shape).not.toBe(here.shape);
  });
});

describe('the statements of a session', () => {
  test('are listed once prepared, and forgotten where closed or lost', () => {
    const all = new PreparedStatements();
    const statement = all.create(PREPARE, PROFILE, READ);
    expect(all.get(statement.id)).toBeUndefined();
    all.add(statement);
    expect(all.get(statement.id)).toBe(statement);
    const { connection } = fakeBackend();
    prepare(statement, connection, 7);
    statement.cursorOn = connection;
    statement.longDataOn = connection;
    expect(all.holds(connection)).toBe(true);
    expect([all.bound, statement.on(connection)?.held]).toEqual([1, true]);
    all.forget(connection);
    // What the connection has prepared is the connection's matter: others share it.
    expect([statement.on(connection)?.id, statement.on(connection)?.held]).toEqual([7, false]);
    expect([statement.cursorOn, statement.longDataOn, all.bound]).toEqual([null, null, 0]);
    expect(all.holds(connection)).toBe(false);
    all.remove(statement);
    expect(all.get(statement.id)).toBeUndefined();
  });

  test('have ids of their own, which never are the one that means "the last"', () => {
    const all = new PreparedStatements();
    const ids = Array.from({ length: 3 }, () => all.create(PREPARE, PROFILE, READ).id);
    expect(new Set(ids).size).toBe(3);
    expect(Math.min(...ids)).toBeGreaterThan(0);
  });

  test('of one text are each another copy of it, and copies that are free are used again', () => {
    const all = new PreparedStatements();
    const added = () => {
      const statement = all.create(PREPARE, PROFILE, READ);
      all.add(statement);
      return statement;
    };
    const [first, second, third] = [added(), added(), added()];
    const copies = () => [first, second, third].map(({ shape }) => shape.copy);
    expect(copies()).toEqual([0, 1, 2]);
    // One that was not prepared in the end takes none.
    expect(all.create(PREPARE, PROFILE, READ).shape.copy).toBe(3);
    all.remove(second);
    expect([added(), added()].map(({ shape }) => shape.copy)).toEqual([1, 3]);
    all.remove(first);
    expect(added().shape).toBe(first.shape);
    // Another session shares all of them.
    const others = new PreparedStatements();
    others.add(others.create(PREPARE, PROFILE, READ));
    expect(others.create(PREPARE, PROFILE, READ).shape).toBe(second.shape);
  });

  test('are bounded in number and in length together', () => {
    const all = new PreparedStatements();
    for (let left = 16_382; left > 0; left -= 1) all.add(all.create(PREPARE, PROFILE, READ));
    expect(all.whyFull(1)).toMatch(/16382 prepared statements/);
    all.clear();
    expect(all.whyFull(1)).toBeNull();
    const long = Buffer.alloc(16 * 1024 * 1024);
    const kept = Array.from({ length: 4 }, () => all.create(long, PROFILE, READ));
    for (const each of kept) all.add(each);
    expect(all.whyFull(1)).toMatch(/longer than/);
    for (const each of kept.slice(0, 1)) all.remove(each);
    expect(all.whyFull(1)).toBeNull();
  });

  test('fetch and reset go to the cursor, executions only to long data sent ahead', () => {
    const statement = statementWith(1);
    const cursor = fakeBackend().connection;
    const data = fakeBackend().connection;
    expect(statement.boundFor(COM.STMT_EXECUTE)).toBeNull();
    statement.cursorOn = cursor;
    expect(statement.boundFor(COM.STMT_EXECUTE)).toBeNull();
    expect(statement.boundFor(COM.STMT_FETCH)).toBe(cursor);
    expect(statement.boundFor(COM.STMT_RESET)).toBe(cursor);
    statement.longDataOn = data;
    expect(statement.boundFor(COM.STMT_EXECUTE)).toBe(data);
    expect(statement.boundFor(COM.STMT_SEND_LONG_DATA)).toBe(data);
  });

  test('count as bound once, however often they are', () => {
    const all = new PreparedStatements();
    const statement = all.create(PREPARE, PROFILE, READ);
    all.add(statement);
    const one = fakeBackend().connection;
    const two = fakeBackend().connection;
    statement.cursorOn = one;
    statement.longDataOn = two;
    statement.cursorOn = two;
    expect([all.bound, all.holds(one), all.holds(two)]).toEqual([1, false, true]);
    statement.unbind(one);
    expect(all.bound).toBe(1);
    all.remove(statement);
    expect([all.bound, all.holds(two)]).toEqual([0, false]);
  });

  test('that are closed are not the last one prepared any more', () => {
    const all = new PreparedStatements();
    const statement = all.create(PREPARE, PROFILE, READ);
    all.add(statement);
    expect(all.last).toBe(statement);
    all.remove(statement);
    all.remove(statement);
    expect([all.last, all.whyFull(64 * 1024 * 1024)]).toEqual([null, null]);
  });
});
