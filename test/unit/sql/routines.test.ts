import { describe, expect, test } from 'vitest';
import {
  ROUTINE_KIND,
  type RoutineFacts,
  type RoutineKind,
} from '../../../src/sql/routine-facts.ts';
import { effectNames, judge, MARIADB, MYSQL } from './helpers.ts';

const FUNCTIONS: Readonly<Record<string, RoutineKind>> = {
  reader: ROUTINE_KIND.READS,
  locker: ROUTINE_KIND.STATEFUL_READ,
  writer: ROUTINE_KIND.WRITES,
  dark: ROUTINE_KIND.OPAQUE,
  count: ROUTINE_KIND.READS,
  'db.reader': ROUTINE_KIND.READS,
  'db.count': ROUTINE_KIND.WRITES,
  md5: ROUTINE_KIND.READS,
  point: ROUTINE_KIND.WRITES,
};

/** Answers from the table above, and keeps what it was asked for. */
function facts(unsafeViews: readonly string[] = []): RoutineFacts & { asked: string[] } {
  const asked: string[] = [];
  const look = (buf: Uint8Array, ...[start, end, schemaStart, schemaEnd]: number[]) => {
    const text = (from: number | undefined, to: number | undefined) =>
      Buffer.from(buf).toString('utf8', from, to);
    const schema = schemaStart === -1 ? '' : `${text(schemaStart, schemaEnd)}.`;
    asked.push(schema + text(start, end));
    return FUNCTIONS[(schema + text(start, end)).toLowerCase()] ?? ROUTINE_KIND.UNKNOWN;
  };
  return {
    asked,
    functionKind: look,
    procedureKind: look,
    unsafeView: (buf, start, end) =>
      unsafeViews.includes(Buffer.from(buf).toString('utf8', start, end)),
    hasUnsafeViews: unsafeViews.length > 0,
  };
}

const withFacts = { ...MYSQL, routines: facts() };

describe('a stored function is what the catalogue knows of it', () => {
  test.each([
    ['SELECT reader(1)', 'read/select', []],
    ['SELECT reader (1)', 'read/select', []],
    ['SELECT `reader`(1) FROM t WHERE reader(a) = 2', 'read/select', []],
    ['SELECT db.reader(1)', 'read/select', []],
    ['SELECT `db` /* x */ . `reader` (1)', 'read/select', []],
    // What it reads for them, MySQL locks.
    ['DO reader(1)', 'write/for-share', []],
    ['SHOW TABLES WHERE reader(1)', 'write/for-share', []],
    ['SHOW TABLES', 'read/show', []],
    ['SELECT other.reader(1)', 'unknown/unknown-function', ['OPAQUE']],
    ['SELECT reader(dark(1))', 'unknown/unknown-function', ['OPAQUE']],
    ['SELECT reader(writer(1))', 'write/writing-function', []],
    ['SELECT writer(1)', 'write/writing-function', []],
    ['SELECT db.count(1)', 'write/writing-function', []],
    ['SELECT locker(1)', 'unknown/stateful-function', ['OPAQUE']],
    ['SELECT dark(1)', 'unknown/unknown-function', ['OPAQUE']],
    ['SELECT never_heard_of(1)', 'unknown/unknown-function', ['OPAQUE']],
    ["SELECT MD5('a'), count (*)", 'read/select', []],
    ['INSERT INTO t VALUES (reader(1))', 'write/dml', []],
    ['INSERT INTO t VALUES (writer(1))', 'write/dml', []],
    ['INSERT INTO t VALUES (locker(1))', 'write/dml', ['OPAQUE']],
    ['SELECT a.b.reader(1)', 'unknown/unknown-function', ['OPAQUE']],
    ['SELECT `read``er`(1)', 'unknown/unknown-function', ['OPAQUE']],
    ['SELECT `d``b`.reader(1)', 'unknown/unknown-function', ['OPAQUE']],
    ['SELECT @@reader(1)', 'read/server-variable', []],
    ['WITH c AS (SELECT reader(1)) SELECT * FROM c', 'read/select', []],
    ['WITH c AS (SELECT 1) SELECT writer(a, b) FROM c', 'write/writing-function', []],
    ['WITH c AS (SELECT 1) SELECT reader(writer(b)) FROM c', 'write/writing-function', []],
    ['SELECT reader(1) FOR UPDATE', 'write/for-update', []],
    ['SELECT GET_LOCK(reader(1), 1)', 'write/lock-function', ['TAKES_USER_LOCK']],
  ])('%s', (text, verdict, effects) => {
    expect(judge(text, withFacts)).toBe(verdict);
    expect(effectNames(text, withFacts)).toEqual(effects);
  });

  test('it is asked by its name without quotes, and only for what is not built in', () => {
    const asking = facts();
    judge('SELECT ABS(1), Reader(2), `DB`.`Two Words`(3), COUNT(*)', {
      ...MYSQL,
      routines: asking,
    });
    expect(asking.asked).toEqual(['Reader', 'DB.Two Words']);
  });

  test('MariaDB may have a stored function by the name of a geometry', () => {
    const onMariadb = { ...MARIADB, routines: facts() };
    expect(judge('SELECT POINT(1)', onMariadb)).toBe('write/writing-function');
    expect(judge('SELECT POLYGON(1)', onMariadb)).toBe('read/select');
    expect(judge('SELECT POINT(1, 2)', MARIADB)).toBe('read/select');
    expect(judge('SELECT POINT(1)', withFacts)).toBe('read/select');
  });

  test('ANSI quotes are quotes', () => {
    const asking = facts();
    judge('SELECT "db"."reader"(1)', { ...MYSQL, ansiQuotes: true, routines: asking });
    expect(asking.asked).toEqual(['db.reader']);
  });
});

