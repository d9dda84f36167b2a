import type { Connection, ResultSetHeader } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { COM } from '../../src/wire/command.ts';
import { PeakMeter, preparedStatements } from '../support/crowd-meter.ts';
import { seeded } from '../support/crowd.ts';
import { FLAVORS } from '../support/flavors.ts';
import { direct, errorOf, useCluster } from '../support/proxy.ts';
import { idBody, ScriptedClient } from '../support/scripted-client.ts';
import { until } from '../support/until.ts';

/** What the servers allow in all their connections together. */
const MAX_PREPARED = 1000;
const CONNECTIONS = 100;
const STATEMENTS_EACH = 100;
/** How often each connection executes one of its statements. */
const EXECUTIONS_EACH = 200;
const CLOSED_EVERY = 5;

describe.each(FLAVORS)('on %s', (flavor) => {
  const cluster = useCluster({
    lab: {
      flavor,
      replicas: 2,
      serverOptions: [`--max-prepared-stmt-count=${MAX_PREPARED}`],
    },
    config: { pool: { maxPerServer: 20 } },
  });

  beforeAll(async () => {
    for (const statement of [
      'CREATE TABLE app.t (id INT PRIMARY KEY, n INT NOT NULL)',
      'INSERT INTO app.t VALUES (1, 10), (2, 20), (3, 30)',
      'CREATE TABLE app.written (id INT PRIMARY KEY AUTO_INCREMENT, n BIGINT NOT NULL)',
      'CREATE DATABASE other',
      'CREATE TABLE other.t (id INT PRIMARY KEY, n INT NOT NULL)',
      'INSERT INTO other.t VALUES (1, 111)',
    ]) {
      await cluster.root('db1', statement);
    }
    await cluster.lab.waitReplicated();
  });

  const openStatements = (id: string) => preparedStatements(cluster.lab, id);

  /** A connection prepares its statements, executes them in any order, closes some, goes on. */
  async function useMany(session: Connection, number: number): Promise<void> {
    const random = seeded(number + 1);
    const statements = [];
    for (let at = 0; at < STATEMENTS_EACH; at += 1) {
      const own = number * STATEMENTS_EACH + at;
      // Every tenth is a write: the primary has its share too.
      const sql =
        at % 10 === 0
          ? `INSERT INTO written (n) VALUES (? + ${own})`
          : `SELECT n + ${own} AS sum FROM t WHERE id = ?`;
      statements.push({ own, isWrite: at % 10 === 0, statement: await session.prepare(sql) });
    }
    for (let turn = 0; turn < EXECUTIONS_EACH; turn += 1) {
      const at = Math.floor(random() * statements.length);
      const each = statements[at];
      if (each === undefined) continue;
      const [result] = await each.statement.execute([2]);
      if (each.isWrite) expect((result as ResultSetHeader).affectedRows).toBe(1);
      else expect(result).toEqual([{ sum: 20 + each.own }]);
      if (turn % CLOSED_EVERY === 0 && statements.length > STATEMENTS_EACH / 2) {
        await each.statement.close();
        statements.splice(at, 1);
      }
    }
  }

  it.skipIf(direct)(
    '10 000 statements of 100 connections fit servers that allow 1000',
    async () => {
      const sessions = await Promise.all(
        Array.from({ length: CONNECTIONS }, () =>
          cluster.connect({ maxPreparedStatements: 2 * STATEMENTS_EACH }),
        ),
      );
      const meter = new PeakMeter(cluster.lab, preparedStatements);
      meter.start();
      const work = sessions.map((session, number) => useMany(session, number));
      const outcomes = await Promise.allSettled(work);
      const peaks = await meter.stop();
      expect(outcomes.filter(({ status }) => status === 'rejected')).toEqual([]);
      for (const [server, most] of Object.entries(peaks)) {
        expect(most, `open on ${server}`).toBeLessThanOrEqual(MAX_PREPARED);
      }
      // Nobody else is kept from preparing.
      expect(await openStatements('db1')).toBeLessThan(MAX_PREPARED);
      for (const session of sessions) session.destroy();
    },
  );

  it.skipIf(direct)('equal statements of many sessions are few on a server', async () => {
    const before = Math.max(await openStatements('db2'), await openStatements('db3'));
    const sessions = await Promise.all(Array.from({ length: 50 }, () => cluster.connect()));
    for (let round = 0; round < 4; round += 1) {
      for (const session of sessions) {
        const [rows] = await session.execute('SELECT n AS shared FROM t WHERE id = ?', [1]);
        expect(rows).toEqual([{ shared: 10 }]);
      }
    }
    // One for each server connection at most, however many sessions there are.
    for (const id of ['db2', 'db3']) {
      expect(await openStatements(id), id).toBeLessThanOrEqual(before + 20);
    }
  });

  describe('one client that never closes', () => {
    const clients: ScriptedClient[] = [];
    afterAll(() => {
      for (const client of clients) client.close();
    });

    it.skipIf(direct)('meets a limit that says so, and harms nobody', async () => {
      const client = await ScriptedClient.connect({
        port: cluster.port,
        ...cluster.lab.accounts.app,
        database: 'app',
      });
      clients.push(client);
      const other = await cluster.connect();
      const memoryBefore = process.memoryUsage().rss;
      let refused: string | null = null;
      let prepared = 0;
      for (; prepared < 100_000 && refused === null; prepared += 1) {
        try {
          await client.prepare(`SELECT ${prepared} + ?`);
        } catch (error) {
          refused = String(error);
        }
        if (prepared % 1000 === 0) {
          const [rows] = await other.execute('SELECT n AS other FROM t WHERE id = ?', [3]);
          expect(rows).toEqual([{ other: 30 }]);
          for (const { id } of cluster.lab.servers) {
            expect(await openStatements(id), id).toBeLessThanOrEqual(MAX_PREPARED);
          }
        }
      }
      // The server's own limit (ER_MAX_PREPARED_STMT_COUNT_REACHED), or the proxy's, in words.
      if (refused !== null) expect(refused).toMatch(/^Error: (1461 |\d+ lagwise: .*prepare)/);
      const grown = process.memoryUsage().rss - memoryBefore;
      expect(grown, `${prepared} statements`).toBeLessThan(150 * 1024 * 1024);
      expect((await client.query('SELECT 1')).values).toEqual(['1']);
      const [rows] = await other.execute('SELECT n AS another FROM t WHERE id = ?', [3]);
      expect(rows).toEqual([{ another: 30 }]);
    });
  });

  it('after ALTER TABLE a statement has the new column', async () => {
    const sessions = await Promise.all(Array.from({ length: 30 }, () => cluster.connect()));
    await cluster.root('db1', 'CREATE TABLE app.grows (id INT PRIMARY KEY)');
    await cluster.root('db1', 'INSERT INTO app.grows VALUES (1)');
    await cluster.lab.waitReplicated();
    const statements = await Promise.all(
      sessions.map((session) => session.prepare('SELECT * FROM grows WHERE id = ?')),
    );
    for (const statement of statements) {
      expect((await statement.execute([1]))[0]).toEqual([{ id: 1 }]);
    }
    await cluster.root('db1', 'ALTER TABLE app.grows ADD COLUMN word CHAR(3) DEFAULT "new"');
    await cluster.lab.waitReplicated();
    for (let round = 0; round < 3; round += 1) {
      for (const statement of statements) {
        expect((await statement.execute([1]))[0]).toEqual([{ id: 1, word: 'new' }]);
      }
    }
    await cluster.root('db1', 'ALTER TABLE app.grows DROP COLUMN word, ADD COLUMN n INT DEFAULT 5');
    await cluster.lab.waitReplicated();
    for (const statement of statements) {
      expect((await statement.execute([1]))[0]).toEqual([{ id: 1, n: 5 }]);
    }
  });

  it('a table that is dropped and made again is found again', async () => {
    const session = await cluster.connect();
    await session.query('CREATE TABLE comes_back (a INT)');
    const statement = await session.prepare('SELECT * FROM comes_back');
    expect((await statement.execute([]))[0]).toEqual([]);
    await session.query('DROP TABLE comes_back');
    expect((await errorOf(statement.execute([]))).errno).toBe(1146);
    await session.query('CREATE TABLE comes_back SELECT 1 AS a, 2 AS b');
    expect((await statement.execute([]))[0]).toEqual([{ a: 1, b: 2 }]);
  });

  it('parameters change their types from one execution to the next', async () => {
    const sessions = await Promise.all(Array.from({ length: 30 }, () => cluster.connect()));
    const values = [1, 'text', null, 2.5, Buffer.from('bytes'), 12_345_678_901n, new Date(0)];
    const sql = 'SELECT CAST(? AS CHAR) AS value';
    for (let round = 0; round < 3; round += 1) {
      for (const [at, session] of sessions.entries()) {
        const value = values[(at + round) % values.length];
        const [rows] = await session.execute(sql, [value ?? null]);
        const [text] = rows as { value: string | Buffer | null }[];
        const seen = text?.value?.toString() ?? null;
        if (value instanceof Date) expect(seen).toMatch(/^19(69|70)-/);
        else expect(seen).toBe(value?.toString() ?? null);
      }
    }
  });

  it('one text means in each schema what it means there', async () => {
    const here = await cluster.connect({ database: 'app' });
    const there = await cluster.connect({ database: 'other' });
    const sql = 'SELECT n FROM t WHERE id = ?';
    for (let round = 0; round < 10; round += 1) {
      expect((await here.execute(sql, [1]))[0]).toEqual([{ n: 10 }]);
      expect((await there.execute(sql, [1]))[0]).toEqual([{ n: 111 }]);
    }
    // What was prepared stays what it was, even where the session moves.
    const statement = await here.prepare(sql);
    await here.query('USE other');
    for (let round = 0; round < 5; round += 1) {
      expect((await statement.execute([1]))[0]).toEqual([{ n: 10 }]);
    }
  });

  it('one text means what the sql_mode of its preparation says', async () => {
    const plain = await cluster.connect();
    const quoting = await cluster.connect();
    await quoting.query("SET sql_mode = 'ANSI_QUOTES'");
    const sql = 'SELECT "n" AS word FROM t WHERE id = ?';
    for (let round = 0; round < 10; round += 1) {
      expect((await plain.execute(sql, [1]))[0]).toEqual([{ word: 'n' }]);
      expect((await quoting.execute(sql, [1]))[0]).toEqual([{ word: 10 }]);
    }
    const statement = await quoting.prepare('SELECT "n" AS other_word FROM t WHERE id = ?');
    expect((await statement.execute([1]))[0]).toEqual([{ other_word: 10 }]);
  });

  it.skipIf(direct)('a statement that was closed is the server’s own error', async () => {
    const client = await ScriptedClient.connect({
      port: cluster.port,
      ...cluster.lab.accounts.app,
      database: 'app',
    });
    onTestFinished(() => client.close());
    const { id } = await client.prepare('SELECT n FROM t WHERE id = ?');
    expect((await client.execute(id, ['1'], true)).error).toBeNull();
    client.post(COM.STMT_CLOSE, idBody(id));
    for (const wrong of [id, id + 1000, 0xffff_fffe]) {
      const { error } = await client.execute(wrong, ['1'], true);
      expect(error).toMatchObject({ code: 1243 });
      expect(error?.message).toMatch(/^Unknown prepared statement handler \(\d+\) given to/);
    }
    expect((await client.query('SELECT 1')).values).toEqual(['1']);
  });

  it.skipIf(direct)('what sessions have left is closed on the servers', async () => {
    cluster.closeConnections();
    const idle = await cluster.connect();
    await until('the statements that nobody uses are few', async () => {
      await idle.query('SELECT n FROM t');
      const counts = await Promise.all(cluster.lab.servers.map(({ id }) => openStatements(id)));
      return counts.every((count) => count <= MAX_PREPARED / 2);
    });
  });
});
