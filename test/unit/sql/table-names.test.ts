import { describe, expect, test } from 'vitest';
import { tableNames } from '../../../src/sql/table-names.ts';
import { MYSQL } from './helpers.ts';

function tables(text: string): string[] | null {
  const bytes = Buffer.from(text);
  const found = tableNames(bytes, 0, bytes.length, MYSQL);
  return (
    found?.map(({ schema, table }) => (schema === null ? table : `${schema}.${table}`)) ?? null
  );
}

describe('tables of a statement are named', () => {
  test.each([
    ['SELECT 1', []],
    ['SELECT 1 FROM DUAL', []],
    ['SELECT * FROM t', ['t']],
    ['select a from `Db`.`T` as x where x.a = 1;', ['Db.T']],
    ['SELECT * FROM a, b x, c.d AS y WHERE 1 IN (1, 2)', ['a', 'b', 'c.d']],
    ['SELECT * FROM a JOIN b ON f(a.x, b.y) LEFT JOIN c USING (id, x), d', ['a', 'b', 'c', 'd']],
    ['SELECT * FROM a NATURAL JOIN b STRAIGHT_JOIN c', ['a', 'b', 'c']],
    ['SELECT STRAIGHT_JOIN a FROM t', ['t']],
    ['SELECT * FROM (a JOIN b ON a.x = b.x), c', ['a', 'b', 'c']],
    ['SELECT * FROM a LEFT JOIN (b, c) ON a.x = b.x', ['a', 'b', 'c']],
    ['SELECT * FROM (SELECT x, y FROM a) AS d (p, q), b', ['a', 'b']],
    ['SELECT (SELECT MAX(x) FROM a), y FROM b WHERE z IN (SELECT z FROM c)', ['a', 'b', 'c']],
    [
      'SELECT EXTRACT(YEAR FROM d), TRIM(LEADING x FROM y), SUBSTRING(a FROM 1 FOR 2) FROM t',
      ['t'],
    ],
    ['SELECT a FROM t GROUP BY a, b HAVING c ORDER BY d, e LIMIT 1, 2', ['t']],
    ['SELECT a FROM t FOR UPDATE OF t, u', ['t']],
    ['SELECT a FROM t USE INDEX FOR JOIN (i, j), u', ['t', 'u']],
    ['SELECT a FROM t PARTITION (p0, p1), u', ['t', 'u']],
    ['SELECT a FROM t UNION SELECT b FROM u UNION TABLE v', ['t', 'u', 'v']],
    ['(SELECT a FROM t) UNION (SELECT b FROM u)', ['t', 'u']],
    ["SELECT * FROM JSON_TABLE('[1]', '$[*]' COLUMNS (a INT PATH '$')) AS j, t", ['t']],
    ['SELECT * FROM t, LATERAL (SELECT * FROM u WHERE u.a = t.a) d', ['t', 'u']],
    ['WITH c AS (SELECT * FROM t) SELECT * FROM c JOIN u', ['t', 'u']],
    [
      'WITH RECURSIVE c(n) AS (SELECT 1 FROM a UNION SELECT n FROM c), d AS (TABLE b) SELECT * FROM d, c, e',
      ['a', 'b', 'e'],
    ],
    ['WITH c AS (SELECT 1) SELECT * FROM db.c', ['db.c']],
    ['WITH t AS (SELECT * FROM t WHERE a = 1) SELECT * FROM t', ['t']],
    ['WITH RECURSIVE t AS (SELECT 1 UNION SELECT a FROM t) SELECT * FROM t', []],
    ['WITH a AS (SELECT * FROM b), b AS (SELECT * FROM a) SELECT * FROM a, b', ['b']],
    ['SELECT * FROM t WHERE a IN (WITH t AS (SELECT 1) SELECT * FROM t)', ['t']],
    ['(WITH c AS (SELECT 1) SELECT * FROM c) UNION SELECT * FROM c', ['c']],
    ['WITH c AS (SELECT 1) SELECT (SELECT MAX(a) FROM (SELECT * FROM c) d)', []],
    ['SELECT * FROM (((t))), ((u JOIN v))', ['t', 'u', 'v']],
    ['SELECT * FROM ((SELECT a, b FROM t) x JOIN u)', ['t', 'u']],
    ['WITH c AS (SELECT 1 FROM t) DELETE FROM u WHERE a IN (SELECT * FROM c)', ['t', 'u']],
    ['SELECT a FROM t GROUP BY a WITH ROLLUP', ['t']],
    ["SELECT MATCH (a, b) AGAINST ('x' WITH QUERY EXPANSION) FROM t", ['t']],
    ['TABLE db.t ORDER BY a', ['db.t']],
    ['INSERT INTO t (a, b) VALUES (1, 2), (3, 4)', ['t']],
    ['INSERT LOW_PRIORITY IGNORE db.t SET a = 1', ['db.t']],
    ['INSERT INTO t SELECT a, b FROM u, v ON DUPLICATE KEY UPDATE c = VALUES(c)', ['t', 'u', 'v']],
    ["SELECT INSERT('a', 1, 1, 'b'), REPLACE('a', 'b', 'c') FROM t", ['t']],
    ['REPLACE INTO t VALUES (1)', ['t']],
    ['UPDATE t SET a = (SELECT MAX(b) FROM u), c = 2', ['t', 'u']],
    ['UPDATE IGNORE t JOIN u USING (id), v SET t.a = 1', ['t', 'u', 'v']],
    ['DELETE FROM t WHERE a = 1', ['t']],
    ['DELETE LOW_PRIORITY QUICK FROM t LIMIT 5', ['t']],
    ['DELETE x, y FROM t AS x JOIN u AS y ON x.a = y.a', ['t', 'u']],
    ['DELETE FROM x USING t AS x JOIN u', ['t', 'u']],
    ['SELECT * FROM a, a, b.a', ['a', 'b.a']],
    ['VALUES ROW(1, 2)', []],
    ["SELECT 'FROM x' FROM t -- FROM y", ['t']],
  ])('%s', (text, expected) => {
    expect(tables(text)?.toSorted()).toEqual(expected.toSorted());
  });
});

describe('where it is not sure there are none', () => {
  test.each([
    ['CREATE TABLE t (a INT)'],
    ['CALL p()'],
    ['SELECT * FROM t; SELECT * FROM u'],
    ["SELECT 'unclosed FROM t"],
    ['SELECT * FROM'],
    ['SELECT * FROM (t'],
    ['SELECT * FROM t)'],
    ['SELECT * FROM ?'],
    ['WITH c SELECT 1'],
    ['SELECT * FROM a.b.c'],
    [''],
  ])('%s', (text) => {
    expect(tables(text)).toBeNull();
  });
});
