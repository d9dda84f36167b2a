import { describe, expect, test } from 'vitest';
import { COM } from '../../../src/wire/command.ts';
import {
  err,
  ok,
  okWithState,
  prepared,
  row,
  rows,
  variable,
} from '../../support/scripted-replies.ts';
import {
  freshCluster,
  type ScriptedCluster,
  useScriptedCluster,
} from '../../support/scripted-cluster.ts';
import type { ScriptedServer, ServerSession } from '../../support/scripted-server.ts';
import { until } from '../../support/until.ts';

/** Logins are not asked again: only statements open connections then. */
const TRUSTING = { trustLoginMs: 60_000 };
const IDLE = err(4031, 'The client was disconnected by the server because of inactivity.');

/** Statements of clients that reached a server, without what the proxy added. */
const statements = (server: ScriptedServer, match: RegExp): string[] =>
  server.texts().filter((text) => match.test(text));

async function idleOn(cluster: ScriptedCluster, id: string): Promise<number> {
  return await cluster.metric(`lagwise_backend_connections{server="${id}",state="idle"}`);
}

/** A cluster of one server to which there may be one connection, which is idle. */
async function single(pool: object = {}): Promise<ScriptedCluster> {
  return await freshCluster(1, { pool: { ...TRUSTING, maxPerServer: 1, ...pool } });
}

describe('connections are shared', () => {
  const cluster = useScriptedCluster(2, { pool: TRUSTING });

  test('by sessions one after another, of which only the first is judged', async () => {
    const before = cluster.servers.map(({ logins }) => logins);
    for (let session = 0; session < 3; session += 1) {
      const client = await cluster.connect();
      expect((await client.query('SELECT 1')).values).toEqual(['db2']);
      expect((await client.query('INSERT INTO t VALUES (1)')).error).toBeNull();
      client.close();
      await cluster.untilNoClients();
    }
    expect(cluster.servers.map(({ logins }, at) => logins - (before[at] ?? 0))).toEqual([1, 1]);
  });

  test('by sessions at the same time, and log in with attributes of their own', async () => {
    const clients = await Promise.all(Array.from({ length: 10 }, () => cluster.connect()));
    for (const client of clients) await client.query('SELECT 1');
    expect(cluster.db(2).count(/SELECT 1/)).toBe(10);
    expect(cluster.db(2).sessions.size).toBe(1);
    const [session] = cluster.db(2).sessions;
    expect(session?.login.attributes?.toString('latin1')).toContain('lagwise');
  });

  test('but not by sessions of other accounts', async () => {
    const [app, bob] = [await cluster.connect(), await cluster.connect({ user: 'bob' })];
    await app.query('SELECT 1');
    await bob.query('SELECT 2');
    const users = cluster.db(2).received.map(({ text, session }) => [text, session.login.user]);
    expect(users).toEqual([
      ['SELECT 1', 'app'],
      ['SELECT 2', 'bob'],
    ]);
  });

  test.each([
    "SET PASSWORD FOR app = 'other'",
    'REVOKE ALL ON *.* FROM app',
    "ALTER USER app IDENTIFIED BY 'other'",
    'DROP USER app',
    'FLUSH PRIVILEGES',
  ])('until %s: then the next login is judged', async (sql) => {
    const root = await cluster.connect();
    await (await cluster.connect()).query('SELECT 1');
    await root.query(sql);
    const before = cluster.db(1).logins;
    cluster.db(1).traits.auth = 'deny';
    await expect(cluster.connect()).rejects.toThrow(/^1045 /);
    expect(cluster.db(1).logins).toBe(before + 1);
  });
});

