import type { Flavor } from '../../../src/topology/snapshot.ts';
import { exactly, lines, state, type Chapter, type Statement } from '../statement.ts';
import { callsOf } from './expressions.ts';

/** A write or a lock in a place where only reads are expected. */
export const hidden: Chapter = (flavor) => [
  ...PLACES,
  ...ODD_NAMES,
  ...NAMED_LIKE_BUILT_IN,
  ...LONG,
  ...LOCKS,
  ...INTO,
  ...(flavor === 'mysql' ? [...MYSQL, ...NAMED_LIKE_OTHERS] : [...MARIADB, ...NAMED_LIKE_KEYWORDS]),
  ...inArguments(flavor),
];

const PLACES = lines(`
  SELECT CASE WHEN f_writes(1) THEN 1 ELSE 2 END
  SELECT CASE f_writes(1) WHEN 1 THEN 'a' END
  SELECT CASE 1 WHEN 2 THEN 3 ELSE f_writes(4) END
  SELECT 1 {{+¦-¦*¦/¦DIV¦MOD¦%¦=¦<=>¦<>¦AND¦OR¦XOR¦&&¦LIKE¦REGEXP¦&¦|¦^¦<<}} f_writes(1)
  SELECT {{-¦+¦~¦!¦NOT ¦BINARY }}f_writes(1)
  SELECT (f_writes(1)) {{¦+ 1¦AS a¦, 2}}
  SELECT ((f_writes(1)))
  SELECT 5 BETWEEN {{f_writes(1) AND 9¦1 AND f_writes(9)}}
  SELECT 1 IN (2, f_writes(1))
  SELECT (1, f_writes(2)) = (1, 2)
  SELECT NOW() + INTERVAL f_writes(1) {{DAY¦HOUR}}
  SELECT INTERVAL f_writes(1) DAY + NOW()
  SELECT {fn f_writes(1)}
  SELECT {x f_writes(1)}
  SELECT f_writes(1) {{AS a¦a¦AS 'a'¦"a"}}
  SELECT f_writes(1)f
  SELECT DISTINCT f_writes(id) FROM item
  SELECT ALL f_writes(id) FROM item
  SELECT SQL_NO_CACHE f_writes(id) FROM item
  SELECT id FROM item {{WHERE¦HAVING}} f_writes(1)
  SELECT id FROM item {{ORDER BY¦GROUP BY}} id, f_writes(id)
  (SELECT id FROM item ORDER BY id LIMIT 1) UNION SELECT f_writes(1)
  (SELECT f_writes(1))
  ((SELECT 1) UNION (SELECT f_writes(1)))
  SELECT SUM(f_writes(id)) FROM item
  SELECT SUM(id) OVER (PARTITION BY f_writes(id)) FROM item
  SELECT SUM(id) OVER w FROM item WINDOW w AS (PARTITION BY f_writes(id))
  SELECT GROUP_CONCAT(name ORDER BY f_writes(id) SEPARATOR ',') FROM item
  SELECT i.id FROM item i JOIN part p ON f_writes(p.id)
  SELECT * FROM (SELECT f_writes(1) AS a) AS d
  SELECT (SELECT (SELECT (SELECT f_writes(1))))
  SELECT EXISTS (SELECT f_writes(1))
  SELECT 1 = {{ANY¦ALL¦SOME}} (SELECT f_writes(1))
  SELECT 1 WHERE f_writes(1)
  WITH a AS (SELECT 1 AS n), b AS (SELECT f_writes(n) AS m FROM a) SELECT * FROM b
  WITH a (n) AS (SELECT f_writes(1)) SELECT n FROM a
  WITH a (n) AS (SELECT 1) SELECT f_writes(n) FROM a
  WITH RECURSIVE a (n) AS (SELECT f_writes(1) UNION ALL SELECT n + 1 FROM a WHERE n < 2) SELECT n FROM a
  SHOW {{TABLES¦DATABASES¦CHARACTER SET¦COLLATION¦TRIGGERS¦PROCEDURE STATUS¦TABLE STATUS}} WHERE f_writes(1)
  SHOW {{COLUMNS¦INDEX}} FROM item WHERE f_writes(1)
  DO 1, f_writes(1)
  DO SLEEP(0) + f_writes(1)
  SELECT * FROM JSON_TABLE(f_writes(1), '$' COLUMNS (a INT PATH '$')) AS jt
  SELECT * FROM part p, (SELECT f_writes(1) AS a) q
  SELECT * FROM item USE INDEX (name_key) WHERE f_writes(1)
  SELECT * FROM sales PARTITION (p0) WHERE f_writes(1)
`);

