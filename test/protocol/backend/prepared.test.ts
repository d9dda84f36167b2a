import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { CAP, union } from '../../../src/wire/capability.ts';
import { COM } from '../../../src/wire/command.ts';
import { STATUS } from '../../../src/wire/status.ts';
import { frame } from '../../../src/wire/writer.ts';
import {
  CLIENT_CAPS,
  encodeExecute,
  idBody,
  type ScriptedClient,
} from '../../support/scripted-client.ts';
import { err, ok, okWithState } from '../../support/scripted-replies.ts';
import { freshCluster, useScriptedCluster } from '../../support/scripted-cluster.ts';
import type { ScriptedServer } from '../../support/scripted-server.ts';
import { until } from '../../support/until.ts';

const cluster = useScriptedCluster(2);
/** Such a read may run on any replica, whatever was written before it. */
const EVENTUAL = '/* lagwise: consistency=eventual */ SELECT ?';

/** The statement ids in the packets of a command that reached a server. */
const idsAt = (server: ScriptedServer, com: number): number[] =>
  server.received.filter((each) => each.com === com).map(({ payload }) => payload.readUInt32LE(1));

/** A transaction makes a read run on the primary. */
async function onPrimary(client: ScriptedClient, work: () => Promise<unknown>): Promise<void> {
  await client.query('BEGIN');
  await work();
  await client.query('COMMIT');
}

