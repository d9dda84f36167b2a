import { beforeEach, describe, expect, test } from 'vitest';
import { Pins } from '../../../../src/session/state/pins.ts';
import { EFFECT } from '../../../../src/sql/classification.ts';
import { stateNames } from '../../../../src/sql/state-names.ts';
import { aContext, aSessionState, FakePinCounter } from '../../../support/fake-session.ts';

let counter: FakePinCounter;
let pins: Pins;
beforeEach(() => {
  counter = new FakePinCounter();
  pins = new Pins(counter);
});

const context = aContext(aSessionState());

/** A statement that succeeded, with what its text names. */
function run(sql: string, schema: string | null = 'shop', succeeded = true, effects = 0): void {
  const text = Buffer.from(sql);
  const names = stateNames(text, 0, text.length, context);
  pins.noteTaken(effects, names, { schema, succeeded });
}

describe('effects of statements', () => {
  test('a user variable pins, even where the statement failed: it may have done half', () => {
    pins.noteEffects(EFFECT.SETS_USER_VARIABLE, false);
    expect(pins.reasons).toEqual(['user-variable']);
    pins.clearAll();
    pins.noteEffects(EFFECT.SETS_USER_VARIABLE, true);
    expect(pins.reasons).toEqual(['user-variable']);
  });

  test.each([
    ['temporary-table', EFFECT.CREATES_TEMPORARY_TABLE],
    ['locked-tables', EFFECT.LOCKS_TABLES],
    ['user-lock', EFFECT.TAKES_USER_LOCK],
    ['prepared-by-text', EFFECT.PREPARES_STATEMENT],
    ['handler', EFFECT.OPENS_HANDLER],
    ['xa', EFFECT.XA],
  ] as const)('%s pins where the text does not name what it takes', (reason, effect) => {
    run('EXECUTE s', 'shop', true, effect);
    expect(pins.reasons).toEqual([reason]);
  });

  test('a failed GET_LOCK may have got one of several', () => {
    pins.noteEffects(EFFECT.TAKES_USER_LOCK, false);
    expect(pins.reasons).toEqual(['user-lock']);
  });

  test('RELEASE_ALL_LOCKS() ends its pin only if it succeeded, and no other', () => {
    pins.noteEffects(EFFECT.TAKES_USER_LOCK | EFFECT.SETS_USER_VARIABLE, false);
    pins.noteEffects(EFFECT.RELEASES_ALL_USER_LOCKS, false);
    expect(pins.reasons).toHaveLength(2);
    pins.noteEffects(EFFECT.RELEASES_ALL_USER_LOCKS, true);
    expect(pins.reasons).toEqual(['user-variable']);
  });

  test('what does not pin leaves the session free', () => {
    pins.noteEffects(
      EFFECT.STARTS_TRANSACTION | EFFECT.IMPLICIT_COMMIT | EFFECT.CHANGES_SCHEMA,
      true,
    );
    expect([pins.any, pins.reasons]).toEqual([false, []]);
  });
});

