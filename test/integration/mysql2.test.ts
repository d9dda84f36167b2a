import { createReadStream } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { createConnection as createPlainConnection } from 'mysql2';
import { type Connection, createPool, type ResultSetHeader } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FLAVORS } from '../support/flavors.ts';
import { direct, errorOf, rowsOf, useCluster, valueOf } from '../support/proxy.ts';
import { until } from '../support/until.ts';

const MIB = 1024 * 1024;

/** What a server shows of the connection that runs the session's transaction. */
async function attributesOf(connection: Connection) {
  await connection.query('BEGIN');
  const rows = await rowsOf(
    connection,
    `SELECT attr_name AS name, attr_value AS value
     FROM performance_schema.session_connect_attrs
     WHERE attr_name IN ('program_name', 'colour')`,
  );
  await connection.query('COMMIT');
  return rows;
}

describe.each(FLAVORS)('mysql2 on %s', (flavor) => {
  const cluster = useCluster({
    lab: { flavor, replicas: 2, serverOptions: ['--max-allowed-packet=64M'] },
  });
  let folder: string;

  /** Over all servers. */
  const openStatements = async () => {
    const counts = await Promise.all(
      cluster.lab.servers.map(({ id }) =>
        cluster.root(id, "SHOW GLOBAL STATUS LIKE 'Prepared_stmt_count'"),
      ),
    );
    return counts.reduce((sum, [row]) => sum + Number(row?.['Value']), 0);
  };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lagwise-test-'));
    const connection = await cluster.connect({ multipleStatements: true });
    await connection.query(`
      CREATE TABLE t (id INT PRIMARY KEY, n INT, word VARCHAR(200) CHARACTER SET utf8mb4);
      CREATE TABLE blobs (id INT PRIMARY KEY AUTO_INCREMENT, content LONGBLOB);
      CREATE TABLE loaded (id INT PRIMARY KEY, word VARCHAR(100));
      CREATE PROCEDURE two_results(IN low INT, OUT total INT)
      BEGIN
        SELECT id FROM t WHERE id >= low AND id <= low + 1 ORDER BY id;
        SELECT word FROM t WHERE id = low;
        SELECT COUNT(*) INTO total FROM t;
      END`);
    const rows = Array.from({ length: 1000 }, (_, id) => [id, id * 10, `word ${id} 🐬`]);
    await connection.query('INSERT INTO t VALUES ?', [rows]);
    await connection.end();
    await cluster.lab.waitReplicated();
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  describe('text statements', () => {
    it('carry every type both ways', async () => {
      const connection = await cluster.connect();
      const [row] = await rowsOf(
        connection,
        `SELECT 1 AS i, -9223372036854775808 AS big, 1.50 AS d, 'ß🐬' AS s, NULL AS nothing,
           x'00ff10' AS b, DATE '2026-11-20' AS day, '' AS none`,
      );
      expect(row).toEqual({
        i: 1,
        big: expect.anything() as unknown,
        d: '1.50',
        s: 'ß🐬',
        nothing: null,
        b: Buffer.from([0, 255, 16]),
        day: new Date(2026, 10, 20),
        none: '',
      });
    });

    it('several in one packet give several results, an error among them ends the packet', async () => {
      const connection = await cluster.connect({ multipleStatements: true });
      const [results] = await connection.query(
        'SELECT 1 AS a; UPDATE t SET n = n WHERE id = 1; SELECT 2 AS b, 3 AS c',
      );
      expect(results).toMatchObject([[{ a: 1 }], { affectedRows: 1 }, [{ b: 2, c: 3 }]]);
      const error = await errorOf(connection.query('SELECT 1; SELECT * FROM missing; SELECT 2'));
      expect(error.errno).toBe(1146);
      expect(await valueOf(connection, 'SELECT 7')).toBe(7);
    });

    it('several in one packet are refused where the client did not ask for them', async () => {
      const connection = await cluster.connect();
      expect((await errorOf(connection.query('SELECT 1; SELECT 2'))).errno).toBe(1064);
    });

    it('a procedure gives all of its results', async () => {
      const connection = await cluster.connect();
      const [results] = await connection.query('CALL two_results(5, @total)');
      expect(results).toMatchObject([
        [{ id: 5 }, { id: 6 }],
        [{ word: 'word 5 🐬' }],
        { affectedRows: expect.anything() as unknown },
      ]);
      expect(await valueOf(connection, 'SELECT @total')).toBe(1000);
    });

    it('an error in a result that has begun reaches the client as an error', async () => {
      const connection = await cluster.connect();
      // The subquery fails only for the last row, after others have gone out.
      const failing = `SELECT word, (SELECT n FROM t AS x WHERE x.id = t.id OR (t.id = 999 AND x.id < 5))
        FROM t ORDER BY id`;
      expect((await errorOf(connection.query(failing))).errno).toBe(1242);
      expect(await valueOf(connection, 'SELECT 7')).toBe(7);
    });

    it('commands that are not statements work', async () => {
      const connection = await cluster.connect();
      await connection.ping();
      expect(connection.threadId).toBeGreaterThan(0);
      expect(await valueOf(connection, 'SELECT CONNECTION_ID()')).toBe(connection.threadId);
    });
  });

  describe('prepared statements', () => {
    it('ask for, and kill by, the ids that clients see', async () => {
      const victim = await cluster.connect();
      const [rows] = await victim.execute('SELECT CONNECTION_ID() AS id');
      expect(rows).toEqual([{ id: victim.threadId }]);
      const lost = new Promise<Error>((resolve) => victim.once('error', resolve));
      const killer = await cluster.connect();
      await killer.execute(`KILL ${victim.threadId}`);
      await lost;
      expect((await errorOf(killer.execute('KILL 4294967295'))).errno).toBe(1094);
    });

    it('run over and over with other values and other types', async () => {
      const connection = await cluster.connect();
      for (const value of [1, '2', 3n, null, Buffer.from('4'), 5.5, new Date(0), 6]) {
        const [rows] = await connection.execute(
          'SELECT CAST(? AS CHAR) AS v, n FROM t WHERE id = 3',
          [value],
        );
        expect(rows).toHaveLength(1);
        const [row] = rows as { v: unknown; n: number }[];
        expect(row?.n).toBe(30);
        if (value === null) expect(row?.v).toBeNull();
        if (typeof value === 'string') expect(row?.v).toBe(value);
      }
    });

    it('reads move between servers with their parameter types', async () => {
      // Enough sessions to use both replicas, then writes that move their reads to the primary.
      await Promise.all(
        Array.from({ length: 16 }, async (_, index) => {
          const connection = await cluster.connect();
          const id = 100 + index;
          const [before] = await connection.execute('SELECT n, word FROM t WHERE id = ?', [id]);
          expect(before).toMatchObject([{ word: `word ${id} 🐬` }]);
          for (let round = 1; round <= 10; round += 1) {
            const [changed] = await connection.execute<ResultSetHeader>(
              'UPDATE t SET n = ? WHERE id = ?',
              [round, id],
            );
            expect(changed.affectedRows).toBe(1);
            const [rows] = await connection.execute('SELECT n, word FROM t WHERE id = ?', [id]);
            expect(rows).toEqual([{ n: round, word: `word ${id} 🐬` }]);
            const [again] = await connection.execute('SELECT n, word FROM t WHERE id = ?', [id]);
            expect(again).toEqual(rows);
          }
        }),
      );
      if (direct) return;
      const served = await cluster.proxy.served();
      expect(served.count({ server: 'db2', role: 'replica' })).toBeGreaterThan(0);
      expect(served.count({ server: 'db3', role: 'replica' })).toBeGreaterThan(0);
    });

    it('go on after their table has changed', async () => {
      const connection = await cluster.connect();
      const other = await cluster.connect();
      await connection.query('CREATE TABLE changing (id INT PRIMARY KEY, a INT)');
      await connection.query('INSERT INTO changing VALUES (1, 10)');
      const run = () => connection.execute('SELECT * FROM changing WHERE id = ?', [1]);
      expect((await run())[0]).toEqual([{ id: 1, a: 10 }]);
      await other.query('ALTER TABLE changing ADD COLUMN b VARCHAR(10) DEFAULT "new"');
      await cluster.lab.waitReplicated();
      expect((await run())[0]).toEqual([{ id: 1, a: 10, b: 'new' }]);
      await other.query('DROP TABLE changing');
      await cluster.lab.waitReplicated();
      expect((await errorOf(run())).errno).toBe(1146);
      await other.query('CREATE TABLE changing (other TEXT, id INT)');
      await other.query("INSERT INTO changing VALUES ('x', 1)");
      await cluster.lab.waitReplicated();
      expect((await run())[0]).toEqual([{ other: 'x', id: 1 }]);
    });

    it('stay on the servers for whoever prepares them next, once for each connection', async () => {
      const used = async () => {
        const connection = await cluster.connect();
        const statement = await connection.prepare('SELECT n + 4711 FROM t WHERE id = ?');
        expect((await statement.execute([2]))[0]).toEqual([{ 'n + 4711': 4731 }]);
        await statement.close();
        await connection.end();
      };
      await used();
      const connections = async () => {
        const rows = await Promise.all(
          cluster.lab.servers.map(({ id }) =>
            cluster.root(id, "SHOW GLOBAL STATUS LIKE 'Threads_connected'"),
          ),
        );
        return rows.reduce((sum, [row]) => sum + Number(row?.['Value']), 0);
      };
      const before = await openStatements();
      for (let round = 0; round < 20; round += 1) await used();
      expect((await openStatements()) - before).toBeLessThanOrEqual(await connections());
    });

    it('an error at prepare is the server’s', async () => {
      const connection = await cluster.connect();
      expect((await errorOf(connection.execute('SELEC 1'))).errno).toBe(1064);
      expect((await errorOf(connection.execute('SELECT * FROM missing'))).errno).toBe(1146);
      const duplicate = connection.execute('INSERT INTO t VALUES (?, 0, "")', [1]);
      expect((await errorOf(duplicate)).errno).toBe(1062);
      expect((await connection.execute('SELECT 1 AS one'))[0]).toEqual([{ one: 1 }]);
    });

    it('a hundred of them in one session', async () => {
      const connection = await cluster.connect();
      for (let round = 0; round < 2; round += 1) {
        for (let n = 0; n < 100; n += 1) {
          const [rows] = await connection.execute(`SELECT n + ${n} AS v FROM t WHERE id = ?`, [n]);
          expect(rows).toEqual([{ v: (n >= 100 ? 1 : n * 10) + n }]);
        }
      }
    });

    it('CALL with its results', async () => {
      const connection = await cluster.connect();
      await connection.query('SET @total = 0');
      const [results] = await connection.execute('CALL two_results(?, @total)', [7]);
      expect(results).toMatchObject([[{ id: 7 }, { id: 8 }], [{ word: 'word 7 🐬' }], {}]);
    });
  });

  describe('large and long', () => {
    it('a client that reads slowly gets every row', async () => {
      const connection = createPlainConnection(cluster.login);
      connection.on('error', () => undefined);
      const rows = connection
        .query(
          `SELECT a.id * 1000 + b.id AS number, REPEAT('x', 200) AS filler
           FROM t a JOIN t b WHERE a.id < 100 ORDER BY a.id, b.id`,
        )
        .stream({ highWaterMark: 10 });
      let next = 0;
      for await (const row of rows) {
        const { number, filler } = row as { number: number; filler: string };
        if (number !== next) throw new Error(`Row ${number} came where ${next} was due`);
        if (filler.length !== 200) throw new Error('A row is damaged');
        next += 1;
        if (next % 10_000 === 0) await sleep(20);
      }
      expect(next).toBe(100_000);
      connection.destroy();
    });

    it.each([
      ['one byte short of a frame', 0xff_ffff - 1],
      ['of two frames', 20 * MIB],
      ['of three frames', 40 * MIB],
    ])('a value %s, in a text and as parameter, both ways', async (_, bytes) => {
      const connection = await cluster.connect();
      const length = await valueOf(connection, `SELECT LENGTH('${'x'.repeat(bytes)}')`);
      expect(length).toBe(bytes);
      const content = Buffer.alloc(bytes, 'lagwise \0\xff\xfe', 'latin1');
      // A temporary table: the same packets, and nothing for the replicas to write.
      await connection.query('CREATE TEMPORARY TABLE blobs (id INT PRIMARY KEY, content LONGBLOB)');
      await connection.execute('INSERT INTO blobs VALUES (1, ?)', [content]);
      const read = 'SELECT content FROM blobs WHERE id = ?';
      for (const [rows] of [
        await connection.query(read, [1]),
        await connection.execute(read, [1]),
      ]) {
        const [only] = rows as { content: Buffer }[];
        expect(only?.content.equals(content)).toBe(true);
      }
    });

    it('a long write ends where the others do, and replicates', async () => {
      const connection = await cluster.connect();
      const content = Buffer.alloc(10 * MIB, 'lagwise \0\xff\xfe', 'latin1');
      await connection.query(`INSERT INTO blobs VALUES (1, x'${content.toString('hex')}')`);
      const [rows] = await connection.query('SELECT content FROM blobs WHERE id = 1');
      const [only] = rows as { content: Buffer }[];
      expect(only?.content.equals(content)).toBe(true);
      await cluster.lab.waitReplicated();
      const sum = 'SELECT SHA2(content, 256) AS sum FROM app.blobs';
      expect(await cluster.root('db2', sum)).toEqual(await cluster.root('db1', sum));
    });

    it('a packet over max_allowed_packet ends with the server’s error', async () => {
      const connection = await cluster.connect();
      const error = await errorOf(
        connection.query(`SELECT LENGTH('${'x'.repeat(66 * MIB)}') AS length`),
      );
      // What is seen depends on who still writes when the server closes: the server's error, the
      // proxy's "server closed the connection", or the end of the client's own socket.
      expect([1153, 1053, 0]).toContain(error.errno);
      const other = await cluster.connect();
      expect(await valueOf(other, 'SELECT 1')).toBe(1);
    });

    it('LOCAL INFILE streams a file from the client', async () => {
      const path = join(folder, 'rows.txt');
      const count = 100_000;
      const lines = Array.from({ length: count }, (_, id) => `${id}\tthe word of row ${id}\n`);
      await writeFile(path, lines.join(''));
      const connection = await cluster.connect();
      const [result] = await connection.query<ResultSetHeader>({
        sql: `LOAD DATA LOCAL INFILE '${path}' INTO TABLE loaded`,
        infileStreamFactory: (asked: string) => createReadStream(asked),
      });
      expect(result.affectedRows).toBe(count);
      expect(await valueOf(connection, 'SELECT SUM(id) FROM loaded')).toBe(
        String((count * (count - 1)) / 2),
      );
      await connection.query('DELETE FROM loaded');
    });

    it('LOCAL INFILE of an empty file, and of one that fails half way', async () => {
      const connection = await cluster.connect();
      const load = (stream: Readable) =>
        connection.query<ResultSetHeader>({
          sql: "LOAD DATA LOCAL INFILE 'x' INTO TABLE loaded",
          infileStreamFactory: () => stream,
        });
      expect((await load(Readable.from([])))[0].affectedRows).toBe(0);
      const broken = Readable.from(
        (async function* () {
          yield Buffer.from('1\tone\n');
          await sleep(1);
          throw new Error('the disk is gone');
        })(),
      );
      await expect(load(broken)).rejects.toThrow(/disk is gone/);
      const other = await cluster.connect();
      expect(await valueOf(other, 'SELECT 1')).toBe(1);
      await other.query('DELETE FROM loaded');
    });
  });

  describe('connections', () => {
    it('a pool of 50 under load', async () => {
      const pool = createPool({ ...cluster.login, connectionLimit: 50 });
      try {
        const results = await Promise.all(
          Array.from({ length: 1000 }, async (_, n) => {
            const id = n % 100;
            if (n % 10 === 0) {
              await pool.execute('UPDATE t SET word = ? WHERE id = ?', [`pool ${n}`, 300 + id]);
            }
            const [rows] = await pool.query('SELECT id FROM t WHERE id = ?', [id]);
            return (rows as { id: number }[])[0]?.id === id;
          }),
        );
        expect(results.every(Boolean)).toBe(true);
      } finally {
        await pool.end();
      }
    });

    it('a client that leaves in the middle of a result does no harm', async () => {
      const connection = createPlainConnection(cluster.login);
      connection.on('error', () => undefined);
      const rows = connection.query('SELECT a.word, b.word AS w FROM t a JOIN t b').stream();
      rows.on('error', () => undefined);
      await once(rows, 'data');
      connection.destroy();
      await until('nothing of it runs on a server', async () => {
        const running = await Promise.all(
          cluster.lab.servers.map(({ id }) =>
            cluster.root(
              id,
              `SELECT 1 FROM information_schema.PROCESSLIST
               WHERE INFO LIKE '%t a JOIN t b%' AND INFO NOT LIKE '%PROCESSLIST%'`,
            ),
          ),
        );
        return running.every((found) => found.length === 0);
      });
      const other = await cluster.connect();
      expect(await valueOf(other, 'SELECT 1')).toBe(1);
    });

    it('connections that are shared have the attributes of the proxy', async () => {
      const connection = await cluster.connect({
        connectAttributes: { program_name: 'lagwise-test', colour: 'grün' },
      });
      const attributes = await attributesOf(connection);
      if (direct) return;
      expect(attributes).toContainEqual({ name: 'program_name', value: 'lagwise' });
      expect(attributes.map(({ name }) => name)).not.toContain('colour');
    });

    it.each([
      ['with compression', { compress: true }],
      ['with TLS', { ssl: { rejectUnauthorized: false } }],
      ['with both', { compress: true, ssl: { rejectUnauthorized: false } }],
      ['without the flags that newer protocols add', { flags: ['-DEPRECATE_EOF'] }],
    ])('%s', async (_, options) => {
      if (direct && flavor === 'mariadb' && 'ssl' in options) return;
      const connection: Connection = await cluster.connect(options);
      const rows = await rowsOf(connection, 'SELECT id, word FROM t WHERE id < 90 ORDER BY id');
      expect(rows).toHaveLength(90);
      const [same] = await connection.execute(
        'SELECT id, word FROM t WHERE id < ? ORDER BY id',
        [90],
      );
      expect(same).toEqual(rows);
      expect(await valueOf(connection, `SELECT LENGTH('${'x'.repeat(3 * MIB)}')`)).toBe(3 * MIB);
      expect(await valueOf(connection, `SELECT REPEAT('y', ${3 * MIB})`)).toBe('y'.repeat(3 * MIB));
    });
  });
});

