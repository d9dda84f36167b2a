import { exactly, lines, state, type Chapter } from '../statement.ts';

/** The manual's chapter on data manipulation, but for queries. */
export const dml: Chapter = (flavor) => [
  ...INSERTS,
  ...UPDATES,
  ...DELETES,
  ...LOADS,
  ...HANDLERS,
  ...CALLS,
  ...DISGUISED,
  ...(flavor === 'mysql' ? MYSQL : MARIADB),
];

const INSERTS = lines(`
  INSERT {{¦LOW_PRIORITY¦HIGH_PRIORITY¦IGNORE¦LOW_PRIORITY IGNORE}} {{INTO¦}} log {{(msg)}} {{VALUES¦VALUE}} ('x')
  INSERT INTO log VALUES (NULL, 'a', NOW()), (NULL, 'b', DEFAULT)
  INSERT INTO log () VALUES ()
  INSERT INTO log SET msg = 'x', at = NOW()
  INSERT INTO log (msg) SELECT name FROM item {{¦WHERE id = 1¦ORDER BY id LIMIT 1}}
  INSERT INTO log (id, msg) VALUES (1, 'x') ON DUPLICATE KEY UPDATE msg = {{VALUES(msg)¦CONCAT(msg, 'x')¦(SELECT 'z')}}
  INSERT INTO sales PARTITION (p0) VALUES (9, 'x', 2020, 1)
  INSERT INTO shop.log (log.msg) VALUES ((SELECT MAX(name) FROM item))
  INSERT INTO log (msg) (SELECT name FROM item)
  INSERT INTO item_v (name) VALUES ('through the view')
  INSERT INTO old VALUES (7, 'x')
  INSERT DELAYED INTO old VALUES (8, 'x')
  REPLACE {{¦LOW_PRIORITY}} {{INTO¦}} log (id, msg) {{VALUES (5, 'x')¦SELECT 5, 'x'¦VALUES (5, 'x'), (6, 'y')}}
  REPLACE INTO log SET id = 5, msg = 'y'
  REPLACE INTO sales PARTITION (p0, p1) VALUES (9, 'x', 2020, 1)
  insert into\`log\`(msg)values('x')
`);

const UPDATES = lines(`
  UPDATE {{¦LOW_PRIORITY¦IGNORE}} item SET qty = qty + 1 {{¦WHERE id = 1¦ORDER BY id LIMIT 1¦WHERE id > 0 ORDER BY id DESC LIMIT 2}}
  UPDATE item SET qty = DEFAULT, note = NULL WHERE id = 2
  UPDATE item i JOIN part p ON p.item_id = i.id SET i.qty = 5, p.w = 2 WHERE i.id = 1
  UPDATE item, part SET item.qty = part.w WHERE item.id = part.item_id
  UPDATE item LEFT JOIN part ON part.item_id = item.id SET qty = 0 WHERE part.id IS NULL
  UPDATE sales PARTITION (p1) SET amount = 0
  UPDATE item SET qty = (SELECT COUNT(*) FROM part) WHERE id IN (SELECT item_id FROM part)
  UPDATE item_v SET name = 'x' WHERE id = 1
  UPDATE item SET doc = JSON_SET(doc, '$.a', 9) WHERE id = 1
  UPDATE old SET v = 'y'
  update\`item\`set qty=3 where id=1
  UPDATE item SET qty = 1 WHERE id = -1
`);

const DELETES = lines(`
  DELETE {{¦LOW_PRIORITY¦QUICK¦IGNORE}} FROM part {{¦WHERE id = 1¦ORDER BY id LIMIT 1¦WHERE w > 1 LIMIT 1}}
  DELETE part FROM part JOIN item ON item.id = part.item_id WHERE item.id = 1
  DELETE p, c FROM part p JOIN child c ON c.id = p.id
  DELETE FROM p USING part AS p JOIN item ON item.id = p.item_id
  DELETE part.* FROM part LEFT JOIN item ON item.id = part.item_id WHERE item.id IS NULL
  DELETE FROM sales PARTITION (p0)
  DELETE FROM part WHERE id IN (SELECT id FROM item)
  DELETE FROM old
  DELETE FROM part WHERE id = -1
  TRUNCATE {{TABLE¦}} {{log¦shop.log¦old}}
`);