describe('a connection that its server closes while nobody uses it', () => {
  const cluster = useScriptedCluster(2);

  test.each([
    ['silently', null],
    ['with error 4031', IDLE],
  ])('%s is replaced without the client noticing', async (_, goodbye) => {
    const client = await cluster.connect();
    await client.query('SELECT 1');
    await client.query('INSERT INTO t VALUES (1)');
    const old = cluster.servers.flatMap(({ sessions }) => [...sessions]);
    expect([await idleOn(cluster, 'db1'), await idleOn(cluster, 'db2')]).toEqual([1, 1]);
    for (const { pipe } of old) {
      if (goodbye !== null) pipe.write(goodbye);
      pipe.socket.end();
    }
    await until('the proxy has seen it', async () => (await idleOn(cluster, 'db1')) === 0);
    expect((await client.query('SELECT 2')).values).toEqual(['db2']);
    expect((await client.query('INSERT INTO t VALUES (2)')).ok?.affectedRows).toBe(1);
    const runners = cluster.servers.flatMap(({ received }) => received.slice(-1));
    expect(runners.map(({ session }) => old.includes(session))).toEqual([false, false]);
  });

  test.each([
    ['a read', 'SELECT late', 2],
    ['a write', 'INSERT INTO late VALUES (1)', 1],
  ])('just as %s is sent has it run on another, once', async (_, sql, number) => {
    const server = cluster.db(number);
    const client = await cluster.connect();
    await client.query(number === 2 ? 'SELECT 1' : 'INSERT INTO t VALUES (1)');
    const closing = async (session: ServerSession) => {
      await session.send(IDLE);
      session.pipe.socket.end();
    };
    server.when(/late/, closing, 1);
    expect((await client.query(sql)).error).toBeNull();
    const runs = server.received.filter(({ text }) => text === sql);
    expect(new Set(runs.map(({ session }) => session)).size).toBe(2);
  });

  test('behind a statement of the proxy’s own has the write run on another, once', async () => {
    const client = await cluster.connect();
    const { id } = await client.prepare('INSERT INTO t VALUES (?)');
    await cluster.emptyPools();
    const closing = async (session: ServerSession) => {
      const answer = prepared(session, { statementId: 7, parameters: 1 });
      await session.send(Buffer.concat([answer, IDLE]));
      session.pipe.socket.end();
    };
    cluster.db(1).when(COM.STMT_PREPARE, closing, 1);
    const { error, ok: told } = await client.execute(id, ['1'], true);
    expect([error, told?.affectedRows]).toEqual([null, 0]);
    expect(cluster.db(1).count(COM.STMT_EXECUTE)).toBe(1);
  });

  test('just as a write is sent, without a word, is a write that may have run', async () => {
    const client = await cluster.connect();
    cluster.db(1).when(/late/, 'close', 1);
    const { error } = await client.query('INSERT INTO late VALUES (1)');
    expect(error?.message).toMatch(/may have run/);
    expect(cluster.db(1).count(/late/)).toBe(1);
    expect((await client.query('INSERT INTO t VALUES (2)')).error).toBeNull();
  });
});

describe('state', () => {
  const cluster = useScriptedCluster(2);
  const setZone = async () => {
    cluster
      .db(1)
      .when(/^SET time_zone/, (session) => okWithState(session, [variable('time_zone', 'Mars')]));
    const client = await cluster.connect();
    await client.query("SET time_zone = 'Mars'");
    return client;
  };

  test('is restored in one write with a read, whose client sees no more than its answer', async () => {
    const client = await setZone();
    const reply = await client.query('SELECT 1');
    expect([reply.values, reply.seqs[0]]).toEqual([['db2'], 1]);
    expect(statements(cluster.db(2), /Mars|SELECT/)).toEqual([
      "SET SESSION time_zone='Mars'",
      'SELECT 1',
    ]);
    await client.query('SELECT 2');
    expect(cluster.db(2).count(/Mars/)).toBe(1);
  });

  test('of one session is not met by the next one on the connection', async () => {
    const client = await setZone();
    await client.query('SELECT 1');
    const other = await cluster.connect();
    await other.query('SELECT 2');
    expect(statements(cluster.db(2), /time_zone|SELECT/)).toEqual([
      "SET SESSION time_zone='Mars'",
      'SELECT 1',
      'SET SESSION time_zone=DEFAULT',
      'SELECT 2',
    ]);
  });

  test('that a replica refuses has the read run on the primary, its answer there dropped', async () => {
    const client = await setZone();
    cluster.db(2).when(/^SET SESSION time_zone/, err(1298, 'Unknown time zone', 'HY000'));
    const reply = await client.query('SELECT 1');
    expect([reply.error, reply.values]).toEqual([null, ['db1']]);
    expect((await client.query('SELECT 2')).values).toEqual(['db1']);
    expect(cluster.db(2).count(/SELECT 2/)).toBe(0);
    // Others read where they did.
    expect((await (await cluster.connect()).query('SELECT 3')).values).toEqual(['db2']);
  });
});

