import { beforeEach, describe, expect, test } from 'vitest';
import { Command } from '../../../../src/session/command/command.ts';
import { CommandPlanner, PLAN } from '../../../../src/session/command/command-planner.ts';
import {
  LAST_PREPARED,
  PreparedStatements,
} from '../../../../src/session/prepared/prepared-statements.ts';
import type { SessionState } from '../../../../src/session/state/session-state.ts';
import { EFFECT } from '../../../../src/sql/classification.ts';
import type { Flavor } from '../../../../src/topology/snapshot.ts';
import { CAP, union } from '../../../../src/wire/capability.ts';
import { COM } from '../../../../src/wire/command.ts';
import { MalformedPacketError } from '../../../../src/wire/malformed.ts';
import { encodeQuery } from '../../../../src/wire/packets/query.ts';
import { REPLY } from '../../../../src/wire/reply-kinds.ts';
import { STATUS } from '../../../../src/wire/status.ts';
import { frame, PacketWriter } from '../../../../src/wire/writer.ts';
import { fakeBackend } from '../../../support/fake-backend.ts';
import { aContext, aJudge, aSessionState } from '../../../support/fake-session.ts';
import { NEW_CAPS } from '../../../support/replies.ts';
import { aServer } from '../../../support/snapshots.ts';

let state: SessionState;
let prepared: PreparedStatements;
let command: Command;
let planner: CommandPlanner;

function make(caps = NEW_CAPS, flavor: Flavor = 'mysql'): void {
  state = aSessionState();
  prepared = new PreparedStatements();
  command = new Command();
  const judge = aJudge(state, aContext(state, { server: aServer({ flavor }) }));
  planner = new CommandPlanner({ state, prepared, judge, caps, command });
}
beforeEach(() => make());

function plan(packet: Buffer) {
  command.begin(packet[4] ?? 0, packet, 0);
  return planner.plan(command);
}
const query = (sql: string, caps = NEW_CAPS) => plan(encodeQuery(sql, caps));
const raw = (com: number, ...body: number[]) => plan(frame(Buffer.from([com, ...body]), 0));
const onId = (com: number, id: number) =>
  plan(new PacketWriter().u8(com).u32(id).zeros(9).finish(0));

function aStatement(sql: string) {
  plan(frame(Buffer.concat([Buffer.from([COM.STMT_PREPARE]), Buffer.from(sql)]), 0));
  const { statement } = command;
  if (statement === null) throw new Error('It was not prepared');
  prepared.add(statement);
  return statement;
}

test('every plan is another one', () => {
  const plans = Object.values(PLAN);
  expect(new Set(plans).size).toBe(plans.length);
});

describe('where a statement goes', () => {
  test.each([
    ['SELECT 1', 'replica', 'read'],
    ['INSERT INTO t VALUES (1)', 'primary', 'write'],
    ['SELECT * FROM t FOR UPDATE', 'primary', 'write'],
    ['FROBNICATE', 'primary', 'unknown'],
    ['BEGIN', 'primary', 'transaction'],
    ['START TRANSACTION READ ONLY', 'replica', 'read-only-transaction'],
    ['SET time_zone = "UTC"', 'same', 'session'],
    ['SHOW WARNINGS', 'same', 'same-server'],
  ])('%s: %s, because %s', (sql, target, reason) => {
    expect(query(sql)).toBe(PLAN.SEND);
    expect([command.target, command.reason]).toEqual([target, reason]);
    expect(command.reply).toBe(REPLY.RESULT);
  });

  test.each([
    [
      'in a transaction',
      () => state.noteStatus(STATUS.IN_TRANS | STATUS.AUTOCOMMIT),
      'same',
      'transaction',
    ],
    [
      'in a read-only transaction',
      () => state.noteStatus(STATUS.IN_TRANS | STATUS.IN_TRANS_READONLY),
      'same',
      'read-only-transaction',
    ],
    ['with autocommit=0', () => state.noteStatus(0), 'primary', 'autocommit-off'],
    ['when pinned', () => state.pins.set('opaque'), 'same', 'pinned'],
    [
      'in a schema of the server’s own tables',
      () => state.setSchema('performance_schema'),
      'primary',
      'about-one-server',
    ],
    [
      'after such a schema',
      () => {
        state.setSchema('MySQL');
        state.setSchema('shop');
      },
      'replica',
      'read',
    ],
  ])('a read %s: %s, because %s', (_, prepare, target, reason) => {
    prepare();
    query('SELECT 1');
    expect([command.target, command.reason]).toEqual([target, reason]);
    expect(command.inTransaction).toBe(state.inTransaction);
  });

  test('query attributes in front of the text are stepped over', () => {
    const caps = union(NEW_CAPS, CAP.QUERY_ATTRIBUTES);
    make(caps);
    query('INSERT INTO t VALUES (1)', caps);
    expect(command.cls).toBe('write');
    expect(() => plan(frame(Buffer.from([COM.QUERY, 9, 9]), 0))).toThrow(MalformedPacketError);
  });
});

