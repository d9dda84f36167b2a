import { describe, expect, test } from 'vitest';
import { connId } from '../../../../src/lib/ids.ts';
import { Command } from '../../../../src/session/command/command.ts';
import { isShowProcessList, processRows } from '../../../../src/session/command/process-list.ts';
import type {
  RegisteredSession,
  SessionInfo,
  SessionPhase,
} from '../../../../src/session/session-registry.ts';
import { COM } from '../../../../src/wire/command.ts';
import { aContext, aSessionState } from '../../../support/fake-session.ts';

const NOW = 50_000;
const context = aContext(aSessionState());

function command(text: string, com: number = COM.QUERY): Command {
  const made = new Command();
  made.begin(com, Buffer.from(`....\x03${text}`), NOW - 2_500);
  made.textAt = 5;
  return made;
}

/** A session in a phase of its life, whose last statement was `text`. */
function session(phase: SessionPhase, text: string, com?: number): RegisteredSession {
  const info: Partial<SessionInfo> = {
    id: connId(7),
    user: 'app',
    clientAddr: '10.0.0.1',
    phase,
    schema: null,
    idleMs: 3_999,
  };
  return { info: () => info, command: command(text, com) } as unknown as RegisteredSession;
}

const rowOf = (each: RegisteredSession, isFull = false) =>
  processRows([each], { isFull, nowMs: NOW, context })[0];

describe('a row of the list', () => {
  test('of one that is idle tells for how long, and nothing of what it ran', () => {
    const row: unknown = rowOf(session('idle', 'SELECT 1'));
    expect(row).toEqual(['7', 'app', '10.0.0.1', null, 'Sleep', '3', '', null]);
  });

  test('of one that works tells what on, and since when', () => {
    expect(rowOf(session('running', 'SELECT 1'))?.slice(4)).toEqual([
      'Query',
      '2',
      'executing',
      'SELECT 1',
    ]);
    expect(rowOf(session('running', 'SELECT 1', COM.STMT_PREPARE))?.[4]).toBe('Prepare');
    expect(rowOf(session('running', 'app', COM.INIT_DB))?.slice(4)).toEqual([
      'Init DB',
      '2',
      'executing',
      null,
    ]);
  });

  test.each([
    "SET PASSWORD = 'hunter2'",
    "CREATE USER a IDENTIFIED BY 'hunter2'",
    "CHANGE REPLICATION SOURCE TO SOURCE_PASSWORD='hunter2'",
    "SELECT 1; ALTER USER b identified by 'hunter2'",
  ])('shows no secret: %s', (text) => {
    const info = rowOf(session('running', text), true)?.[7];
    expect(info).toMatch(/identified|password/i);
    expect(info).not.toContain('hunter2');
  });

  test('is cut: short, or with FULL much later', () => {
    const long = `SELECT '${'x'.repeat(100_000)}'`;
    expect(rowOf(session('running', long))?.[7]).toBe(long.slice(0, 100));
    expect(rowOf(session('running', long), true)?.[7]).toHaveLength(16 * 1024);
  });

  test('is short even with FULL where all of them are much', () => {
    const long = `SELECT '${'x'.repeat(100_000)}'`;
    const sessions = Array.from({ length: 300 }, () => session('running', long));
    const rows = processRows(sessions, { isFull: true, nowMs: NOW, context });
    expect(rows.at(-1)?.[7]).toHaveLength(100);
    expect(rows.reduce((sum, row) => sum + (row[7]?.length ?? 0), 0)).toBeLessThan(5 << 20);
  });
});

describe('what asks for the list', () => {
  test.each([
    ['SHOW PROCESSLIST', true],
    [' show  full\nprocesslist ; ', true],
    ['SHOW PROCESSLIST; DROP TABLE t', false],
    ["SHOW TABLES LIKE 'SHOW PROCESSLIST'", false],
    [`SHOW PROCESSLIST${' '.repeat(100)}`, false],
  ])('%j: %s', (text, wanted) => {
    expect(isShowProcessList(command(text))).toBe(wanted);
  });
});
