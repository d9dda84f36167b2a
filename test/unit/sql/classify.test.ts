import { describe, expect, test } from 'vitest';
import { CHARSET_KIND } from '../../../src/sql/charset-kind.ts';
import { REASON_CODES } from '../../../src/sql/classification.ts';
import { Classifier, MAX_STATEMENT_BYTES } from '../../../src/sql/classify.ts';
import { classified, effectNames, judge, MARIADB, MYSQL } from './helpers.ts';
import { ON_MARIADB, OTHERS, WRITES } from './more-statements.ts';
import { PRIMARY_READS, READS, type Verdict } from './statements.ts';

function cases(verdicts: readonly Verdict[]): [string, string][] {
  return verdicts.flatMap(([verdict, statements]) =>
    statements.map((statement): [string, string] => [verdict, statement]),
  );
}

describe('a statement gets the class of what the server would do', () => {
  test.each(cases([...READS, ...PRIMARY_READS, ...WRITES, ...OTHERS]))(
    '%s: %s',
    (verdict, text) => {
      expect(judge(text)).toBe(verdict);
    },
  );

  test.each(cases(ON_MARIADB))('%s on MariaDB: %s', (verdict, text) => {
    expect(judge(text, MARIADB)).toBe(verdict);
  });
});

describe('sql_mode, charset and version decide how bytes are read', () => {
  test.each([
    [
      'a backslash escapes nothing under NO_BACKSLASH_ESCAPES',
      "SELECT 'a\\' FOR UPDATE -- '",
      { noBackslashEscapes: true },
      'write/for-update',
    ],
    [
      'two dashes in front of a letter that may be a control character are not sure',
      Buffer.from("SELECT 1 --\x80'\nINTO @a -- '", 'latin1'),
      { charsetKind: CHARSET_KIND.SINGLE_BYTE },
      'unknown/not-lexed',
    ],
    ['two dashes in front of a letter are minus signs', "SELECT 1 --é'\n'", {}, 'read/select'],
    ['a backslash escapes a quote otherwise', "SELECT 'a\\' FOR UPDATE -- '", {}, 'read/select'],
    [
      'a double quote is a name under ANSI_QUOTES',
      'SELECT "f"(1)',
      { ansiQuotes: true },
      'unknown/unknown-function',
    ],
    [
      'a backslash is plain in a name under ANSI_QUOTES',
      'SELECT "a\\" FOR UPDATE -- "',
      { ansiQuotes: true },
      'write/for-update',
    ],
    ['a double quote is a string otherwise', 'SELECT "a\\" FOR UPDATE -- "', {}, 'read/select'],
    [
      'a double-quoted variable name',
      'SELECT @@"identity"',
      { ansiQuotes: true },
      'write/last-insert-id',
    ],
    [
      'an unknown version leaves version comments undecided',
      'SELECT /*!50100 1 */',
      { serverVersion: 0 },
      'unknown/not-lexed',
    ],
    [
      'an unknown version reads comments without a number',
      'SELECT 1 /*! FOR UPDATE */',
      { serverVersion: 0 },
      'write/for-update',
    ],
    [
      'a function is known from its first version on',
      'SELECT REGEXP_LIKE(a, b) FROM t',
      { serverVersion: 50744 },
      'unknown/unknown-function',
    ],
    [
      'a function is known until it left the server',
      "SELECT MD5('a')",
      { serverVersion: 80046 },
      'read/select',
    ],
    [
      'six digits count only in front of a blank',
      'SELECT 1 /*!0907041FOR UPDATE */',
      {},
      'unknown/unknown-statement',
    ],
  ])('%s', (_, text, change, verdict) => {
    const got = judge(text, { ...MYSQL, ...change });
    if (verdict === 'unknown/unknown-statement') expect(got).not.toBe('never');
    else expect(got).toBe(verdict);
  });

  test('ANSI_QUOTES changes nothing for names without quotes', () => {
    const ansi = { ...MYSQL, ansiQuotes: true };
    expect(judge("SELECT @a, @'b c', 'd' FROM t", ansi)).toBe('read/select');
    expect(judge("SELECT @'b' FOR UPDATE", ansi)).toBe('write/for-update');
  });

  test('plain text in an unsafe charset is read as ever', () => {
    expect(judge("SELECT 'a\\'b' FROM t", { ...MYSQL, charsetKind: CHARSET_KIND.UNSURE })).toBe(
      'read/select',
    );
  });

  test('a Latin-1 no-break space between words is not taken for a letter', () => {
    const text = Buffer.from('SELECT 1 FOR\u00a0UPDATE', 'latin1');
    expect(judge(text)).toBe('unknown/not-lexed');
  });
});

