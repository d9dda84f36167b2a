import { describe, expect, test } from 'vitest';
import { COM } from '../../../src/wire/command.ts';
import { STATUS } from '../../../src/wire/status.ts';
import { encodeErr } from '../../../src/wire/packets/err.ts';
import { err, ok, okWithState, READ_ONLY, variable } from '../../support/scripted-replies.ts';
import { freshCluster, useScriptedCluster } from '../../support/scripted-cluster.ts';
import { until } from '../../support/until.ts';

/** Whoever waits here is released by an event, never by this time. */
const HOLD = { failover: { holdMs: 8_000 } };

describe('what a replica refuses', () => {
  const cluster = useScriptedCluster(2);

  test.each([1290, 1792, 1836, 3100])(
    'as read-only (%d) runs on the primary, counts as a misroute, and its session waits for it',
    async (code) => {
      const client = await cluster.connect();
      cluster.db(2).when(/SELECT hidden/, code === 1290 ? READ_ONLY : err(code));
      const before = await cluster.metric('lagwise_misroutes_total{server="db2"}');
      const sql = `SELECT hidden FROM v${code}`;
      expect((await client.query(sql)).values).toEqual(['db1']);
      expect(cluster.counts(/hidden/)).toEqual([1, 1]);
      expect(await cluster.metric('lagwise_misroutes_total{server="db2"}')).toBe(before + 1);
      // It is learned: the next of its like does not try the replica, whoever sends it.
      const other = await cluster.connect();
      expect((await other.query(sql)).values).toEqual(['db1']);
      expect(cluster.counts(/hidden/)).toEqual([2, 1]);
    },
  );

  test.each([1049, 1054, 1146, 1305])(
    'because it does not know an object yet (%d) runs on the primary',
    async (code) => {
      const client = await cluster.connect();
      cluster.db(2).when(/SELECT fresh/, err(code));
      expect((await client.query(`SELECT fresh FROM t${code}`)).values).toEqual(['db1']);
      expect(cluster.counts(/fresh/)).toEqual([1, 1]);
    },
  );

  test('because it cannot read its own files runs on the primary, and is held against it', async () => {
    const client = await cluster.connect();
    const fallbacks = 'lagwise_replica_fallbacks_total{reason="server-fault"}';
    const before = await cluster.metric(fallbacks);
    cluster.db(2).when(/SELECT damaged/, err(1712, 'Index t is corrupted'));
    expect((await client.query('SELECT damaged FROM t')).values).toEqual(['db1']);
    expect(cluster.counts(/damaged/)).toEqual([1, 1]);
    expect(await cluster.metric(fallbacks)).toBe(before + 1);
    // It is no matter of the statement: the next of its like tries the replica again.
    await client.query('SELECT damaged FROM t');
    expect(cluster.counts(/damaged/)).toEqual([2, 2]);
  });

  test('because it cannot read its own files is the answer where the primary takes no reads', async () => {
    const strict = await freshCluster(2, { routing: { fallback: 'error' } });
    const client = await strict.connect();
    strict.db(2).when(/SELECT damaged/, err(1712, 'Index t is corrupted'));
    expect((await client.query('SELECT damaged FROM t')).error?.code).toBe(1712);
    expect(strict.counts(/damaged/)).toEqual([0, 1]);
  });

  test('and the primary does not know either is the primary’s own error', async () => {
    const client = await cluster.connect();
    for (const server of cluster.servers) {
      server.when(
        /SELECT gone/,
        err(1146, `Table 'app.gone' doesn't exist on ${server.id}`, '42S02'),
      );
    }
    const { error } = await client.query('SELECT gone FROM t');
    expect(error).toEqual({
      code: 1146,
      sqlState: '42S02',
      message: "Table 'app.gone' doesn't exist on db1",
    });
  });

  test('for any other reason is the answer, and is not asked again', async () => {
    const client = await cluster.connect();
    cluster.db(2).when(/SELECT bad/, err(1064, 'You have an error in your SQL syntax', '42000'));
    expect((await client.query('SELECT bad FROM')).error?.code).toBe(1064);
    expect(cluster.counts(/bad/)).toEqual([0, 1]);
  });

  test('at PREPARE is prepared on the primary', async () => {
    const client = await cluster.connect();
    cluster.db(2).when(/SELECT fresh/, err(1146));
    const { id } = await client.prepare('SELECT fresh FROM t WHERE a = ?');
    expect((await client.execute(id, ['1'], true)).error).toBeNull();
    expect(cluster.counts(COM.STMT_EXECUTE)).toEqual([1, 0]);
  });

  test('when state is restored on it: its reads run on the primary', async () => {
    const client = await cluster.connect();
    cluster
      .db(1)
      .when(/SET time_zone/, (session) =>
        okWithState(session, [variable('time_zone', 'Mars/Olympus')]),
      );
    cluster.db(2).when(/^SET SESSION time_zone/, err(1298, 'Unknown or incorrect time zone'));
    await client.query("SET time_zone = 'Mars/Olympus'");
    expect((await client.query('SELECT 1')).values).toEqual(['db1']);
  });
});