describe('a prepared statement', () => {
  test.each([
    ['plain', CLIENT_CAPS],
    ['with query attributes', union(CLIENT_CAPS, CAP.QUERY_ATTRIBUTES)],
  ])(
    'runs on two servers under their own ids, with its types where they are new (%s)',
    async (_, caps) => {
      const client = await cluster.connect({ caps });
      const { id } = await client.prepare('SELECT ?, ?');
      await client.execute(id, ['a', 'b'], true);
      await client.execute(id, ['c', 'd'], false);
      await onPrimary(client, async () => {
        await client.execute(id, ['e', 'f'], false);
        await client.execute(id, ['g', 'h'], false);
      });
      const [primary, replica] = cluster.servers;
      if (primary === undefined || replica === undefined) throw new Error('Two servers are needed');
      const [onReplica] = idsAt(replica, COM.STMT_EXECUTE);
      expect(idsAt(replica, COM.STMT_EXECUTE)).toEqual([onReplica, onReplica]);
      const ids = idsAt(primary, COM.STMT_EXECUTE);
      expect(ids).toHaveLength(2);
      expect(new Set([...ids, onReplica]).size).toBe(2);
      expect(cluster.counts(COM.STMT_PREPARE)).toEqual([1, 1]);
      const packets = primary.received.filter(({ com }) => com === COM.STMT_EXECUTE);
      const wanted = (values: string[], types: boolean) =>
        encodeExecute({ id: ids[0] ?? 0, values, types, caps })
          .subarray(4)
          .toString('hex');
      expect(packets.map(({ payload }) => payload.toString('hex'))).toEqual([
        wanted(['e', 'f'], true),
        wanted(['g', 'h'], false),
      ]);
    },
  );

  test('of a schema that tells of its server runs on the primary, whatever the schema is now', async () => {
    const client = await cluster.connect({ database: 'performance_schema' });
    const { id } = await client.prepare('SELECT VARIABLE_VALUE FROM global_variables');
    for (const server of cluster.servers) {
      server.when(/^USE app/, (session) => okWithState(session, [{ t: 'schema', schema: 'app' }]));
    }
    await client.query('USE app');
    expect((await client.query('SELECT 1')).values).toEqual(['db2']);
    await client.execute(id, [], false);
    expect(cluster.counts(COM.STMT_EXECUTE)).toEqual([1, 0]);
  });

  test('that is closed is unknown then, and stays on the servers for others', async () => {
    const client = await cluster.connect();
    const { id } = await client.prepare('SELECT ?');
    await client.execute(id, ['a'], true);
    await onPrimary(client, () => client.execute(id, ['a'], true));
    client.post(COM.STMT_CLOSE, idBody(id));
    const { error } = await client.execute(id, ['a'], true);
    expect(error).toEqual({
      code: 1243,
      sqlState: 'HY000',
      message: `Unknown prepared statement handler (${id}) given to mysql_stmt_precheck`,
    });
    expect(cluster.counts(COM.STMT_CLOSE)).toEqual([0, 0]);
  });

  test('that two sessions prepare is open once on the connection that they share', async () => {
    const replica = cluster.db(2);
    const [one, two] = [await cluster.connect(), await cluster.connect()];
    const first = await one.prepare('SELECT ?');
    await one.execute(first.id, ['a'], true);
    const second = await two.prepare('SELECT ?');
    await two.execute(second.id, ['b'], true);
    expect((await one.execute(first.id, ['c'], false)).error).toBeNull();
    expect(replica.sessions.size).toBe(1);
    const [old, fresh, shared] = idsAt(replica, COM.STMT_EXECUTE);
    expect([shared, fresh !== old]).toEqual([fresh, true]);
    expect([replica.count(COM.STMT_PREPARE), idsAt(replica, COM.STMT_CLOSE)]).toEqual([2, [old]]);
  });

  test('is prepared again on a server whose connection was lost', async () => {
    const client = await cluster.connect();
    const { id } = await client.prepare('SELECT ?');
    await client.execute(id, ['a'], true);
    cluster.db(2).cutClients();
    await until('it is closed', () => cluster.db(2).sessions.size === 0);
    await cluster.untilRoles('db1', ['db2']);
    expect((await client.execute(id, ['b'], false)).error).toBeNull();
    const last = cluster.servers
      .flatMap(({ received }) => received)
      .findLast(({ com }) => com === COM.STMT_EXECUTE);
    // The types went with the first EXECUTE only, to a connection that is gone.
    expect(last?.payload[11]).toBe(1);
  });

  test('that fails to be prepared leaves no statement behind', async () => {
    const client = await cluster.connect();
    for (const server of cluster.servers)
      server.when(COM.STMT_PREPARE, err(1064, 'No', '42000'), 1);
    await expect(client.prepare('SELECT nonsense FROM')).rejects.toThrow('1064 No');
    const { id } = await client.prepare('SELECT ?');
    expect((await client.execute(id, ['a'], true)).error).toBeNull();
  });

  test('whose id is nobody’s is refused in the server’s words', async () => {
    const client = await cluster.connect();
    const { error } = await client.command(COM.STMT_RESET, idBody(77));
    expect(error?.message).toBe(
      'Unknown prepared statement handler (77) given to mysql_stmt_precheck',
    );
    const fetched = await client.command(COM.STMT_FETCH, idBody(78, 1, 0, 0, 0), 'rows');
    expect(fetched.error?.message).toBe(
      'Unknown prepared statement handler (78) given to mysql_stmt_precheck',
    );
    expect((await client.execute(0xffff_ffff, [], false)).error?.code).toBe(1243);
    // COM_STMT_CLOSE of an unknown id has no answer either.
    client.post(COM.STMT_CLOSE, idBody(79));
    expect((await client.query('SELECT 1')).values).toEqual(['db2']);
  });

  test.each([
    ['too short for an id', Buffer.from([1, 0])],
    ['too short for the rest', idBody(1)],
  ])('whose EXECUTE is %s ends in an error, and no other session notices', async (_, body) => {
    const client = await cluster.connect();
    const other = await cluster.connect();
    await client.prepare('SELECT ?');
    client.post(COM.STMT_EXECUTE, body);
    const first = await client.reply().then(
      ({ error }) => error?.code,
      () => 'closed',
    );
    expect([1243, 1835, 'closed']).toContain(first);
    expect((await other.query('SELECT 1')).error).toBeNull();
  });
});

