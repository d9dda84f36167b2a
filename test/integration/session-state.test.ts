import type { Connection } from 'mysql2/promise';
import { beforeAll, describe, expect, it } from 'vitest';
import { FLAVORS } from '../support/flavors.ts';
import { direct, errorOf, rowsOf, useCluster, valueOf } from '../support/proxy.ts';
import { until } from '../support/until.ts';

describe.each(FLAVORS)('on %s', (flavor) => {
  const cluster = useCluster({ lab: { flavor, replicas: 2 }, generalLog: true });
  let markers = 0;

  /** Runs a read with a marker and expects it to have run on a replica, or on the primary. */
  async function readOn(
    place: 'primary' | 'replica',
    connection: Connection,
    sql: string,
  ): Promise<unknown> {
    markers += 1;
    const value = await valueOf(connection, `${sql} /* state_${markers}_x */`);
    if (!direct) {
      const ran = await cluster.ranOn(`state_${markers}_x`);
      const { db1 = 0, ...others } = ran;
      const onReplicas = Object.values(others).reduce((sum, times) => sum + times, 0);
      expect({ sql, primary: db1, replica: onReplicas }).toEqual({
        sql,
        primary: place === 'primary' ? 1 : 0,
        replica: place === 'replica' ? 1 : 0,
      });
    }
    return value;
  }

  /**
   * Expects the session's reads to go back to a replica, as soon as one is proved to have what the
   * session wrote.
   */
  async function readsLeavePrimary(connection: Connection): Promise<void> {
    if (direct) return;
    await until('reads run on a replica', async () => {
      const before = await cluster.proxy.served();
      await connection.query('SELECT 1');
      return (await cluster.proxy.served()).since(before).count({ role: 'replica' }) > 0;
    });
  }

  beforeAll(async () => {
    for (const statement of [
      'CREATE TABLE app.t (id INT PRIMARY KEY, n INT NOT NULL)',
      'INSERT INTO app.t VALUES (1, 10), (2, 20), (3, 30)',
      'CREATE DATABASE other',
      'CREATE TABLE other.t (id INT PRIMARY KEY, n INT NOT NULL)',
      'INSERT INTO other.t VALUES (1, 111)',
    ]) {
      await cluster.root('db1', statement);
    }
    await cluster.lab.waitReplicated();
  });

  describe('state that goes along to replicas', () => {
    it('time_zone', async () => {
      const connection = await cluster.connect();
      await connection.query("SET time_zone = '+05:00'");
      const offset = 'SELECT CAST(TIMEDIFF(NOW(), UTC_TIMESTAMP()) AS CHAR)';
      expect(await readOn('replica', connection, offset)).toBe('05:00:00');
      await connection.query("SET time_zone = '-03:30'");
      expect(await readOn('replica', connection, offset)).toBe('-03:30:00');
    });

    it('sql_mode, and how quotes are read follows it', async () => {
      const connection = await cluster.connect();
      expect(await readOn('replica', connection, 'SELECT "n" FROM t WHERE id = 1')).toBe('n');
      await connection.query("SET sql_mode = CONCAT(@@sql_mode, ',ANSI_QUOTES')");
      expect(await readOn('replica', connection, 'SELECT "n" FROM t WHERE id = 1')).toBe(10);
      await connection.query("SET SESSION sql_mode = ''");
      expect(await readOn('replica', connection, 'SELECT "n" FROM t WHERE id = 1')).toBe('n');
    });

    it('the charset of SET NAMES', async () => {
      const connection = await cluster.connect();
      await connection.query('SET NAMES latin1');
      expect(await readOn('replica', connection, "SELECT CHARSET('x')")).toBe('latin1');
      await connection.query("SET NAMES utf8mb4 COLLATE 'utf8mb4_bin'");
      expect(await readOn('replica', connection, "SELECT COLLATION('x')")).toBe('utf8mb4_bin');
    });

    it('a limit of the session', async () => {
      const connection = await cluster.connect();
      await connection.query('SET SESSION group_concat_max_len = 5');
      const cut = 'SELECT GROUP_CONCAT(n ORDER BY id) FROM t';
      expect(await readOn('replica', connection, cut)).toBe('10,20');
    });

    it('the schema of USE', async () => {
      const connection = await cluster.connect();
      expect(await readOn('replica', connection, 'SELECT n FROM t WHERE id = 1')).toBe(10);
      await connection.query('USE other');
      expect(await readOn('replica', connection, 'SELECT n FROM t WHERE id = 1')).toBe(111);
      await connection.query('USE app');
      expect(await readOn('replica', connection, 'SELECT n FROM t WHERE id = 1')).toBe(10);
      expect((await errorOf(connection.query('USE nowhere'))).errno).toBe(1049);
      expect(await readOn('replica', connection, 'SELECT n FROM t WHERE id = 1')).toBe(10);
    });

    it('several variables in one statement, then their defaults', async () => {
      const connection = await cluster.connect();
      await connection.query(
        "SET time_zone = '+01:00', group_concat_max_len = 4, sort_buffer_size = 300000",
      );
      const read = "SELECT CONCAT(LEFT(TIMEDIFF(NOW(), UTC_TIMESTAMP()), 5), ' ', GROUP_CONCAT(n))";
      expect(await readOn('replica', connection, `${read} FROM t`)).toBe('01:00 10,2');
      await connection.query('SET time_zone = DEFAULT, group_concat_max_len = DEFAULT');
      const unset = 'SELECT GROUP_CONCAT(n ORDER BY id) FROM t';
      expect(await readOn('replica', connection, unset)).toBe('10,20,30');
    });
  });

  describe('state that keeps the session where it is', () => {
    it('user variables', async () => {
      const connection = await cluster.connect();
      await connection.query('SET @kept = 5');
      expect(await readOn('primary', connection, 'SELECT @kept')).toBe(5);
      expect(await readOn('primary', connection, 'SELECT n FROM t WHERE n = @kept * 2')).toBe(10);
      const [rows] = await connection.execute('SELECT @kept AS kept');
      expect(rows).toEqual([{ kept: 5 }]);
    });

    it('temporary tables, for later reads too', async () => {
      const connection = await cluster.connect();
      await connection.query('CREATE TEMPORARY TABLE temp (id INT)');
      await connection.query('INSERT INTO temp VALUES (1), (2)');
      expect(await readOn('primary', connection, 'SELECT COUNT(*) FROM temp')).toBe(2);
      expect(await readOn('primary', connection, 'SELECT SUM(n) FROM t JOIN temp USING (id)')).toBe(
        '30',
      );
      // One that hides a real table: a replica would answer with the wrong rows, not an error.
      await connection.query('CREATE TEMPORARY TABLE t (id INT, n INT)');
      expect(await readOn('primary', connection, 'SELECT COUNT(*) FROM t')).toBe(0);
      await connection.query('DROP TEMPORARY TABLE t');
      expect(await valueOf(connection, 'SELECT COUNT(*) FROM t')).toBe(3);
    });

    it('GET_LOCK, until it is released', async () => {
      const holder = await cluster.connect();
      const other = await cluster.connect();
      expect(await valueOf(holder, "SELECT GET_LOCK('state', 0)")).toBe(1);
      expect(await valueOf(other, "SELECT GET_LOCK('state', 0)")).toBe(0);
      expect(await readOn('primary', holder, 'SELECT n FROM t WHERE id = 1')).toBe(10);
      expect(await valueOf(other, "SELECT IS_FREE_LOCK('state')")).toBe(0);
      await valueOf(holder, 'SELECT RELEASE_ALL_LOCKS()');
      expect(await valueOf(other, "SELECT GET_LOCK('state', 0)")).toBe(1);
      await readsLeavePrimary(holder);
    });

    it('GET_LOCK goes with the session that held it', async () => {
      const holder = await cluster.connect();
      const other = await cluster.connect();
      expect(await valueOf(holder, "SELECT GET_LOCK('gone', 0)")).toBe(1);
      holder.destroy();
      expect(await valueOf(other, "SELECT GET_LOCK('gone', 10)")).toBe(1);
    });

    it('LOCK TABLES, until UNLOCK TABLES', async () => {
      const holder = await cluster.connect();
      const other = await cluster.connect();
      await holder.query('LOCK TABLES t WRITE');
      await other.query('SET lock_wait_timeout = 1');
      expect((await errorOf(other.query('UPDATE t SET n = n WHERE id = 1'))).errno).toBe(1205);
      expect(await readOn('primary', holder, 'SELECT n FROM t WHERE id = 1')).toBe(10);
      expect((await errorOf(holder.query('SELECT * FROM other.t'))).errno).toBe(1100);
      await holder.query('UNLOCK TABLES');
      await other.query('UPDATE t SET n = n WHERE id = 1');
      await readsLeavePrimary(holder);
    });

    it('statements prepared by text', async () => {
      const connection = await cluster.connect();
      await connection.query("PREPARE by_text FROM 'SELECT n FROM t WHERE id = 2'");
      expect(await valueOf(connection, 'EXECUTE by_text')).toBe(20);
      await connection.query('SELECT 1');
      expect(await valueOf(connection, 'EXECUTE by_text')).toBe(20);
      await connection.query('DEALLOCATE PREPARE by_text');
      expect((await errorOf(connection.query('EXECUTE by_text'))).errno).toBe(1243);
    });

    it('HANDLER', async () => {
      const connection = await cluster.connect();
      await connection.query('HANDLER t OPEN');
      expect(await rowsOf(connection, 'HANDLER t READ FIRST')).toMatchObject([{ id: 1 }]);
      await connection.query('SELECT 1');
      expect(await rowsOf(connection, 'HANDLER t READ NEXT')).toMatchObject([{ id: 2 }]);
      await connection.query('HANDLER t CLOSE');
    });
  });

  describe('transactions', () => {
    it('see their own writes, roll back and commit', async () => {
      const connection = await cluster.connect();
      const other = await cluster.connect();
      await connection.beginTransaction();
      await connection.query('INSERT INTO t VALUES (50, 500)');
      expect(await readOn('primary', connection, 'SELECT n FROM t WHERE id = 50')).toBe(500);
      expect(await rowsOf(other, 'SELECT n FROM t WHERE id = 50')).toEqual([]);
      await connection.rollback();
      expect(await rowsOf(connection, 'SELECT n FROM t WHERE id = 50')).toEqual([]);
      await connection.beginTransaction();
      await connection.query('INSERT INTO t VALUES (50, 501)');
      await connection.commit();
      expect(await valueOf(connection, 'SELECT n FROM t WHERE id = 50')).toBe(501);
      await connection.query('DELETE FROM t WHERE id = 50');
    });

    it('savepoints', async () => {
      const connection = await cluster.connect();
      await connection.query('BEGIN');
      await connection.query('INSERT INTO t VALUES (60, 1)');
      await connection.query('SAVEPOINT here');
      await connection.query('INSERT INTO t VALUES (61, 1)');
      await connection.query('ROLLBACK TO SAVEPOINT here');
      expect(await valueOf(connection, 'SELECT COUNT(*) FROM t WHERE id >= 60')).toBe(1);
      await connection.query('ROLLBACK');
      expect(await valueOf(connection, 'SELECT COUNT(*) FROM t WHERE id >= 60')).toBe(0);
    });

    it('an implicit commit ends them, and reads leave the primary again', async () => {
      const connection = await cluster.connect();
      await connection.query('BEGIN');
      await connection.query('INSERT INTO t VALUES (70, 1)');
      await connection.query('CREATE TABLE IF NOT EXISTS implicit_commit (id INT)');
      await connection.query('ROLLBACK');
      expect(await valueOf(connection, 'SELECT COUNT(*) FROM t WHERE id = 70')).toBe(1);
      await readsLeavePrimary(connection);
      await connection.query('DELETE FROM t WHERE id = 70');
    });

    it('a deadlock rolls one of them back, and that session goes on', async () => {
      const first = await cluster.connect();
      const second = await cluster.connect();
      await first.query('BEGIN');
      await second.query('BEGIN');
      await first.query('UPDATE t SET n = n WHERE id = 1');
      await second.query('UPDATE t SET n = n WHERE id = 2');
      const results = await Promise.allSettled([
        first.query('UPDATE t SET n = n WHERE id = 2'),
        second.query('UPDATE t SET n = n WHERE id = 1'),
      ]);
      const lost = results.findIndex(({ status }) => status === 'rejected');
      expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(1);
      expect(results[lost]).toMatchObject({ reason: { errno: 1213 } });
      const loser = lost === 0 ? first : second;
      expect(await valueOf(loser, 'SELECT n FROM t WHERE id = 1')).toBe(10);
      await readsLeavePrimary(loser);
      await (lost === 0 ? second : first).query('ROLLBACK');
    });

    it('XA transactions', async () => {
      const connection = await cluster.connect();
      await connection.query("XA START 'state'");
      await connection.query('UPDATE t SET n = n + 1 WHERE id = 3');
      expect(await valueOf(connection, 'SELECT n FROM t WHERE id = 3')).toBe(31);
      await connection.query("XA END 'state'");
      await connection.query("XA PREPARE 'state'");
      await connection.query("XA ROLLBACK 'state'");
      expect(await valueOf(connection, 'SELECT n FROM t WHERE id = 3')).toBe(30);
    });

    it('SERIALIZABLE reads take their locks on the primary', async () => {
      const connection = await cluster.connect();
      await connection.query('SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE');
      await connection.query('START TRANSACTION READ ONLY');
      expect(await readOn('primary', connection, 'SELECT n FROM t WHERE id = 1')).toBe(10);
      await connection.query('COMMIT');
    });

    it('a session that leaves in the middle leaves no locks', async () => {
      const leaver = await cluster.connect();
      await leaver.query('BEGIN');
      await leaver.query('UPDATE t SET n = 99 WHERE id = 1');
      leaver.destroy();
      const other = await cluster.connect();
      await other.query('SET innodb_lock_wait_timeout = 10');
      await other.query('UPDATE t SET n = n WHERE id = 1');
      expect(await valueOf(other, 'SELECT n FROM t WHERE id = 1 FOR UPDATE')).toBe(10);
    });
  });

  describe('a new beginning on the same connection', () => {
    it('COM_CHANGE_USER drops all state', async () => {
      const connection = await cluster.connect();
      await connection.query("SET time_zone = '+05:00', @kept = 1");
      await connection.query('CREATE TEMPORARY TABLE temp (id INT)');
      await connection.query('BEGIN');
      await connection.query('UPDATE t SET n = 1000 WHERE id = 1');
      await connection.changeUser({ user: 'app', password: 'app', database: 'other' });
      expect(await valueOf(connection, 'SELECT n FROM t WHERE id = 1')).toBe(111);
      expect(await valueOf(connection, 'SELECT @kept')).toBeNull();
      expect(await valueOf(connection, 'SELECT @@time_zone')).toBe('SYSTEM');
      expect((await errorOf(connection.query('SELECT * FROM temp'))).errno).toBe(1146);
      expect(await valueOf(connection, 'SELECT n FROM app.t WHERE id = 1')).toBe(10);
    });

    it('COM_CHANGE_USER with a wrong password ends the connection', async () => {
      const connection = await cluster.connect();
      const error = await errorOf(
        connection.changeUser({ user: 'app', password: 'wrong', database: 'app' }),
      );
      expect(error).toMatchObject({ errno: 1045, sqlState: '28000' });
      // MariaDB itself lets the old login go on; the proxy does as MySQL does.
      if (direct && flavor === 'mariadb') return;
      await expect(connection.query('SELECT 1')).rejects.toThrow(/./);
    });

    it('COM_RESET_CONNECTION drops state and keeps identity and schema', async () => {
      const connection = await cluster.connect();
      await connection.query('USE other');
      await connection.query("SET time_zone = '+05:00', @kept = 1");
      await connection.query('CREATE TEMPORARY TABLE temp (id INT)');
      await connection.query('BEGIN');
      await connection.query('UPDATE app.t SET n = 1000 WHERE id = 1');
      await connection.reset();
      expect(await valueOf(connection, 'SELECT DATABASE()')).toBe('other');
      expect(await valueOf(connection, 'SELECT @kept')).toBeNull();
      expect(await valueOf(connection, 'SELECT @@time_zone')).toBe('SYSTEM');
      expect((await errorOf(connection.query('SELECT * FROM temp'))).errno).toBe(1146);
      expect(await valueOf(connection, 'SELECT n FROM app.t WHERE id = 1')).toBe(10);
      await readsLeavePrimary(connection);
    });
  });
});
