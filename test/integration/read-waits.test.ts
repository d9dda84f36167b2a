import type { Connection } from 'mysql2/promise';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { FLAVORS } from '../support/flavors.ts';
import {
  climb,
  type HeldReplica,
  holdReplica,
  PROTOCOLS,
  readValue,
  untilKnown,
  waitersOn,
} from '../support/ladder.ts';
import { direct, startProxy, type TestProxy, useCluster, valueOf } from '../support/proxy.ts';
import { until } from '../support/until.ts';

const ADD = 'UPDATE t SET n = n + 1 WHERE id = 1';
const READ = 'SELECT n FROM t WHERE id = 1';
const WAIT_MS = 300;
/** What a busy machine of two cores may add; the waits that it must not be mistaken for are longer. */
const SLACK_MS = 3000;
const CONNECTIONS = 4;

describe.skipIf(direct).each(FLAVORS)('on %s a wait for a replica', (flavor) => {
  // Without its binary log a primary tells no GTID. Servers are started with what stands here then.
  const serverOptions: string[] = [];
  const cluster = useCluster({
    lab: { flavor, replicas: 1, serverOptions },
    config: {
      routing: { waitMs: WAIT_MS, maxLagMs: 60_000 },
      pool: { maxPerServer: CONNECTIONS, minIdle: 1 },
    },
  });
  const others: TestProxy[] = [];
  let held: HeldReplica | null = null;

  beforeAll(async () => {
    await cluster.root('db1', 'CREATE TABLE app.t (id INT PRIMARY KEY, n INT NOT NULL)');
    await cluster.root('db1', 'INSERT INTO app.t VALUES (1, 0)');
    if (flavor === 'mariadb') await cluster.root('db1', "GRANT BINLOG ADMIN ON *.* TO 'app'@'%'");
    await untilKnown(cluster.lab, cluster.proxy);
  });
  afterEach(async () => {
    await held?.release();
    held = null;
    cluster.closeConnections();
    await Promise.all(others.splice(0).map(({ app }) => app.stop()));
    await untilKnown(cluster.lab, cluster.proxy);
  });

  const proxyWith = async (routing: object): Promise<TestProxy> => {
    const proxy = await startProxy(cluster.lab, { routing: { maxLagMs: 60_000, ...routing } });
    others.push(proxy);
    await proxy.untilServing(['db2']);
    return proxy;
  };
  const write = async (connection: Connection): Promise<number> => {
    await connection.query(ADD);
    const [row] = await cluster.root('db1', 'SELECT n FROM app.t');
    return Number(row?.['n']);
  };

  it.each(PROTOCOLS)('ends after waitMs: the %s read runs on the primary', async (protocol) => {
    const connection = await cluster.connect();
    if (protocol === 'binary') await connection.prepare(READ);
    held = await holdReplica(cluster.lab, 'db2');
    const written = await write(connection);
    const late = await cluster.proxy.metric('lagwise_read_waits_late_total');
    const startedAtMs = performance.now();
    const { value, rungs } = await climb(cluster.proxy, 'session', () =>
      readValue(connection, protocol, READ),
    );
    const tookMs = performance.now() - startedAtMs;
    expect(value).toBe(written);
    expect(rungs).toEqual({ known: 0, waited: 0, primary: 1 });
    expect(await cluster.proxy.metric('lagwise_read_waits_late_total')).toBe(late + 1);
    expect(tookMs).toBeGreaterThanOrEqual(WAIT_MS - 1);
    expect(tookMs).toBeLessThan(WAIT_MS + SLACK_MS);
  });

  it('is not begun where waitMs is 0', async () => {
    const proxy = await proxyWith({ waitMs: 0 });
    const connection = await cluster.connect({ port: proxy.app.port });
    held = await holdReplica(cluster.lab, 'db2');
    const written = await write(connection);
    const { value, rungs } = await climb(proxy, 'session', () =>
      readValue(connection, 'text', READ),
    );
    expect(value).toBe(written);
    expect(rungs).toEqual({ known: 0, waited: 0, primary: 1 });
  });

  it('is not begun on a replica that lags by more than waitMs', async () => {
    const connection = await cluster.connect();
    held = await holdReplica(cluster.lab, 'db2');
    const written = await write(connection);
    await until('the lag is known', () =>
      cluster.proxy.app
        .snapshot()
        .servers.some(({ id, lag }) => id === 'db2' && lag.t === 'known' && lag.lagMs > WAIT_MS),
    );
    const late = await cluster.proxy.metric('lagwise_read_waits_late_total');
    expect(await valueOf(connection, READ)).toBe(written);
    expect(await cluster.proxy.metric('lagwise_read_waits_late_total')).toBe(late);
  });

  it('is given up when the client goes: its server connection serves others', async () => {
    const proxy = await proxyWith({ waitMs: 30_000 });
    const connection = await cluster.connect({ port: proxy.app.port });
    held = await holdReplica(cluster.lab, 'db2');
    await write(connection);
    // mysql2 lets it hang when the connection is destroyed.
    void readValue(connection, 'text', READ).catch(() => undefined);
    await until('the read waits', () => held?.isAwaited());
    connection.destroy();
    await until('nothing waits', async () => (await waitersOn(cluster.lab, 'db2')) === 0);
  });

  it('of more sessions than there are connections ends for all of them, with their writes', async () => {
    await cluster.root('db1', 'CREATE TABLE IF NOT EXISTS app.many (id INT PRIMARY KEY)');
    await untilKnown(cluster.lab, cluster.proxy);
    const sessions = await Promise.all(
      Array.from({ length: CONNECTIONS * 3 }, () => cluster.connect()),
    );
    held = await holdReplica(cluster.lab, 'db2');
    const shown = await Promise.all(
      sessions.map(async (session, id) => {
        await session.query('INSERT INTO many VALUES (?)', [id]);
        return await valueOf(session, `SELECT COUNT(*) FROM many WHERE id = ${id}`);
      }),
    );
    expect(shown).toEqual(sessions.map(() => 1));
    // Others that want nothing of it still read there.
    await held.release();
    const other = await cluster.connect();
    expect(await valueOf(other, `${READ} + 0`)).toBeTypeOf('number');
  });

  it('is not what a write without a GTID needs: with sql_log_bin=0 reads stay where it is', async () => {
    const connection = await cluster.connect();
    await connection.query('SET sql_log_bin = 0');
    await connection.query('INSERT INTO t VALUES (7, 70)');
    for (const protocol of PROTOCOLS) {
      expect(await readValue(connection, protocol, 'SELECT n FROM t WHERE id = 7')).toBe(70);
    }
    await connection.query('DELETE FROM t WHERE id = 7');
  });

  it('is none where the primary keeps no binary log: the primary runs the read', async () => {
    serverOptions.push('--skip-log-bin');
    await cluster.lab.stop('db1');
    await cluster.lab.start('db1');
    await until('there is a primary', () => cluster.proxy.app.snapshot().primary !== null);
    const connection = await cluster.connect();
    for (let round = 0; round < 5; round += 1) {
      const written = await write(connection);
      for (const protocol of PROTOCOLS) {
        expect(await readValue(connection, protocol, READ)).toBe(written);
      }
    }
    serverOptions.pop();
    await cluster.lab.stop('db1');
    await cluster.lab.start('db1');
    // A receiver that asked in the meantime has given up for good (error 1236).
    await cluster.lab.stop('db2');
    await cluster.lab.start('db2');
    await until('there is a primary', () => cluster.proxy.app.snapshot().primary !== null);
  });
});