const LOADS = [
  ...lines(`
    LOAD DATA {{¦LOW_PRIORITY¦CONCURRENT}} {{LOCAL}} INFILE 'in.txt' {{¦IGNORE¦REPLACE}} INTO TABLE part
    LOAD DATA LOCAL INFILE 'in.txt' INTO TABLE part PARTITION (p0) CHARACTER SET utf8mb4 FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '"' ESCAPED BY '#' LINES STARTING BY 'x' TERMINATED BY ';' IGNORE 1 LINES (id, @skip) SET label = UPPER(@skip)
    LOAD DATA INFILE '/nonexistent-folder/x' INTO TABLE part
    LOAD XML LOCAL INFILE 'in.xml' INTO TABLE part ROWS IDENTIFIED BY '<row>'
    LOAD XML INFILE '/nonexistent-folder/x' INTO TABLE part
  `),
];

const HANDLERS = [
  ...state(`
    HANDLER item OPEN {{¦AS h}}
  `),
  ...state(
    `
    HANDLER h READ {{FIRST¦NEXT¦name_key FIRST¦name_key = ('bolt')¦name_key >= ('a') LIMIT 1¦FIRST WHERE id > 1 LIMIT 1 OFFSET 0¦name_key LAST¦name_key PREV}}
    HANDLER h CLOSE
  `,
    { setup: ['HANDLER item OPEN AS h'] },
  ),
];

const CALLS = [
  ...lines(`
    CALL p_writes{{¦()}}
    CALL shop.p_writes()
    call \`p_writes\`
  `),
  ...state(`
    CALL p_reads{{¦()}}
    CALL p_two()
    CALL p_out(1, @b)
    CALL shop.p_out((SELECT 1), @b)
  `),
];

/** Writes that begin like reads. */
const DISGUISED = exactly([
  'SELECT f_writes(1)',
  'SELECT shop.f_writes(id) FROM item',
  'SELECT * FROM item WHERE f_writes(id) > 0',
  'SELECT `f_writes`(1)',
  'SELECT f_writes (1)',
  'SELECT F_WRITES(1) AS x UNION SELECT 2',
  'WITH c AS (SELECT f_writes(1) AS x) SELECT x FROM c',
  'DO f_writes(1)',
  'SELECT (SELECT f_writes(2))',
  'SELECT name FROM item ORDER BY f_writes(id)',
  'SELECT COUNT(*) FROM item GROUP BY f_writes(id)',
  'SELECT MAX(id) FROM item HAVING f_writes(MAX(id)) > 0',
  'SELECT 1; DELETE FROM part WHERE id = 3',
  "SELECT 1; INSERT INTO log (msg) VALUES ('x')",
  "INSERT INTO log (msg) VALUES ('x'); SELECT 1",
  'SELECT 1; UPDATE item SET qty = 2',
  'SELECT 1; TRUNCATE TABLE log',
  'SELECT 1 -- x\n; DROP TABLE log',
  'SET @a = f_writes(1)',
  'SET @a = (SELECT f_writes(1))',
  'SET SESSION sort_buffer_size = 262144 + f_writes(1)',
]);

