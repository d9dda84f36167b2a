import type { Connection } from 'mysql2/promise';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Consistency } from '../../src/config/rule-schema.ts';
import { FLAVORS } from '../support/flavors.ts';
import {
  climb,
  type HeldReplica,
  holdReplica,
  type Protocol,
  PROTOCOLS,
  readValue,
  untilKnown,
} from '../support/ladder.ts';
import { notRun } from '../support/not-run.ts';
import { commandOf, findProgram } from '../support/programs.ts';
import { direct, startProxy, type TestProxy, useCluster, valueOf } from '../support/proxy.ts';
import { RedisServer } from '../support/redis.ts';
import { until } from '../support/until.ts';

const READ = 'SELECT n FROM t WHERE id = 1';
const ADD = 'UPDATE t SET n = n + 1 WHERE id = 1';
/** A read that waits is always let go by the test. */
const ROUTING = { waitMs: 30_000, maxLagMs: 60_000 };
const POOL = { maxPerServer: 6, minIdle: 1 };
const LEVELS: readonly Consistency[] = ['eventual', 'session', 'global', 'strong'];
const LEASE_MS = 500;
/** What a group whose Redis is gone lets a write wait, and room for a busy machine. */
const CUT_BOUND_MS = LEASE_MS * 1.6 + 3000;
/** After it a server tells no GTIDs. */
const TELLS_NOTHING = {
  mysql: 'SET session_track_gtids = OFF',
  mariadb: "SET session_track_system_variables = ''",
} as const;
const redisProgram = await findProgram('redis-server');

/** Rows as the replica has them, what somebody else has written meanwhile, or either by waiting. */
type Seen = 'stale' | 'waited' | 'primary';
const SEES: Readonly<Record<Consistency, Seen>> = {
  eventual: 'stale',
  // It has written nothing itself.
  session: 'stale',
  global: 'waited',
  strong: 'primary',
};

