import type { Flavor } from '../../src/topology/snapshot.ts';

/** The schema that the corpus speaks of; both servers hold the same. */
export const SCHEMA = 'shop';

/** The account that runs the corpus: everything but the right to write where nobody may. */
export const ACCOUNT = { user: 'oracle', password: 'oracle' } as const;

/** Statements for root on a writable server. */
export function accountSetup(flavor: Flavor): string[] {
  const { user, password } = ACCOUNT;
  return [
    `CREATE DATABASE ${SCHEMA}`,
    'CREATE DATABASE spare',
    `CREATE USER '${user}'@'%' IDENTIFIED BY '${password}'`,
    `GRANT ALL PRIVILEGES ON *.* TO '${user}'@'%' WITH GRANT OPTION`,
    ...(flavor === 'mariadb' ? [`REVOKE READ ONLY ADMIN ON *.* FROM '${user}'@'%'`] : []),
    // A statement that waits for a lock is a defect of the corpus: it must not hold up the rest.
    'SET GLOBAL lock_wait_timeout = 3',
    'SET GLOBAL innodb_lock_wait_timeout = 2',
    'SET GLOBAL event_scheduler = OFF',
    // What the state probe looks at.
    "UPDATE performance_schema.setup_instruments SET enabled = 'YES' WHERE name = 'wait/lock/metadata/sql/mdl'",
  ];
}

/** What ends the account's right to write. */
export function readOnlySetup(flavor: Flavor): string[] {
  return [`SET GLOBAL ${flavor === 'mysql' ? 'super_read_only' : 'read_only'} = ON`];
}

/** Tables, programs and accounts that the corpus names, for {@link ACCOUNT} in {@link SCHEMA}. */
export function fixture(flavor: Flavor): string[] {
  return [...TABLES, ...ROWS, ...PROGRAMS, ...OTHERS, ...(flavor === 'mysql' ? MYSQL : MARIADB)];
}

const TABLES = [
  `CREATE TABLE item (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(40), price DECIMAL(10,2),
     qty INT, made DATE, at DATETIME, doc JSON, note TEXT, raw VARBINARY(64),
     kind ENUM('a','b','c'), tags SET('x','y','z'), bits BIT(8),
     KEY name_key (name), KEY qty_key (qty), FULLTEXT KEY note_key (note))`,
  `CREATE TABLE part (id INT PRIMARY KEY, item_id INT, label VARCHAR(20), w DOUBLE, KEY (item_id))`,
  `CREATE TABLE log (id BIGINT AUTO_INCREMENT PRIMARY KEY, msg VARCHAR(400),
     at TIMESTAMP DEFAULT CURRENT_TIMESTAMP)`,
  `CREATE TABLE sales (id INT, region VARCHAR(10), year INT, amount INT, PRIMARY KEY (id, year))
     PARTITION BY RANGE (year) (PARTITION p0 VALUES LESS THAN (2024),
     PARTITION p1 VALUES LESS THAN (2025), PARTITION p2 VALUES LESS THAN MAXVALUE)`,
  'CREATE TABLE place (id INT PRIMARY KEY, g GEOMETRY NOT NULL)',
  'CREATE TABLE tree (id INT PRIMARY KEY, parent INT)',
  'CREATE TABLE old (id INT PRIMARY KEY, v VARCHAR(20)) ENGINE = MyISAM',
  'CREATE TABLE child (id INT PRIMARY KEY, item_id INT, FOREIGN KEY (item_id) REFERENCES item (id))',
  'CREATE TABLE `select` (`update` INT, `for update` INT)',
  'CREATE TABLE spare.other (id INT PRIMARY KEY)',
];

