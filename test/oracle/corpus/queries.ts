import { exactly, lines, primary, state, type Chapter } from '../statement.ts';

/** SELECT, TABLE, VALUES, WITH and what may stand in them. */
export const queries: Chapter = (flavor) => [
  ...CLAUSES,
  ...JOINS,
  ...SUBQUERIES,
  ...SETS,
  ...COMMON_TABLES,
  ...LOCKING,
  ...INTO,
  ...VARIABLES,
  ...NAMES,
  ...(flavor === 'mysql' ? MYSQL : MARIADB),
];

const CLAUSES = lines(`
  SELECT {{¦ALL¦DISTINCT¦DISTINCTROW¦HIGH_PRIORITY¦STRAIGHT_JOIN¦SQL_BIG_RESULT¦SQL_SMALL_RESULT¦SQL_BUFFER_RESULT¦SQL_NO_CACHE¦DISTINCT HIGH_PRIORITY SQL_NO_CACHE}} name FROM item
  SELECT {{*¦i.*¦id, i.name}} FROM item {{¦AS}} i {{WHERE i.id = 1¦}}
  SELECT {{item.*¦shop.item.*¦shop.item.id¦item . id}} FROM item
  SELECT * FROM {{item¦shop.item¦shop . item}} WHERE id = 1
  SELECT 1 {{¦FROM DUAL¦AS one¦one¦'one'}}
  SELECT name FROM item {{WHERE id = 1¦WHERE id > 0 ORDER BY name¦ORDER BY 1 DESC, id ASC¦GROUP BY name¦GROUP BY name, kind HAVING COUNT(*) > 0}} {{LIMIT 1¦LIMIT 1, 2¦LIMIT 2 OFFSET 1¦}}
  SELECT kind, COUNT(*) AS n FROM item GROUP BY kind HAVING n > 0 ORDER BY n DESC LIMIT 5
  SELECT id FROM item {{USE INDEX (name_key)¦FORCE INDEX (PRIMARY)¦IGNORE INDEX (qty_key)¦USE INDEX ()¦USE INDEX FOR ORDER BY (name_key)¦IGNORE KEY FOR JOIN (qty_key)¦FORCE INDEX FOR GROUP BY (name_key)}} WHERE name = 'bolt'
  SELECT * FROM sales PARTITION ({{p0¦p0, p1¦p2}}) {{¦AS s¦WHERE amount > 1}}
  SELECT id FROM item WHERE MATCH (note) AGAINST ('{{bolt¦+bolt -nut}}' {{¦IN BOOLEAN MODE¦IN NATURAL LANGUAGE MODE¦WITH QUERY EXPANSION}})
  SELECT id FROM item WHERE made {{> '2024-01-01'¦BETWEEN '2024-01-01' AND '2024-12-31'¦= DATE'2024-01-02'¦IS NULL}} {{AND¦OR}} qty {{IN (1, 7)¦> 3}}
  SELECT SQL_CALC_FOUND_ROWS id FROM item LIMIT 1
`);

const JOINS = lines(`
  SELECT i.id FROM item i {{JOIN¦INNER JOIN¦CROSS JOIN¦STRAIGHT_JOIN¦LEFT JOIN¦LEFT OUTER JOIN¦RIGHT JOIN¦RIGHT OUTER JOIN}} part p ON p.item_id = i.id
  SELECT i.id FROM item i {{JOIN¦LEFT JOIN¦INNER JOIN}} part p USING (id)
  SELECT * FROM part NATURAL {{JOIN¦LEFT JOIN¦RIGHT JOIN}} child
  SELECT * FROM item, part WHERE item.id = part.item_id
  SELECT * FROM (item, part) JOIN tree ON tree.id = part.id
  SELECT * FROM item LEFT JOIN (part JOIN child ON child.id = part.id) ON part.item_id = item.id
  SELECT * FROM { OJ item LEFT OUTER JOIN part ON part.item_id = item.id }
  SELECT a.id FROM item a JOIN item b ON a.id < b.id JOIN part c ON c.id = b.id WHERE a.qty > 1
`);