describe.skipIf(direct).each(FLAVORS)('on %s, of a replica that lags,', (flavor) => {
  const cluster = useCluster({
    lab: { flavor, replicas: 1 },
    config: {
      routing: ROUTING,
      pool: POOL,
      rules: LEVELS.map((consistency) => ({ match: { tag: `is-${consistency}` }, consistency })),
    },
  });
  const byConfig = new Map<Consistency, TestProxy>();
  let held: HeldReplica | null = null;

  beforeAll(async () => {
    await cluster.root('db1', 'CREATE TABLE app.t (id INT PRIMARY KEY, n INT NOT NULL)');
    await cluster.root('db1', 'INSERT INTO app.t VALUES (1, 0)');
    await cluster.root(
      'db1',
      `CREATE FUNCTION app.added() RETURNS INT MODIFIES SQL DATA
       BEGIN UPDATE app.t SET n = n + 1 WHERE id = 1; RETURN 1; END`,
    );
    for (const consistency of LEVELS) {
      const routing = { ...ROUTING, consistency };
      byConfig.set(consistency, await startProxy(cluster.lab, { routing, pool: POOL }));
    }
    for (const proxy of byConfig.values()) await proxy.untilServing(['db2']);
  });
  afterEach(async () => {
    await held?.release();
    held = null;
    for (const proxy of [cluster.proxy, ...byConfig.values()]) await untilKnown(cluster.lab, proxy);
  });
  afterAll(async () => {
    await Promise.all([...byConfig.values()].map(({ app }) => app.stop()));
  });

  /** Somebody writes through the proxy while the replica is held. */
  async function write(proxy: TestProxy): Promise<number> {
    held = await holdReplica(cluster.lab, 'db2');
    const writer = await cluster.connect({ port: proxy.app.port });
    await writer.query(ADD);
    const [row] = await cluster.root('db1', 'SELECT n FROM app.t');
    return Number(row?.['n']);
  }

  async function expectSeen(
    proxy: TestProxy,
    level: Consistency,
    read: () => Promise<unknown>,
  ): Promise<void> {
    const [before] = await cluster.root('db2', 'SELECT n FROM app.t');
    const newest = await write(proxy);
    const reading = read();
    if (SEES[level] === 'waited') {
      await until('the read waits', () => held?.isAwaited());
      await held?.release();
    }
    expect(Number(await reading)).toBe(SEES[level] === 'stale' ? before?.['n'] : newest);
  }

  const ways: Readonly<Record<string, (c: Connection, l: Consistency, p: Protocol) => unknown>> = {
    'a comment': (connection, level, protocol) =>
      readValue(connection, protocol, `/* lagwise: consistency=${level} */ ${READ}`),
    'a setting': async (connection, level, protocol) => {
      await connection.query(`SET @lagwise_consistency = '${level}'`);
      return await readValue(connection, protocol, READ);
    },
    'a rule': async (connection, level, protocol) => {
      await connection.query(`SET @lagwise_tag = 'is-${level}'`);
      return await readValue(connection, protocol, READ);
    },
  };
  const cases = Object.keys(ways).flatMap((way) =>
    LEVELS.flatMap((level) => PROTOCOLS.map((protocol) => ({ way, level, protocol }))),
  );

  it.each(cases)('$level by $way sees what it should ($protocol)', async (each) => {
    const connection = await cluster.connect();
    await expectSeen(cluster.proxy, each.level, async () =>
      ways[each.way]?.(connection, each.level, each.protocol),
    );
  });

  it.each(LEVELS.flatMap((level) => PROTOCOLS.map((protocol) => ({ level, protocol }))))(
    '$level by the configuration sees what it should ($protocol)',
    async ({ level, protocol }) => {
      const proxy = byConfig.get(level) ?? expect.fail('It starts in beforeAll');
      const connection = await cluster.connect({ port: proxy.app.port });
      await expectSeen(proxy, level, () => readValue(connection, protocol, READ));
    },
  );

  it.for(LEVELS)('%s by a query attribute sees what it should', async (level, { skip }) => {
    if (flavor === 'mariadb') skip('MariaDB has no query attributes');
    const connection = await cluster.connect();
    await expectSeen(cluster.proxy, level, async () => {
      const attributes = { 'lagwise.consistency': level };
      const [rows] = await connection.query({ sql: READ, attributes });
      return Array.isArray(rows) && rows[0] !== undefined && 'n' in rows[0] && rows[0].n;
    });
  });

  // mysql2 does without DEPRECATE_EOF, so that the end of a result has no room for a GTID.
  const untold: Readonly<Record<string, (writer: Connection) => Promise<unknown>>> = {
    'a function in a SELECT': (writer) => writer.query('SELECT added()'),
    'a function behind what only asks': (writer) =>
      writer.query('SELECT LAST_INSERT_ID(), added()'),
    'a function, prepared': (writer) => writer.execute('SELECT added()'),
    'a client that turned off what tells of GTIDs': async (writer) => {
      await writer.query(TELLS_NOTHING[flavor]);
      await writer.query(ADD);
    },
    'a transaction of such a client': async (writer) => {
      await writer.query(TELLS_NOTHING[flavor]);
      await writer.beginTransaction();
      await writer.query(ADD);
      await writer.commit();
    },
  };

  it.each(Object.keys(untold))('global sees what was written by %s', async (way) => {
    const proxy = byConfig.get('global') ?? expect.fail('It starts in beforeAll');
    const reader = await cluster.connect({ port: proxy.app.port });
    const [writer] = await Promise.all([
      cluster.connect({ port: proxy.app.port }),
      // From then on the proxy keeps what it has acknowledged.
      readValue(reader, 'text', READ),
    ]);
    await untilKnown(cluster.lab, proxy);
    await readValue(reader, 'text', READ);
    held = await holdReplica(cluster.lab, 'db2');
    await untold[way]?.(writer);
    const [row] = await cluster.root('db1', 'SELECT n FROM app.t');
    const reading = readValue(reader, 'text', READ);
    await Promise.race([reading, until('the read waits', () => held?.isAwaited())]);
    await held.release();
    expect(await reading).toBe(row?.['n']);
  });

  it.each(['eventual', 'session', 'global'] as const)('a read is counted as %s', async (level) => {
    const connection = await cluster.connect();
    const { rungs } = await climb(cluster.proxy, level, () =>
      valueOf(connection, `/* lagwise: consistency=${level} */ ${READ}`),
    );
    expect(rungs.known + rungs.waited + rungs.primary).toBe(1);
  });
});