const ROWS = [
  `INSERT INTO item (name, price, qty, made, at, doc, note, raw, kind, tags, bits) VALUES
     ('bolt', 0.10, 100, '2024-01-02', '2024-01-02 03:04:05', '{"a": 1, "b": [1, 2, 3]}',
      'a small bolt of steel', X'41', 'a', 'x,y', b'101'),
     ('nut', 0.05, 300, '2024-05-06', '2024-05-06 07:08:09', '{"a": 2, "b": [4]}',
      'a nut for the bolt', X'4243', 'b', 'y', b'1'),
     ('gear', 12.50, 7, '2025-02-03', '2025-02-03 10:11:12', '{"a": 3, "c": {"d": "e"}}',
      'gear wheel', NULL, 'c', 'z', NULL)`,
  "INSERT INTO part VALUES (1, 1, 'head', 1.5), (2, 1, 'shaft', 2.5), (3, 2, 'ring', 0.5)",
  "INSERT INTO sales VALUES (1,'n',2023,10),(2,'s',2024,20),(3,'n',2025,30),(4,'s',2026,40)",
  "INSERT INTO place VALUES (1, ST_GeomFromText('POINT(1 2)')), (2, ST_GeomFromText('LINESTRING(0 0,3 4)'))",
  'INSERT INTO tree VALUES (1, NULL), (2, 1), (3, 1), (4, 2)',
  "INSERT INTO old VALUES (1, 'x')",
  'INSERT INTO child VALUES (1, 1)',
  'INSERT INTO `select` VALUES (1, 2)',
  "INSERT INTO log (msg) VALUES ('start')",
];

/** Of built-in functions and keywords, which stored functions may have all the same. */
const BUILT_IN_NAMES =
  `count now abs sum upper if rank ntile st_collect sql_no_cache sql_buffer_result sql_tsi_week
  ps_thread_id binlog_gtid_pos`.split(/\s+/);

const PROGRAMS = [
  'CREATE VIEW item_v AS SELECT id, name, price FROM item',
  'CREATE FUNCTION f_pure(a INT) RETURNS INT DETERMINISTIC NO SQL RETURN a + 1',
  'CREATE FUNCTION f_reads() RETURNS INT READS SQL DATA RETURN (SELECT COUNT(*) FROM item)',
  `CREATE FUNCTION f_writes(a INT) RETURNS INT MODIFIES SQL DATA
     BEGIN INSERT INTO log (msg) VALUES ('f'); RETURN a; END`,
  `CREATE FUNCTION f_locks() RETURNS INT READS SQL DATA RETURN GET_LOCK('f_locks', 0)`,
  `CREATE FUNCTION f_sets() RETURNS INT NO SQL BEGIN SET @f_sets = 1; RETURN 1; END`,
  `CREATE FUNCTION f_last(a INT) RETURNS INT NO SQL RETURN LAST_INSERT_ID(a)`,
  // What authors declare is not what their functions do.
  `CREATE FUNCTION f_liar() RETURNS INT NO SQL DETERMINISTIC
     BEGIN DELETE FROM log WHERE id = -1; UPDATE item SET qty = qty + 1; RETURN 1; END`,
  'CREATE FUNCTION f_calls(a INT) RETURNS INT READS SQL DATA RETURN f_writes(a) + 1',
  'CREATE FUNCTION f_calls_pure(a INT) RETURNS INT NO SQL RETURN f_pure(f_pure(a))',
  `CREATE FUNCTION f_branch(a INT) RETURNS INT MODIFIES SQL DATA
     BEGIN IF a > 1000000 THEN INSERT INTO log (msg) VALUES ('never'); END IF; RETURN a; END`,
  `CREATE FUNCTION f_words(a VARCHAR(9)) RETURNS VARCHAR(99) NO SQL
     RETURN CONCAT(a, ' INSERT INTO log; GET_LOCK /* DELETE */ ') -- UPDATE item`,
  `CREATE FUNCTION f_loop(n INT) RETURNS INT NO SQL
     BEGIN DECLARE s INT DEFAULT 0; WHILE n > 0 DO SET s = s + n, n = n - 1; END WHILE; RETURN s; END`,
  'CREATE FUNCTION f_via_view() RETURNS INT READS SQL DATA RETURN (SELECT MAX(w) FROM writes_v)',
  'CREATE FUNCTION f_same(a INT) RETURNS INT NO SQL RETURN a',
  'CREATE FUNCTION spare.f_same(a INT) RETURNS INT MODIFIES SQL DATA BEGIN INSERT INTO shop.log (msg) VALUES (a); RETURN a; END',
  // Names that could be numbers, and names of built-in functions.
  ...['1w', '0x1w', '0b1w', '1e1w', 'w$1', '_w', 'été'].map(
    (name) =>
      `CREATE FUNCTION \`${name}\`() RETURNS INT MODIFIES SQL DATA BEGIN INSERT INTO log (msg) VALUES ('w'); RETURN 1; END`,
  ),
  ...BUILT_IN_NAMES.map(
    (name) =>
      `CREATE FUNCTION \`${name}\`(a INT) RETURNS INT MODIFIES SQL DATA BEGIN INSERT INTO log (msg) VALUES ('b'); RETURN a; END`,
  ),
  'CREATE VIEW writes_v AS SELECT f_writes(id) AS w FROM item',
  'CREATE VIEW over_writes_v AS SELECT w FROM writes_v WHERE w > 0',
  'CREATE VIEW locks_v AS SELECT f_locks() AS l',
  'CREATE VIEW reads_v AS SELECT f_pure(id) AS a, f_reads() AS b FROM item',
  'CREATE PROCEDURE p_reads() READS SQL DATA SELECT COUNT(*) FROM item',
  "CREATE PROCEDURE p_writes() MODIFIES SQL DATA INSERT INTO log (msg) VALUES ('p')",
  'CREATE PROCEDURE p_out(IN a INT, OUT b INT) NO SQL SET b = a * 2',
  'CREATE PROCEDURE p_two() BEGIN SELECT 1; SELECT 2; END',
  'CREATE TRIGGER item_bi BEFORE INSERT ON item FOR EACH ROW SET NEW.qty = COALESCE(NEW.qty, 0)',
  'CREATE EVENT tidy ON SCHEDULE EVERY 1 DAY DO DELETE FROM log WHERE id < 0',
];

