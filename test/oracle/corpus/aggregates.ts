import { lines, state, type Chapter } from '../statement.ts';

const AGGREGATES = [
  'AVG(qty)',
  'AVG(DISTINCT qty)',
  'BIT_AND(qty)',
  'BIT_OR(qty)',
  'BIT_XOR(qty)',
  'COUNT(*)',
  'COUNT(name)',
  'COUNT(DISTINCT name, kind)',
  'GROUP_CONCAT(name)',
  "GROUP_CONCAT(DISTINCT name ORDER BY name DESC SEPARATOR '; ')",
  'JSON_ARRAYAGG(name)',
  'JSON_OBJECTAGG(name, qty)',
  'MAX(price)',
  'MIN(made)',
  'STD(qty)',
  'STDDEV(qty)',
  'STDDEV_POP(qty)',
  'STDDEV_SAMP(qty)',
  'SUM(qty)',
  'SUM(DISTINCT qty)',
  'VAR_POP(qty)',
  'VAR_SAMP(qty)',
  'VARIANCE(qty)',
];

const WINDOWED = [
  'AVG(qty)',
  'BIT_AND(qty)',
  'COUNT(*)',
  'CUME_DIST()',
  'DENSE_RANK()',
  'FIRST_VALUE(qty)',
  'LAG(qty)',
  'LAG(qty, 2)',
  'LAST_VALUE(qty)',
  'LEAD(qty, 1)',
  'MAX(qty)',
  'MIN(qty)',
  'NTH_VALUE(qty, 2)',
  'NTILE(2)',
  'PERCENT_RANK()',
  'RANK()',
  'ROW_NUMBER()',
  'STDDEV_SAMP(qty)',
  'SUM(qty)',
  'VAR_POP(qty)',
];

/** Aggregate functions, window functions and what may stand around them. */
export const aggregates: Chapter = (flavor) => [
  ...AGGREGATES.flatMap((call) => [
    ...lines(`
      SELECT ${call} FROM item
      SELECT kind, ${call} FROM item WHERE id > 0 GROUP BY kind HAVING ${call} IS NOT NULL ORDER BY 1
      SELECT kind, ${call.toLowerCase()} FROM item GROUP BY kind WITH ROLLUP
      SELECT * FROM part WHERE item_id < (SELECT ${call} IS NULL FROM item) OR id > 0
      INSERT INTO log (msg) SELECT ${call} FROM item GROUP BY kind
    `),
    ...state(`
      SELECT ${call} INTO @total FROM item
      SELECT ${call} FROM item FOR UPDATE
    `),
  ]),
  ...WINDOWED.flatMap((call) =>
    lines(`
      SELECT id, ${call} OVER (ORDER BY id) FROM item
      SELECT id, ${call} OVER (PARTITION BY kind ORDER BY qty DESC) AS w FROM item ORDER BY w
      SELECT * FROM (SELECT ${call} OVER w AS x FROM item WINDOW w AS (PARTITION BY kind ORDER BY id)) d
      UPDATE part SET w = (SELECT ${call.toLowerCase()} OVER (ORDER BY id) FROM item LIMIT 1) WHERE id = 1
    `),
  ),
  ...FRAMES,
  ...(flavor === 'mysql' ? MYSQL : MARIADB),
];

const FRAMES = lines(`
  SELECT SUM(qty) OVER () FROM item
  SELECT SUM(qty) OVER (ORDER BY id {{ROWS¦RANGE}} UNBOUNDED PRECEDING) FROM item
  SELECT SUM(qty) OVER (ORDER BY id ROWS {{1 PRECEDING¦CURRENT ROW¦BETWEEN 1 PRECEDING AND 1 FOLLOWING¦BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING}}) FROM item
  SELECT SUM(qty) OVER (ORDER BY id RANGE BETWEEN 1 PRECEDING AND CURRENT ROW) FROM item
  SELECT RANK() OVER w, SUM(qty) OVER w FROM item WINDOW w AS (ORDER BY id)
  SELECT ROW_NUMBER() OVER w1, RANK() OVER w2 FROM item WINDOW w1 AS (ORDER BY id), w2 AS (PARTITION BY kind ORDER BY id)
`);

const MYSQL = lines(`
  SELECT kind, GROUPING(kind), SUM(qty) FROM item GROUP BY kind WITH ROLLUP
  SELECT kind, SUM(qty) FROM item GROUP BY ROLLUP (kind)
  SELECT kind, name, SUM(qty) FROM item GROUP BY kind, name WITH ROLLUP HAVING GROUPING(name) = 1
  SELECT ANY_VALUE(name), kind FROM item GROUP BY kind
  SELECT FIRST_VALUE(qty) RESPECT NULLS OVER (ORDER BY id) FROM item
  SELECT SUM(qty) OVER (w ROWS UNBOUNDED PRECEDING) FROM item WINDOW w AS (ORDER BY id)
  SELECT JSON_ARRAYAGG(qty) OVER (ORDER BY id) FROM item
  SELECT JSON_OBJECTAGG(name, qty) OVER () FROM item
  SELECT AVG(qty) OVER (ORDER BY made RANGE INTERVAL 7 DAY PRECEDING) FROM item
  SELECT ST_COLLECT(g) FROM place
  SELECT ST_ASTEXT(ST_COLLECT(DISTINCT g)) FROM place GROUP BY id
`);

const MARIADB = lines(`
  SELECT MEDIAN(qty) OVER (PARTITION BY kind) FROM item
  SELECT PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY qty) OVER (PARTITION BY kind) FROM item
  SELECT PERCENTILE_DISC(0.5) WITHIN GROUP (ORDER BY qty) OVER () FROM item
  SELECT GROUP_CONCAT(name ORDER BY id LIMIT 1) FROM item
  SELECT JSON_ARRAYAGG(DISTINCT name ORDER BY name LIMIT 2) FROM item
  SELECT id, ROWNUM() FROM item WHERE ROWNUM() < 3
  SELECT id, name FROM item PROCEDURE ANALYSE()
`);