describe('CALL leaves the session as it was where that is known', () => {
  test.each([
    ['CALL reader()', []],
    ['CALL writer', []],
    ['CALL db.reader(1, 2)', []],
    ['CALL writer(reader(1))', []],
    ['CALL writer(@a)', ['SETS_USER_VARIABLE', 'USES_USER_VARIABLE']],
    ['CALL writer(1, dark())', ['OPAQUE']],
    ["CALL writer(GET_LOCK('a', 1))", ['TAKES_USER_LOCK']],
    ['CALL locker()', ['OPAQUE']],
    ['CALL dark()', ['OPAQUE']],
    ['CALL other.writer()', ['OPAQUE']],
    ['CALL', ['OPAQUE']],
  ])('%s', (text, effects) => {
    expect(judge(text, withFacts)).toBe('write/call');
    expect(effectNames(text, withFacts)).toEqual(effects);
  });
});

describe('a view that must not be read on a replica keeps its readers on the primary', () => {
  const ctx = { ...MYSQL, routines: facts(['v', 'events']) };

  test.each([
    ['SELECT * FROM v', 'write/unsafe-view'],
    ['SELECT * FROM db.v WHERE a = 1', 'write/unsafe-view'],
    ['SELECT * FROM `v`', 'write/unsafe-view'],
    ['SELECT * FROM events', 'write/unsafe-view'],
    ['SELECT * FROM t JOIN v USING (id)', 'write/unsafe-view'],
    ['TABLE v', 'write/unsafe-view'],
    ['WITH c AS (SELECT * FROM v) SELECT * FROM c', 'write/unsafe-view'],
    ['EXPLAIN ANALYZE SELECT * FROM v', 'write/unsafe-view'],
    ['SELECT * FROM `a``b`', 'write/unsafe-view'],
    ['SELECT * FROM t', 'read/select'],
    ["SELECT 'v' FROM t", 'read/select'],
    ['DESC v', 'read/describe'],
    ['INSERT INTO t SELECT * FROM v', 'write/dml'],
  ])('%s', (text, verdict) => {
    expect(judge(text, ctx)).toBe(verdict);
  });
});

describe('IGNORE_SPACE takes a blank in front of a parenthesis for none', () => {
  const ctx = { ...MYSQL, ignoreSpace: true };

  test.each([
    ['SELECT COUNT (*) FROM t', 'read/select'],
    ['SELECT SUM \t\n(a) FROM t', 'read/select'],
    ['SELECT SUM/**/(a) FROM t', 'unknown/unknown-function'],
    ['SELECT SUM -- x\n(a) FROM t', 'unknown/unknown-function'],
    ['SELECT f (1)', 'unknown/unknown-function'],
    ['SELECT `count` (1)', 'unknown/unknown-function'],
    ['SELECT db.count (1)', 'unknown/unknown-function'],
  ])('%s', (text, verdict) => {
    expect(judge(text, ctx)).toBe(verdict);
    expect(judge(text, { ...MARIADB, ignoreSpace: true })).toBe(verdict);
  });
});