describe('commands', () => {
  test.each([
    [COM.QUIT, PLAN.QUIT],
    [COM.CHANGE_USER, PLAN.CHANGE_USER],
    [COM.RESET_CONNECTION, PLAN.RESET_CONNECTION],
    [COM.PROCESS_KILL, PLAN.KILL],
    [COM.BINLOG_DUMP, PLAN.REPLICATION],
    [COM.BINLOG_DUMP_GTID, PLAN.REPLICATION],
    [COM.REGISTER_SLAVE, PLAN.SEND],
    [COM.DEBUG, PLAN.SEND],
    [COM.REFRESH, PLAN.SEND],
    [COM.INIT_DB, PLAN.SEND],
    [COM.PING, PLAN.SEND],
    [COM.SET_OPTION, PLAN.SEND],
    [COM.STATISTICS, PLAN.SEND],
    [COM.FIELD_LIST, PLAN.SEND],
    [COM.STMT_CLOSE, PLAN.CLOSE_STATEMENT],
    [COM.STMT_EXECUTE, PLAN.UNKNOWN_STATEMENT],
    [COM.STMT_FETCH, PLAN.UNKNOWN_STATEMENT],
    [COM.STMT_RESET, PLAN.UNKNOWN_STATEMENT],
  ])('byte %d is planned as %d', (com, expected) => {
    expect(raw(com, 1, 0, 0, 0)).toBe(expected);
  });

  test('every other byte is no command', () => {
    const known = new Set<number>(
      'QUIT INIT_DB QUERY FIELD_LIST REFRESH STATISTICS PROCESS_KILL DEBUG PING CHANGE_USER BINLOG_DUMP REGISTER_SLAVE STMT_PREPARE STMT_EXECUTE STMT_SEND_LONG_DATA STMT_CLOSE STMT_RESET SET_OPTION STMT_FETCH BINLOG_DUMP_GTID RESET_CONNECTION'
        .split(' ')
        .map((name) => new Map<string, number>(Object.entries(COM)).get(name) ?? -1),
    );
    expect(known.size).toBe(21);
    for (let byte = 0; byte <= 0xff; byte += 1) {
      if (!known.has(byte)) expect(raw(byte, 0)).toBe(PLAN.UNKNOWN_COMMAND);
    }
  });

  test('a dump of the binary log and its registration go to the primary', () => {
    raw(COM.REGISTER_SLAVE, 0);
    expect([command.target, command.cls]).toEqual(['primary', 'write']);
  });

  test('the kind of reply is the command’s', () => {
    raw(COM.STATISTICS);
    expect(command.reply).toBe(REPLY.TEXT);
    raw(COM.FIELD_LIST, 0x74, 0);
    expect(command.reply).toBe(REPLY.FIELDS);
    raw(COM.PING);
    expect(command.reply).toBe(REPLY.SIMPLE);
  });

  test.each([
    ['KILL 12', 12, false],
    ['KILL CONNECTION 12', 12, false],
    ['KILL QUERY 12', 12, true],
    ['KILL @id', null, false],
    ['SELECT 1; KILL 12', null, false],
  ])('%s', (sql, target, queryOnly) => {
    expect(query(sql)).toBe(PLAN.KILL);
    expect([planner.killTarget, planner.killQueryOnly]).toEqual([target, queryOnly]);
  });

  test('COM_PROCESS_KILL has its id, or none where it is cut short', () => {
    raw(COM.PROCESS_KILL, 12, 1, 0, 0);
    expect(planner.killTarget).toBe(268);
    raw(COM.PROCESS_KILL, 12, 1);
    expect(planner.killTarget).toBeNull();
  });

  test('a connection id that only the proxy knows is its own answer', () => {
    expect(query('SELECT CONNECTION_ID()')).toBe(PLAN.CONNECTION_ID);
    expect(query('select connection_id() AS id;')).toBe(PLAN.CONNECTION_ID);
    expect(query('SELECT CONNECTION_ID() + 1')).toBe(PLAN.SEND);
  });
});