describe('effects say what the session must remember', () => {
  test.each([
    ['SELECT 1', []],
    ['BEGIN', ['STARTS_TRANSACTION', 'IMPLICIT_COMMIT']],
    [
      'START TRANSACTION READ ONLY',
      ['STARTS_TRANSACTION', 'STARTS_READ_ONLY_TRANSACTION', 'IMPLICIT_COMMIT'],
    ],
    [
      'START TRANSACTION WITH CONSISTENT SNAPSHOT, READ WRITE',
      ['STARTS_TRANSACTION', 'WITH_CONSISTENT_SNAPSHOT', 'IMPLICIT_COMMIT'],
    ],
    ['COMMIT', ['ENDS_TRANSACTION']],
    ['COMMIT AND CHAIN', ['STARTS_TRANSACTION', 'ENDS_TRANSACTION']],
    ['ROLLBACK AND NO CHAIN', ['ENDS_TRANSACTION']],
    ['ROLLBACK TO a', []],
    ["XA START 'a'", ['STARTS_TRANSACTION', 'XA']],
    ["XA COMMIT 'a'", ['ENDS_TRANSACTION', 'XA']],
    ['SET autocommit = 0', ['SETS_AUTOCOMMIT_OFF', 'SETS_SESSION_VARIABLE']],
    ['SET autocommit = OFF', ['SETS_AUTOCOMMIT_OFF', 'SETS_SESSION_VARIABLE']],
    ["SET autocommit = 'off'", ['SETS_AUTOCOMMIT_OFF', 'SETS_SESSION_VARIABLE']],
    ['SET @@session.autocommit = 1', ['SETS_AUTOCOMMIT_ON', 'SETS_SESSION_VARIABLE']],
    ['SET @@ session . autocommit = 0', ['SETS_AUTOCOMMIT_OFF', 'SETS_SESSION_VARIABLE']],
    ['SET `autocommit` = TRUE', ['SETS_AUTOCOMMIT_ON', 'SETS_SESSION_VARIABLE']],
    ['SET @@`autocommit` := 0', ['SETS_AUTOCOMMIT_OFF', 'SETS_SESSION_VARIABLE']],
    ['SET autocommit = DEFAULT', ['SETS_AUTOCOMMIT_OFF', 'SETS_SESSION_VARIABLE']],
    ['SET autocommit = 1 - 1', ['SETS_AUTOCOMMIT_OFF', 'SETS_SESSION_VARIABLE']],
    ['SET autocommit = 1, autocommit = 0', ['SETS_AUTOCOMMIT_OFF', 'SETS_SESSION_VARIABLE']],
    [
      'SET sql_mode = CONCAT(1, 2), autocommit = 0',
      ['SETS_AUTOCOMMIT_OFF', 'SETS_SESSION_VARIABLE'],
    ],
    [
      'SET @a = (SELECT 1, 2), autocommit = 0',
      ['SETS_AUTOCOMMIT_OFF', 'SETS_SESSION_VARIABLE', 'SETS_USER_VARIABLE'],
    ],
    ['SET GLOBAL autocommit = 0', ['SETS_GLOBAL']],
    ['SET GLOBAL TRANSACTION READ ONLY', ['SETS_GLOBAL']],
    ['SET PERSIST_ONLY a = 1', ['SETS_GLOBAL']],
    ['START REPLICA', ['IMPLICIT_COMMIT']],
    ['FLUSH LOGS', ['IMPLICIT_COMMIT']],
    ['DROP TABLE t', ['IMPLICIT_COMMIT']],
    ['DROP TABLE t; USE db', ['IMPLICIT_COMMIT', 'CHANGES_SCHEMA']],
    ['GRANT SELECT (a), UPDATE (b) ON t TO u', ['IMPLICIT_COMMIT']],
    ['EXPLAIN INTO @p SELECT 1', ['SETS_USER_VARIABLE']],
    ['GET DIAGNOSTICS @n = NUMBER', ['SETS_USER_VARIABLE', 'USES_USER_VARIABLE']],
    ['SET sql_log_bin = 0', ['SETS_SESSION_VARIABLE', 'OPAQUE']],
    ['SET GLOBAL a = 1, autocommit = 1', ['SETS_GLOBAL']],
    ['SET GLOBAL a = 1, @b = 2, autocommit = 1', ['SETS_USER_VARIABLE', 'SETS_GLOBAL']],
    [
      'SET @@global.a = 1, autocommit = 0',
      ['SETS_AUTOCOMMIT_OFF', 'SETS_SESSION_VARIABLE', 'SETS_GLOBAL'],
    ],
    [
      'SET GLOBAL a = 1, @@autocommit = 0',
      ['SETS_AUTOCOMMIT_OFF', 'SETS_SESSION_VARIABLE', 'SETS_GLOBAL'],
    ],
    [
      'SET GLOBAL a = 1, SESSION b = 2, autocommit = 0',
      ['SETS_AUTOCOMMIT_OFF', 'SETS_SESSION_VARIABLE', 'SETS_GLOBAL'],
    ],
    ['SET TRANSACTION READ ONLY', ['SETS_NEXT_TRANSACTION_READ_ONLY']],
    ['SET TRANSACTION READ WRITE', ['SETS_NEXT_TRANSACTION_READ_WRITE']],
    ['SET SESSION TRANSACTION READ ONLY', ['SETS_SESSION_READ_ONLY']],
    ['SET SESSION TRANSACTION READ WRITE', ['SETS_SESSION_READ_WRITE']],
    [
      'SET @@transaction_read_only = 1',
      ['SETS_NEXT_TRANSACTION_READ_ONLY', 'SETS_SESSION_VARIABLE'],
    ],
    ['SET transaction_read_only = ON', ['SETS_SESSION_READ_ONLY', 'SETS_SESSION_VARIABLE']],
    [
      'SET transaction_read_only = @x',
      ['SETS_SESSION_READ_WRITE', 'SETS_SESSION_VARIABLE', 'USES_USER_VARIABLE'],
    ],
    [
      'SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE',
      ['SETS_ISOLATION', 'SETS_SERIALIZABLE'],
    ],
    [
      'SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ ONLY',
      ['SETS_NEXT_TRANSACTION_READ_ONLY', 'SETS_ISOLATION'],
    ],
    ["SET transaction_isolation = 'READ-COMMITTED'", ['SETS_ISOLATION', 'SETS_SESSION_VARIABLE']],
    [
      "SET tx_isolation = 'serializable'",
      ['SETS_ISOLATION', 'SETS_SERIALIZABLE', 'SETS_SESSION_VARIABLE'],
    ],
    ['SET NAMES utf8mb4', ['SETS_SESSION_VARIABLE']],
    ['SET NAMES utf8mb4, @a = 1', ['SETS_SESSION_VARIABLE', 'SETS_USER_VARIABLE']],
    ['SET @a = @b', ['SETS_USER_VARIABLE', 'USES_USER_VARIABLE']],
    ['SELECT @a', ['USES_USER_VARIABLE']],
    ['SELECT @a := 1', ['SETS_USER_VARIABLE', 'USES_USER_VARIABLE']],
    ['SELECT 1 INTO @a', ['SETS_USER_VARIABLE', 'USES_USER_VARIABLE']],
    ['INSERT INTO t VALUES (@a)', ['USES_USER_VARIABLE']],
    ['INSERT INTO t (a, b) VALUES (1, NOW())', []],
    ['INSERT IGNORE INTO db.t PARTITION (p0) (a, b) VALUES (1, 2)', []],
    ['REPLACE t (a) SELECT a FROM u', []],
    ['INSERT INTO t (a) VALUES (f(1))', ['OPAQUE']],
    ['INSERT INTO t (SELECT f(1))', ['OPAQUE']],
    ['UPDATE t SET a = f(1)', ['OPAQUE']],
    ['UPDATE t SET a = NOW() WHERE id IN (1, 2)', []],
    ['ALTER TABLE t ADD KEY k (a)', ['IMPLICIT_COMMIT']],
    ['CREATE TABLE t SELECT f(1)', ['IMPLICIT_COMMIT', 'OPAQUE']],
    ["LOAD DATA INFILE 'x' INTO TABLE t (a, @b) SET c = @b", ['SETS_USER_VARIABLE']],
    ['USE db', ['CHANGES_SCHEMA']],
    ['CREATE TEMPORARY TABLE t (a INT)', ['CREATES_TEMPORARY_TABLE']],
    ['DROP TEMPORARY TABLE t', ['DROPS_TEMPORARY_TABLE']],
    ['CREATE TABLE t (a INT)', ['IMPLICIT_COMMIT']],
    ['CREATE PROCEDURE p() SET @a = 1', ['IMPLICIT_COMMIT']],
    [
      'CREATE PROCEDURE p() BEGIN START TRANSACTION; SET @a = 1; END',
      ['IMPLICIT_COMMIT', 'OPAQUE'],
    ],
    ['CREATE VIEW v AS SELECT f(1)', ['IMPLICIT_COMMIT']],
    ['CREATE VIEW v AS SELECT 1; USE db', ['IMPLICIT_COMMIT', 'CHANGES_SCHEMA']],
    ['ALTER TABLE t ADD event INT; USE db', ['IMPLICIT_COMMIT', 'CHANGES_SCHEMA']],
    ['CREATE TABLE t (event INT); USE db', ['IMPLICIT_COMMIT', 'CHANGES_SCHEMA']],
    ['LOCK TABLES t WRITE', ['IMPLICIT_COMMIT', 'LOCKS_TABLES']],
    ['UNLOCK TABLES', ['UNLOCKS_TABLES']],
    ['FLUSH TABLES WITH READ LOCK', ['IMPLICIT_COMMIT', 'LOCKS_TABLES']],
    ["SELECT GET_LOCK('a', 1)", ['TAKES_USER_LOCK']],
    ["INSERT INTO t VALUES (GET_LOCK('a', 1))", ['TAKES_USER_LOCK']],
    ["DO RELEASE_LOCK('a')", ['RELEASES_USER_LOCK']],
    ['SELECT RELEASE_ALL_LOCKS()', ['RELEASES_ALL_USER_LOCKS']],
    ["PREPARE s FROM 'x'", ['PREPARES_STATEMENT']],
    ['DEALLOCATE PREPARE s', ['DEALLOCATES_STATEMENT']],
    ['HANDLER t OPEN', ['OPENS_HANDLER']],
    ['SELECT SQL_CALC_FOUND_ROWS 1', ['SQL_CALC_FOUND_ROWS']],
    ['CALL p()', ['OPAQUE']],
    ['SELECT f()', ['OPAQUE']],
    ["SELECT 'a", ['OPAQUE']],
    ['SET ROLE r', ['OPAQUE']],
    [
      'SELECT 1; SET autocommit = 0; USE db',
      ['SETS_AUTOCOMMIT_OFF', 'SETS_SESSION_VARIABLE', 'CHANGES_SCHEMA'],
    ],
  ])('%s', (text, names) => {
    expect(effectNames(text)).toEqual(names);
  });
});

