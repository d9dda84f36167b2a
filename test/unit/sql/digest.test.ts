import { describe, expect, test } from 'vitest';
import { digestText } from '../../../src/sql/digest.ts';
import { digest, MARIADB, MYSQL } from './helpers.ts';

const text = (statement: string): string => {
  const bytes = Buffer.from(statement);
  return digestText(bytes, 0, bytes.length, MYSQL);
};

describe('statements that differ only in literals, case of keywords and blanks share a digest', () => {
  test.each([
    ['SELECT c FROM t WHERE id=1', "select  c\nfrom t where id = 'x' -- end"],
    ['SELECT c FROM t WHERE id=1', 'SELECT c FROM t WHERE id=?'],
    ['SELECT c FROM t WHERE id=1', 'SELECT c FROM t WHERE id=-1'],
    ['SELECT c FROM t WHERE id=1', 'SELECT c FROM `t` WHERE id=1;'],
    ['SELECT c FROM t WHERE id IN (1)', 'SELECT c FROM t WHERE id IN (1, 2, 3)'],
    ['SELECT c FROM t WHERE id IN (1)', "SELECT c FROM t WHERE id IN ('a', NULL, -3)"],
    ['SELECT f(1, 2)', 'SELECT f(1, 2, 3)'],
    ['INSERT INTO t VALUES (1, 2)', 'INSERT INTO t VALUES (3, 4), (5, 6), (7, NULL)'],
    ['INSERT INTO t (a, b) VALUES (1, 2)', 'INSERT INTO t (a, b) VALUES (?, ?), (?, ?)'],
    [
      'SELECT 1 FROM t WHERE (a, b) IN ((1, 2))',
      'SELECT 1 FROM t WHERE (a, b) IN ((1, 2), (3, 4))',
    ],
    ['SELECT COUNT(*) FROM t', 'select count(*) from t'],
    ['SELECT a FROM t LIMIT 10, 20', 'SELECT a FROM t LIMIT 5, 6'],
    ['/*! SELECT */ 1', 'SELECT 1'],
  ])('%s = %s', (a, b) => {
    expect(digest(a)).toBe(digest(b));
    expect(text(a).replaceAll('`', '')).toBe(text(b).replaceAll('`', ''));
  });
});

describe('statements that differ in more do not', () => {
  test.each([
    ['SELECT c FROM t WHERE id=1', 'SELECT c FROM u WHERE id=1'],
    ['SELECT c FROM t', 'SELECT c FROM T'],
    ['SELECT a, b FROM t', 'SELECT b, a FROM t'],
    ['SELECT c FROM t WHERE a=1 AND b=2', 'SELECT c FROM t WHERE a=1 OR b=2'],
    ['SELECT c FROM t WHERE a < 1', 'SELECT c FROM t WHERE a > 1'],
    ['SELECT f(1)', 'SELECT f(1, 2)'],
    ['SELECT a - 1', 'SELECT a + 1'],
    ['SELECT a - 1', 'SELECT a'],
    ['SELECT id - 1', "SELECT id 'alias'"],
    ['SELECT id - 1', 'SELECT id + 1'],
    ['SELECT 1 FOR UPDATE', 'SELECT 1 FOR SHARE'],
    ['SELECT a IS NULL', 'SELECT a IS NOT NULL'],
    ['SELECT a IS NULL', 'SELECT a IS 1'],
    ['SELECT a IS NOT NULL', 'SELECT a IS NOT 1'],
    ['SELECT f(1, a)', 'SELECT f(1, 2, a)'],
    ['INSERT INTO t VALUES (1), (f(2))', 'INSERT INTO t VALUES (1)'],
    ['SELECT @a', 'SELECT @b'],
    ['SELECT @a', 'SELECT a'],
    ['SELECT @a', 'SELECT @@a'],
    ['SELECT 1; SELECT 2', 'SELECT 1 SELECT 2'],
    ['SELECT (1), (2)', 'SELECT (1)'],
  ])('%s ≠ %s', (a, b) => {
    expect(digest(a)).not.toBe(digest(b));
  });
});

test('a digest does not depend on the server it was made for', () => {
  expect(digest('SELECT 1', MARIADB)).toBe(digest('SELECT 1', MYSQL));
});

test('many different statements have different digests in each half', () => {
  const high = new Set<string>();
  const low = new Set<string>();
  for (let i = 0; i < 20_000; i++) {
    const [hi = '', lo = ''] = digest(`SELECT c${i} FROM t${i % 7}`).split('-');
    high.add(hi);
    low.add(lo);
  }
  // 20 000 draws from 2^32 collide 0.05 times on average.
  expect(high.size).toBeGreaterThan(19_990);
  expect(low.size).toBeGreaterThan(19_990);
});

describe('the text is for people', () => {
  test.each([
    ['select  c from t where id = 5', 'SELECT c FROM t WHERE id = ?'],
    ["insert into `t` (a,b) values (1,'x'),(2,'y')", 'INSERT INTO `t` (a, b) VALUES (?, ...)'],
    ['select t.a, @v, @@sql_mode from t /* x */', 'SELECT t.a, @v, @@sql_mode FROM t'],
    ['select a<=>b, -5 - -6', 'SELECT a <=> b, ? - ?'],
    ['select count(*), max(a)', 'SELECT COUNT(*), MAX(a)'],
    ['insert into t (a) values (1)', 'INSERT INTO t (a) VALUES (?)'],
    ["select a->>'$.x', a||b, a != b where c>=1", 'SELECT a ->> ?, a || b, a != b WHERE c >= ?'],
    ['', ''],
  ])('%s', (statement, expected) => {
    expect(text(statement)).toBe(expected);
  });

  test('it holds no literal', () => {
    expect(text("SELECT 'secret', 0x5ec2e7, x'41', N'secret' FROM t WHERE a = -4711")).not.toMatch(
      /secret|5ec2|41|4711/,
    );
  });

  test('it is bounded', () => {
    expect(text(`SELECT ${'a + '.repeat(10_000)} 1`).length).toBeLessThanOrEqual(4096);
  });
});

// Rules, learned statements and dashboards name statements by digest: a release that knows more
// words, or tells more kinds of tokens apart, must not give them others.
test.each([
  ['SELECT c FROM t WHERE id = 1', '31ea77ec-f5a95345'],
  ['INSERT INTO t (a, b) VALUES (1, 2), (3, 4)', '9cb0cd07-ae3cb880'],
  [
    'SELECT a, COUNT(*) FROM s.`t` WHERE b IN (1, -2) GROUP BY a ORDER BY a DESC LIMIT 5',
    '4886a6a2-3c24bd97',
  ],
  ['SELECT my_function(@a, @@sql_mode) FROM t FOR UPDATE', '704f9489-422c1c69'],
  ['SET @a := 1; SELECT 2', 'c798f63d-b9fd270'],
])('the digest of %s is what it was', (statement, known) => {
  expect(digest(statement)).toBe(known);
});