describe('what the primary refuses for a reason of its own', () => {
  test.each([
    ['LOAD DATA INFILE', 1290, '--secure-file-priv option so it cannot execute this statement'],
    ['INSERT INTO t', 1792, 'Cannot execute statement in a READ ONLY transaction.'],
    ['UPDATE t SET', 1836, 'Running in read-only mode'],
  ])('%s, %d: the client gets the answer, and the primary stays', async (sql, code, message) => {
    const cluster = await freshCluster(2, HOLD);
    const client = await cluster.connect();
    const { version } = cluster.app.snapshot();
    cluster
      .db(1)
      .when(/LOAD|INSERT|UPDATE/, err(code, `The MySQL server is running with the ${message}`));
    expect((await client.query(sql)).error?.code).toBe(code);
    expect(cluster.db(1).count(/LOAD|INSERT|UPDATE/)).toBeLessThanOrEqual(3);
    expect(cluster.app.snapshot().version - version).toBeLessThanOrEqual(15);
    expect((await client.query('DELETE FROM t')).error).toBeNull();
  });
});

describe('a change of roles', () => {
  test('a write that the demoted primary refuses waits for the new one', async () => {
    const cluster = await freshCluster(3, HOLD);
    const client = await cluster.connect();
    await client.query('INSERT INTO t VALUES (1)');
    cluster.db(1).when(/INSERT/, () => {
      cluster.db(1).probe.readOnly = true;
      return READ_ONLY;
    });
    client.postQuery('INSERT INTO t VALUES (2)');
    await until('it was refused', () => cluster.db(1).count(/INSERT/) >= 2);
    cluster.promote(2);
    expect((await client.reply()).ok?.affectedRows).toBe(1);
    expect(cluster.db(2).count(/INSERT/)).toBe(1);
    // Once before the change; a few tries until the next probe are no harm, a loop is.
    expect(cluster.db(1).count(/INSERT/)).toBeLessThanOrEqual(4);
  });

  test('a write without a primary is held and released, one without hope is not', async () => {
    const cluster = await freshCluster(2, HOLD);
    const client = await cluster.connect();
    cluster.db(1).probe.fails = true;
    await cluster.db(1).kill();
    await cluster.untilRoles(null, ['db2']);
    client.postQuery('INSERT INTO t VALUES (1)');
    await until('it is held', async () => (await cluster.metric('lagwise_writes_held')) === 1);
    cluster.promote(2);
    expect((await client.reply()).ok?.affectedRows).toBe(1);
    expect(cluster.db(2).count(/INSERT/)).toBe(1);
    expect(await cluster.metric('lagwise_write_holds_total{outcome="released"}')).toBeGreaterThan(
      0,
    );
  });

  test('a held write fails at its deadline with the reason, and has not run', async () => {
    const cluster = await freshCluster(2, { failover: { holdMs: 400 } });
    const client = await cluster.connect();
    cluster.db(1).probe.readOnly = true;
    await cluster.untilRoles(null, ['db2']);
    const { error } = await client.query('INSERT INTO t VALUES (1)');
    expect(error?.code).toBe(1290);
    expect(error?.message).toMatch(/db1 is read-only.*has not run and may be sent again/);
    expect(cluster.counts(/INSERT/)).toEqual([0, 0]);
    cluster.db(1).probe.readOnly = false;
    await cluster.untilRoles('db1', ['db2']);
    expect((await client.query('INSERT INTO t VALUES (2)')).error).toBeNull();
  });

  test('more writes than may wait fail at once', async () => {
    const cluster = await freshCluster(2, { failover: { holdMs: 8_000, holdMaxStatements: 1 } });
    const first = await cluster.connect();
    const second = await cluster.connect();
    cluster.db(1).probe.readOnly = true;
    await cluster.untilRoles(null, ['db2']);
    first.postQuery('INSERT INTO t VALUES (1)');
    await until('it is held', async () => (await cluster.metric('lagwise_writes_held')) === 1);
    const { error } = await second.query('INSERT INTO t VALUES (2)');
    expect(error?.code).toBe(1290);
    expect(error?.message).toMatch(/failover\.holdMaxStatements/);
    cluster.db(1).probe.readOnly = false;
    expect((await first.reply()).error).toBeNull();
    expect(cluster.counts(/INSERT/)).toEqual([1, 0]);
  });

  test('a client that leaves while its write is held has it forgotten', async () => {
    const cluster = await freshCluster(2, HOLD);
    const client = await cluster.connect();
    cluster.db(1).probe.readOnly = true;
    await cluster.untilRoles(null, ['db2']);
    client.postQuery('INSERT INTO t VALUES (1)');
    await until('it is held', async () => (await cluster.metric('lagwise_writes_held')) === 1);
    client.close();
    await until('it is let go', async () => (await cluster.metric('lagwise_writes_held')) === 0);
    expect(await cluster.metric('lagwise_write_holds_total{outcome="client-gone"}')).toBe(1);
    await cluster.untilNoClients();
    cluster.db(1).probe.readOnly = false;
    await cluster.untilRoles('db1', ['db2']);
    expect(cluster.counts(/INSERT/)).toEqual([0, 0]);
  });

  test('an open transaction on the old primary ends with 1213, its later statements do not run', async () => {
    const cluster = await freshCluster(2, HOLD);
    const client = await cluster.connect();
    await client.query('BEGIN');
    await client.query('INSERT INTO t VALUES (1)');
    cluster.promote(2);
    await cluster.untilRoles('db2', ['db1']);
    expect((await client.query('INSERT INTO t VALUES (2)')).error).toMatchObject({
      code: 1213,
      sqlState: '40001',
    });
    expect(cluster.counts(/INSERT/)).toEqual([1, 0]);
    expect((await client.query('INSERT INTO t VALUES (3)')).error).toBeNull();
    expect(cluster.counts(/INSERT/)).toEqual([1, 1]);
  });

  test('a session with state that lives only on the old primary ends, and says why in the log', async () => {
    const cluster = await freshCluster(2, HOLD);
    const client = await cluster.connect();
    await client.query('SET @a = 1');
    cluster.promote(2);
    await client.untilClosed();
    await cluster.untilNoClients();
    expect(cluster.logs.join('')).toMatch(/had state only there/);
  });

  test('state that can be carried over is restored on the new primary in front of the write', async () => {
    const cluster = await freshCluster(2, HOLD);
    const client = await cluster.connect({ database: 'shop' });
    cluster
      .db(1)
      .when(/^SET sql_mode/, (session) =>
        okWithState(session, [
          variable('sql_mode', "ANSI_QUOTES,it's"),
          variable('wait_timeout', '60'),
        ]),
      );
    await client.query('SET sql_mode = ...');
    cluster.promote(2);
    await cluster.untilRoles('db2', ['db1']);
    cluster.db(2).received.length = 0;
    expect((await client.query('INSERT INTO t VALUES (1)')).error).toBeNull();
    expect(cluster.db(2).received.map(({ com, text }) => `${com} ${text}`)).toEqual([
      `${COM.INIT_DB} shop`,
      // No quote can end what the server reads: what is not plain is said in hexadecimal.
      `${COM.QUERY} SET SESSION sql_mode=_utf8mb4 0x${Buffer.from("ANSI_QUOTES,it's").toString('hex')}, wait_timeout=60`,
      `${COM.QUERY} INSERT INTO t VALUES (1)`,
    ]);
  });

  test('a session that only reads goes on while there is no primary', async () => {
    const cluster = await freshCluster(2, { failover: { holdMs: 400 } });
    cluster.db(1).probe.fails = true;
    await cluster.untilRoles(null, ['db2']);
    const client = await cluster.connect();
    expect((await client.command(COM.PING)).error).toBeNull();
    expect((await client.query('SET NAMES utf8mb4')).error).toBeNull();
    expect((await client.query('SELECT 1')).values).toEqual(['db2']);
    expect((await client.query('SHOW WARNINGS')).values).toEqual(['db2']);
  });
});