const SUBQUERIES = lines(`
  SELECT * FROM (SELECT id, name FROM item {{WHERE id > 0¦ORDER BY id LIMIT 2¦GROUP BY id}}) {{AS d¦d}}
  SELECT (SELECT name FROM item WHERE id = {{1¦p.item_id}}) FROM part p
  SELECT * FROM part WHERE item_id {{= (SELECT 1)¦IN (SELECT id FROM item)¦NOT IN (SELECT id FROM item WHERE id < 0)¦> ANY (SELECT 0)¦>= ALL (SELECT id FROM item WHERE id < 0)}}
  SELECT * FROM item WHERE {{EXISTS¦NOT EXISTS}} (SELECT * FROM part WHERE part.item_id = item.id AND w > 1)
  SELECT * FROM item WHERE (id, qty) {{= (SELECT 1, 100)¦IN (SELECT 1, 100)}}
  SELECT * FROM item ORDER BY (SELECT COUNT(*) FROM part WHERE item_id = item.id)
  SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT 1 AS a) x) y) z
`);

const SETS = lines(`
  SELECT 1 {{UNION¦UNION ALL¦UNION DISTINCT¦EXCEPT¦INTERSECT}} SELECT 2
  (SELECT id FROM item) {{UNION¦UNION ALL¦EXCEPT¦INTERSECT}} (SELECT item_id FROM part) {{¦ORDER BY 1¦LIMIT 2¦ORDER BY id DESC LIMIT 1}}
  SELECT id FROM item UNION SELECT id FROM part UNION ALL SELECT id FROM tree ORDER BY 1 LIMIT 3
  (SELECT 1)
  ((SELECT 1))
  ((SELECT id FROM item LIMIT 1) UNION (SELECT 2)) {{¦LIMIT 1}}
  SELECT * FROM ((SELECT 1 AS a) UNION (SELECT 2)) AS u
`);

const COMMON_TABLES = lines(`
  WITH c AS (SELECT 1 AS a) SELECT * FROM c
  WITH c (x, y) AS (SELECT id, name FROM item) SELECT x FROM c WHERE y LIKE 'b%'
  WITH a AS (SELECT 1 AS n), b AS (SELECT n + 1 AS m FROM a) SELECT * FROM a, b
  WITH RECURSIVE n (v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM n WHERE v < 5) SELECT {{v¦SUM(v)}} FROM n
  WITH RECURSIVE t AS (SELECT id, parent FROM tree WHERE parent IS NULL UNION ALL SELECT tree.id, tree.parent FROM tree JOIN t ON tree.parent = t.id) SELECT * FROM t
  SELECT * FROM (WITH c AS (SELECT 1 AS a) SELECT * FROM c) d
  SELECT id FROM item WHERE id IN (WITH c AS (SELECT 1) SELECT * FROM c)
  WITH c AS (SELECT id FROM item), d AS (SELECT id FROM part) SELECT * FROM c JOIN d USING (id) ORDER BY 1
  with \`update\` as (select 1 as a) select * from \`update\`
`);

const LOCKING = primary(`
  SELECT * FROM item {{FOR UPDATE¦LOCK IN SHARE MODE¦WHERE id = 1 FOR UPDATE¦WHERE id = 1 LOCK IN SHARE MODE¦ORDER BY id LIMIT 1 FOR UPDATE¦FOR UPDATE NOWAIT¦FOR UPDATE SKIP LOCKED}}
  select name from item i join part p on p.item_id = i.id where i.id = 1 {{for update¦lock in share mode}}
  SELECT * FROM item WHERE id = (SELECT MAX(id) FROM part) FOR/**/UPDATE
  SELECT * FROM (SELECT * FROM item WHERE id = 1 {{FOR UPDATE¦LOCK IN SHARE MODE}}) d
  SELECT * FROM part WHERE item_id IN (SELECT id FROM item {{FOR UPDATE¦LOCK IN SHARE MODE}})
  WITH c AS (SELECT 1 AS id) SELECT item.* FROM c JOIN item USING (id) FOR UPDATE
  (SELECT * FROM item WHERE id = 1 FOR UPDATE) UNION ALL (SELECT * FROM item WHERE id = 2)
  SELECT SQL_NO_CACHE * FROM item WHERE id = 2 /* x */ FOR /* y */ UPDATE /* z */
`);