describe.each(FLAVORS)('mysql2 on %s, each session with connections of its own', (flavor) => {
  const cluster = useCluster({
    lab: { flavor, replicas: 1 },
    config: { pool: { mode: 'session' } },
  });

  it('prepared statements go with the session’s connections', async () => {
    const openStatements = async () => {
      const counts = await Promise.all(
        cluster.lab.servers.map(({ id }) =>
          cluster.root(id, "SHOW GLOBAL STATUS LIKE 'Prepared_stmt_count'"),
        ),
      );
      return counts.reduce((sum, [row]) => sum + Number(row?.['Value']), 0);
    };
    const connection = await cluster.connect();
    const before = await openStatements();
    const statement = await connection.prepare('SELECT ? + 1 AS n');
    expect((await statement.execute([2]))[0]).toEqual([{ n: 3 }]);
    expect(await openStatements()).toBeGreaterThan(before);
    await connection.end();
    await until('no statement is left open', async () => (await openStatements()) <= before);
  });

  it('connection attributes reach the server', async () => {
    const connection = await cluster.connect({
      connectAttributes: { program_name: 'lagwise-test', colour: 'grün' },
    });
    const attributes = await attributesOf(connection);
    expect(attributes).toContainEqual({ name: 'program_name', value: 'lagwise-test' });
    expect(attributes).toContainEqual({ name: 'colour', value: 'grün' });
  });
});
