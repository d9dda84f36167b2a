import { describe, expect, test } from 'vitest';
import { describeBody } from '../../../src/sql/routine-body.ts';
import { MARIADB, MYSQL } from './helpers.ts';

const READS = { writes: false, state: false, calls: [] };
const WRITES = { writes: true, state: false, calls: [] };
const STATE = { writes: false, state: true, calls: [] };
const BOTH = { writes: true, state: true, calls: [] };

describe('a body that only reads', () => {
  test.each([
    ['RETURN 1'],
    ['RETURN (SELECT COUNT(*) FROM t WHERE a = 1)'],
    ['BEGIN DECLARE n INT DEFAULT 0; SELECT MAX(a) INTO n FROM t; RETURN n; END'],
    ['BEGIN DECLARE a, b DECIMAL(10, 2); SET a = 1, b = (SELECT MAX(x), 2 FROM t); RETURN a; END'],
    [
      `BEGIN
        DECLARE done INT DEFAULT FALSE;
        DECLARE cur CURSOR FOR SELECT id FROM t;
        DECLARE CONTINUE HANDLER FOR NOT FOUND SET done = TRUE;
        OPEN cur;
        l: LOOP
          FETCH cur INTO n;
          IF (done) THEN LEAVE l; END IF;
        END LOOP;
        CLOSE cur;
        RETURN done;
      END`,
    ],
    ["RETURN 'INSERT INTO t'"],
    ['RETURN 1 -- DELETE FROM t'],
    ['BEGIN /* SET GLOBAL a = 1 */ RETURN 1; END'],
    ["RETURN INSERT('a', 1, 1, REPLACE('b', 'c', 'd'))"],
    ['RETURN TRUNCATE(1.5, 1)'],
    ['RETURN (SELECT t.update FROM t)'],
    ['RETURN (SELECT `delete` FROM t)'],
    ['RETURN CONVERT(a USING utf8mb4)'],
    ['BEGIN DECLARE a VARCHAR(10) CHARACTER SET utf8mb4; RETURN a; END'],
    ['BEGIN WHILE (1) DO SELECT 1; END WHILE; END'],
    ['BEGIN IF ROW_COUNT() > 0 THEN SELECT FOUND_ROWS(); END IF; END'],
    ['SELECT `a`.`b` AS `c`, CAST(x AS CHAR(5)) FROM (SELECT 1 AS b) a'],
    ['BEGIN CASE (1) WHEN (1) THEN SELECT 1; END CASE; END'],
    ['SELECT start, share FROM t'],
    ['RETURN @@sql_mode'],
    ["SIGNAL SQLSTATE '45000'"],
  ])('%s', (body) => {
    expect(describeBody(body, MYSQL)).toEqual(READS);
  });

  test('parameters may be set', () => {
    expect(describeBody('BEGIN SET n = n + 1; END', MYSQL, ['N'])).toEqual(READS);
    expect(describeBody('BEGIN SET n = n + 1; END', MYSQL)).toEqual(STATE);
  });
});

describe('a body that writes', () => {
  test.each([
    ['BEGIN INSERT INTO t VALUES (1); RETURN 1; END'],
    ['BEGIN INSERT INTO t (a, b) VALUES (1, 2); END'],
    ['BEGIN INSERT INTO t SET a = 1 ON DUPLICATE KEY UPDATE a = 2; END'],
    ['BEGIN REPLACE t SET a = 1; END'],
    ['BEGIN UPDATE t SET a = 1, b = 2; END'],
    ['DELETE FROM t'],
    ['BEGIN TRUNCATE TABLE t; END'],
    ['BEGIN CREATE TABLE t (a INT); END'],
    ['BEGIN START TRANSACTION; COMMIT; END'],
    ['BEGIN DECLARE EXIT HANDLER FOR SQLEXCEPTION ROLLBACK; END'],
    ['RETURN (SELECT a FROM t FOR UPDATE)'],
    ['RETURN (SELECT a FROM t FOR SHARE)'],
    ['RETURN (SELECT a FROM t LOCK IN SHARE MODE)'],
    ["SELECT 1 INTO OUTFILE 'x'"],
    ['RETURN NEXTVAL(s)'],
    ['RETURN NEXT VALUE FOR s'],
    ['/*!50100 DELETE FROM t */'],
    ['BEGIN IF 1 THEN DELETE FROM t; END IF; END'],
    ['BEGIN UPDATE t SET a = 1; SET NEW.a = 2; END'],
  ])('%s', (body) => {
    expect(describeBody(body, MYSQL)).toEqual(WRITES);
  });
});