describe('what a session left on a connection that others need', () => {
  const warned = (session: { status: number; caps: number }) => ok(session, { warnings: 1 });
  const list = (session: { status: number; caps: number }) =>
    rows(session, ['Level', 'Code', 'Message'], [['Warning', '1265', 'Data truncated']]);

  test('is there while nobody needs it', async () => {
    const cluster = await single();
    cluster.db(1).when(/INSERT/, warned);
    cluster.db(1).when(/^SHOW WARNINGS/, list);
    const client = await cluster.connect();
    await client.query('INSERT INTO t VALUES (1)');
    expect((await client.query('SHOW WARNINGS')).rows).toHaveLength(1);
    expect(statements(cluster.db(1), /./)).toEqual(['INSERT INTO t VALUES (1)', 'SHOW WARNINGS']);
  });

  test('is saved in front of them, and told from what was saved', async () => {
    const cluster = await single();
    cluster.db(1).when(/INSERT/, warned);
    cluster.db(1).when(/^SHOW WARNINGS/, list);
    const [client, other] = [await cluster.connect(), await cluster.connect()];
    await client.query('INSERT INTO t VALUES (1)');
    expect((await other.query('SELECT 1')).values).toEqual(['db1']);
    expect((await client.query('SHOW WARNINGS')).rows).toHaveLength(1);
    expect((await client.query('SHOW COUNT(*) WARNINGS')).values).toEqual(['1']);
    expect(statements(cluster.db(1), /./)).toEqual([
      'INSERT INTO t VALUES (1)',
      'SHOW WARNINGS',
      'SELECT 1',
    ]);
  });

  test('of its insert id is saved, and set again where it is asked for', async () => {
    const cluster = await single();
    cluster.db(1).when(/INSERT/, (session) => ok(session, { affectedRows: 1, lastInsertId: 77 }));
    cluster.db(1).when(/^SELECT LAST_INSERT_ID/, (session) => row(session, '77'));
    const [client, other] = [await cluster.connect(), await cluster.connect()];
    await client.query('INSERT INTO t VALUES (1)');
    await other.query('DELETE FROM t');
    await client.query('SELECT LAST_INSERT_ID()');
    expect(statements(cluster.db(1), /./)).toEqual([
      'INSERT INTO t VALUES (1)',
      'SELECT LAST_INSERT_ID()',
      'DO LAST_INSERT_ID(0)',
      'DELETE FROM t',
      'SET last_insert_id=77',
      'SELECT LAST_INSERT_ID()',
    ]);
  });

  test('and that dies while it is kept is lost with it: the next statement runs all the same', async () => {
    const cluster = await single();
    cluster.db(1).when(/INSERT/, warned, 1);
    const client = await cluster.connect();
    await client.query('INSERT INTO t VALUES (1)');
    cluster.db(1).cutClients();
    await until('it is seen', async () => (await idleOn(cluster, 'db1')) === 0);
    expect((await client.query('INSERT INTO t VALUES (2)')).error).toBeNull();
    expect((await client.query('SELECT 1')).error).toBeNull();
  });

  test('of its insert id is lost with a connection that dies: who does not ask runs all the same', async () => {
    const cluster = await single();
    const inserted = (session: { status: number; caps: number }) =>
      ok(session, { affectedRows: 1, lastInsertId: 77 });
    cluster.db(1).when(/INSERT/, inserted);
    const client = await cluster.connect();
    const insertAndDie = async () => {
      await client.query('INSERT INTO t VALUES (1)');
      cluster.db(1).cutClients();
      await until('it is seen', async () => (await idleOn(cluster, 'db1')) === 0);
    };
    await insertAndDie();
    expect((await client.query('INSERT INTO t VALUES (2)')).error).toBeNull();
    await client.query('SELECT LAST_INSERT_ID()');
    await insertAndDie();
    expect((await client.query('UPDATE t SET a = 1')).error).toBeNull();
    // Gone: said so, never 0. And said once: whoever asks in vain may go on.
    expect((await client.query('SELECT LAST_INSERT_ID()')).error?.code).toBe(1105);
    expect((await client.query('SELECT LAST_INSERT_ID()')).error).toBeNull();
  });

  test('and that dies while it is saved costs the other one nothing', async () => {
    const cluster = await single();
    cluster.db(1).when(/INSERT/, warned);
    cluster.db(1).when(/^SHOW WARNINGS/, 'close', 1);
    const [client, other] = [await cluster.connect(), await cluster.connect()];
    await client.query('INSERT INTO t VALUES (1)');
    expect((await other.query('SELECT 1')).values).toEqual(['db1']);
    // Gone: said so, never an empty list.
    const { error } = await client.query('SHOW WARNINGS');
    expect(error?.message).toMatch(/^lagwise: /);
    expect((await client.query('SELECT 2')).error).toBeNull();
  });
});

