import type { Connection, ResultSetHeader } from 'mysql2/promise';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { NEIGHBOUR_TABLES, Neighbours } from '../support/crowd-neighbours.ts';
import { FLAVORS } from '../support/flavors.ts';
import { errorOf, rowsOf, useCluster, valueOf } from '../support/proxy.ts';

const MAX_PER_SERVER = 3;
const KEEP_MS = 2_000;
/** Two rows with a warning each. */
const WARNING_READ = "SELECT CAST('12x' AS SIGNED) FROM plain WHERE id < 3";

/**
 * What is asked about the statement before (correctness A5), while others keep a pool of three
 * connections busy: the answer is about the session's own statement.
 */
describe.each(FLAVORS)('on %s, three connections for many', (flavor) => {
  const cluster = useCluster({
    lab: { flavor, replicas: 2 },
    config: { pool: { maxPerServer: MAX_PER_SERVER, keepMs: KEEP_MS, waitMs: 10_000 } },
  });

  beforeAll(async () => {
    for (const statement of [
      ...NEIGHBOUR_TABLES,
      'CREATE TABLE app.numbered (id INT PRIMARY KEY AUTO_INCREMENT, n INT NOT NULL)',
      'INSERT INTO app.numbered VALUES (1, 1)',
    ]) {
      await cluster.root('db1', statement);
    }
    await cluster.lab.waitReplicated();
  });

  /** A session, and others who never rest. */
  async function crowded(): Promise<{ session: Connection; neighbours: Neighbours }> {
    const neighbours = Neighbours.start(cluster.login, []);
    onTestFinished(async () => {
      expect(await neighbours.stop()).toEqual([]);
    });
    return { session: await cluster.connect(), neighbours };
  }

  it('SHOW WARNINGS shows those of a read on a replica', async () => {
    const { session, neighbours } = await crowded();
    for (let round = 0; round < 5; round += 1) {
      await session.query(WARNING_READ);
      await neighbours.progress(8);
      expect(await rowsOf(session, 'SHOW WARNINGS')).toMatchObject([
        { Code: 1292 },
        { Code: 1292 },
      ]);
      // It can be asked again.
      await neighbours.progress(8);
      expect(await rowsOf(session, 'SHOW WARNINGS LIMIT 1, 5')).toHaveLength(1);
      expect(await valueOf(session, 'SHOW COUNT(*) WARNINGS')).toBe(2);
    }
  });

  it('@@warning_count is that of the statement before', async () => {
    const { session, neighbours } = await crowded();
    for (let round = 0; round < 5; round += 1) {
      await session.query(WARNING_READ);
      await neighbours.progress(8);
      expect(await valueOf(session, 'SELECT @@warning_count')).toBe(2);
      await session.query('SELECT n FROM plain');
      expect(await valueOf(session, 'SELECT @@warning_count')).toBe(0);
      expect(await rowsOf(session, 'SHOW WARNINGS')).toEqual([]);
    }
  });

  it('SHOW WARNINGS shows those of a write', async () => {
    const { session, neighbours } = await crowded();
    for (let round = 0; round < 5; round += 1) {
      await session.query('INSERT IGNORE INTO numbered VALUES (1, 5)');
      await neighbours.progress(8);
      expect(await rowsOf(session, 'SHOW WARNINGS')).toMatchObject([{ Code: 1062 }]);
    }
  });

  it('SHOW ERRORS shows the error of the statement before', async () => {
    const { session, neighbours } = await crowded();
    for (let round = 0; round < 5; round += 1) {
      expect((await errorOf(session.query('SELECT * FROM nowhere'))).errno).toBe(1146);
      await neighbours.progress(8);
      expect(await rowsOf(session, 'SHOW ERRORS')).toMatchObject([{ Code: 1146 }]);
      expect(await valueOf(session, 'SHOW COUNT(*) ERRORS')).toBe(1);
      expect((await errorOf(session.query('INSERT INTO numbered VALUES (1, 5)'))).errno).toBe(1062);
      await neighbours.progress(8);
      expect(await valueOf(session, 'SELECT @@error_count')).toBe(1);
    }
  });

  it('GET DIAGNOSTICS is about the statement before, or refused the first time', async () => {
    const { session, neighbours } = await crowded();
    const refused: number[] = [];
    for (let round = 0; round < 5; round += 1) {
      const sinceMs = performance.now();
      await session.query(WARNING_READ);
      await neighbours.progress(8);
      try {
        await session.query('GET DIAGNOSTICS @count = NUMBER');
      } catch (error) {
        // Warnings can be saved, but not be given back; connections are kept for longer from now on.
        expect(error).toMatchObject({ errno: 1105, message: expect.stringContaining('has gone') });
        if (performance.now() - sinceMs < KEEP_MS) refused.push(round);
        continue;
      }
      expect(Number(await valueOf(session, 'SELECT @count'))).toBe(2);
      await session.reset();
    }
    expect(refused.length).toBeLessThanOrEqual(1);
  });

  it('FOUND_ROWS is about the session’s own SELECT', async () => {
    const { session, neighbours } = await crowded();
    for (let round = 0; round < 5; round += 1) {
      await session.query('SELECT SQL_CALC_FOUND_ROWS id FROM plain LIMIT 1');
      await neighbours.progress(8);
      expect(await valueOf(session, 'SELECT FOUND_ROWS()')).toBe(3);
      await session.query('SELECT id FROM plain LIMIT 2');
      await neighbours.progress(8);
      expect(await valueOf(session, 'SELECT FOUND_ROWS()')).toBe(2);
    }
  });

  it('ROW_COUNT is about the session’s own write', async () => {
    const { session, neighbours } = await crowded();
    for (let round = 0; round < 5; round += 1) {
      await session.query('UPDATE plain SET n = n WHERE id = 0');
      await session.query(`UPDATE numbered SET n = n + ${round + 1} WHERE id = 1`);
      await neighbours.progress(8);
      expect(await valueOf(session, 'SELECT ROW_COUNT()')).toBe(1);
      await session.query('SELECT n FROM plain');
      expect(await valueOf(session, 'SELECT ROW_COUNT()')).toBe(-1);
    }
  });

  it('LAST_INSERT_ID is the session’s own, much later too', async () => {
    const { neighbours } = await crowded();
    const ids = new Map<Connection, number>();
    for (let number = 0; number < 2 * MAX_PER_SERVER; number += 1) {
      const session = await cluster.connect();
      const [result] = await session.query<ResultSetHeader>('INSERT INTO numbered (n) VALUES (7)');
      ids.set(session, result.insertId);
    }
    for (let round = 0; round < 2; round += 1) {
      for (const [session, id] of ids) {
        await neighbours.progress(4);
        expect(await valueOf(session, 'SELECT n FROM plain WHERE id = 1')).toBe(10);
        expect(await valueOf(session, 'SELECT LAST_INSERT_ID()')).toBe(id);
        await session.query('UPDATE numbered SET n = 8 WHERE id = LAST_INSERT_ID()');
        expect(await valueOf(session, 'SELECT n FROM numbered WHERE id = LAST_INSERT_ID()')).toBe(
          8,
        );
      }
      // Past the time for which a connection is kept for such questions.
      if (round === 0) await sleep(KEEP_MS + 500);
    }
  });

  it('LAST_INSERT_ID(expression) is the session’s own', async () => {
    const { neighbours } = await crowded();
    const sessions: Connection[] = [];
    for (let number = 0; number < 2 * MAX_PER_SERVER; number += 1) {
      const session = await cluster.connect();
      await session.query(`UPDATE numbered SET n = LAST_INSERT_ID(${500 + number}) WHERE id = 1`);
      sessions.push(session);
    }
    await neighbours.progress();
    for (const [number, session] of sessions.entries()) {
      expect(await valueOf(session, 'SELECT LAST_INSERT_ID()')).toBe(500 + number);
    }
  });

  it('a session that has written nothing has no insert id', async () => {
    const { session, neighbours } = await crowded();
    const writer = await cluster.connect();
    for (let round = 0; round < 5; round += 1) {
      await writer.query('INSERT INTO numbered (n) VALUES (1)');
      await neighbours.progress(8);
      expect(await valueOf(session, 'SELECT LAST_INSERT_ID()')).toBe(0);
      expect(await valueOf(session, 'SELECT @@last_insert_id')).toBe(0);
      expect(await rowsOf(session, 'SHOW WARNINGS')).toEqual([]);
    }
  });

  it('CALL gives all results, and ends its hold on the connection', async () => {
    const { neighbours } = await crowded();
    const sessions = await Promise.all(
      Array.from({ length: 2 * MAX_PER_SERVER }, () => cluster.connect()),
    );
    // A procedure of which nothing is known yet would keep its connection.
    await sessions[0]?.query(
      'CREATE PROCEDURE known_results() BEGIN SELECT n FROM plain; SELECT id FROM plain; END',
    );
    await cluster.proxy.untilRoutineKnown('known_results');
    for (const session of sessions) {
      const [results] = await session.query('CALL known_results()');
      expect((results as unknown[]).slice(0, 2)).toEqual([
        [{ n: 10 }, { n: 20 }, { n: 30 }],
        [{ id: 1 }, { id: 2 }, { id: 3 }],
      ]);
      await neighbours.progress(8);
    }
  });

  it('several statements in a packet run one after the other on one connection', async () => {
    const { neighbours } = await crowded();
    const sessions = await Promise.all(
      Array.from({ length: 2 * MAX_PER_SERVER }, () =>
        cluster.connect({ multipleStatements: true }),
      ),
    );
    for (const [number, session] of sessions.entries()) {
      const [results] = await session.query(
        `INSERT INTO numbered (n) VALUES (${number}); SELECT LAST_INSERT_ID() = MAX(id) AS own FROM numbered WHERE n = ${number}`,
      );
      expect((results as unknown[])[1]).toEqual([{ own: 1 }]);
      await neighbours.progress(8);
      expect(await valueOf(session, 'SELECT n FROM plain WHERE id = 1')).toBe(10);
    }
    for (const session of sessions) {
      const error = await errorOf(session.query('BEGIN; SELECT * FROM nowhere; COMMIT'));
      expect(error.errno).toBe(1146);
      // The transaction that they began is open.
      await session.query('INSERT INTO numbered (id, n) VALUES (100000, 1)');
      await session.query('ROLLBACK');
      expect(await rowsOf(session, 'SELECT n FROM numbered WHERE id = 100000')).toEqual([]);
    }
  });

  it('rows of more than 16 MB stay in the sessions that asked for them', async () => {
    const { neighbours } = await crowded();
    // Two columns: one may not be longer than max_allowed_packet, 16 MB in MariaDB.
    const length = 9 * 1024 * 1024;
    const sessions = await Promise.all(
      Array.from({ length: MAX_PER_SERVER + 1 }, () => cluster.connect()),
    );
    const results = await Promise.all(
      sessions.map((session, at) =>
        rowsOf(session, `SELECT REPEAT('${at}', ${length}) AS a, REPEAT('${at}', ${length}) AS b`),
      ),
    );
    for (const [at, [row]] of results.entries()) {
      const whole = String(at).repeat(length);
      expect(row?.['a'] === whole && row['b'] === whole, `row of session ${at}`).toBe(true);
    }
    await neighbours.progress();
  });
});