describe('a body that the session remembers, or that depends on the session', () => {
  test.each([
    ["RETURN GET_LOCK('a', 1)", STATE],
    ["BEGIN DO RELEASE_LOCK('a'); END", STATE],
    ['BEGIN SET @a = 1; END', STATE],
    ['RETURN @a', STATE],
    ['BEGIN SELECT 1 INTO @a; END', STATE],
    ['RETURN LAST_INSERT_ID()', STATE],
    ['RETURN CONNECTION_ID()', STATE],
    ['RETURN @@identity', STATE],
    ['RETURN @@session.sql_log_bin', STATE],
    ["BEGIN SET SESSION sql_mode = ''; END", STATE],
    ['BEGIN SET sql_log_bin = 0; END', STATE],
    ["BEGIN SET @@sql_mode = ''; END", STATE],
    ['BEGIN DECLARE a INT; SET a = 1, sql_mode = 2; END', STATE],
    ['BEGIN IF 1 THEN SET autocommit = 0; END IF; END', STATE],
    ['BEGIN HANDLER t OPEN; END', STATE],
    ['BEGIN CREATE TEMPORARY TABLE t (a INT); END', BOTH],
    ['BEGIN CREATE OR REPLACE TEMPORARY TABLE t (a INT); END', BOTH],
    ['BEGIN DROP TEMPORARY TABLE t; END', BOTH],
    ['BEGIN PREPARE s FROM q; EXECUTE s; END', BOTH],
    ['BEGIN LOCK TABLES t WRITE; END', BOTH],
    ['BEGIN SET GLOBAL read_only = 0; END', BOTH],
    ['BEGIN SET PASSWORD = q; END', STATE],
    ["RETURN 'unclosed", BOTH],
    [`RETURN ${'1+'.repeat(20_000)}1`, BOTH],
  ])('%s', (body, facts) => {
    expect(describeBody(body, MYSQL)).toEqual(facts);
  });
});

describe('what a body calls is named', () => {
  test.each([
    ['RETURN f(1)', ['f']],
    ['RETURN db.f(g(1), ABS(2))', ['db.f', 'g']],
    ['RETURN `Two Words`(1) + db.`x`()', ['Two Words', 'db.x']],
    ['BEGIN CALL p(); CALL db.q; CALL r(f(1)); END', ['p', 'db.q', 'r', 'f']],
    ['RETURN COUNT (*)', ['COUNT']],
    ['SELECT f(a) FROM (SELECT 1) t (a)', ['f']],
    ['WITH c (a) AS (SELECT 1) SELECT f(a) FROM c', ['f']],
  ])('%s', (body, calls) => {
    expect(describeBody(body, MYSQL)).toEqual({ ...READS, calls });
  });

  test('what is built in depends on the server', () => {
    expect(describeBody("RETURN NVL(MD5('a'), 1)", MYSQL).calls).toEqual(['NVL', 'MD5']);
    expect(describeBody("RETURN NVL(MD5('a'), 1)", MARIADB).calls).toEqual([]);
    expect(describeBody('RETURN COUNT (*)', { ...MYSQL, ignoreSpace: true }).calls).toEqual([]);
    expect(describeBody('RETURN COUNT/**/(1)', { ...MYSQL, ignoreSpace: true }).calls).toEqual([
      'COUNT',
    ]);
    const window = 'RETURN (SELECT SQL_NO_CACHE (RANK () OVER (ORDER BY a)) FROM t)';
    expect(describeBody(window, MYSQL)).toEqual(READS);
    expect(describeBody(window, MARIADB).calls).toEqual(['RANK']);
    expect(describeBody('RETURN 1 + SQL_NO_CACHE(1)', MARIADB).calls).toEqual(['SQL_NO_CACHE']);
    expect(describeBody('RETURN PS_THREAD_ID(1)', MARIADB).calls).toEqual(['PS_THREAD_ID']);
    expect(describeBody('RETURN PS_THREAD_ID(1)', MYSQL)).toMatchObject({ calls: [], state: true });
  });

  test('bytes will do', () => {
    expect(describeBody(Buffer.from('RETURN f(1)'), MYSQL).calls).toEqual(['f']);
  });
});
