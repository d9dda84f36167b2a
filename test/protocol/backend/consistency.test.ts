import { expect, test } from 'vitest';
import { COM } from '../../../src/wire/command.ts';
import {
  type ConfigPart,
  freshCluster,
  type ScriptedCluster,
} from '../../support/scripted-cluster.ts';
import { err, okWithState, row, variable } from '../../support/scripted-replies.ts';
import type { ScriptedClient } from '../../support/scripted-client.ts';
import { STATUS } from '../../../src/wire/status.ts';
import { until } from '../../support/until.ts';

const UUID = '11111111-1111-1111-1111-111111111111';
const WAITS = /^DO IF\(WAIT_FOR_EXECUTED_GTID_SET/;
const ASKS = /@@GLOBAL\.gtid_owned/;
/** Scripted replicas never get what they say that they have: their lag grows as the test runs. */
const PATIENT = { waitMs: 20_000 };
/** Probes come too seldom to help: what a test sees is what sessions found out themselves. */
const SELDOM = { monitor: { intervalMs: 2_000, timeoutMs: 300 } };

/** Each INSERT is transaction `uuid:n`; replicas have the first `n` of what a test says. */
async function cluster(servers: number, part: ConfigPart = {}): Promise<ScriptedCluster> {
  const routing = Object.assign({}, PATIENT, part['routing']);
  const started = await freshCluster(servers, { ...SELDOM, ...part, routing });
  let last = 0;
  const zone = (session: Parameters<typeof okWithState>[0]) =>
    okWithState(session, [{ t: 'system-variable', name: 'time_zone', value: '+01:00' }]);
  started.db(1).when(/^SET time_zone/, zone);
  started.db(1).when(/^(INSERT|COMMIT)/, (session) => {
    last += 1;
    session.status &= ~STATUS.IN_TRANS;
    started.db(1).probe.gtid = `${UUID}:1-${last}`;
    return okWithState(session, [{ t: 'gtids', gtids: `${UUID}:${last}` }]);
  });
  return started;
}

const where = async (client: ScriptedClient, sql = 'SELECT 1') => {
  const { values, error } = await client.query(sql);
  expect(error).toBeNull();
  return values[0];
};

const level = async (client: ScriptedClient, name: string) => {
  expect((await client.query(`SET @lagwise_consistency = '${name}'`)).error).toBeNull();
};

test('a read behind a write waits on the replica, in one write with it', async () => {
  const proxy = await cluster(2);
  proxy.db(2).probe.catchesUp = true;
  const client = await proxy.connect();
  await client.query('INSERT INTO t VALUES (1)');
  expect(await where(client)).toBe('db2');
  const [wait, read] = proxy.db(2).received.slice(-2);
  expect(wait?.text).toBe(
    `DO IF(WAIT_FOR_EXECUTED_GTID_SET('${UUID}:1', 20.000) = 0, 0, (SELECT 1 UNION SELECT 2))`,
  );
  expect(read?.text).toBe('SELECT 1');
});

test('once a replica has said that it has the write, reads go there without a wait', async () => {
  const proxy = await cluster(2);
  proxy.db(2).probe.catchesUp = true;
  const client = await proxy.connect();
  await client.query('INSERT INTO t VALUES (1)');
  for (const _ of [1, 2, 3]) expect(await where(client)).toBe('db2');
  expect(proxy.counts(WAITS)).toEqual([0, 1]);
  await client.query('INSERT INTO t VALUES (2)');
  expect(await where(client)).toBe('db2');
  expect(proxy.counts(WAITS)).toEqual([0, 2]);
});

test('a replica that does not catch up in time leaves the read to the primary, once', async () => {
  const proxy = await cluster(2);
  const client = await proxy.connect();
  await client.query('INSERT INTO t VALUES (1)');
  expect(await where(client)).toBe('db1');
  expect(proxy.counts(WAITS)).toEqual([0, 1]);
  // It was sent behind the wait, and its answer dropped.
  expect(proxy.counts(/^SELECT 1$/)).toEqual([1, 1]);
  expect(await proxy.metric('lagwise_replica_fallbacks_total{reason="own-writes"}')).toBe(1);
});

test('a prepared read waits as a text does', async () => {
  const proxy = await cluster(2);
  proxy.db(2).probe.catchesUp = true;
  const client = await proxy.connect();
  const { id } = await client.prepare('SELECT ?');
  await client.query('INSERT INTO t VALUES (1)');
  expect((await client.execute(id, ['a'], true)).error).toBeNull();
  expect(proxy.counts(WAITS)).toEqual([0, 1]);
});

test('a replica that is lost in a statement of the proxy’s own leaves the read to others', async () => {
  const proxy = await cluster(2);
  const client = await proxy.connect();
  const { id } = await client.prepare('SELECT ?');
  await client.query("SET time_zone = '+01:00'");
  // In front of EXECUTE state is restored by itself.
  proxy.db(2).when(/^SET /, 'close');
  const { error } = await client.execute(id, ['a'], true);
  expect(error).toBeNull();
  expect(proxy.counts(COM.STMT_EXECUTE)).toEqual([1, 0]);
});

test.each([
  ['a write', 'INSERT INTO t VALUES (1)'],
  ['a read that only the primary may run', 'SELECT 1 FROM t FOR UPDATE'],
])('%s tries again where the primary is lost before it was sent', async (_, sql) => {
  const proxy = await cluster(1, { pool: { maxPerServer: 1 } });
  const other = await proxy.connect();
  const client = await proxy.connect();
  await other.query("SET time_zone = '+01:00'");
  // The only connection is lent on, and brought to this session's state first.
  proxy.db(1).when(/^SET /, 'close', 1);
  const { error } = await client.query(sql);
  expect(error).toBeNull();
  const { received } = proxy.db(1);
  expect(received.filter(({ text }) => text === sql)).toHaveLength(1);
  expect(received.filter(({ text }) => /^SET .*time_zone *= *DEFAULT/i.test(text))).toHaveLength(1);
});

test('what was in a transaction is not tried again', async () => {
  const proxy = await cluster(1);
  const other = await proxy.connect();
  const client = await proxy.connect();
  const { id } = await client.prepare('SELECT ?');
  proxy.db(1).when(/^BEGIN/, (session) => {
    session.status |= STATUS.IN_TRANS;
    return okWithState(session, []);
  });
  await other.query('BEGIN');
  // On a connection that does not know the statement yet.
  await client.query('BEGIN');
  proxy.db(1).when(COM.STMT_PREPARE, 'close', 1);
  const { error } = await client.execute(id, ['a'], true);
  expect(error?.message).toContain('the transaction was rolled back');
  expect(proxy.counts(COM.STMT_EXECUTE)).toEqual([0]);
});

test('a read-only transaction begins behind the wait, or on the primary', async () => {
  const proxy = await cluster(2);
  const client = await proxy.connect();
  await client.query('INSERT INTO t VALUES (1)');
  expect((await client.query('START TRANSACTION READ ONLY')).error).toBeNull();
  expect(proxy.counts(/^START/)).toEqual([1, 0]);
  await client.query('ROLLBACK');
  proxy.db(2).probe.catchesUp = true;
  await client.query('INSERT INTO t VALUES (1)');
  expect((await client.query('START TRANSACTION READ ONLY')).error).toBeNull();
  expect(proxy.counts(/^START/)).toEqual([1, 1]);
});

test('a replica that a probe has seen with the write is read from at once', async () => {
  const proxy = await cluster(2, { monitor: { intervalMs: 15, timeoutMs: 300 } });
  const client = await proxy.connect();
  await client.query('INSERT INTO t VALUES (1)');
  proxy.db(2).probe.gtid = `${UUID}:1`;
  await until('it is seen', () => proxy.app.snapshot().servers[1]?.gtidSet === `${UUID}:1`);
  expect(await where(client)).toBe('db2');
  expect(proxy.counts(WAITS)).toEqual([0, 0]);
});

test('what a commit did not tell is asked of the primary', async () => {
  const proxy = await cluster(2);
  proxy.db(2).probe.catchesUp = true;
  const client = await proxy.connect();
  // No GTID in the answer.
  await client.query('UPDATE t SET a = 1');
  proxy.db(1).probe.gtid = `${UUID}:1-7`;
  expect(await where(client)).toBe('db2');
  expect(proxy.counts(ASKS)).toEqual([1, 0]);
  expect(proxy.db(2).received.at(-2)?.text).toContain(`'${UUID}:1-7'`);
});

test('another replica is read from only when it has what the one before has shown', async () => {
  const proxy = await cluster(3);
  const client = await proxy.connect();
  const first = await where(client);
  const [reader, other] = first === 'db2' ? [2, 3] : [3, 2];
  proxy.db(reader).probe.gtid = `${UUID}:1-5`;
  proxy.db(other).probe.catchesUp = true;
  proxy.db(reader).when(/^SELECT 2/, 'close');
  // The one that was lost cannot be asked; it had nothing that the primary has not.
  proxy.db(1).probe.gtid = `${UUID}:1-5`;
  expect(await where(client, 'SELECT 2')).toBe(`db${other}`);
  expect(proxy.db(other).received.at(-2)?.text).toContain(`'${UUID}:1-5'`);
});

test('a replica in use waits for what the primary has shown meanwhile', async () => {
  const proxy = await cluster(2);
  proxy.db(2).probe.catchesUp = true;
  const client = await proxy.connect();
  expect(await where(client)).toBe('db2');
  const strong = '/* lagwise: consistency=strong */ SELECT 1';
  proxy.db(1).when(/strong/, (session) => row(session, 'db1'));
  const readOnPrimary = {
    strong: async () => {
      expect(await where(client, strong)).toBe('db1');
    },
    inTransaction: async () => {
      await client.query('BEGIN');
      expect(await where(client)).toBe('db1');
      await client.query('ROLLBACK');
    },
  };
  for (const [at, read] of Object.values(readOnPrimary).entries()) {
    proxy.db(1).probe.gtid = `${UUID}:1-${at + 5}`;
    await read();
    expect(await where(client)).toBe('db2');
    expect(proxy.counts(WAITS)[1]).toBe(at + 1);
    expect(proxy.db(2).received.at(-2)?.text).toContain(`'${UUID}:1-${at + 5}'`);
    expect(await where(client)).toBe('db2');
    expect(proxy.counts(WAITS)[1]).toBe(at + 1);
  }
});

/** What a replica has shown the primary may still be about to commit. */
const SHOWS_ALL =
  /^DO IF\(.*WAIT_FOR_EXECUTED_GTID_SET\(REGEXP_REPLACE\(CONVERT\(@@GLOBAL\.gtid_owned/;
test('who leaves a replica for the primary waits there for what is being committed, once', async () => {
  const proxy = await cluster(2);
  const client = await proxy.connect();
  await level(client, 'strong');
  expect(await where(client)).toBe('db1');
  expect(proxy.counts(SHOWS_ALL)).toEqual([0, 0]);
  await level(client, 'session');
  expect(await where(client)).toBe('db2');
  await level(client, 'strong');
  expect(await where(client)).toBe('db1');
  const [wait, read] = proxy.db(1).received.slice(-2);
  expect(wait?.text).toMatch(SHOWS_ALL);
  expect(read?.text).toBe('SELECT 1');
  expect(await where(client)).toBe('db1');
  expect(proxy.counts(SHOWS_ALL)).toEqual([1, 0]);
});

test('a read waits on the primary also where a connection has the state of another session', async () => {
  const proxy = await cluster(2, { pool: { maxPerServer: 1, minIdle: 0 } });
  proxy
    .db(1)
    .when(/^SET SESSION/, (session) => okWithState(session, [variable('sql_mode', 'ANSI')]));
  const other = await proxy.connect();
  await level(other, 'strong');
  const client = await proxy.connect();
  await client.query("SET SESSION sql_mode = 'ANSI'");
  expect(await where(client)).toBe('db2');
  expect(await where(other)).toBe('db1');
  await level(client, 'strong');
  expect(await where(client)).toBe('db1');
  expect(proxy.counts(SHOWS_ALL)).toEqual([1, 0]);
});

test('a transaction waits as well, at its first read', async () => {
  const proxy = await cluster(2);
  const client = await proxy.connect();
  expect(await where(client)).toBe('db2');
  await client.query('BEGIN');
  for (const _ of [1, 2]) expect(await where(client)).toBe('db1');
  const texts = proxy.db(1).received.map(({ text }) => text ?? '');
  const wait = texts.findIndex((text) => SHOWS_ALL.test(text));
  expect(texts.slice(wait + 1, wait + 3)).toEqual(['SELECT 1', 'SELECT 1']);
  expect(proxy.counts(SHOWS_ALL)).toEqual([1, 0]);
});

test('a primary whose commits do not end shows nothing older than a replica did', async () => {
  const proxy = await cluster(2, { monitor: { intervalMs: 50, timeoutMs: 300 } });
  proxy.db(1).when(SHOWS_ALL, () => err(1242));
  const client = await proxy.connect();
  expect(await where(client)).toBe('db2');
  await level(client, 'strong');
  const { error } = await client.query('SELECT 1');
  expect(error?.message).toContain('commits do not end');
});

test('reads of level eventual neither wait for commits of the primary nor make others wait', async () => {
  const proxy = await cluster(2, { routing: { consistency: 'eventual' } });
  const client = await proxy.connect();
  expect(await where(client)).toBe('db2');
  await level(client, 'strong');
  expect(await where(client)).toBe('db1');
  expect(proxy.counts(SHOWS_ALL)).toEqual([0, 0]);
});

test('a token is waited for on the primary, too', async () => {
  const proxy = await cluster(2);
  const client = await proxy.connect();
  await client.query(`SET @lagwise_gtid = '${UUID}:1-3'`);
  await level(client, 'strong');
  expect(await where(client)).toBe('db1');
  expect(proxy.counts(SHOWS_ALL)).toEqual([1, 0]);
});

test('eventual reads wait for nothing', async () => {
  const proxy = await cluster(2, { routing: { consistency: 'eventual' } });
  const client = await proxy.connect();
  await client.query('INSERT INTO t VALUES (1)');
  expect(await where(client)).toBe('db2');
  expect(proxy.counts(WAITS)).toEqual([0, 0]);
});

test('a transaction and a prepared write tell at their end what they committed', async () => {
  const proxy = await cluster(2);
  proxy.db(2).probe.catchesUp = true;
  const client = await proxy.connect();
  const { id } = await client.prepare('UPDATE t SET a = ?');
  await client.execute(id, ['a'], true);
  // Its EXECUTE told no GTID, which only the primary can make up for.
  expect(await where(client)).toBe('db2');
  expect(proxy.counts(ASKS)).toEqual([1, 0]);
  await client.query('BEGIN');
  await client.query('DELETE FROM t');
  await client.query('COMMIT');
  expect(await where(client)).toBe('db2');
  expect(proxy.counts(ASKS)).toEqual([1, 0]);
});

test('a token takes what was written to another connection', async () => {
  const proxy = await cluster(2);
  proxy.db(2).probe.catchesUp = true;
  const writer = await proxy.connect();
  await writer.query('INSERT INTO t VALUES (1)');
  const token = (await writer.query('SELECT @lagwise_gtid')).values[0];
  expect(token).toBe(`${UUID}:1`);
  const reader = await proxy.connect();
  expect((await reader.query(`SET @lagwise_gtid = '${token}'`)).error).toBeNull();
  expect(await where(reader)).toBe('db2');
  expect(proxy.counts(WAITS)).toEqual([0, 1]);
  expect((await reader.query("SET @lagwise_gtid = 'nonsense'")).error?.message).toMatch(
    /^lagwise: Cannot set @lagwise_gtid: .*nonsense/,
  );
});

test.each([
  "SET @lagwise_gtid = CONCAT('a', 'b')",
  "SET @x = 1, @lagwise_gtid := 'a'",
  'SELECT @lagwise_gtid LIMIT 1',
  'SELECT 1, @`Lagwise_GTID`',
  'SELECT 1; SELECT @lagwise_gtid',
  'INSERT INTO seen VALUES (@lagwise_gtid)',
  "SET @x = 1, @lagwise_consistency = 'strong'",
  "SET @lagwise_consistency = IF(1, 'strong', 'session')",
  'SET @lagwise_max_lag_ms = -1',
  "SELECT 1; SET @`lagwise_consistency` := 'strong'",
])('a setting that would only be a user variable is an error: %s', async (sql) => {
  const proxy = await cluster(2);
  const client = await proxy.connect();
  expect((await client.query(sql)).error?.message).toMatch(
    /^lagwise: Cannot set @lagwise_ variables but in a SET of them alone /,
  );
  expect(proxy.counts(/lagwise_/i)).toEqual([0, 0]);
  for (const other of ["SELECT '@lagwise_gtid', 1", 'SELECT @lagwise_gtid2, 1']) {
    expect((await client.query(other)).error).toBeNull();
  }
});

test('a read of level global sees what others have written', async () => {
  const proxy = await cluster(2, { routing: { consistency: 'global' } });
  proxy.db(2).probe.catchesUp = true;
  const reader = await proxy.connect();
  // Nobody can vouch for anything before the primary has been looked at: it is asked.
  expect(await where(reader)).toBe('db2');
  const writer = await proxy.connect();
  await writer.query('INSERT INTO t VALUES (1)');
  expect(await where(reader)).toBe('db2');
  expect(proxy.db(2).received.at(-2)?.text).toContain(`'${UUID}:1'`);
});
