import { describe, expect, test } from 'vitest';
import { COM } from '../../../src/wire/command.ts';
import { encodeExecute, idBody } from '../../support/scripted-client.ts';
import { row } from '../../support/scripted-replies.ts';
import { freshCluster, type ScriptedCluster } from '../../support/scripted-cluster.ts';
import type { ServerSession } from '../../support/scripted-server.ts';
import { until } from '../../support/until.ts';

/** Sends the first bytes of a reply and closes when they are out. */
const halfAReply =
  (bytes: number) =>
  async (session: ServerSession): Promise<void> => {
    const whole = row(session, 'x'.repeat(100));
    session.pipe.socket.end(whole.subarray(0, bytes));
    await session.pipe.closed;
  };

/** Everything after the first packet header is in the client's hands by then. */
const SOME_BYTES = 60;

/** Waits until the proxy has heard that the connections of db1 are gone. */
async function loseIdle(cluster: ScriptedCluster): Promise<void> {
  cluster.db(1).cutClients();
  await until('the proxy has closed its side', () => cluster.db(1).sessions.size === 0);
  // The proxy's own event comes with the next round of I/O: a probe of this server is one.
  const version = cluster.app.snapshot().servers[0]?.seenAtMs ?? 0;
  await until('a probe later', () => (cluster.app.snapshot().servers[0]?.seenAtMs ?? 0) > version);
}

describe('a server that is lost before it answers', () => {
  test('a read runs again on another server, once, and the client sees no error', async () => {
    const cluster = await freshCluster(3);
    const client = await cluster.connect();
    const [first] = (await client.query('SELECT 1')).values;
    const used = cluster.servers.find(({ id }) => id === first);
    used?.when(/SELECT 2/, 'close');
    const again = await client.query('SELECT 2');
    expect(again.error).toBeNull();
    expect(again.values).not.toEqual([first]);
    expect(cluster.counts(/SELECT 2/).toSorted((a, b) => a - b)).toEqual([0, 1, 1]);
    // Another replica ran it: the primary was spared.
    expect(await cluster.metric('lagwise_replica_fallbacks_total{reason="lost"}')).toBe(0);
  });

  test('a read that its only replica loses runs on the primary', async () => {
    const cluster = await freshCluster(2);
    const client = await cluster.connect();
    cluster.db(2).when(/SELECT 2/, 'close');
    expect((await client.query('SELECT 2')).values).toEqual(['db1']);
    expect(cluster.counts(/SELECT 2/)).toEqual([1, 1]);
    expect(await cluster.metric('lagwise_replica_fallbacks_total{reason="lost"}')).toBe(1);
  });

  test('a read that its only replica loses fails where the primary may not run it', async () => {
    const cluster = await freshCluster(2, { routing: { fallback: 'error' } });
    const client = await cluster.connect();
    cluster.db(2).when(/SELECT 2/, 'close');
    expect((await client.query('SELECT 2')).error?.message).toMatch(/routing\.fallback is "error"/);
    expect(cluster.counts(/SELECT 2/)).toEqual([0, 1]);
  });

  test('a read of which the client has bytes is not repeated: its connection ends', async () => {
    const cluster = await freshCluster(2);
    const client = await cluster.connect();
    cluster.db(2).when(/SELECT 2/, halfAReply(SOME_BYTES));
    await expect(client.query('SELECT 2')).rejects.toThrow('The peer closed');
    await client.untilClosed();
    expect(cluster.counts(/SELECT 2/)).toEqual([0, 1]);
  });

  test.each(['INSERT INTO t VALUES (1)', 'CALL p()', 'SELECT 1 FOR UPDATE', 'UPDATE t SET a = 1'])(
    '%s is not sent twice, and the error says that it may have run',
    async (sql) => {
      const cluster = await freshCluster(2);
      const client = await cluster.connect();
      cluster.db(1).when(/^(INSERT|CALL|SELECT|UPDATE)/, 'close');
      const { error } = await client.query(sql);
      expect(error?.code).toBe(1053);
      expect(error?.sqlState).toBe('08S01');
      expect(error?.message).toMatch(/^lagwise: Server db1 .*may have run/);
      expect(cluster.counts(/INSERT|CALL|FOR UPDATE|UPDATE/)).toEqual([1, 0]);
    },
  );

  test('an executed write is not sent twice either', async () => {
    const cluster = await freshCluster(2);
    const client = await cluster.connect();
    const { id } = await client.prepare('INSERT INTO t VALUES (?)');
    cluster.db(1).when(COM.STMT_EXECUTE, 'close');
    expect((await client.execute(id, ['a'], true)).error?.code).toBe(1053);
    expect(cluster.counts(COM.STMT_EXECUTE)).toEqual([1, 0]);
  });

  test('a COMMIT has an unknown outcome, and the error says so', async () => {
    const cluster = await freshCluster(2);
    const client = await cluster.connect();
    await client.query('BEGIN');
    await client.query('INSERT INTO t VALUES (1)');
    cluster.db(1).when(/COMMIT/, 'close');
    const { error } = await client.query('COMMIT');
    expect(error?.code).toBe(1053);
    expect(error?.message).toMatch(/outcome of the transaction is unknown/);
    expect(cluster.counts(/COMMIT/)).toEqual([1, 0]);
  });

  test.each(['SELECT 1', 'INSERT INTO t VALUES (2)'])(
    'a transaction that is lost with %s is rolled back: 1213, and it can be run again',
    async (sql) => {
      const cluster = await freshCluster(2);
      const client = await cluster.connect();
      await client.query('BEGIN');
      cluster.db(1).when(/^(SELECT 1|INSERT)/, 'close', 1);
      const { error } = await client.query(sql);
      expect(error).toMatchObject({ code: 1213, sqlState: '40001' });
      await cluster.untilRoles('db1', ['db2']);
      expect((await client.query('BEGIN')).error).toBeNull();
      expect((await client.query(sql)).error).toBeNull();
      expect((await client.query('COMMIT')).error).toBeNull();
    },
  );

  test('a write that answers garbage is not repeated and ends as a broken server', async () => {
    const cluster = await freshCluster(2);
    const client = await cluster.connect();
    cluster.db(1).when(/INSERT/, Buffer.from([3, 0, 0, 1, 0, 0xff, 0xff]));
    const { error } = await client.query('INSERT INTO t VALUES (1)');
    expect(error?.message).toMatch(/malformed reply/);
    expect(cluster.counts(/INSERT/)).toEqual([1, 0]);
    expect((await client.query('SELECT 1')).values).toEqual(['db2']);
  });
});