const MYSQL = [
  ...lines(`
    WITH c AS (SELECT 1 AS id) {{DELETE FROM part WHERE id IN (SELECT id FROM c)¦UPDATE part SET w = 1 WHERE id IN (SELECT id FROM c)¦DELETE part FROM part JOIN c USING (id)¦UPDATE part JOIN c USING (id) SET w = 2}}
    WITH RECURSIVE c (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM c WHERE id < 3) DELETE FROM part WHERE id IN (SELECT id FROM c)
    INSERT INTO log (msg) {{TABLE spare.other¦VALUES ROW('x'), ROW('y')¦WITH c AS (SELECT 'x') SELECT * FROM c}}
    INSERT INTO log (id, msg) VALUES (1, 'x') AS new ON DUPLICATE KEY UPDATE msg = new.msg
    INSERT INTO log (id, msg) VALUES (1, 'x') AS new (a, b) ON DUPLICATE KEY UPDATE msg = b
    INSERT INTO log SET id = 1, msg = 'q' AS new ON DUPLICATE KEY UPDATE msg = new.msg
    REPLACE INTO log (id, msg) {{TABLE part LIMIT 0¦VALUES ROW(3, 'x')}}
    DELETE FROM part AS p WHERE p.id = 1
    INSERT /*+ SET_VAR(foreign_key_checks = 0) */ INTO log (msg) VALUES ('x')
    UPDATE /*+ NO_MERGE(d) */ item SET qty = 1
    DELETE /*+ SET_VAR(sql_safe_updates = 0) */ FROM part
    EXPLAIN ANALYZE {{DELETE part FROM part JOIN item ON item.id = part.item_id¦UPDATE part JOIN item ON item.id = part.item_id SET w = 3}}
    EXPLAIN ANALYZE SELECT f_writes(id) FROM item
  `),
];

const MARIADB = [
  ...lines(`
    INSERT INTO log (msg) VALUES ('x') RETURNING id{{¦, msg¦, (SELECT 1)}}
    INSERT INTO log SET msg = 'x' RETURNING *
    INSERT INTO log (msg) SELECT name FROM item RETURNING id
    REPLACE INTO log (id, msg) VALUES (3, 'x') RETURNING {{*¦id}}
    DELETE FROM part WHERE id = 1 RETURNING {{*¦id, label¦UPPER(label)}}
    UPDATE booking FOR PORTION OF stay FROM '2024-03-01' TO '2024-04-01' SET id = 5
    DELETE FROM booking FOR PORTION OF stay FROM '2024-03-01' TO '2024-04-01'
    DELETE HISTORY FROM versioned {{¦BEFORE SYSTEM_TIME NOW()}}
    SELECT {{NEXT VALUE FOR seq¦NEXTVAL(seq)¦SETVAL(seq, 100)¦SETVAL(seq, 200, 1)¦NEXT VALUE FOR shop.seq¦NEXTVAL(\`seq\`)¦NEXT/**/VALUE FOR seq + 1}}
    SELECT id, NEXTVAL(seq) FROM item
    INSERT INTO log (id) VALUES (NEXT VALUE FOR seq)
    DO NEXTVAL(seq)
    SET @n = NEXTVAL(seq)
    SET STATEMENT max_statement_time = 5 FOR {{DELETE FROM part WHERE id = 2¦INSERT INTO log (msg) VALUES ('s')¦SELECT f_writes(1)}}
    ANALYZE {{¦FORMAT=JSON}} {{DELETE FROM part WHERE id = 2¦UPDATE part SET w = 4¦INSERT INTO log (msg) VALUES ('a')¦SELECT f_writes(1)}}
    INSERT INTO log (msg) VALUES ('x') ON DUPLICATE KEY UPDATE msg = VALUE(msg)
    INSERT INTO log (msg) VALUES (DEFAULT), (IGNORE)
    UPDATE item SET qty = IGNORE WHERE id = 1
    LOAD DATA LOCAL INFILE 'in.txt' IGNORE INTO TABLE part IGNORE 1 ROWS (id, label)
  `),
  ...state(`
    SELECT {{LASTVAL(seq)¦PREVIOUS VALUE FOR seq¦PREVIOUS VALUE FOR shop.seq}}
    SELECT PREVIOUS/**/VALUE FOR seq
    HANDLER item OPEN
  `),
];