test('every reason has a statement that gets it', () => {
  const verdicts = [...READS, ...PRIMARY_READS, ...WRITES, ...OTHERS];
  const reached = new Set(verdicts.map(([verdict]) => verdict.split('/')[1]));
  // Those that need more than a text: see the tests of routines, and the one of long statements.
  for (const reason of [
    'lagwise-setting',
    'writing-function',
    'stateful-function',
    'unsafe-view',
    'too-long',
  ]) {
    reached.add(reason);
  }
  expect(reached).toEqual(new Set<string>(REASON_CODES));
});

describe('details of single statements', () => {
  test('USE gives the name as written', () => {
    expect(classified('USE `a``b`;').schema).toBe('`a``b`');
    expect(classified('use  db').schema).toBe('db');
    expect(classified('SELECT 1').schema).toBeNull();
  });

  test.each([
    ['KILL 5', 5, false],
    ['KILL CONNECTION 77', 77, false],
    ['KILL QUERY 4294967295', 4294967295, true],
    ['KILL HARD QUERY ID 3', 3, true],
    ['KILL CONNECTION_ID()', null, false],
    ['KILL 5 + 1', null, false],
    ['KILL QUERY 99999999999999999999', null, true],
    ['KILL 0x5', null, false],
  ])('%s names connection %s', (text, target, queryOnly) => {
    const { killTarget, killQueryOnly } = classified(text);
    expect({ killTarget, killQueryOnly }).toEqual({ killTarget: target, killQueryOnly: queryOnly });
  });

  test.each(['SELECT 1; KILL 5', 'KILL 5; SELECT 1', 'SELECT 1; KILL QUERY 5; DELETE FROM t'])(
    '%s is not for a server: the id would be a stranger’s there',
    (text) => {
      const { cls, reason, killTarget, effects } = classified(text);
      expect({ cls, reason, killTarget, effects }).toEqual({
        cls: 'local',
        reason: 'kill',
        killTarget: null,
        effects: 0,
      });
    },
  );

  test('a statement over the bound is a write by its first word, or unknown', () => {
    const filler = 'x'.repeat(MAX_STATEMENT_BYTES);
    expect(judge(`INSERT INTO t VALUES ('${filler}')`)).toBe('write/dml');
    expect(judge(`SELECT '${filler}'`)).toBe('unknown/too-long');
    expect(effectNames(`INSERT INTO t VALUES ('${filler}')`)).toContain('OPAQUE');
  });

  test.each([
    ['xxSELECT 1 FOR UPDATExx', 2, 10, 'read/select'],
    ["xxSELECT 1''", 2, 10, 'read/select'],
    ['SELECT a/**/', 0, 8, 'read/select'],
    ['SELECT a/*x*/', 0, 10, 'unknown/not-lexed'],
    ['SELECT a/*x*/', 0, 12, 'unknown/not-lexed'],
    ['SELECT a/*!x*/', 0, 13, 'unknown/not-lexed'],
    ["SELECT 'a'", 0, 9, 'unknown/not-lexed'],
    ["SELECT 'a''", 0, 10, 'read/select'],
    ['SELECT `a`', 0, 9, 'unknown/not-lexed'],
    ['SELECT @@version_x', 0, 16, 'read/select'],
    ['SELECT a--\nFOR UPDATE', 0, 10, 'read/select'],
    ['SELECT @a:=1', 0, 10, 'read/select'],
  ])('only the given range of %s is read', (text, start, end, verdict) => {
    const bytes = Buffer.from(text);
    const { cls, reason } = new Classifier().classify(bytes, start, end, MYSQL);
    expect(`${cls}/${reason}`).toBe(verdict);
  });

  test('a packet full of SET STATEMENT ends no stack', () => {
    const deep = `${'SET STATEMENT a=1 FOR '.repeat(40_000)}SELECT 1`;
    expect(judge(deep, MARIADB)).toBe('unknown/unknown-statement');
    expect(judge('SET STATEMENT a=1 FOR SET b=2', MARIADB)).toBe('session/set');
  });

  test('nothing of a statement is left for the next', () => {
    classified('USE db');
    classified('KILL QUERY 5');
    classified("SELECT 'a");
    expect(classified('SELECT 1')).toMatchObject({
      cls: 'read',
      effects: 0,
      schema: null,
      killTarget: null,
      killQueryOnly: false,
    });
  });
});