const OTHERS = [
  "CREATE USER 'u1'@'localhost' IDENTIFIED BY 'Pa55word'",
  "CREATE USER 'u2'@'localhost' IDENTIFIED BY 'Pa55word'",
  'CREATE ROLE r1',
  'CREATE ROLE r2',
  "GRANT SELECT ON shop.* TO 'u1'@'localhost'",
  "GRANT r1 TO 'u1'@'localhost'",
  `GRANT r1 TO '${ACCOUNT.user}'@'%'`,
  "CREATE SERVER far FOREIGN DATA WRAPPER mysql OPTIONS (HOST '127.0.0.1', DATABASE 'x', USER 'y')",
  "CREATE SERVER near_one FOREIGN DATA WRAPPER mysql OPTIONS (HOST '127.0.0.1', DATABASE 'x', USER 'y')",
];

const MYSQL = [
  'CREATE SPATIAL REFERENCE SYSTEM 990001 NAME \'plain\' DEFINITION \'GEOGCS["made",DATUM["World Geodetic System 1984",SPHEROID["WGS 84",6378137,298.257223563]],PRIMEM["Greenwich",0],UNIT["degree",0.017453292519943278],AXIS["Lat",NORTH],AXIS["Lon",EAST]]\'',
  "CREATE TABLESPACE ts1 ADD DATAFILE 'ts1.ibd' ENGINE = InnoDB",
  'CREATE TABLE vec (id INT PRIMARY KEY, v VECTOR(3))',
  'CREATE RESOURCE GROUP rg1 TYPE = USER VCPU = 0',
];

const MARIADB = [
  'CREATE SEQUENCE seq START WITH 1',
  `CREATE TABLE versioned (id INT PRIMARY KEY, v INT) WITH SYSTEM VERSIONING`,
  'INSERT INTO versioned VALUES (1, 1)',
  `CREATE TABLE booking (id INT, s DATE, e DATE, PERIOD FOR stay (s, e))`,
  "INSERT INTO booking VALUES (1, '2024-01-01', '2024-12-31')",
  "SET sql_mode = 'ORACLE'",
  'CREATE PACKAGE pk AS FUNCTION f RETURN INT; FUNCTION w RETURN INT; END',
  `CREATE PACKAGE BODY pk AS FUNCTION f RETURN INT AS BEGIN RETURN 1; END;
     FUNCTION w RETURN INT AS BEGIN INSERT INTO log (msg) VALUES ('pk'); RETURN 2; END; END`,
  'SET sql_mode = DEFAULT',
  'CREATE AGGREGATE FUNCTION f_agg(x INT) RETURNS INT BEGIN DECLARE s INT DEFAULT 0; DECLARE CONTINUE HANDLER FOR NOT FOUND RETURN s; LOOP FETCH GROUP NEXT ROW; SET s = s + x; END LOOP; END',
];