describe('a client that has to wait for a connection', () => {
  test('and leaves is forgotten: its statement never runs, the next one is served', async () => {
    const cluster = await single();
    const [holder, leaver, next] = [
      await cluster.connect(),
      await cluster.connect(),
      await cluster.connect(),
    ];
    await holder.query('BEGIN');
    leaver.postQuery('INSERT INTO t VALUES (1)');
    next.postQuery('INSERT INTO t VALUES (2)');
    leaver.close();
    await until(
      'it has gone',
      async () => (await cluster.metric('lagwise_client_connections')) === 2,
    );
    expect(cluster.db(1).count(/INSERT/)).toBe(0);
    await holder.query('COMMIT');
    expect((await next.reply()).ok?.affectedRows).toBe(1);
    expect(statements(cluster.db(1), /INSERT/)).toEqual(['INSERT INTO t VALUES (2)']);
  });

  test('for too long is told who has them, and that its statement has not run', async () => {
    const cluster = await single({ waitMs: 200 });
    const [holder, waiter] = [await cluster.connect(), await cluster.connect()];
    await holder.query('BEGIN');
    const { error } = await waiter.query('INSERT INTO t VALUES (1)');
    expect(error?.message).toMatch(
      /^lagwise: No connection to server db1 became free within \d+ ms: all 1 \(pool\.maxPerServer is 1\) are in use \(1 transaction\)/,
    );
    await holder.query('COMMIT');
    expect((await waiter.query('INSERT INTO t VALUES (2)')).error).toBeNull();
    expect(statements(cluster.db(1), /INSERT/)).toEqual(['INSERT INTO t VALUES (2)']);
  });
});

test('a login for which no connection becomes free is told so before its own time is over', async () => {
  const cluster = await freshCluster(1, {
    listen: { loginTimeoutMs: 600 },
    pool: { trustLoginMs: 0, maxPerServer: 1, waitMs: 60_000 },
  });
  const holder = await cluster.connect();
  await holder.query('BEGIN');
  await expect(cluster.connect()).rejects.toThrow(
    /No connection to server db1 became free within \d+ ms: all 1 \(pool\.maxPerServer is 1\) are in use/,
  );
  await holder.query('COMMIT');
  await cluster.connect();
});

describe('prepared statements', () => {
  const cluster = useScriptedCluster(2);

  test('that are too many for the server (1461) make room for one more', async () => {
    const client = await cluster.connect();
    for (let n = 0; n < 6; n += 1) await client.prepare(`INSERT INTO t${n} VALUES (?)`);
    cluster.db(1).when(COM.STMT_PREPARE, err(1461, 'Can’t create more than 6', '42000'), 1);
    const { id } = await client.prepare('INSERT INTO t VALUES (?)');
    expect((await client.execute(id, ['a'], true)).error).toBeNull();
    const closed = cluster.db(1).count(COM.STMT_CLOSE);
    expect(closed).toBeGreaterThanOrEqual(3);
    // What was closed there is prepared again where it is run, and the client sees nothing of it.
    expect((await client.execute(1, ['a'], true)).error).toBeNull();
  });

  test('that are too many for the server however many are closed fail with its error', async () => {
    const client = await cluster.connect();
    cluster.db(1).when(COM.STMT_PREPARE, err(1461, 'Can’t create more than 0', '42000'));
    await expect(client.prepare('INSERT INTO t VALUES (?)')).rejects.toThrow(/^1461 /);
    expect(cluster.db(1).count(COM.STMT_PREPARE)).toBeLessThanOrEqual(3);
    expect((await client.query('SELECT 1')).error).toBeNull();
  });

  test.each([1615, 1243])(
    'that the server does not know any more (%d) are prepared again',
    async (code) => {
      const client = await cluster.connect();
      const { id } = await client.prepare('SELECT ?');
      await client.execute(id, ['a'], true);
      cluster.db(2).when(COM.STMT_EXECUTE, err(code, 'Not known', 'HY000'), 1);
      expect((await client.execute(id, ['b'], false)).error).toBeNull();
      const executed = cluster.db(2).received.filter(({ com }) => com === COM.STMT_EXECUTE);
      expect(executed).toHaveLength(3);
      expect(cluster.db(2).count(COM.STMT_PREPARE)).toBe(2);
      // Its types, which went with the first EXECUTE only, are told again.
      expect(executed.at(-1)?.payload[11]).toBe(1);
    },
  );
});