describe('own writes', () => {
  /** Probes so far apart that what a test does lies between two of them. */
  // Only probes tell what replicas have.
  const slowly = { monitor: { intervalMs: 1_000, timeoutMs: 300 }, routing: { waitMs: 0 } };
  const begun = (session: { status: number; caps: number }): Buffer => {
    session.status = STATUS.IN_TRANS;
    return ok(session);
  };

  test.each([
    ['a write', ['INSERT INTO t VALUES (1)']],
    ['a transaction', ['BEGIN', 'INSERT INTO t VALUES (1)', 'COMMIT']],
    [
      'a transaction ended by SET autocommit=1',
      ['SET autocommit=0', 'INSERT INTO t VALUES (1)', 'SET autocommit=1'],
    ],
  ])(
    'after %s the session reads from the primary until a replica has it',
    async (_, statements) => {
      const cluster = await freshCluster(2, slowly);
      const client = await cluster.connect();
      const [primary] = cluster.servers;
      primary?.when(/SET autocommit=0/, (session) => {
        session.status = 0;
        return ok(session);
      });
      primary?.when(/INSERT/, (session) =>
        (session.status & STATUS.AUTOCOMMIT) === 0 ? begun(session) : ok(session),
      );
      primary?.when(/SET autocommit=1/, (session) => {
        session.status = STATUS.AUTOCOMMIT;
        return ok(session);
      });
      const last = statements.length - 1;
      for (const [index, sql] of statements.entries()) {
        if (index === last && last > 0) {
          // The replica is proved up to here, which is before the commit.
          const seen = performance.now();
          await until(
            'a later sample',
            () => (cluster.app.snapshot().servers[1]?.caughtUpToMs ?? 0) > seen,
          );
        }
        expect((await client.query(sql)).error).toBeNull();
      }
      expect((await client.query('SELECT 1')).values).toEqual(['db1']);
      // A server shows a commit a moment before it tells.
      const seen = performance.now() + 100;
      await until(
        'a later sample',
        () => (cluster.app.snapshot().servers[1]?.caughtUpToMs ?? 0) > seen,
      );
      expect((await client.query('SELECT 1')).values).toEqual(['db2']);
    },
  );

  test('what is not understood may have left anything: the session stays where it ran', async () => {
    const cluster = await freshCluster(2);
    const client = await cluster.connect();
    expect((await client.query('SELECT 1')).values).toEqual(['db2']);
    expect((await client.query('FROBNICATE t')).error).toBeNull();
    expect((await client.query('SELECT 1')).values).toEqual(['db1']);
    expect(await cluster.metric('lagwise_pinned_sessions{reason="opaque"}')).toBe(1);
    await client.command(COM.RESET_CONNECTION);
    expect(await cluster.metric('lagwise_pinned_sessions{reason="opaque"}')).toBe(0);
    await until(
      'reads leave the primary',
      async () => (await client.query('SELECT 1')).values[0] === 'db2',
    );
  });

  test('routing.consistency "eventual" does not wait', async () => {
    const cluster = await freshCluster(2, { ...slowly, routing: { consistency: 'eventual' } });
    const client = await cluster.connect();
    await client.query('INSERT INTO t VALUES (1)');
    expect((await client.query('SELECT 1')).values).toEqual(['db2']);
  });

  test('routing.fallback "error" refuses instead of asking the primary', async () => {
    const cluster = await freshCluster(2, { ...slowly, routing: { waitMs: 0, fallback: 'error' } });
    const client = await cluster.connect();
    await client.query('INSERT INTO t VALUES (1)');
    const { error } = await client.query('SELECT 1');
    expect(error?.code).toBe(1290);
    expect(error?.message).toMatch(/routing\.fallback is "error" .*db2: It is not known to have/);
  });
});