describe.skipIf(direct).each(FLAVORS)('on %s, two proxies and their Redis: global', (flavor) => {
  if (redisProgram.missing !== null) {
    notRun(redisProgram.missing);
    return;
  }
  const cluster = useCluster({ lab: { flavor, replicas: 1 }, config: { routing: ROUTING } });
  const proxies: TestProxy[] = [];
  let redis: RedisServer | null = null;
  let held: HeldReplica | null = null;

  beforeAll(async () => {
    await cluster.root('db1', 'CREATE TABLE app.t (id INT PRIMARY KEY, n INT NOT NULL)');
    await cluster.root('db1', 'INSERT INTO app.t VALUES (1, 0)');
    redis = await RedisServer.start(commandOf(redisProgram));
    for (const name of ['a', 'b']) {
      const coordination = {
        redis: { url: redis.url },
        name,
        members: ['a', 'b'],
        leaseMs: LEASE_MS,
      };
      proxies.push(await startProxy(cluster.lab, { routing: ROUTING, pool: POOL, coordination }));
    }
    for (const proxy of proxies) await proxy.untilServing(['db2']);
  });
  afterEach(async () => {
    await held?.release();
    held = null;
  });
  afterAll(async () => {
    await Promise.all(proxies.map(({ app }) => app.stop()));
    await redis?.[Symbol.asyncDispose]();
  });

  const both = async (): Promise<[Connection, Connection]> => {
    const [a, b] = proxies;
    if (a === undefined || b === undefined) throw new Error('They start in beforeAll');
    const reader = await cluster.connect({ port: b.app.port });
    await reader.query("SET @lagwise_consistency = 'global'");
    return [await cluster.connect({ port: a.app.port }), reader];
  };
  const newest = async () => {
    const [row] = await cluster.root('db1', 'SELECT n FROM app.t');
    return Number(row?.['n']);
  };
  /** The group vouches once somebody has read with `global` for a moment. */
  const vouches = async (reader: Connection) => {
    const proxy = proxies[1] ?? expect.fail('It starts in beforeAll');
    const told = 'lagwise_coordination_questions_total{outcome="position"}';
    const before = await proxy.metric(told);
    await until('the group vouches', async () => {
      await reader.query(READ);
      return (await proxy.metric(told)) > before;
    });
  };

  it.each(PROTOCOLS)('shows one proxy what another has acknowledged (%s)', async (protocol) => {
    const [writer, reader] = await both();
    await vouches(reader);
    held = await holdReplica(cluster.lab, 'db2');
    await writer.query(ADD);
    const eventual = `/* lagwise: consistency=eventual */ ${READ}`;
    expect(await valueOf(reader, eventual)).toBe((await newest()) - 1);
    const reading = readValue(reader, protocol, READ);
    await until('the read waits', () => held?.isAwaited());
    await held.release();
    expect(await reading).toBe(await newest());
  });

  it('goes on without Redis: on the primary, writes too, and a metric says so', async () => {
    const [a, b] = proxies;
    const [writer, reader] = await both();
    await vouches(reader);
    await redis?.kill();
    const startedAtMs = performance.now();
    await writer.query(ADD);
    expect(performance.now() - startedAtMs).toBeLessThan(CUT_BOUND_MS);
    held = await holdReplica(cluster.lab, 'db2');
    for (const proxy of [a, b]) {
      await until('Redis is known to be away', async () => {
        return (await proxy?.metric('lagwise_coordination_up')) === 0;
      });
    }
    for (const protocol of PROTOCOLS) {
      await writer.query(ADD);
      // The primary knows what there is: the read runs there, or waits for that on the replica.
      const reading = readValue(reader, protocol, READ);
      let hasEnded = false;
      const ended = reading.finally(() => {
        hasEnded = true;
      });
      await until('it ends or waits', async () => hasEnded || (await held?.isAwaited()));
      await held.release();
      expect(await ended).toBe(await newest());
      held = await holdReplica(cluster.lab, 'db2');
    }
    await held.release();
    await redis?.up();
    await vouches(reader);
    expect(await b?.metric('lagwise_coordination_up')).toBe(1);
  });
});