describe('what binds a statement to its server', () => {
  const cursor = (session: { status: number; caps: number }) =>
    ok(session, { status: session.status | STATUS.CURSOR_EXISTS });

  test('rows of a cursor are fetched where it is open', async () => {
    cluster.db(2).when(COM.STMT_EXECUTE, cursor);
    cluster
      .db(2)
      .when(COM.STMT_FETCH, (session) =>
        ok(session, { status: session.status | STATUS.CURSOR_EXISTS | STATUS.LAST_ROW_SENT }).fill(
          0xfe,
          4,
          5,
        ),
      );
    const client = await cluster.connect();
    const { id } = await client.prepare('SELECT ?');
    await client.execute(id, ['a'], true);
    const fetched = await client.command(COM.STMT_FETCH, idBody(id, 10, 0, 0, 0), 'rows');
    expect(fetched.status & STATUS.LAST_ROW_SENT).not.toBe(0);
    expect(idsAt(cluster.db(2), COM.STMT_FETCH)).toEqual(idsAt(cluster.db(2), COM.STMT_EXECUTE));
    // The cursor is at its end: nothing to fetch from is left.
    const late = await client.command(COM.STMT_FETCH, idBody(id, 10, 0, 0, 0), 'rows');
    expect(late.error).toEqual({
      code: 1421,
      sqlState: 'HY000',
      message: `The statement (${id}) has no open cursor.`,
    });
  });

  test('an open cursor does not take a later EXECUTE out of a transaction', async () => {
    cluster.db(2).when(COM.STMT_EXECUTE, cursor);
    const client = await cluster.connect();
    const { id } = await client.prepare('SELECT ?');
    await client.execute(id, ['a'], true);
    await onPrimary(client, () => client.execute(id, ['b'], false));
    expect(cluster.counts(COM.STMT_EXECUTE)).toEqual([1, 1]);
  });

  test('nor does COM_PING ask a server that knows nothing of the session', async () => {
    cluster.db(2).when(COM.STMT_EXECUTE, cursor);
    const client = await cluster.connect();
    const { id } = await client.prepare('SELECT ?');
    await client.execute(id, ['a'], true);
    const before = cluster.counts(COM.PING);
    expect((await client.command(COM.PING)).error).toBeNull();
    expect(cluster.counts(COM.PING)).toEqual(before);
  });

  test('nor does it let a read miss what the session wrote', async () => {
    const slow = await freshCluster(2, {
      monitor: { intervalMs: 1_000, timeoutMs: 300 },
      routing: { waitMs: 0 },
    });
    slow.db(2).when(COM.STMT_EXECUTE, cursor);
    const client = await slow.connect();
    const { id } = await client.prepare('SELECT ?');
    await client.execute(id, ['a'], true);
    await client.query('INSERT INTO t VALUES (1)');
    await client.execute(id, ['a'], true);
    expect(slow.counts(COM.STMT_EXECUTE)).toEqual([1, 1]);
  });

  test('reads beside an open cursor do not end it where another replica would serve them', async () => {
    const three = await freshCluster(3);
    const atEnd = STATUS.CURSOR_EXISTS | STATUS.LAST_ROW_SENT;
    for (const server of three.servers) {
      server.when(COM.STMT_EXECUTE, cursor);
      server.when(COM.STMT_FETCH, (session) =>
        ok(session, { status: session.status | atEnd }).fill(0xfe, 4, 5),
      );
    }
    const client = await three.connect();
    const { id } = await client.prepare('SELECT ?');
    await client.execute(id, ['a'], true);
    const here = three.servers.find((server) => server.count(COM.STMT_EXECUTE) === 1);
    if (here === undefined) throw new Error('No server has run it');
    // It lives, and may not serve reads any more.
    Object.assign(here.probe, { source: null });
    await three.untilRoles('db1', [here.id === 'db2' ? 'db3' : 'db2']);
    expect((await client.query('SELECT 1')).error).toBeNull();
    const fetched = await client.command(COM.STMT_FETCH, idBody(id, 10, 0, 0, 0), 'rows');
    expect([fetched.error, idsAt(here, COM.STMT_FETCH).length]).toEqual([null, 1]);
    expect((await client.query('SELECT 2')).error).toBeNull();
    // Once the cursor is read to its end the session is free to go to the other replica.
    const at = (marker: RegExp) => three.servers.find((server) => server.count(marker) > 0)?.id;
    expect([at(/^SELECT 1$/), at(/^SELECT 2$/) === here.id]).toEqual(['db1', false]);
  });

  test('a statement whose long data is lost with its connection does not run without', async () => {
    const client = await cluster.connect();
    const { id } = await client.prepare(EVENTUAL);
    const send = () => client.post(COM.STMT_SEND_LONG_DATA, idBody(id, 0, 0, 0x41));
    send();
    await until('it has come', () => cluster.counts(COM.STMT_SEND_LONG_DATA).includes(1));
    cluster.db(2).cutClients();
    await until('it is closed', () => cluster.db(2).sessions.size === 0);
    await cluster.untilRoles('db1', ['db2']);
    // More of it makes it no whole.
    send();
    const { error } = await client.execute(id, [''], true);
    expect([error?.message, cluster.counts(COM.STMT_EXECUTE)]).toEqual([
      expect.stringContaining('send the data again'),
      [0, 0],
    ]);
    // What came late is not left there for others either.
    await until('it is closed', () => cluster.counts(COM.STMT_CLOSE).includes(1));
    send();
    expect((await client.execute(id, [''], true)).error).toBeNull();
  });

  test('a transaction that begins behind the long data of a read has that read run in it', async () => {
    const client = await cluster.connect();
    const { id } = await client.prepare(EVENTUAL);
    const send = () => client.post(COM.STMT_SEND_LONG_DATA, idBody(id, 0, 0, 0x41));
    send();
    await until('it has come', () => cluster.counts(COM.STMT_SEND_LONG_DATA).includes(1));
    await client.query('BEGIN');
    // Its data is on the replica, where no transaction is open.
    const { error } = await client.execute(id, [''], true);
    expect([error?.message, cluster.counts(COM.STMT_EXECUTE)]).toEqual([
      expect.stringContaining('sent to another server'),
      [0, 0],
    ]);
    send();
    expect((await client.execute(id, [''], true)).error).toBeNull();
    expect(cluster.counts(COM.STMT_EXECUTE)).toEqual([1, 0]);
    expect((await client.query('COMMIT')).error).toBeNull();
    // What came too early is not left on the replica for others.
    expect(cluster.counts(COM.STMT_CLOSE)).toEqual([0, 1]);
  });

  test('a command that is refused on the way lets go of its connection', async () => {
    const small = await freshCluster(2, { pool: { maxPerServer: 1, waitMs: 500 } });
    const [client, other] = [await small.connect(), await small.connect()];
    const { id } = await client.prepare('SELECT ?');
    const theirs = await other.prepare('SELECT ?');
    await other.execute(theirs.id, ['a'], true);
    // Nobody was told what types the parameters of this one have.
    expect((await client.execute(id, ['a'], false)).error?.code).toBe(1210);
    expect((await other.query('SELECT 1')).error).toBeNull();
    expect((await other.query('INSERT INTO t VALUES (1)')).error).toBeNull();
  });

  test('long data of a read that has to see what is written goes to the primary', async () => {
    const client = await cluster.connect();
    const { id } = await client.prepare('SELECT ?');
    client.post(COM.STMT_SEND_LONG_DATA, idBody(id, 0, 0, 0x41));
    await until('it has come', () => cluster.counts(COM.STMT_SEND_LONG_DATA).includes(1));
    // The server that has the data is the one that runs the read.
    await client.query('INSERT INTO t VALUES (1)');
    expect((await client.execute(id, [''], true)).error).toBeNull();
    expect(cluster.counts(COM.STMT_EXECUTE)).toEqual([1, 0]);
  });

  test('long data goes to where the statement runs', async () => {
    const client = await cluster.connect();
    const { id } = await client.prepare('SELECT ?');
    client.post(COM.STMT_SEND_LONG_DATA, idBody(id, 0, 0, 0x41));
    client.post(COM.STMT_SEND_LONG_DATA, idBody(id, 0, 0, 0x42));
    expect((await client.execute(id, [''], true)).error).toBeNull();
    const [here] = cluster.servers.filter((server) => server.count(COM.STMT_EXECUTE) === 1);
    expect(here?.received.map(({ com }) => com)).toEqual([
      COM.STMT_PREPARE,
      COM.STMT_SEND_LONG_DATA,
      COM.STMT_SEND_LONG_DATA,
      COM.STMT_EXECUTE,
    ]);
    expect(new Set(here === undefined ? [] : idsAt(here, COM.STMT_SEND_LONG_DATA))).toEqual(
      new Set(here === undefined ? [] : idsAt(here, COM.STMT_EXECUTE)),
    );
  });

  test('long data for no statement is dropped without an answer', async () => {
    const client = await cluster.connect();
    client.post(COM.STMT_SEND_LONG_DATA, idBody(99, 0, 0, 0x41));
    expect((await client.query('SELECT 1')).values).toEqual(['db2']);
  });
});

