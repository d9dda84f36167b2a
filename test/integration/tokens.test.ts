import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { FLAVORS } from '../support/flavors.ts';
import {
  climb,
  type HeldReplica,
  holdReplica,
  PROTOCOLS,
  readValue,
  untilKnown,
} from '../support/ladder.ts';
import {
  direct,
  errorOf,
  rowsOf,
  startProxy,
  type TestProxy,
  useCluster,
  valueOf,
} from '../support/proxy.ts';
import { until } from '../support/until.ts';

const ADD = 'UPDATE t SET n = n + 1 WHERE id = 1';
const READ = 'SELECT n FROM t WHERE id = 1';
const TOKEN = 'SELECT @lagwise_gtid';
/** A read that waits is always let go by the test. */
const CONFIG = { routing: { waitMs: 30_000, maxLagMs: 60_000 }, pool: { maxPerServer: 6 } };
const MAX_TOKEN_CHARS = 16_384;

describe.skipIf(direct).each(FLAVORS)('on %s a token', (flavor) => {
  const cluster = useCluster({ lab: { flavor, replicas: 1 }, config: CONFIG });
  let second: TestProxy | null = null;
  let held: HeldReplica | null = null;

  beforeAll(async () => {
    await cluster.root('db1', 'CREATE TABLE app.t (id INT PRIMARY KEY, n INT NOT NULL)');
    await cluster.root('db1', 'INSERT INTO app.t VALUES (1, 0)');
    await untilKnown(cluster.lab, cluster.proxy);
    const other = await startProxy(cluster.lab, CONFIG);
    await other.untilServing(['db2']);
    second = other;
    return async () => {
      await other.app.stop();
    };
  });
  afterEach(async () => {
    await held?.release();
    held = null;
    await untilKnown(cluster.lab, cluster.proxy);
  });

  const proxies = {
    'the same proxy': () => cluster.proxy,
    'another proxy': () => second ?? expect.fail('It starts in beforeAll'),
  };
  const cases = (['the same proxy', 'another proxy'] as const).flatMap((where) =>
    PROTOCOLS.map((protocol) => ({ where, protocol })),
  );

  /** One session writes while the replica is held; its token and what it wrote. */
  async function written(): Promise<{ token: string; n: number }> {
    const writer = await cluster.connect();
    held = await holdReplica(cluster.lab, 'db2');
    await writer.query(ADD);
    const token = String(await valueOf(writer, TOKEN));
    const [row] = await cluster.root('db1', 'SELECT n FROM app.t');
    return { token, n: Number(row?.['n']) };
  }

  it.each(cases)(
    'makes a $protocol read of another session of $where wait for what the first wrote',
    async ({ where, protocol }) => {
      const proxy = proxies[where]();
      const { token, n } = await written();
      const reader = await cluster.connect({ port: proxy.app.port });
      expect(await readValue(reader, protocol, READ)).toBe(n - 1);
      await reader.query(`SET @lagwise_gtid = '${token}'`);
      const { value, rungs } = await climb(proxy, 'session', async () => {
        const reading = readValue(reader, protocol, READ);
        await until('the read waits', () => held?.isAwaited());
        await held?.release();
        return await reading;
      });
      expect(value).toBe(n);
      expect(rungs).toEqual({ known: 0, waited: 1, primary: 0 });
    },
  );

  it.each(['NULL', "''", "'  '", 'DEFAULT'])('is taken back by %s', async (nothing) => {
    const { token, n } = await written();
    const reader = await cluster.connect();
    await reader.query(`SET @lagwise_gtid = '${token}'`);
    await reader.query(`SET @lagwise_gtid = ${nothing}`);
    expect(await valueOf(reader, READ)).toBe(n - 1);
    expect(await valueOf(reader, TOKEN)).not.toBe(token);
  });

  it('tells what the session was shown, too', async () => {
    const writer = await cluster.connect();
    await writer.query(ADD);
    await untilKnown(cluster.lab, cluster.proxy);
    const reader = await cluster.connect();
    const n = await valueOf(reader, READ);
    const token = await valueOf(reader, TOKEN);
    expect(token).toMatch(flavor === 'mysql' ? /^[0-9a-f-]{36}:\d/ : /^\d+-\d+-\d+$/);
    const next = await cluster.connect();
    await next.query(`SET @lagwise_gtid = '${String(token)}'`);
    expect(await valueOf(next, READ)).toBe(n);
  });

  it('of a session that did nothing is empty, and asks for nothing', async () => {
    const connection = await cluster.connect();
    expect(await valueOf(connection, TOKEN)).toBe('');
    await connection.query("SET @lagwise_gtid = ''");
    expect(await valueOf(connection, TOKEN)).toBe('');
  });

  it('comes back with what the session wrote on top', async () => {
    const { token } = await written();
    await held?.release();
    const session = await cluster.connect();
    await session.query(`SET @lagwise_gtid = '${token}'`);
    await session.query(ADD);
    const both = String(await valueOf(session, TOKEN));
    const sql =
      flavor === 'mysql'
        ? `SELECT GTID_SUBSET('${token}', '${both}') AS has`
        : `SELECT ${sequenceOf(both)} > ${sequenceOf(token)} AS has`;
    expect(await rowsOf(session, sql)).toEqual([{ has: 1 }]);
  });

  it.each([
    ['garbage', /^lagwise: Cannot set @lagwise_gtid: /],
    ['3e11fa47-71ca-11e1-9e33-c80aa9429562:5-', /^lagwise: Cannot set @lagwise_gtid: /],
    ['x'.repeat(MAX_TOKEN_CHARS + 1), /has 16385 characters, expected at most 16384/],
  ])('that is wrong is an error which says why, and changes nothing', async (wrong, why) => {
    const { token, n } = await written();
    const session = await cluster.connect();
    await session.query(`SET @lagwise_gtid = '${token}'`);
    const error = await errorOf(session.query(`SET @lagwise_gtid = '${wrong}'`));
    expect(error).toMatchObject({ errno: 1231, sqlState: '42000' });
    expect(error.message).toMatch(why);
    const reading = valueOf(session, READ);
    await until('the read waits', () => held?.isAwaited());
    await held?.release();
    expect(await reading).toBe(n);
  });

  it('adds to those before up to a bound, which made up ones cannot pass', async () => {
    const session = await cluster.connect();
    const take = (first: number) => session.query(`SET @lagwise_gtid = '${madeUp(first)}'`);
    await take(1);
    const error = await errorOf(take(2));
    expect(error).toMatchObject({ errno: 1231, sqlState: '42000' });
    expect(error.message).toMatch(/with those brought before it has \d+ characters/);
    await session.query('SET @lagwise_gtid = NULL');
    await take(2);
  });

  it('of the other flavor is an error', async () => {
    const session = await cluster.connect();
    const other = flavor === 'mysql' ? '0-1-5' : '3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5';
    expect(await errorOf(session.query(`SET @lagwise_gtid = '${other}'`))).toMatchObject({
      errno: 1231,
    });
  });

  it('goes with other settings in one SET, taken whole or not at all', async () => {
    const { token, n } = await written();
    const session = await cluster.connect();
    const both = `SET @lagwise_tag = 'x', @lagwise_gtid = '${token}'`;
    expect((await errorOf(session.query(`${both}, @lagwise_max_lag_ms = 'soon'`))).errno).toBe(
      1231,
    );
    expect(await rowsOf(session, 'SELECT @lagwise_tag AS tag')).toEqual([{ tag: null }]);
    expect(await valueOf(session, READ)).toBe(n - 1);
    await session.query(both);
    expect(await rowsOf(session, 'SELECT @lagwise_tag AS tag')).toEqual([{ tag: 'x' }]);
    const reading = valueOf(session, READ);
    await until('the read waits', () => held?.isAwaited());
    await held?.release();
    expect(await reading).toBe(n);
  });

  it.each([TOKEN, "SET @lagwise_gtid = ''"])('is not prepared: %s', async (sql) => {
    const connection = await cluster.connect();
    expect(await errorOf(connection.execute(sql))).toMatchObject({ errno: 1295 });
  });

  it('that no server has yet lets reads go to the primary after waitMs', async () => {
    const proxy = await startProxy(cluster.lab, { routing: { waitMs: 100 } });
    try {
      await proxy.untilServing(['db2']);
      const session = await cluster.connect({ port: proxy.app.port });
      const token = String(await valueOf(session, TOKEN)) || (await tokenOfReader());
      const [future] = [token.replace(/\d+$/, '999999999')];
      await session.query(`SET @lagwise_gtid = '${future}'`);
      const { rungs } = await climb(proxy, 'session', () => valueOf(session, READ));
      expect(rungs).toEqual({ known: 0, waited: 0, primary: 1 });
    } finally {
      await proxy.app.stop();
    }
  });

  async function tokenOfReader(): Promise<string> {
    const reader = await cluster.connect();
    await reader.query(READ);
    return String(await valueOf(reader, TOKEN));
  }
  /** Of more than 10 000 characters, from servers that there are not; `first` tells one from another. */
  function madeUp(first: number): string {
    const gtids = Array.from({ length: 300 }, (_, index) => {
      const number = first * 100_000 + index;
      return flavor === 'mysql'
        ? `${String(number).padStart(8, '0')}-71ca-11e1-9e33-c80aa9429562:1`
        : `${number}-4000000000-${Number.MAX_SAFE_INTEGER}`;
    });
    return gtids.join(',');
  }
  const sequenceOf = (position: string): number => Number(/\d+$/.exec(position)?.[0]);
});