const INTO = [
  ...state(`
    SELECT 1 INTO @a
    SELECT 1, 2 INTO @a, @b
    SELECT id INTO @a FROM item WHERE id = 1
    SELECT id, name FROM item WHERE id = 1 INTO @a, @b
    SELECT COUNT(*) INTO @\`n\` FROM item
    SELECT MAX(id) FROM item INTO @'quoted'
    select 1 into/**/@a
  `),
  ...state(
    `
    SELECT id, name INTO {{OUTFILE¦DUMPFILE}} '/nonexistent-folder/x' FROM item WHERE id = 1
    SELECT * FROM item WHERE id = 1 INTO OUTFILE '/nonexistent-folder/x' {{¦CHARACTER SET utf8mb4}} FIELDS TERMINATED BY ',' ENCLOSED BY '"' LINES TERMINATED BY '|'
  `,
    { run: false },
  ),
];

const VARIABLES = [
  ...state(`
    SELECT @a := 1
    SELECT @a:=@a+1, name FROM item
    SELECT name, @n := @n + 1 AS n FROM item, (SELECT @n := 0) init
    SELECT * FROM item WHERE (@x := id) > 0
    SELECT @\`odd name\` := 5
    SELECT id FROM item ORDER BY (@o := qty)
    DO @a := 1
  `),
  ...lines(
    `
    SELECT @known
    SELECT @known + 1, name FROM item WHERE id = @known
    SELECT @'known', @\`known\`, @unknown_one
  `,
    { setup: ['SET @known = 1'] },
  ),
];

const NAMES = exactly([
  'SELECT `update`, `for update` FROM `select`',
  'SELECT s.`update` FROM `shop`.`select` AS s',
  'SELECT `select`.`for update` FROM `select`',
  'SELECT 1 AS \'for update\', 2 AS "into @a"',
  'SELECT id AS `a``b` FROM item',
  'SELECT id AS `--` FROM item',
  'SELECT id AS `/*` FROM item -- */ FOR UPDATE',
  'SELECT item.id FROM item AS `lock in share mode`, item',
  "SELECT 'a\\' FOR UPDATE', 'b' FROM item",
  'SELECT "x\\" INTO OUTFILE \'y\'" FROM item',
  "SELECT '' '' 'a''b' FROM item",
  "SELECT id FROM item WHERE name = '; DROP TABLE item; --'",
  'SELECT e.id FROM item e, part f WHERE e.id = f.id',
  'SELECT 1 AS update_at, 2 AS delete_me, 3 AS into_it',
  "SELECT 1e5, 1.e3, 0xAB, x'ab' AS e1",
]);

const MYSQL = [
  ...lines(`
    TABLE {{item¦shop.item¦\`item\`}} {{¦ORDER BY id¦LIMIT 1¦ORDER BY name LIMIT 1 OFFSET 1}}
    TABLE part {{UNION¦EXCEPT¦INTERSECT}} TABLE part
    VALUES ROW(1, 2) {{¦, ROW(3, 4)}} {{¦ORDER BY column_0¦LIMIT 1}}
    VALUES ROW(1) {{UNION¦EXCEPT¦INTERSECT}} {{VALUES ROW(2)¦SELECT 2}}
    SELECT * FROM (VALUES ROW(1, 'a'), ROW(2, 'b')) AS v {{¦(n, s)}}
    SELECT i.id, l.w FROM item i, LATERAL (SELECT MAX(w) AS w FROM part WHERE item_id = i.id) l
    SELECT * FROM item i {{JOIN¦LEFT JOIN}} LATERAL (SELECT w FROM part p WHERE p.item_id = i.id) AS l {{ON TRUE¦ON l.w > 1}}
    WITH c AS (TABLE item) SELECT id FROM c
    WITH c AS (VALUES ROW(1, 2)) TABLE c
    SELECT /*+ {{MAX_EXECUTION_TIME(1000)¦NO_INDEX_MERGE(item)¦SET_VAR(sort_buffer_size = 262144)¦BKA(item)¦QB_NAME(qb1)¦JOIN_ORDER(item)¦SET_VAR(sql_mode = 'ANSI') SET_VAR(max_heap_table_size = 16384)¦INDEX(item PRIMARY)¦NO_MERGE() SEMIJOIN(FIRSTMATCH)}} */ id FROM item
    SELECT id FROM item {{INTERSECT ALL¦EXCEPT ALL}} SELECT item_id FROM part
  `),
  ...state(`
    SELECT * FROM item WHERE id = 1 FOR {{UPDATE¦SHARE}} {{¦OF item}} {{¦NOWAIT¦SKIP LOCKED}}
    SELECT * FROM (SELECT * FROM item FOR SHARE) d
    SELECT * FROM item i JOIN part p ON p.item_id = i.id FOR UPDATE OF i FOR SHARE OF p
    TABLE item {{FOR UPDATE¦FOR SHARE¦LOCK IN SHARE MODE¦LIMIT 1 FOR UPDATE SKIP LOCKED}}
    TABLE item LIMIT 1 INTO @a, @b, @c, @d, @e, @f, @g, @h, @i, @j, @k, @l
    VALUES ROW(1, 2) LIMIT 1 INTO @a, @b
    WITH c AS (SELECT id FROM item FOR UPDATE) SELECT * FROM c
  `),
  ...tablesOfJson(),
];

