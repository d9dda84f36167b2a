import { exactly, lines, server, state, type Chapter } from '../statement.ts';

/** Prepared statements as text, compound statements, and the manual's utility statements. */
export const programs: Chapter = (flavor) => [
  ...PREPARED,
  ...CONDITIONS,
  ...UTILITY,
  ...SEVERAL,
  ...(flavor === 'mysql' ? MYSQL : MARIADB),
];

const PREPARED = [
  ...state(
    `
    PREPARE s FROM {{'SELECT 1'¦'SELECT ? + ?'¦'INSERT INTO log (msg) VALUES (?)'¦@known}}
    prepare \`odd name\` from 'select 1'
  `,
    { setup: ["SET @known = 'SELECT 1'"] },
  ),
  ...state(
    `
    EXECUTE s
    {{DEALLOCATE¦DROP}} PREPARE s
  `,
    { setup: ["PREPARE s FROM 'SELECT 1'", 'SET @a = 1, @b = 2'] },
  ),
  ...lines(
    `
    EXECUTE w
    execute w
    EXECUTE /* x */ w
  `,
    { setup: ["PREPARE w FROM 'INSERT INTO log (msg) VALUES (1)'"] },
  ),
];

const CONDITIONS = state(`
  SIGNAL SQLSTATE '{{01000¦01234}}'
  SIGNAL SQLSTATE '01000' SET MESSAGE_TEXT = 'x', MYSQL_ERRNO = 1000
`);

const UTILITY = [
  ...lines(`
    {{DESCRIBE¦DESC¦EXPLAIN}} {{item¦shop.item¦item name¦item 'n%'¦item_v}}
    EXPLAIN {{¦FORMAT = TRADITIONAL¦FORMAT = JSON}} {{SELECT * FROM item WHERE id = 1¦SELECT * FROM item JOIN part ON part.item_id = item.id¦SELECT 1 UNION SELECT 2¦(SELECT 1)¦WITH c AS (SELECT 1 AS a) SELECT * FROM c}}
    {{DESC¦DESCRIBE}} SELECT * FROM item
    HELP '{{SELECT¦contents¦no such topic}}'
    DO {{1¦1, 2¦SLEEP(0)¦(SELECT MAX(id) FROM item)}}
  `),
  ...state(`
    USE {{shop¦spare}}
    use\`shop\`
    USE mysql
  `),
  ...lines(
    `
    EXPLAIN {{INSERT INTO log (msg) VALUES ('x')¦UPDATE item SET qty = 1 WHERE id = 1¦DELETE FROM part WHERE id = 1¦REPLACE INTO log (id) VALUES (1)}}
    EXPLAIN FORMAT = JSON {{UPDATE item SET qty = 1¦DELETE FROM part}}
  `,
    { expect: 'state' },
  ),
];

/** Several statements in one packet: for the primary, whatever they are. */
const SEVERAL = state(`
  SELECT 1; SELECT 2
  SELECT 1; SET @a = 1
  SET @a = 1; SELECT @a
  SELECT 1; SELECT 2;
  BEGIN; SELECT 1; COMMIT
  SHOW TABLES; SELECT 1
  SELECT 1; SHOW WARNINGS
`);

const MYSQL = [
  ...lines(`
    EXPLAIN FORMAT = TREE {{SELECT * FROM item¦SELECT i.id FROM item i JOIN part p ON p.id = i.id}}
    EXPLAIN ANALYZE {{¦FORMAT = TREE¦FORMAT = JSON}} {{SELECT * FROM item¦SELECT COUNT(*) FROM part¦TABLE item}}
    EXPLAIN {{TABLE item¦VALUES ROW(1)¦FOR SCHEMA spare SELECT * FROM other¦FOR DATABASE spare SELECT * FROM other}}
    DESC {{ANALYZE SELECT 1¦FORMAT = JSON SELECT 1}}
  `),
  ...state(`
    EXPLAIN FORMAT = JSON INTO @plan {{SELECT * FROM item¦UPDATE item SET qty = 1}}
    EXPLAIN ANALYZE SELECT * FROM item FOR UPDATE
  `),
  ...server('EXPLAIN {{¦FORMAT = JSON}} FOR CONNECTION 999999', { run: false }),
];

const MARIADB = [
  // ROW_COUNT() in Oracle's words.
  ...state(`SELECT {{SQL%ROWCOUNT¦sql % rowcount + 1}}`, {
    setup: ["SET sql_mode = 'ORACLE'"],
  }),
  ...lines(`
    EXPLAIN {{EXTENDED¦PARTITIONS}} {{SELECT * FROM item¦SELECT 1 UNION SELECT 2}}
    ANALYZE {{¦FORMAT = JSON}} {{SELECT * FROM item¦SELECT COUNT(*) FROM part WHERE w > 1¦SELECT 1 UNION SELECT 2}}
    EXPLAIN FORMAT = JSON SELECT * FROM item
  `),
  ...lines(`
    EXECUTE IMMEDIATE {{'INSERT INTO log (msg) VALUES (1)'¦CONCAT('DELETE FROM part', ' WHERE id = 9')}}
    EXECUTE IMMEDIATE 'INSERT INTO log (msg) VALUES (?)' USING 'x'
  `),
  ...state(`
    EXECUTE IMMEDIATE {{'SELECT 1'¦'SELECT ?' USING 5}}
    EXECUTE IMMEDIATE 'SELECT ?' USING {{@a¦1 + 1}}
    ANALYZE SELECT * FROM item FOR UPDATE
  `),
  ...exactly(
    [
      'BEGIN NOT ATOMIC SELECT 1; SELECT 2; END',
      'IF 1 THEN SELECT 1; ELSE SELECT 2; END IF',
      'CASE 1 WHEN 1 THEN SELECT 1; END CASE',
      'WHILE FALSE DO SELECT 1; END WHILE',
      'WHILE (SELECT COUNT(*) FROM log) < 0 DO DELETE FROM log; END WHILE',
      'FOR i IN 1 .. 2 DO SELECT i; END FOR',
      'BEGIN NOT ATOMIC DECLARE x INT DEFAULT 1; SET @a = x; END',
    ],
    { expect: 'state' },
  ),
  ...exactly([
    "BEGIN NOT ATOMIC INSERT INTO log (msg) VALUES ('x'); END",
    "IF 1 THEN INSERT INTO log (msg) VALUES ('x'); END IF",
    'CASE 1 WHEN 1 THEN DELETE FROM part WHERE id = 1; ELSE SELECT 1; END CASE',
    'FOR i IN 1 .. 2 DO INSERT INTO log (msg) VALUES (i); END FOR',
    "REPEAT INSERT INTO log (msg) VALUES ('r'); UNTIL TRUE END REPEAT",
  ]),
];