describe('stopping', () => {
  test('lets an open transaction end, and nothing new begin', async () => {
    const cluster = await freshCluster(2, { shutdown: { drainMs: 4_000 } });
    const busy = await cluster.connect();
    const idle = await cluster.connect();
    await busy.query('BEGIN');
    await idle.query('SELECT 1');
    const stopped = cluster.app.stop();
    await idle.untilClosed();
    await expect(cluster.connect()).rejects.toThrow();
    expect((await busy.query('INSERT INTO t VALUES (1)')).error).toBeNull();
    expect((await busy.query('COMMIT')).error).toBeNull();
    await busy.untilClosed();
    await stopped;
    expect(cluster.counts(/COMMIT/)).toEqual([1, 0]);
  });

  test('cuts off who is left after shutdown.drainMs, and held writes at once', async () => {
    const cluster = await freshCluster(2, { ...HOLD, shutdown: { drainMs: 100 } });
    const busy = await cluster.connect();
    await busy.query('BEGIN');
    const held = await cluster.connect();
    cluster.db(1).probe.readOnly = true;
    await cluster.untilRoles(null, ['db2']);
    held.postQuery('INSERT INTO t VALUES (1)');
    await until('it is held', async () => (await cluster.metric('lagwise_writes_held')) === 1);
    const stopped = cluster.app.stop();
    expect((await held.reply()).error).toMatchObject({ code: 1053 });
    await busy.untilClosed();
    await stopped;
    await until('no connection is left', () =>
      cluster.servers.every(({ sessions }) => sessions.size === 0),
    );
  });
});

// An error packet in place of the greeting is what a server says that has no room.
test('a server that is full is told of as it said it', async () => {
  const cluster = await freshCluster(1);
  cluster.db(1).traits.greetError = encodeErr(
    { code: 1040, sqlState: '08004', message: 'Too many connections' },
    0,
    { withState: false },
  );
  await expect(cluster.connect()).rejects.toThrow(/^1040 Too many connections/);
});
