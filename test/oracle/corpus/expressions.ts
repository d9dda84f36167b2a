import type { Flavor } from '../../../src/topology/snapshot.ts';
import { exactly, type Statement } from '../statement.ts';
import { JSON_CALLS, NUMBER_CALLS, STRING_CALLS, TIME_CALLS } from './calls-common.ts';
import { MARIADB_CALLS, MYSQL_CALLS } from './calls-flavor.ts';
import { SPATIAL_CALLS } from './calls-spatial.ts';
import { OPERATORS } from './operators.ts';

/** Where an expression is read; every expression gets two of these, in turn, beside the first two. */
const READ_FRAMES: readonly ((expr: string) => string)[] = [
  (e) => `WITH c AS (SELECT ${e} AS x FROM item) SELECT x FROM c`,
  (e) => `SELECT d.x FROM (SELECT ${e} AS x FROM item) AS d`,
  (e) => `SELECT name FROM item ORDER BY ${e} DESC, id LIMIT 2`,
  (e) => `SELECT COUNT(*) FROM item GROUP BY ${e}`,
  (e) => `SELECT MAX(id) FROM item HAVING COUNT(${e}) >= 0`,
  (e) => `SELECT d_id FROM item JOIN (SELECT 1 AS d_id) d ON (${e}) IS NOT NULL`,
  (e) => `EXPLAIN SELECT ${e} FROM item`,
  (e) => `(SELECT ${e} FROM item LIMIT 1) UNION ALL (SELECT ${e} FROM item)`,
  (e) => `SELECT CASE WHEN (${e}) IS NULL THEN 0 ELSE 1 END FROM item`,
  (e) => `SELECT IF((${e}) IS NULL, 'a', 'b'), COALESCE(${e}) FROM item`,
  (e) => `SELECT name FROM item WHERE id IN (SELECT id FROM item WHERE (${e}) IS NOT NULL)`,
  (e) => `SELECT /* ${e} */ id FROM item WHERE EXISTS (SELECT ${e})`,
  (e) => `select distinct ${e} as \`for update\` from item where id > 0`,
  (e) => `SELECT SQL_NO_CACHE i.id, (SELECT ${e} FROM item LIMIT 1) FROM item i`,
];

/** The same inside statements that write. */
const WRITE_FRAMES: readonly ((expr: string) => string)[] = [
  (e) => `INSERT INTO log (msg) SELECT ${e} FROM item`,
  (e) => `UPDATE item SET note = (${e}) WHERE id = 1`,
  (e) => `DELETE FROM item WHERE (${e}) IS NULL AND id < 0`,
  (e) => `REPLACE INTO log (id, msg) SELECT 77, ${e} FROM item`,
  (e) => `CREATE TABLE made_here AS SELECT ${e} AS x FROM item`,
  (e) => `CREATE VIEW made_here AS SELECT ${e} AS x FROM item`,
  (e) => `WITH c AS (SELECT ${e} AS x FROM item) DELETE FROM part WHERE id IN (SELECT x FROM c)`,
  (e) => `INSERT INTO log (msg) WITH c AS (SELECT ${e} AS x FROM item) SELECT x FROM c`,
];

/** The same where the session changes or locks are taken. */
const STATE_FRAMES: readonly ((expr: string) => string)[] = [
  (e) => `SELECT ${e} FROM item WHERE id = 1 FOR UPDATE`,
  (e) => `SELECT ${e} FROM item WHERE id = 1 INTO @v`,
  (e) => `SELECT @v := ${e} FROM item`,
  (e) => `SELECT ${e} FROM item LOCK IN SHARE MODE`,
  (e) => `SET @v = (SELECT ${e} FROM item LIMIT 1)`,
  (e) => `SELECT ${e} INTO @v FROM item WHERE id = 1`,
];

/** Operands that stand alone, where MariaDB has no WITH in front of DELETE. */
function writeFrames(flavor: Flavor): typeof WRITE_FRAMES {
  return flavor === 'mysql'
    ? WRITE_FRAMES
    : WRITE_FRAMES.filter((frame) => !frame('1').startsWith('WITH'));
}

/** Every built-in function and operator, each read in four shapes, written in one or two. */
export function expressions(flavor: Flavor): Statement[] {
  const all = [...callsOf(flavor), ...listOf(OPERATORS)];
  return all.flatMap((expr, index) => shapes(flavor, expr, index));
}

/** A call of every built-in function that is no aggregate. */
export function callsOf(flavor: Flavor): string[] {
  const own = flavor === 'mysql' ? MYSQL_CALLS : MARIADB_CALLS;
  const texts = [STRING_CALLS, NUMBER_CALLS, TIME_CALLS, JSON_CALLS, SPATIAL_CALLS, own];
  return texts.flatMap((text) => listOf(text));
}

function listOf(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

function shapes(flavor: Flavor, expr: string, index: number): Statement[] {
  const writes = writeFrames(flavor);
  const reads = [
    `SELECT ${expr} FROM item`,
    `SELECT id FROM item WHERE (${disguised(expr, index)}) IS NOT NULL`,
    pick(READ_FRAMES, index)(expr),
    pick(READ_FRAMES, index + 5)(expr),
  ];
  return [
    ...exactly(reads),
    ...exactly([pick(writes, index)(expr)]),
    ...(index % 2 === 0 ? exactly([pick(STATE_FRAMES, index / 2)(expr)], { expect: 'state' }) : []),
  ];
}

function pick<T>(list: readonly T[], index: number): T {
  const found = list[index % list.length];
  if (found === undefined) throw new Error('An empty list of frames');
  return found;
}

/** The same expression as people write it: other case, comments between. */
function disguised(expr: string, index: number): string {
  const name = /^[A-Z_0-9]+(?=\()/.exec(expr)?.[0];
  if (name === undefined) return expr;
  const rest = expr.slice(name.length);
  if (index % 3 === 0) return name.toLowerCase() + rest;
  if (index % 3 === 1) return name[0] + name.slice(1).toLowerCase() + rest;
  return `/* ${name} */${name}(/* in */${rest.slice(1)}`;
}
