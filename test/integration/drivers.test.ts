import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as mariadb from 'mariadb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FLAVORS } from '../support/flavors.ts';
import { notRun } from '../support/not-run.ts';
import { commandOf, execute, findProgram } from '../support/programs.ts';
import { direct, errorOf, useCluster } from '../support/proxy.ts';

const PYTHON = await findProgram('python3');
const PYTHON_SCRIPT = fileURLToPath(new URL('../support/pymysql-check.py', import.meta.url));

describe.each(FLAVORS)('on %s', (flavor) => {
  const cluster = useCluster({ lab: { flavor, replicas: 1 } });
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lagwise-test-'));
    await cluster.root('db1', 'CREATE TABLE app.t (id INT PRIMARY KEY, n INT, word TEXT)');
    await cluster.lab.waitReplicated();
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  describe('npm mariadb', () => {
    const connect = (options: mariadb.ConnectionConfig = {}) =>
      mariadb.createConnection({ ...cluster.login, allowPublicKeyRetrieval: true, ...options });

    it.each([
      ['the password under the RSA key', {}],
      ['TLS', { ssl: { rejectUnauthorized: false } }],
      ['compression', { compress: true }],
    ])('logs in and works with %s', async (_, options) => {
      // MariaDB 10.11 makes itself no certificate: TLS is the proxy's.
      if (direct && flavor === 'mariadb' && 'ssl' in options) return;
      const connection = await connect(options);
      try {
        await connection.query('DELETE FROM t');
        await connection.batch(
          'INSERT INTO t VALUES (?, ?, ?)',
          Array.from({ length: 200 }, (__, id) => [id, id * 2, `wört ${id}`]),
        );
        const rows: unknown = await connection.query('SELECT n, word FROM t WHERE id = ?', [7]);
        expect(rows).toMatchObject([{ n: 14, word: 'wört 7' }]);
        const prepared: unknown = await connection.execute('SELECT n FROM t WHERE id = ?', [8]);
        expect(prepared).toMatchObject([{ n: 16 }]);
        const large: unknown = await connection.query("SELECT REPEAT('z', 3000000) AS z");
        expect(large).toMatchObject([{ z: 'z'.repeat(3_000_000) }]);
      } finally {
        await connection.end();
      }
    });

    it('streams rows', async () => {
      const connection = await connect();
      await connection.query('DELETE FROM t');
      await connection.query(
        `INSERT INTO t WITH RECURSIVE numbers AS
           (SELECT 0 AS id UNION ALL SELECT id + 1 FROM numbers WHERE id < 999)
         SELECT id, id, REPEAT('w', 1000) FROM numbers`,
      );
      let sum = 0;
      for await (const row of connection.queryStream('SELECT id, word FROM t')) {
        sum += (row as { id: number }).id;
      }
      expect(sum).toBe((999 * 1000) / 2);
      await connection.end();
    });

    it('transactions, pipelined statements and errors', async () => {
      const connection = await connect();
      await connection.query('DELETE FROM t');
      await connection.beginTransaction();
      // Not awaited one by one: this driver sends them without waiting for answers.
      await Promise.all(
        Array.from({ length: 50 }, (_, id) =>
          connection.query('INSERT INTO t VALUES (?, ?, ?)', [id, id, 'pipelined']),
        ),
      );
      await connection.rollback();
      const none: unknown = await connection.query('SELECT COUNT(*) AS n FROM t');
      expect(none).toMatchObject([{ n: 0n }]);
      const mixed = await Promise.allSettled([
        connection.query("INSERT INTO t VALUES (1, 1, 'a')"),
        connection.query('SELECT n FROM t WHERE id = 1'),
        connection.query("INSERT INTO t VALUES (1, 1, 'twice')"),
        connection.query('SELECT * FROM missing'),
        connection.query('SELECT COUNT(*) AS n FROM t'),
      ]);
      expect(mixed).toMatchObject([
        { status: 'fulfilled' },
        { status: 'fulfilled', value: [{ n: 1 }] },
        { status: 'rejected', reason: { errno: 1062 } },
        { status: 'rejected', reason: { errno: 1146 } },
        { status: 'fulfilled', value: [{ n: 1n }] },
      ]);
      await connection.end();
    });

    it('pool, reset and change of user', async () => {
      const pool = mariadb.createPool({
        ...cluster.login,
        allowPublicKeyRetrieval: true,
        connectionLimit: 8,
        resetAfterUse: true,
      });
      try {
        const results = await Promise.all(
          Array.from({ length: 100 }, (_, n) =>
            pool.query<{ v: number }[]>('SELECT ? + 0 AS v', [n]),
          ),
        );
        expect(results.map((rows) => Number(rows[0]?.v))).toEqual(
          Array.from({ length: 100 }, (_, n) => n),
        );
        const connection = await pool.getConnection();
        await connection.query('SET @kept = 1');
        if (flavor === 'mysql') await connection.reset();
        // The driver itself refuses this one for MySQL.
        else await connection.changeUser({ user: 'app', password: 'app', database: 'app' });
        const rows: unknown = await connection.query('SELECT @kept AS kept, DATABASE() AS name');
        expect(rows).toMatchObject([{ kept: null, name: 'app' }]);
        await connection.release();
      } finally {
        await pool.end();
      }
    });

    it('a wrong password is the server’s error', async () => {
      expect(await errorOf(connect({ password: 'wrong' }))).toMatchObject({ errno: 1045 });
    });
  });

  describe('PyMySQL', () => {
    if (PYTHON.command === null) {
      notRun(PYTHON.missing);
      return;
    }

    it.each(['plain', 'tls'])('works, %s', async (how) => {
      if (direct && flavor === 'mariadb' && how === 'tls') return;
      const { stdout, stderr } = await execute(commandOf(PYTHON), [
        PYTHON_SCRIPT,
        String(cluster.port),
        how,
        join(folder, `py-${how}.txt`),
      ]);
      expect(stderr).toBe('');
      expect(JSON.parse(stdout)).toEqual({
        rolledBack: 0,
        committed: [500, 'wört 99 🐍'],
        streamed: (499 * 500) / 2,
        loaded: 2000,
        warnings: [1292],
        errno: 1146,
        database: 'mysql',
        denied: 1045,
      });
    });
  });
});