/** Names that a lexer may take for numbers, or not for names. */
const ODD_NAMES = exactly([
  'SELECT 1w()',
  'SELECT 1w ()',
  'SELECT 0x1w()',
  'SELECT 0b1w()',
  'SELECT w$1()',
  'SELECT _w()',
  'SELECT été()',
  'SELECT shop.1w()',
  'SELECT shop.0x1w()',
  'SELECT shop .\n1w()',
  'SELECT `1w`()',
  'SELECT 1 AS x, 1w() FROM item',
  'SELECT f_writes/**/(1)',
  'SELECT f_writes -- x\n (1)',
  'SELECT f_writes # x\n (1)',
  'SELECT f_writes\v(1)',
  'SELECT f_writes\n\n\t(1)',
  'SELECT shop/**/./**/f_writes/**/(1)',
  'SELECT `shop`.f_writes(1)',
  'SELECT shop.`f_writes`(1)',
  'SELECT`f_writes`(1)',
  'SELECT(f_writes(1))',
  'SELECT-f_writes(1)',
  "SELECT'a',f_writes(1)",
  "SELECT'a'=f_writes(1)",
  'SELECT@@version,f_writes(1)',
  'SELECT@known,f_writes(1)',
  'SELECT 1.,f_writes(1)',
  'SELECT .5+f_writes(1)',
  'SELECT 1e1+f_writes(1)',
  'SELECT 0x1f,f_writes(1)',
  "SELECT x'1f',f_writes(1)",
  "SELECT _utf8mb4'a',f_writes(1)",
  "SELECT N'a',f_writes(1)",
  "SELECT 'it''s',f_writes(1),'it''s'",
  'SELECT "a\'b",f_writes(1),"a\'b"',
  "SELECT 'a\\'b',f_writes(1),'c'",
  "SELECT '\\\\',f_writes(1),'\\\\'",
  "SELECT ''',', f_writes(1), ','''",
  'SELECT `a``b`.f FROM (SELECT f_writes(1) AS f) AS `a``b`',
  "SELECT 'a' -- '\n, f_writes(1)",
  'SELECT 1 --f_writes(1)\n',
  'SELECT 1 --\tf_writes(1)\n, 2',
  "SELECT 1 /* ' */, f_writes(1) /* ' */",
  'SELECT 1 /* */ , f_writes(1) /* */',
  'SELECT 1 /*/, 2 /*/ , f_writes(1)',
  'SELECT 1 /**/, f_writes(1)',
]);

/** A stored function may be called like a built-in one: by its schema, or with a blank. */
const NAMED_LIKE_BUILT_IN = [
  ...lines(`
    SELECT shop.{{count¦now¦abs¦sum¦upper¦if}}(1)
    SELECT shop . {{abs¦upper}} (1)
    SELECT {{count¦now¦sum¦COUNT¦Now}} (1)
    SELECT id FROM item WHERE {{now¦count}} (1) = 1
  `),
  ...exactly([
    'SELECT `count`(1)',
    'SELECT `now`(1)',
    'SELECT shop.`abs`(1)',
    'SELECT `shop`.`if`(1)',
  ]),
  ...lines('SELECT abs (1), upper (1)'),
];

/** Built-in functions of MariaDB, and one that is a call only where the parenthesis follows. */
const NAMED_LIKE_OTHERS = lines(`
  SELECT {{st_collect (1)¦ST_COLLECT/**/(1)¦binlog_gtid_pos(1)}}
`);

/** Keywords and functions of MySQL that are mere names on MariaDB, where they stand like this. */
const NAMED_LIKE_KEYWORDS = lines(`
  SELECT {{rank¦ntile¦RANK/**/}} (1)
  SELECT 1 + {{sql_no_cache¦SQL_BUFFER_RESULT¦sql_tsi_week}}(1)
  SELECT COUNT(DISTINCT sql_no_cache(id)) FROM item
  SELECT SQL_NO_CACHE sql_no_cache(1)
  SELECT SQL_NO_CACHE SQL_BUFFER_RESULT (1)
  SELECT ps_thread_id(1)
`);

/** Longer than what is looked at. */
const LONG = exactly([
  `SELECT '${'x'.repeat(1_100_000)}', f_writes(1)`,
  `SELECT id FROM item WHERE id IN (1${', 1'.repeat(400_000)}) FOR UPDATE`,
  `SELECT 1 /* ${'x '.repeat(600_000)} */ , f_writes(1)`,
  `INSERT INTO log (msg) VALUES (LEFT('${'x'.repeat(1_100_000)}', 9))`,
]);