describe('statements that are too long to be held', () => {
  const LIMIT = { listen: { gatherMaxBytes: 16_384 } };
  const text = `INSERT INTO t VALUES ('${'x'.repeat(40_000)}', ?)`;

  test('are prepared and run', async () => {
    const small = await freshCluster(2, LIMIT);
    const client = await small.connect();
    const { id } = await client.prepare(text);
    expect((await client.execute(id, ['y'.repeat(200)], true)).error).toBeNull();
    expect(small.db(1).received[0]?.text).toBe(text);
  });

  test('pass in pieces, whole and in order, and the next command is heard', async () => {
    const small = await freshCluster(2, LIMIT);
    const client = await small.connect();
    expect((await client.query(text)).ok?.affectedRows).toBe(1);
    expect(small.db(1).texts()).toEqual([text]);
    expect((await client.query('SELECT 1')).rows).toHaveLength(1);
  });

  test('long data passes too', async () => {
    const small = await freshCluster(2, LIMIT);
    const client = await small.connect();
    const { id } = await client.prepare('INSERT INTO t VALUES (?)');
    const data = Buffer.concat([idBody(id, 0, 0), Buffer.alloc(50_000, 0x41)]);
    client.post(COM.STMT_SEND_LONG_DATA, data);
    expect((await client.execute(id, [''], true)).error).toBeNull();
    const [sent] = small.db(1).received.filter(({ com }) => com === COM.STMT_SEND_LONG_DATA);
    expect(sent?.payload.length).toBe(data.length + 1);
  });

  test('a packet of more than 16 MB arrives as one', async () => {
    const client = await cluster.connect();
    const long = `INSERT INTO t VALUES ('${'z'.repeat(0xff_ffff + 5_000)}')`;
    expect((await client.query(long)).error).toBeNull();
    expect(cluster.db(1).received[0]?.text === long).toBe(true);
    expect((await client.query('SELECT 1')).rows).toHaveLength(1);
  });

  test('long data waits for a server that is slow to take it', async () => {
    const client = await cluster.connect();
    const { id } = await client.prepare('INSERT INTO t VALUES (?)');
    // The first goes where the others will.
    client.post(COM.STMT_SEND_LONG_DATA, idBody(id, 0, 0, 0x41));
    await until('it has arrived', () => cluster.db(1).count(COM.STMT_SEND_LONG_DATA) === 1);
    for (const { pipe } of cluster.db(1).sessions) pipe.socket.pause();
    const body = Buffer.concat([idBody(id, 0, 0), Buffer.alloc(1_000_000)]);
    const part = frame(Buffer.concat([Buffer.from([COM.STMT_SEND_LONG_DATA]), body]), 0);
    const { socket } = client.pipe;
    let taken = 0;
    for (let isTaken = true; isTaken && taken < 60; ) {
      const written = new Promise<boolean>((resolve) => socket.write(part, () => resolve(true)));
      // Nothing tells that a peer will take no more but that it has not, for a while.
      isTaken = await Promise.race([written, sleep(400, false)]);
      if (isTaken) taken += 1;
    }
    // What is taken is in the buffers of four sockets.
    expect(taken).toBeLessThan(40);
    const sent = taken + 2;
    for (const { pipe } of cluster.db(1).sessions) pipe.socket.resume();
    expect((await client.execute(id, [''], true)).error).toBeNull();
    expect(cluster.db(1).count(COM.STMT_SEND_LONG_DATA)).toBe(sent);
  });
});
