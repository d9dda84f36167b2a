import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection, ResultSetHeader } from 'mysql2/promise';
import { beforeAll, describe, expect, it } from 'vitest';
import { FLAVORS } from '../support/flavors.ts';
import { errorOf, rowsOf, startProxy, useCluster, valueOf } from '../support/proxy.ts';
import { until } from '../support/until.ts';

const PROBE_INTERVAL_MS = 250;
/** What a loaded machine of two cores adds to the two probe intervals that a change may take. */
const SLACK_MS = 500;

/**
 * These tests change the cluster for those behind them, in the order in which they stand: db1 is
 * the primary until it is promoted away from, then db2, then db3.
 */
describe.each(FLAVORS)('when the cluster of %s changes', (flavor) => {
  const cluster = useCluster({
    // Semi-synchronous: what is acknowledged is on a replica, so whatever is lost, the proxy lost.
    lab: { flavor, replicas: 2, semiSync: true },
    config: {
      monitor: {
        user: 'lagwise_monitor',
        password: 'lagwise_monitor',
        intervalMs: PROBE_INTERVAL_MS,
      },
      routing: { maxLagMs: 1000 },
    },
  });

  beforeAll(async () => {
    await cluster.root(
      'db1',
      'CREATE TABLE app.acked (id BIGINT PRIMARY KEY, writer INT NOT NULL) ENGINE=InnoDB',
    );
    await cluster.root('db1', 'CREATE TABLE app.t (id INT PRIMARY KEY, n INT NOT NULL)');
    await cluster.root('db1', 'INSERT INTO app.t VALUES (1, 10), (2, 20)');
    await cluster.lab.waitReplicated();
  });

  const readsOn = async (connection: Connection, times = 20) => {
    const served = await cluster.proxy.servedBy(async () => {
      for (let n = 0; n < times; n += 1) await connection.query('SELECT n FROM t WHERE id = 1');
    });
    return Object.fromEntries(
      cluster.lab.servers.map(({ id }) => [id, served.count({ server: id, class: 'read' })]),
    );
  };
  const primaryIs = (id: string) => () => cluster.proxy.app.snapshot().primary?.id === id;

  it('a replica that lags too much takes no reads until it has caught up', async () => {
    const { lab, proxy } = cluster;
    const connections = await Promise.all(Array.from({ length: 8 }, () => cluster.connect()));
    await lab.setLag('db2', 3000);
    const writer = await cluster.connect();
    const stop = new AbortController();
    const writing = (async () => {
      while (!stop.signal.aborted) {
        await writer.query('UPDATE t SET n = n + 1 WHERE id = 2');
        await sleep(20);
      }
    })();
    await until('db2 is known to lag', () =>
      proxy.app
        .snapshot()
        .servers.some(({ id, lag }) => id === 'db2' && lag.t === 'known' && lag.lagMs > 1500),
    );
    for (const connection of connections) {
      expect(await readsOn(connection, 5)).toEqual({ db1: 0, db2: 0, db3: 5 });
    }
    await lab.setLag('db2', 0);
    stop.abort();
    await writing;
    await lab.waitReplicated();
    await until('db2 takes reads again', async () => {
      const fresh = await cluster.connect();
      return ((await readsOn(fresh, 1))['db2'] ?? 0) > 0;
    });
  });

  it('a replica that is killed in the middle of a read costs the client nothing', async () => {
    const { lab } = cluster;
    const connection = await cluster.connect();
    const on = await readsOn(connection, 1);
    const victim = (on['db2'] ?? 0) > 0 ? 'db2' : 'db3';
    const running = rowsOf(connection, 'SELECT SLEEP(1.5) AS slept, n FROM t WHERE id = 1');
    await until('the read runs', async () => {
      const rows = await lab.rootQuery(
        victim,
        "SELECT 1 FROM information_schema.PROCESSLIST WHERE INFO LIKE 'SELECT SLEEP(1.5)%'",
      );
      return rows.length > 0;
    });
    await lab.kill(victim);
    expect(await running).toEqual([{ slept: 0, n: 10 }]);
    await lab.start(victim);
    await cluster.proxy.untilServing(['db2', 'db3']);
  });

  it('without replicas the primary takes the reads', async () => {
    const { lab } = cluster;
    const connection = await cluster.connect();
    await Promise.all([lab.stop('db2'), lab.stop('db3')]);
    try {
      expect(await readsOn(connection, 10)).toEqual({ db1: 10, db2: 0, db3: 0 });
      expect(await valueOf(await cluster.connect(), 'SELECT n FROM t WHERE id = 1')).toBe(10);
    } finally {
      await Promise.all([lab.start('db2'), lab.start('db3')]);
    }
    await cluster.proxy.untilServing(['db2', 'db3']);
    await until(
      'reads go back to replicas',
      async () => (await readsOn(connection, 1))['db1'] === 0,
    );
  });

  it('without replicas reads fail with the reasons, where so configured', async () => {
    const { lab } = cluster;
    const strict = await startProxy(lab, { routing: { fallback: 'error' } });
    try {
      await strict.untilServing(['db2', 'db3']);
      const connection = await cluster.connect({ port: strict.app.port });
      expect(await valueOf(connection, 'SELECT n FROM t WHERE id = 1')).toBe(10);
      await Promise.all([lab.stop('db2'), lab.stop('db3')]);
      await until('both are seen as down', () =>
        strict.app.snapshot().servers.every(({ id, role }) => id === 'db1' || role === 'down'),
      );
      const error = await errorOf(connection.query('SELECT n FROM t WHERE id = 1'));
      expect(error.errno).toBe(1290);
      expect(error.message).toMatch(/^lagwise: .*routing\.fallback.*db2: .+db3: .+/);
      await connection.query('UPDATE t SET n = n WHERE id = 1');
    } finally {
      await Promise.all([lab.start('db2'), lab.start('db3')]);
      await strict.app.stop();
    }
    await cluster.proxy.untilServing(['db2', 'db3']);
  });

  it('a planned promotion: new statements go on, an open transaction is told to run again', async () => {
    const { lab } = cluster;
    const writer = await cluster.connect();
    const inTransaction = await cluster.connect();
    const reader = await cluster.connect();
    await inTransaction.query('BEGIN');
    await inTransaction.query('INSERT INTO t VALUES (100, 1)');
    await lab.promote('db2');
    await until('db2 is the primary', primaryIs('db2'), 2 * PROBE_INTERVAL_MS + SLACK_MS);

    const error = await errorOf(inTransaction.query('UPDATE t SET n = 2 WHERE id = 100'));
    expect(error).toMatchObject({ errno: 1213, sqlState: '40001' });
    expect(error.message).toMatch(/^lagwise: /);
    await inTransaction.query('BEGIN');
    await inTransaction.query('INSERT INTO t VALUES (100, 3)');
    await inTransaction.query('COMMIT');
    expect(await valueOf(inTransaction, 'SELECT n FROM t WHERE id = 100')).toBe(3);

    const served = await cluster.proxy.servedBy(() =>
      writer.query('INSERT INTO t VALUES (101, 1)'),
    );
    expect(served.count({ server: 'db2', role: 'primary', class: 'write' })).toBe(1);
    expect(await valueOf(reader, 'SELECT n FROM t WHERE id = 1')).toBe(10);
    await cluster.proxy.untilServing(['db1', 'db3']);
  });

  it('the primary dies and another is promoted: writes wait and nothing acknowledged is lost', async () => {
    const { lab, proxy } = cluster;
    const stop = new AbortController();
    const acknowledged: number[] = [];
    const errors: { errno: number; message: string }[] = [];
    let lastAckAtMs = 0;
    let firstAckAfterMs = 0;
    let promotedAtMs = 0;
    const write = async (writer: number) => {
      const connection = await cluster.connect();
      for (let n = 0; !stop.signal.aborted; n += 1) {
        const id = writer * 1_000_000 + n;
        try {
          const [result] = await connection.query<ResultSetHeader>(
            `INSERT INTO acked VALUES (${id}, ${writer})`,
          );
          if (result.affectedRows === 1) acknowledged.push(id);
          lastAckAtMs = performance.now();
          if (promotedAtMs > 0 && firstAckAfterMs === 0) firstAckAfterMs = lastAckAtMs;
        } catch (error) {
          const { errno = 0, message } = error as { errno?: number; message: string };
          errors.push({ errno, message });
        }
        await sleep(5);
      }
      connection.destroy();
    };
    const read = async () => {
      const connection = await cluster.connect();
      let reads = 0;
      while (!stop.signal.aborted) {
        await connection.query('SELECT COUNT(*) FROM t');
        reads += 1;
        await sleep(5);
      }
      return reads;
    };
    const writers = Array.from({ length: 6 }, (_, writer) => write(writer));
    const readers = Array.from({ length: 4 }, read);
    await until('writes are acknowledged', () => acknowledged.length > 200);
    const before = acknowledged.length;
    await lab.kill('db2');
    await until('it is seen', () => proxy.app.snapshot().primary === null);
    await lab.promote('db3');
    promotedAtMs = performance.now();
    await until('writes go on', () => firstAckAfterMs > 0, 5000);
    await until('many of them', () => acknowledged.length > before + 200);
    stop.abort();
    await Promise.all(writers);
    const reads = await Promise.all(readers);

    expect(firstAckAfterMs - promotedAtMs).toBeLessThan(2 * PROBE_INTERVAL_MS + SLACK_MS);
    // One statement of each writer can have been in flight: its outcome is unknown, and that is said.
    expect(errors.length).toBeLessThanOrEqual(6);
    for (const error of errors) {
      expect(error.errno).toBe(1053);
      expect(error.message).toMatch(/may have run/);
    }
    expect(Math.min(...reads)).toBeGreaterThan(10);

    const found = new Set(
      (await lab.rootQuery('db3', 'SELECT id FROM app.acked')).map((row) => Number(row['id'])),
    );
    const lost = acknowledged.filter((id) => !found.has(id));
    expect(lost).toEqual([]);
    await lab.start('db2');
    await proxy.untilServing(['db1', 'db2']);
  });

  it('writes without any primary fail after the hold, with the reason', async () => {
    const { lab } = cluster;
    const impatient = await startProxy(lab, {
      monitor: {
        ...lab.accounts.monitor,
        intervalMs: 100,
        idleIntervalMs: 100,
        timeoutMs: 300,
      },
      failover: { holdMs: 500 },
    });
    try {
      const connection = await cluster.connect({ port: impatient.app.port });
      // One that wrote nothing: reads of one that did may need the primary.
      const reader = await cluster.connect({ port: impatient.app.port });
      await connection.query('UPDATE t SET n = n WHERE id = 1');
      await lab.pause('db3');
      await until('there is no primary', () => impatient.app.snapshot().primary === null);
      const started = performance.now();
      const error = await errorOf(connection.query('UPDATE t SET n = n WHERE id = 1'));
      expect(performance.now() - started).toBeGreaterThan(400);
      expect(error.errno).toBe(1290);
      expect(error.message).toMatch(/^lagwise: No server takes writes: .*has not run/);
      expect(await valueOf(reader, 'SELECT n FROM t WHERE id = 1')).toBe(10);
      await lab.resume('db3');
      await until('it is back', () => impatient.app.snapshot().primary?.id === 'db3');
      await connection.query('UPDATE t SET n = n WHERE id = 1');
    } finally {
      await lab.resume('db3').catch(() => undefined);
      await impatient.app.stop();
    }
  });
});
