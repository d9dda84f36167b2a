import type { Connection } from 'mysql2/promise';
import { beforeAll, describe, expect, it } from 'vitest';
import { FLAVORS } from '../support/flavors.ts';
import { direct, rowsOf, useCluster, valueOf } from '../support/proxy.ts';

/**
 * Which server ran a statement is taken from the servers' own general logs: each statement carries
 * a marker of its own.
 */
describe.skipIf(direct).each(FLAVORS)('on %s', (flavor) => {
  const cluster = useCluster({ lab: { flavor, replicas: 2 }, generalLog: true });
  let markers = 0;

  /** Where the statement ran: `primary`, `replica`, or both names where it ran twice. */
  async function placeOf(run: (marker: string) => Promise<unknown>): Promise<string> {
    markers += 1;
    const marker = `mark_${markers}_x`;
    await run(marker);
    const ran = await cluster.ranOn(marker);
    const places = Object.entries(ran).flatMap(([id, times]) =>
      Array.from({ length: times }, () => (id === 'db1' ? 'primary' : 'replica')),
    );
    return places.join(' and ');
  }
  const placeOfText = (connection: Connection, sql: string) =>
    placeOf((marker) => connection.query(`${sql} /* ${marker} */`));

  beforeAll(async () => {
    for (const statement of [
      'CREATE TABLE app.t (id INT PRIMARY KEY, n INT NOT NULL)',
      'INSERT INTO app.t VALUES (1, 10), (2, 20), (3, 30)',
      'CREATE TABLE app.numbered (id INT AUTO_INCREMENT PRIMARY KEY, n INT)',
      'CREATE FUNCTION app.noisy() RETURNS INT MODIFIES SQL DATA BEGIN INSERT INTO app.numbered (n) VALUES (7); RETURN 7; END',
      'CREATE PROCEDURE app.reading() READS SQL DATA SELECT COUNT(*) AS n FROM app.t',
    ]) {
      await cluster.root('db1', statement);
    }
    await cluster.lab.waitReplicated();
  });

  it.each([
    'SELECT * FROM t',
    'SELECT n FROM t WHERE id = 1 UNION SELECT 5',
    'WITH a AS (SELECT * FROM t) SELECT COUNT(*) FROM a',
    '(SELECT 1)',
    'SHOW TABLES',
    'SHOW CREATE TABLE t',
    'EXPLAIN SELECT * FROM t',
    'CHECKSUM TABLE t',
    'SELECT /*+ MAX_EXECUTION_TIME(1000) */ n FROM t',
    "SELECT 'FOR UPDATE' FROM t -- FOR UPDATE\n",
  ])('a read runs on a replica: %s', async (sql) => {
    expect(await placeOfText(await cluster.connect(), sql)).toBe('replica');
  });

  it.each([
    'SELECT * FROM t FOR UPDATE',
    'SELECT * FROM t LOCK IN SHARE MODE',
    'SELECT n INTO @into FROM t WHERE id = 1',
    'SELECT @assigned := n FROM t',
    'SELECT GET_LOCK("routing", 0)',
    'SELECT IS_FREE_LOCK("routing")',
    'SELECT LAST_INSERT_ID()',
    'SELECT @@server_id',
    'SELECT noisy()',
    'CALL reading()',
    'INSERT INTO numbered (n) VALUES (1)',
    'REPLACE INTO t VALUES (3, 30)',
    'UPDATE t SET n = n WHERE id = 1',
    'DELETE FROM numbered WHERE id = 0',
    '/*!50000 UPDATE t SET n = n WHERE id = 2 */',
    'SELECT /*! SQL_NO_CACHE */ n FROM t /*!50000 FOR UPDATE */',
    'CREATE TABLE IF NOT EXISTS t (id INT)',
    'ANALYZE TABLE t',
  ])('what writes, locks or is about the primary runs there, once: %s', async (sql) => {
    expect(await placeOfText(await cluster.connect(), sql)).toBe('primary');
  });

  it('reads of many sessions spread over both replicas', async () => {
    const marker = 'spread_x';
    await Promise.all(
      Array.from({ length: 30 }, async () => {
        const connection = await cluster.connect();
        for (let n = 0; n < 10; n += 1) await connection.query(`SELECT ${n} /* ${marker} */`);
      }),
    );
    const { db1, db2, db3 } = await cluster.ranOn(marker);
    expect(db1).toBe(0);
    // By answering times, too: on a busy machine one may get several times as many as the other.
    expect(db2).toBeGreaterThan(30);
    expect(db3).toBeGreaterThan(30);
  });

  it('prepared reads run on replicas, prepared writes on the primary', async () => {
    const connection = await cluster.connect();
    const read = await placeOf((marker) =>
      connection.execute(`SELECT n AS ${marker} FROM t WHERE id = ?`, [1]),
    );
    expect(read).toBe('replica');
    const write = await placeOf((marker) =>
      connection.execute(`UPDATE t AS ${marker} SET n = n WHERE id = ?`, [1]),
    );
    expect(write).toBe('primary');
  });

  it('a session sees its own write at once, wherever it reads', async () => {
    const connection = await cluster.connect();
    for (let n = 1; n <= 100; n += 1) {
      await connection.query(`UPDATE t SET n = ${n} WHERE id = 1`);
      expect(await valueOf(connection, 'SELECT n FROM t WHERE id = 1')).toBe(n);
    }
  });

  it('all of a transaction runs on the primary and reads go back to replicas behind it', async () => {
    const connection = await cluster.connect();
    await connection.query('BEGIN');
    expect(await placeOfText(connection, 'SELECT * FROM t')).toBe('primary');
    await connection.query('COMMIT');
    expect(await placeOfText(connection, 'SELECT * FROM t')).toBe('replica');
    await connection.query('START TRANSACTION');
    expect(await placeOfText(connection, 'SELECT * FROM t')).toBe('primary');
    await connection.query('ROLLBACK');
    expect(await placeOfText(connection, 'SELECT * FROM t')).toBe('replica');
  });

  it('with autocommit off the first SELECT is the beginning of a transaction', async () => {
    const connection = await cluster.connect();
    await connection.query('SET autocommit = 0');
    expect(await placeOfText(connection, 'SELECT * FROM t')).toBe('primary');
    await connection.query('COMMIT');
    expect(await placeOfText(connection, 'SELECT * FROM t')).toBe('primary');
    await connection.query('SET autocommit = 1');
    expect(await placeOfText(connection, 'SELECT * FROM t')).toBe('replica');
  });

  it('a read-only transaction stays on one server and sees one state', async () => {
    const connection = await cluster.connect();
    await connection.query('START TRANSACTION READ ONLY');
    const marker = 'read_only_trx';
    const before = await valueOf(connection, `SELECT n AS ${marker} FROM t WHERE id = 2`);
    await cluster.root('db1', 'UPDATE app.t SET n = n + 1 WHERE id = 2');
    await cluster.lab.waitReplicated();
    expect(await valueOf(connection, `SELECT n AS ${marker} FROM t WHERE id = 2`)).toBe(before);
    const ran = Object.values(await cluster.ranOn(marker)).filter((times) => times > 0);
    expect(ran).toEqual([2]);
    await connection.query('COMMIT');
    expect(await valueOf(connection, 'SELECT n FROM t WHERE id = 2')).toBe(Number(before) + 1);
  });

  it('SHOW WARNINGS and FOUND_ROWS follow the statement that they are about', async () => {
    const connection = await cluster.connect();
    await connection.query("SELECT CAST('12x' AS SIGNED) FROM t");
    expect(await rowsOf(connection, 'SHOW WARNINGS')).toMatchObject([
      { Code: 1292 },
      { Code: 1292 },
      { Code: 1292 },
    ]);
    await connection.query("SELECT CAST('12x' AS SIGNED) FROM t");
    expect(await valueOf(connection, 'SELECT @@warning_count')).toBe(3);
    await connection.query('SELECT SQL_CALC_FOUND_ROWS * FROM t LIMIT 1');
    expect(await valueOf(connection, 'SELECT FOUND_ROWS()')).toBe(3);
    await connection.query('UPDATE t SET n = n + 1 WHERE id IN (1, 3)');
    expect(await valueOf(connection, 'SELECT ROW_COUNT()')).toBe(2);
  });

  it('LAST_INSERT_ID is that of the session, by function and by driver', async () => {
    const connection = await cluster.connect();
    const [result] = await connection.query('INSERT INTO numbered (n) VALUES (1)');
    const { insertId } = result as { insertId: number };
    expect(insertId).toBeGreaterThan(0);
    await connection.query('SELECT * FROM t');
    expect(await valueOf(connection, 'SELECT LAST_INSERT_ID()')).toBe(insertId);
    expect(await valueOf(connection, 'SELECT @@identity')).toBe(insertId);
  });

  it('an object that a replica lacks is looked for on the primary', async () => {
    const { lab } = cluster;
    const other = await cluster.connect();
    const reader = await cluster.connect();
    await reader.query('SELECT 1');
    await Promise.all(['db2', 'db3'].map((id) => lab.setLag(id, 3000)));
    try {
      await other.query('CREATE TABLE late (id INT)');
      expect(await rowsOf(reader, 'SELECT * FROM late')).toEqual([]);
      expect((await reader.execute('SELECT * FROM late'))[0]).toEqual([]);
      await other.query('CREATE DATABASE late_schema');
      await reader.query('USE late_schema');
      expect(await valueOf(reader, 'SELECT DATABASE()')).toBe('late_schema');
      expect(await rowsOf(reader, 'SHOW TABLES')).toEqual([]);
    } finally {
      await Promise.all(['db2', 'db3'].map((id) => lab.setLag(id, 0)));
      await lab.waitReplicated();
    }
    await cluster.proxy.untilServing(['db2', 'db3']);
  });

  it('no statement was ever sent to a replica that had to refuse it', async () => {
    for (const id of ['db2', 'db3']) {
      expect(await cluster.proxy.metric(`lagwise_misroutes_total{server="${id}"}`)).toBe(0);
    }
  });

  it('a write that hides in what looks like a read is corrected without an error', async () => {
    // A view over a function that writes: nothing in the statement's text shows it. The catalogue of
    // routines would: it is read now, so that it is not between here and the end of this test.
    await (await cluster.connect()).query(
      'CREATE FUNCTION app.made_late() RETURNS INT NO SQL RETURN 1',
    );
    await cluster.proxy.untilRoutineKnown('made_late');
    await cluster.root('db1', 'CREATE VIEW app.innocent AS SELECT app.noisy() AS n');
    await cluster.lab.waitReplicated();
    await cluster.proxy.untilServing(['db2', 'db3']);
    const connection = await cluster.connect();
    const before = await valueOf(connection, 'SELECT COUNT(*) FROM numbered');
    expect(await valueOf(connection, 'SELECT n FROM innocent')).toBe(7);
    expect(await valueOf(connection, 'SELECT COUNT(*) FROM numbered')).toBe(Number(before) + 1);
    const misroutes = await Promise.all(
      ['db2', 'db3'].map((id) => cluster.proxy.metric(`lagwise_misroutes_total{server="${id}"}`)),
    );
    expect(misroutes.reduce((sum, each) => sum + each, 0)).toBe(1);
  });
});