describe('a transaction whose server is lost while the client says nothing', () => {
  test('is told of by the next command', async () => {
    const cluster = await freshCluster(2);
    const client = await cluster.connect();
    await client.query('BEGIN');
    await loseIdle(cluster);
    expect((await client.query('INSERT INTO t VALUES (1)')).error?.code).toBe(1213);
    expect(cluster.counts(/INSERT/)).toEqual([0, 0]);
    expect((await client.query('SELECT 1')).values).toEqual(['db2']);
  });

  test('is told of by the next command that has an answer', async () => {
    const cluster = await freshCluster(2);
    const client = await cluster.connect();
    const { id } = await client.prepare('INSERT INTO t VALUES (?)');
    await client.query('BEGIN');
    await loseIdle(cluster);
    client.post(COM.STMT_SEND_LONG_DATA, idBody(id, 0, 0, 65));
    client.post(COM.STMT_CLOSE, idBody(id));
    expect((await client.query('INSERT INTO t VALUES (1)')).error?.code).toBe(1213);
    expect((await client.query('DELETE FROM t')).ok?.affectedRows).toBe(1);
    expect((await client.query('SELECT 1')).rows.length).toBe(1);
  });

  test('is told of by a command that is too long to be held, and that one does not run', async () => {
    const cluster = await freshCluster(2, { listen: { gatherMaxBytes: 16_384 } });
    const client = await cluster.connect();
    await client.query('BEGIN');
    await loseIdle(cluster);
    client.postQuery(`INSERT INTO t VALUES ('${'x'.repeat(20_000)}')`);
    const outcome = await client.reply().then(
      ({ error }) => error?.code,
      () => 1213,
    );
    expect(outcome).toBe(1213);
    expect(cluster.counts(/INSERT/)).toEqual([0, 0]);
  });
});

describe('a server that is lost while the proxy sets it up', () => {
  test('a statement that was to be prepared there fails, and the session goes on', async () => {
    const cluster = await freshCluster(2);
    const client = await cluster.connect();
    const { id } = await client.prepare('SELECT ?');
    await client.execute(id, ['a'], true);
    await client.query('BEGIN');
    cluster.db(1).when(COM.STMT_PREPARE, 'close', 1);
    const { error } = await client.execute(id, ['a'], true);
    expect(error?.code).toBe(1213);
    await cluster.untilRoles('db1', ['db2']);
    expect((await client.query('INSERT INTO t VALUES (2)')).error).toBeNull();
    expect((await client.execute(id, ['a'], true)).error).toBeNull();
  });

  test('roles that flip meanwhile end the wait at once', async () => {
    const cluster = await freshCluster(2, { pool: { connectTimeoutMs: 2500 } });
    const client = await cluster.connect();
    const { id } = await client.prepare('SELECT ?');
    await client.execute(id, ['a'], true);
    await client.query('BEGIN');
    cluster.db(1).when(COM.STMT_PREPARE, 'silence');
    client.send(encodeExecute({ id, values: ['a'], types: true, caps: client.caps }));
    await until('it is prepared there', () => cluster.db(1).count(COM.STMT_PREPARE) > 0);
    const started = performance.now();
    cluster.promote(2);
    expect((await client.reply()).error?.code).toBe(1213);
    expect(performance.now() - started).toBeLessThan(1_000);
  });
});

describe('a client that leaves', () => {
  test('in the middle of its statement has it killed on its server', async () => {
    const cluster = await freshCluster(2);
    const client = await cluster.connect();
    cluster.db(2).when(/SELECT SLEEP/, 'silence');
    client.postQuery('SELECT SLEEP(100)');
    await until('it runs', () => cluster.db(2).count(/SLEEP/) === 1);
    const [session] = cluster.db(2).sessions;
    client.close();
    await until('KILL QUERY is seen', () => cluster.db(2).count(/^KILL/) === 1);
    expect(cluster.db(2).texts().at(-1)).toBe(`KILL QUERY ${session?.threadId}`);
    await until('no connection is left', () => cluster.db(2).sessions.size === 0);
    expect(cluster.counts(/^KILL/)).toEqual([0, 1]);
  });

  test('between two statements has nothing killed', async () => {
    const cluster = await freshCluster(2);
    const client = await cluster.connect();
    await client.query('SELECT 1');
    client.close();
    await cluster.untilNoClients();
    // Its connections are there for the next one.
    const before = cluster.servers.map(({ logins }) => logins);
    expect(cluster.servers.map(({ sessions }) => sessions.size)).toEqual([1, 1]);
    const next = await cluster.connect();
    await next.query('SELECT 1');
    await next.query('INSERT INTO t VALUES (1)');
    // But for the login, which the server is to judge.
    expect(cluster.servers.map(({ logins }, index) => logins - (before[index] ?? 0))).toEqual([
      1, 0,
    ]);
    expect(cluster.counts(/^KILL/)).toEqual([0, 0]);
  });
});