const MARIADB = [
  ...lines(`
    VALUES (1, 2) {{¦, (3, 4)}} {{¦ORDER BY 1¦LIMIT 1}}
    VALUES (1) {{UNION¦EXCEPT¦INTERSECT}} {{VALUES (2)¦SELECT 2}}
    SELECT * FROM (VALUES (1, 'a'), (2, 'b')) AS v
    SELECT id FROM item {{INTERSECT ALL¦EXCEPT ALL}} SELECT item_id FROM part
    SELECT id FROM item {{FETCH FIRST 1 ROW ONLY¦OFFSET 1 ROW FETCH NEXT 1 ROWS ONLY¦ORDER BY id FETCH FIRST 2 ROWS WITH TIES}}
    SELECT id FROM item LIMIT {{ROWS EXAMINED 100¦1 ROWS EXAMINED 100}}
    SELECT * FROM versioned {{¦FOR SYSTEM_TIME ALL¦FOR SYSTEM_TIME AS OF NOW()¦FOR SYSTEM_TIME AS OF TIMESTAMP '2026-01-01 00:00:00'¦FOR SYSTEM_TIME BETWEEN '2020-01-01' AND NOW()¦FOR SYSTEM_TIME FROM '2020-01-01' TO NOW()}} {{¦WHERE id = 1}}
    SELECT v.*, row_start, row_end FROM versioned FOR SYSTEM_TIME ALL AS v
    WITH RECURSIVE t (id, parent) AS (SELECT id, parent FROM tree WHERE id = 1 UNION SELECT tree.id, tree.parent FROM tree, t WHERE tree.parent = t.id) CYCLE id RESTRICT SELECT * FROM t
    SELECT * FROM booking WHERE '2024-05-01' BETWEEN s AND e
    SET STATEMENT {{max_statement_time = 5¦sort_buffer_size = 262144, max_statement_time = 5}} FOR SELECT * FROM item
  `),
  ...state(`
    SELECT * FROM item WHERE id = 1 {{FOR UPDATE¦LOCK IN SHARE MODE}} {{WAIT 1¦NOWAIT¦SKIP LOCKED}}
    SET STATEMENT max_statement_time = 5 FOR SELECT * FROM item FOR UPDATE
  `),
  ...tablesOfJson(),
];

function tablesOfJson() {
  return lines(`
    SELECT * FROM JSON_TABLE('[{"a":1}]', '$[*]' COLUMNS (rowid FOR ORDINALITY, a INT PATH '$.a')) AS jt
    SELECT jt.* FROM item, JSON_TABLE(doc, '$' COLUMNS (a INT PATH '$.a' DEFAULT '0' ON EMPTY NULL ON ERROR)) jt
    SELECT * FROM JSON_TABLE('[{"x":[1,2]}]', '$[*]' COLUMNS (NESTED PATH '$.x[*]' COLUMNS (y INT PATH '$'))) AS jt WHERE y > 1
    SELECT * FROM JSON_TABLE('[1]', '$[*]' COLUMNS (a {{CHARACTER VARYING(9)¦NCHAR VARYING(9)¦DOUBLE PRECISION(9,2)¦INT4(3)¦FLOAT8(5,2)¦MIDDLEINT(4)}} PATH '$')) AS jt
    SELECT i.id, jt.e FROM item i JOIN JSON_TABLE(i.doc, '$' COLUMNS (e INT EXISTS PATH '$.b')) AS jt
  `);
}