const LOCKS = state(`
  SELECT {{-¦NOT ¦1 + ¦1, ¦IF(1, 2, 3) + ¦COALESCE(NULL, 1) + }}GET_LOCK('h', 0)
  SELECT UPPER(GET_LOCK('h', 0))
  SELECT id FROM item ORDER BY RELEASE_LOCK(name)
  SELECT id FROM item GROUP BY id HAVING MAX(IS_FREE_LOCK(name))
  SELECT CASE WHEN IS_USED_LOCK('h') THEN 1 END
  WITH c AS (SELECT 1 AS a) SELECT GET_LOCK('h', 0), a FROM c
  SHOW TABLES WHERE GET_LOCK('h', 0)
  SELECT (@a := 1) + 1
  SELECT IF(1, @a := 2, 3)
  SELECT id FROM item WHERE (@r := IFNULL(@r, 0) + 1) < 2
  SELECT COUNT(*) FROM item GROUP BY @g := kind
  SELECT i.id FROM item i JOIN (SELECT @j := 0) j
  SELECT COUNT(*), LAST_INSERT_ID() FROM item
  SELECT * FROM item WHERE id = @@identity
  SELECT 1, (SELECT id FROM item LIMIT 1 FOR UPDATE)
  SELECT EXISTS (SELECT 1 FROM item LOCK IN SHARE MODE)
`);

const INTO = [
  ...state(`
    SELECT 1 UNION SELECT 2 LIMIT 1 INTO @a
    (SELECT 1) INTO @a
    SELECT 1 AS x INTO @a
    SELECT id FROM item LIMIT 1 INTO @a FOR UPDATE
    SELECT id FROM item ORDER BY id LIMIT 1 INTO @a
    SELECT UPPER(name) INTO @a FROM item LIMIT 1
  `),
  ...exactly(["SELECT'a'INTO@a", 'SELECT 1 INTO@`a b`', 'SELECT(1)INTO@a', 'SELECT 1\nINTO\n@a'], {
    expect: 'state',
  }),
];

const MYSQL = lines(`
  VALUES ROW(1, f_writes(1))
  TABLE {{writes_v¦over_writes_v}}
  SELECT id FROM item UNION TABLE writes_v
  SELECT * FROM item i, LATERAL (SELECT f_writes(i.id)) l
  SELECT * FROM (VALUES ROW(f_writes(1))) v
  EXPLAIN ANALYZE {{SELECT f_writes(1)¦SELECT * FROM writes_v¦TABLE writes_v}}
  EXPLAIN ANALYZE FORMAT = TREE SELECT id FROM item WHERE f_writes(id)
  SELECT /*+ MAX_EXECUTION_TIME(1000) */ f_writes(1)
  SELECT /*+ SET_VAR(sql_mode = '') */ f_writes(1)
  SELECT 1 MEMBER OF (f_writes(1))
`);

const MARIADB = [
  ...lines(`
    VALUES (1, f_writes(1))
    SELECT * FROM (VALUES (f_writes(1))) v
    ANALYZE {{SELECT f_writes(1)¦SELECT * FROM writes_v¦FORMAT = JSON SELECT f_writes(1)}}
    SELECT * FROM versioned FOR SYSTEM_TIME ALL WHERE f_writes(1)
    SELECT id FROM item WHERE f_writes(1) FETCH FIRST 1 ROW ONLY
    SELECT id, NEXT VALUE FOR seq FROM item
    SELECT * FROM (SELECT NEXTVAL(seq) AS n) d
    SELECT UPPER(NEXT VALUE FOR seq)
    SELECT id FROM item WHERE NEXTVAL(seq)
    SELECT CASE WHEN NEXTVAL(seq) THEN 1 END
    WITH c AS (SELECT NEXTVAL(seq) AS n) SELECT n FROM c
    SELECT NEXTVAL (seq)
    SELECT f_agg(f_writes(id)) FROM item
    SELECT shop.pk.w()
  `),
  ...lines('SELECT {{seq.nextval¦shop.seq.nextval¦seq.nextval + 1}} FROM DUAL', {
    setup: ["SET sql_mode = 'ORACLE'"],
  }),
  ...lines('SELECT {{pk.w()¦id + pk.w()}} FROM item', { setup: ["SET sql_mode = 'ORACLE'"] }),
  ...state('SELECT seq.currval', { setup: ["SET sql_mode = 'ORACLE'", 'SELECT seq.nextval'] }),
];

/** Every built-in function with a write for its first argument. */
function inArguments(flavor: Flavor): Statement[] {
  const sqls = callsOf(flavor)
    .filter((call) => !TYPED.test(call))
    .map((call) => call.replace(FIRST_COLUMN, 'f_writes(1)'))
    .filter((call) => call.includes('f_writes'));
  return exactly(sqls.map((call) => `SELECT ${call} FROM item`));
}

/** Only a column of a certain type will do there. */
const TYPED = /^DEFAULT|^VALUES?\(|^JSON_VALUE|^JSON_SCHEMA|->|^MATCH|COLLATE/;
const FIRST_COLUMN = /\b(?:id|qty|price|name|note|made|at|doc|raw|kind|tags|bits)\b/;