describe('prepared statements', () => {
  test.each([
    ['KILL 12', 12, false],
    ['KILL QUERY 12', 12, true],
    ['KILL ?', null, false],
  ])('%s is prepared by a server and run by the proxy', (sql, target, queryOnly) => {
    const statement = aStatement(sql);
    planner.killTarget = 1;
    expect(onId(COM.STMT_EXECUTE, statement.id)).toBe(PLAN.KILL);
    expect([planner.killTarget, planner.killQueryOnly]).toEqual([target, queryOnly]);
    expect(onId(COM.STMT_RESET, statement.id)).not.toBe(PLAN.KILL);
  });

  test('a connection id is the proxy’s own there too', () => {
    const planOf = (sql: string) => onId(COM.STMT_EXECUTE, aStatement(sql).id);
    expect(planOf('SELECT CONNECTION_ID()')).toBe(PLAN.CONNECTION_ID);
    expect(planOf('select connection_id() AS id')).toBe(PLAN.CONNECTION_ID);
    expect(planOf('SELECT CONNECTION_ID() + 1')).toBe(PLAN.SEND);
  });

  test('are classified once, and their effects are those of each execution', () => {
    const statement = aStatement('SET @a = ?');
    expect(command.reply).toBe(REPLY.PREPARE);
    expect(command.effects).toBe(0);
    expect(statement.judgement.effects & EFFECT.SETS_USER_VARIABLE).not.toBe(0);
    expect(onId(COM.STMT_EXECUTE, statement.id)).toBe(PLAN.SEND);
    expect(command.effects).toBe(statement.judgement.effects);
    onId(COM.STMT_RESET, statement.id);
    expect([command.effects, command.reply]).toEqual([0, REPLY.SIMPLE]);
  });

  test('keep their own copy of the text', () => {
    const packet = frame(Buffer.from('\u0016SELECT ?'), 0);
    plan(packet);
    packet.fill(0);
    expect(command.statement?.shape.packet.toString('latin1')).toContain('SELECT ?');
  });

  test('go where their class goes', () => {
    onId(COM.STMT_EXECUTE, aStatement('SELECT ?').id);
    expect([command.target, command.reply]).toEqual(['replica', REPLY.RESULT]);
    onId(COM.STMT_EXECUTE, aStatement('DELETE FROM t WHERE a = ?').id);
    expect(command.target).toBe('primary');
  });

  test('rows are fetched from an open cursor only', () => {
    const statement = aStatement('SELECT ?');
    expect(onId(COM.STMT_FETCH, statement.id)).toBe(PLAN.NO_CURSOR);
    statement.cursorOn = fakeBackend().connection;
    expect(onId(COM.STMT_FETCH, statement.id)).toBe(PLAN.SEND);
    expect(command.reply).toBe(REPLY.ROWS);
  });

  test('long data of an unknown statement is dropped, for it has no answer', () => {
    expect(onId(COM.STMT_SEND_LONG_DATA, 99)).toBe(PLAN.CLOSE_STATEMENT);
    expect(command.statement).toBeNull();
    expect(onId(COM.STMT_SEND_LONG_DATA, aStatement('SELECT ?').id)).toBe(PLAN.LONG_DATA);
  });

  test('MariaDB’s id of the last one means it there, and nothing with MySQL', () => {
    aStatement('SELECT ?');
    expect(onId(COM.STMT_EXECUTE, LAST_PREPARED)).toBe(PLAN.UNKNOWN_STATEMENT);
    make(NEW_CAPS, 'mariadb');
    const statement = aStatement('SELECT ?');
    expect(onId(COM.STMT_EXECUTE, LAST_PREPARED)).toBe(PLAN.SEND);
    expect(command.statement).toBe(statement);
  });
});

describe('commands that are too long to be read', () => {
  const long = (com: number, id = 0) => {
    const head = new PacketWriter().u8(com).u32(id).zeros(11).finish(0);
    command.begin(com, head, 0);
    return planner.planLong(command);
  };

  test('a statement goes to the primary and may have done anything', () => {
    expect(long(COM.QUERY)).toBe(PLAN.SEND);
    expect([command.target, command.cls, command.isLong, command.isRepeatable]).toEqual([
      'primary',
      'unknown',
      true,
      false,
    ]);
    expect(command.effects & EFFECT.OPAQUE).not.toBe(0);
  });

  test('an execution of a read goes to the primary too, since its types are not read', () => {
    expect(long(COM.STMT_EXECUTE, aStatement('SELECT ?').id)).toBe(PLAN.SEND);
    expect([command.target, command.isRepeatable]).toEqual(['primary', false]);
    expect(long(COM.STMT_EXECUTE, 99)).toBe(PLAN.UNKNOWN_STATEMENT);
  });

  test('in a transaction they stay in it', () => {
    state.noteStatus(STATUS.IN_TRANS);
    long(COM.QUERY);
    expect(command.target).toBe('same');
  });
});
