import { describe, expect, test } from 'vitest';
import { type StateNames, stateNames } from '../../../src/sql/state-names.ts';
import { MARIADB, MYSQL } from './helpers.ts';

const NOTHING: StateNames = { kind: 'none', taken: [], released: [], releasedAll: false };

function names(text: string, ctx = MYSQL): StateNames {
  const bytes = Buffer.from(text);
  return stateNames(bytes, 0, bytes.length, ctx)[0] ?? NOTHING;
}

const START = '["a","","1"]';

test('several statements in one text are named one by one, in their order', () => {
  const text = Buffer.from("SELECT ';'; DROP TABLE a;; CREATE TEMPORARY TABLE b (n INT);");
  const all = stateNames(text, 0, text.length, MYSQL);
  expect(all.map(({ taken, released }) => [taken, released])).toEqual([
    [[], []],
    [[], ['`a`']],
    [['`b`'], []],
  ]);
});

describe('what a statement takes is named', () => {
  test.each([
    ['CREATE TEMPORARY TABLE t (a INT)', 'temporary-table', ['`t`']],
    ['create temporary table if not exists Db.T select 1', 'temporary-table', ['`Db`.`T`']],
    ['CREATE OR REPLACE TEMPORARY TABLE `a``b` (a INT)', 'temporary-table', ['`a``b`']],
    ['/* x */ CREATE /*!50100 TEMPORARY */ TABLE t LIKE u', 'temporary-table', ['`t`']],
    ['CREATE TEMPORARY SEQUENCE s', 'temporary-table', ['`s`']],
    ["PREPARE S1 FROM 'SELECT 1'", 'prepared-statement', ['s1']],
    ['PREPARE `s` FROM @q', 'prepared-statement', ['s']],
    ['HANDLER t OPEN', 'handler', ['t']],
    ['HANDLER db.t OPEN AS H1', 'handler', ['h1']],
    ['HANDLER db.t OPEN h2', 'handler', ['h2']],
    ["SELECT GET_LOCK('Job', 10)", 'user-lock', ['job']],
    ["select get_lock('job', -1) as l;", 'user-lock', ['job']],
    ["DO GET_LOCK('job', 0.5)", 'user-lock', ['job']],
    ['LOCK TABLES a READ, b WRITE', 'table-lock', ['tables']],
    ['LOCK INSTANCE FOR BACKUP', 'table-lock', ['instance']],
    ['FLUSH TABLES WITH READ LOCK', 'table-lock', ['tables']],
    ['FLUSH TABLES a FOR EXPORT', 'table-lock', ['tables']],
    ['BACKUP LOCK a', 'table-lock', ['backup']],
    ['BACKUP STAGE START', 'table-lock', ['stage']],
    ["XA START 'a'", 'xa', [START]],
    ["XA BEGIN 'a','b',7", 'xa', ['["a","b","7"]']],
    ["XA START 'a' RESUME", 'xa', [START]],
  ])('%s', (text, kind, taken) => {
    expect(names(text)).toEqual({ kind, taken, released: [], releasedAll: false });
  });
});

describe('what a statement gives back is named', () => {
  test.each([
    ['UNLOCK TABLES', 'table-lock', ['tables']],
    ['UNLOCK INSTANCE', 'table-lock', ['instance']],
    ['BACKUP UNLOCK', 'table-lock', ['backup']],
    ['BACKUP STAGE END', 'table-lock', ['stage']],
    ['DROP TEMPORARY TABLE t', 'temporary-table', ['`t`']],
    ['DROP TEMPORARY TABLE IF EXISTS a, db.b', 'temporary-table', ['`a`', '`db`.`b`']],
    ['DROP TABLE t', 'temporary-table', ['`t`']],
    ['DROP TABLES a, `b` CASCADE', 'temporary-table', ['`a`', '`b`']],
    ['DEALLOCATE PREPARE S1', 'prepared-statement', ['s1']],
    ['DROP PREPARE `s`;', 'prepared-statement', ['s']],
    ['HANDLER T CLOSE', 'handler', ['t']],
    ["SELECT RELEASE_LOCK('Job')", 'user-lock', ['job']],
    ["DO RELEASE_LOCK('job')", 'user-lock', ['job']],
    ["XA COMMIT 'a' ONE PHASE", 'xa', [START]],
    ["XA ROLLBACK 'a'", 'xa', [START]],
  ])('%s', (text, kind, released) => {
    expect(names(text)).toEqual({ kind, taken: [], released, releasedAll: false });
  });

  test('RELEASE_ALL_LOCKS gives back all of them', () => {
    expect(names('SELECT RELEASE_ALL_LOCKS()')).toEqual({
      kind: 'user-lock',
      taken: [],
      released: [],
      releasedAll: true,
    });
  });

  test('MariaDB drops with a time-out', () => {
    expect(names('DROP TEMPORARY TABLE t WAIT 5', MARIADB).released).toEqual(['`t`']);
  });
});

describe('what cannot be told from the text is unknown', () => {
  test.each([
    ['SELECT GET_LOCK(@a, 1)', 'user-lock', null, []],
    ["SELECT GET_LOCK('a\\nb', 1)", 'user-lock', null, []],
    ["SELECT GET_LOCK(CONCAT('a', 1), 1)", 'user-lock', null, null],
    ["SELECT GET_LOCK('a' 'b', 1)", 'user-lock', null, null],
    ["SELECT GET_LOCK('a', 1) FROM t", 'user-lock', null, null],
    ["SELECT GET_LOCK('a', 1), GET_LOCK('b', 1)", 'user-lock', null, null],
    ["SELECT GET_LOCK('a', 1), RELEASE_LOCK('a')", 'user-lock', null, null],
    ["INSERT INTO t VALUES (GET_LOCK('a', 1))", 'user-lock', null, null],
    ["SELECT IF(RELEASE_LOCK('a'), 1, 2)", 'user-lock', null, null],
    ['SELECT RELEASE_LOCK(?)', 'user-lock', null, null],
    ['XA START ?', 'xa', null, null],
    ["XA START x'61'", 'xa', null, null],
    ['HANDLER', 'handler', null, null],
  ])('%s', (text, kind, taken, released) => {
    const got = names(text);
    expect(got.kind).toBe(kind);
    // Unknown on both sides says as much as unknown on the one that matters.
    expect(got.taken === null || got.released === null).toBe(true);
    if (taken !== null) expect(got.taken).toEqual(taken);
    if (got.released !== null && released !== null) expect(got.released).toEqual(released);
  });
});

test.each([
  ['SELECT 1'],
  ['CREATE TABLE t (a INT)'],
  ['DROP VIEW v'],
  ['HANDLER t READ FIRST'],
  ["SELECT 'GET_LOCK('"],
  ["SELECT 'unclosed"],
  [''],
])('%s takes and gives nothing', (text) => {
  expect(names(text)).toEqual(NOTHING);
});

test('the end of an XA transaction in parts is not its end', () => {
  for (const text of ["XA END 'a'", "XA PREPARE 'a'", 'XA RECOVER']) {
    expect(names(text)).toEqual({ ...NOTHING, kind: 'xa' });
  }
});