describe('things with names', () => {
  test.each([
    [
      'temporary-table',
      ['CREATE TEMPORARY TABLE a (n INT)', 'CREATE TEMPORARY TABLE b (n INT)'],
      ['DROP TABLE a', 'DROP TEMPORARY TABLE `b`'],
    ],
    [
      'prepared-by-text',
      ["PREPARE a FROM 'SELECT 1'", "PREPARE B FROM 'SELECT 2'"],
      ['DEALLOCATE PREPARE A', 'DROP PREPARE b'],
    ],
    ['handler', ['HANDLER a OPEN', 'HANDLER t OPEN AS b'], ['HANDLER A CLOSE', 'HANDLER b CLOSE']],
    [
      'user-lock',
      ["SELECT GET_LOCK('a', 1)", "SELECT GET_LOCK('b', 1)"],
      ["SELECT RELEASE_LOCK('A')", "SELECT RELEASE_LOCK('b')"],
    ],
  ] as const)('%s pins until the last one is given back', (reason, taken, released) => {
    for (const sql of taken) run(sql);
    expect([pins.reasons, counter.counts.get(reason)]).toEqual([[reason], 1]);
    run(released[0]);
    expect(pins.has(reason)).toBe(true);
    run(released[1]);
    expect([pins.any, counter.counts.get(reason)]).toEqual([false, 0]);
  });

  test('an XA transaction pins until it has ended', () => {
    run("XA START 'x'");
    run("XA END 'x'");
    expect(pins.reasons).toEqual(['xa']);
    run("XA COMMIT 'x' ONE PHASE");
    expect(pins.any).toBe(false);
  });

  test('locks of tables end each with its own UNLOCK, and only if that succeeded', () => {
    run('LOCK INSTANCE FOR BACKUP');
    run('LOCK TABLES a READ');
    run('UNLOCK INSTANCE');
    expect(pins.reasons).toEqual(['locked-tables']);
    run('LOCK INSTANCE FOR BACKUP');
    run('UNLOCK TABLES');
    run('UNLOCK INSTANCE', 'shop', false);
    expect(pins.reasons).toEqual(['locked-tables']);
    run('UNLOCK INSTANCE');
    expect(pins.any).toBe(false);
  });

  test('of several statements all take and give back, in their order', () => {
    run('SELECT 1; CREATE TEMPORARY TABLE a (n INT); CREATE TEMPORARY TABLE b (n INT)');
    run('DROP TABLE a');
    expect(pins.reasons).toEqual(['temporary-table']);
    run('DROP TABLE b; LOCK TABLES t READ');
    expect(pins.reasons).toEqual(['locked-tables']);
    run('UNLOCK TABLES; LOCK TABLES t READ');
    expect(pins.reasons).toEqual(['locked-tables']);
    run('LOCK TABLES t READ; UNLOCK TABLES');
    expect(pins.any).toBe(false);
  });

  test('of several statements, one of which failed, any may have taken and none given back', () => {
    run('CREATE TEMPORARY TABLE a (n INT); DROP TABLE a; SELECT nonsense', 'shop', false);
    expect(pins.reasons).toEqual(['temporary-table']);
  });

  test('what was never taken cannot be given back', () => {
    run('CREATE TEMPORARY TABLE a (n INT)');
    run('DROP TABLE c');
    run('DEALLOCATE PREPARE a');
    expect(pins.reasons).toEqual(['temporary-table']);
  });

  test('a lock must be released as often as it was taken; a table is there once', () => {
    run("SELECT GET_LOCK('a', 1)");
    run("SELECT GET_LOCK('a', 1)");
    run("SELECT RELEASE_LOCK('a')");
    expect(pins.reasons).toEqual(['user-lock']);
    run("SELECT RELEASE_LOCK('a')");
    expect(pins.any).toBe(false);
    run("PREPARE a FROM 'SELECT 1'");
    run("PREPARE a FROM 'SELECT 2'");
    run('DEALLOCATE PREPARE a');
    expect(pins.any).toBe(false);
  });

  test('all locks together are given back by one call', () => {
    run("SELECT GET_LOCK('a', 1)");
    run("SELECT GET_LOCK('b', 1)");
    run('SELECT RELEASE_ALL_LOCKS()');
    expect(pins.any).toBe(false);
  });

  test('a table without a schema is the session’s of then', () => {
    run('CREATE TEMPORARY TABLE a (n INT)', 'shop');
    run('DROP TABLE a', 'other');
    expect(pins.any).toBe(true);
    run('DROP TABLE shop.a', 'other');
    expect(pins.any).toBe(false);
  });

  test('names with quotes in them are not mistaken for others', () => {
    run('CREATE TEMPORARY TABLE `a``b` (n INT)', 's`x');
    run('DROP TABLE `a``b`', 's');
    expect(pins.any).toBe(true);
    run('DROP TABLE `s``x`.`a``b`', null);
    expect(pins.any).toBe(false);
  });

  test('that no text tells stay until all are gone', () => {
    run('SELECT GET_LOCK(CONCAT("a", "b"), 1)');
    expect(pins.reasons).toEqual(['user-lock']);
    run("SELECT GET_LOCK('a', 1)");
    run("SELECT RELEASE_LOCK('a')");
    expect(pins.reasons).toEqual(['user-lock']);
    run('SELECT RELEASE_ALL_LOCKS()');
    expect(pins.any).toBe(false);
  });

  test('given back by a name that no text tells leave the pin', () => {
    run("SELECT GET_LOCK('a', 1)");
    run('SELECT RELEASE_LOCK(@name)');
    expect(pins.reasons).toEqual(['user-lock']);
  });

  test('statements that name nothing change nothing', () => {
    run('SELECT 1');
    expect(pins.any).toBe(false);
    run('CREATE TABLE a (n INT)');
    run('DROP TABLE a');
    expect([pins.any, counter.counts.size]).toEqual([false, 0]);
  });
});

describe('the counts of all sessions', () => {
  test('have each reason once for a session, however often it comes up', () => {
    for (let times = 0; times < 3; times += 1) pins.set('opaque');
    pins.set('role');
    expect([...counter.counts]).toEqual([
      ['opaque', 1],
      ['role', 1],
    ]);
    pins.clear('opaque');
    pins.clear('opaque');
    pins.clear('xa');
    expect([...counter.counts]).toEqual([
      ['opaque', 0],
      ['role', 1],
    ]);
    expect(pins.any).toBe(true);
  });

  test('are left as they were when the session ends', () => {
    pins.set('opaque');
    pins.set('role');
    run('CREATE TEMPORARY TABLE a (n INT)');
    pins.clearAll();
    pins.clearAll();
    expect([...counter.counts.values()]).toEqual([0, 0, 0]);
    expect([pins.any, pins.reasons]).toEqual([false, []]);
  });
});
