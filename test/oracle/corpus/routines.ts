import { exactly, lines, state, type Chapter } from '../statement.ts';

/** Stored functions and views: what a statement's text does not show. */
export const routines: Chapter = () => [...READS, ...WRITES, ...STATE];

const READS = [
  ...lines(`
    SELECT {{f_pure(1)¦shop.f_pure(id)¦f_reads()¦f_reads() + f_pure(1)¦F_PURE(id)¦f_pure (3)¦f_calls_pure(id)¦f_loop(3)¦f_words(name)}} FROM item
    SELECT id FROM item WHERE f_pure(id) {{= 2¦> f_reads()¦IN (f_loop(1), 3)}}
    SELECT name FROM item {{ORDER BY f_pure(id)¦GROUP BY name HAVING MAX(f_pure(id)) > 0}}
    WITH c (x) AS (SELECT f_pure(id) FROM item) SELECT x FROM c
    SELECT * FROM (SELECT f_loop(id) AS x FROM item) d
    DO {{f_pure(1)¦f_reads()}}
    SHOW TABLES WHERE {{f_reads()¦(SELECT COUNT(*) FROM item)}}
    SELECT {{*¦id}} FROM {{item_v¦shop.item_v}} {{¦WHERE id = 1}}
    SELECT * FROM reads_v
    SELECT shop.f_same(1)
    SELECT f_same(1)
  `),
  ...exactly(['SELECT `f_pure`(1)', 'SELECT `shop`.`f_pure`(1)', 'SELECT shop . f_pure (1)']),
];

const WRITES = [
  ...lines(`
    SELECT {{f_calls(1)¦f_liar()¦f_branch(5)¦spare.f_same(1)¦f_via_view()¦f_pure(f_writes(1))¦f_pure(1) + f_writes(1)}}
    SELECT id FROM item WHERE {{f_calls(id) > 0¦f_liar() = 1¦shop.f_branch(id) = 1}}
    DO {{f_liar()¦f_calls(1)}}
    SELECT {{*¦w¦COUNT(w)}} FROM {{writes_v¦shop.writes_v¦over_writes_v}}
    SELECT id FROM item WHERE id IN (SELECT w FROM {{writes_v¦over_writes_v}})
    SELECT i.id FROM item i JOIN {{writes_v v¦over_writes_v AS v}} ON v.w = i.id
    WITH c AS (SELECT * FROM writes_v) SELECT * FROM c
    SELECT 1 UNION SELECT w FROM writes_v
    CREATE TABLE made AS SELECT w FROM writes_v
  `),
  ...exactly([
    'SELECT * FROM `writes_v`',
    'SELECT * FROM `shop` . `over_writes_v`',
    'SELECT`w`FROM`writes_v`',
  ]),
];

const STATE = state(`
  SELECT {{f_locks()¦f_locks() + id¦f_sets()¦f_sets(), f_pure(1)¦f_last(5)¦f_pure(f_sets())}} FROM item
  DO {{f_sets()¦f_locks()¦f_last(3)}}
  SELECT * FROM locks_v
  SELECT id FROM item WHERE f_locks() = 1
`);
