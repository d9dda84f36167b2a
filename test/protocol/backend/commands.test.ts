import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { CAP, union } from '../../../src/wire/capability.ts';
import { COM } from '../../../src/wire/command.ts';
import { encodeCompressed } from '../../../src/wire/compressed-frame.ts';
import {
  decodeLocalInfileRequest,
  encodeLocalInfileRequest,
} from '../../../src/wire/packets/local-infile-request.ts';
import { encodeQuery } from '../../../src/wire/packets/query.ts';
import { STATUS } from '../../../src/wire/status.ts';
import { frame } from '../../../src/wire/writer.ts';
import { CLIENT_CAPS } from '../../support/scripted-client.ts';
import { definition, err, ok, okWithState, row, variable } from '../../support/scripted-replies.ts';
import { freshCluster, useScriptedCluster } from '../../support/scripted-cluster.ts';
import { PASSWORD, type ServerSession } from '../../support/scripted-server.ts';
import { until } from '../../support/until.ts';

const cluster = useScriptedCluster(2);
const LEASED_1 = 'lagwise_backend_connections{server="db1",state="leased"}';

/** Asks for a file and takes it to its end; the text that arrived is told in the OK's info. */
async function takeFile(session: ServerSession): Promise<void> {
  await session.send(encodeLocalInfileRequest('data.csv', 1));
  const parts: Buffer[] = [];
  for (;;) {
    const { payload, seq } = await session.pipe.read();
    if (payload.length === 0) {
      const info = `Bytes: ${Buffer.concat(parts).length}`;
      const packet = Buffer.from(ok(session, { affectedRows: parts.length, info }));
      packet[3] = seq + 1;
      await session.send(packet);
      return;
    }
    parts.push(payload);
  }
}

describe('COM_RESET_CONNECTION', () => {
  test('resets the primary’s connection, turns the trackers on again, and forgets state', async () => {
    const client = await cluster.connect();
    cluster
      .db(1)
      .when(/SET time_zone/, (session) => okWithState(session, [variable('time_zone', '+01:00')]));
    await client.query('SET time_zone = "+01:00"');
    await client.query('SET @a = 1');
    expect((await client.query('SELECT 1')).values).toEqual(['db1']);
    const before = cluster.db(1).trackerStatements;
    expect((await client.command(COM.RESET_CONNECTION)).error).toBeNull();
    await until(
      'reads leave the primary',
      async () => (await client.query('SELECT 1')).values[0] === 'db2',
    );
    await client.query('INSERT INTO t VALUES (1)');
    expect(cluster.db(1).trackerStatements).toBe(before + 1);
    expect(cluster.db(1).count(COM.RESET_CONNECTION)).toBe(1);
    expect(cluster.counts(/^SET SESSION time_zone/)).toEqual([0, 0]);
  });

  test('keeps a schema that the server does not report any more', async () => {
    const client = await cluster.connect({ database: 'app' });
    await client.query('SET session_track_schema = 0');
    for (const server of cluster.servers) {
      server.when(/DATABASE\(\)/, (session) => row(session, 'shop'));
    }
    await client.query('USE shop');
    await client.command(COM.RESET_CONNECTION);
    await until(
      'reads leave the primary',
      async () => (await client.query('SELECT 1')).values[0] === 'db2',
    );
    const [last] = cluster
      .db(2)
      .received.filter(({ com }) => com === COM.INIT_DB)
      .slice(-1);
    expect(last?.text).toBe('shop');
  });

  test('closes a connection whose schema is not known, and so does the end of the session', async () => {
    const client = await cluster.connect();
    for (const server of cluster.servers) {
      server.when(/DATABASE\(\)/, (session) => row(session, 'shop'));
    }
    for (const end of [COM.RESET_CONNECTION, COM.QUIT]) {
      await client.query('SET session_track_schema = 0');
      await client.query('USE shop');
      const used = cluster.db(1).received.at(-1)?.session;
      client.post(end);
      await until('it is closed', () => used?.pipe.isClosed === true);
    }
    expect(cluster.counts(COM.RESET_CONNECTION)).toEqual([0, 0]);
  });

  test('ends a transaction', async () => {
    const client = await cluster.connect();
    await client.query('BEGIN');
    expect((await client.command(COM.RESET_CONNECTION)).status & STATUS.IN_TRANS).toBe(0);
    await until(
      'reads leave the primary',
      async () => (await client.query('SELECT 1')).values[0] === 'db2',
    );
  });

  test.each(['SHOW WARNINGS', 'SELECT FOUND_ROWS()', 'SELECT ROW_COUNT()'])(
    'after a read on a replica leaves %s with an answer',
    async (sql) => {
      const client = await cluster.connect();
      expect((await client.query('SELECT 1')).values).toEqual(['db2']);
      await client.command(COM.RESET_CONNECTION);
      expect((await client.query(sql)).error).toBeNull();
    },
  );
});

describe('COM_CHANGE_USER', () => {
  test('logs in anew, drops all state and goes on over connections of the other account', async () => {
    const client = await cluster.connect({ database: 'shop' });
    await client.query('BEGIN');
    await client.query('SET @a = 1');
    const [old] = cluster.db(1).received.map(({ session }) => session);
    await client.changeUser('bob', PASSWORD, 'other');
    const logins = [...cluster.db(1).sessions].map(({ login }) => [login.user, login.database]);
    expect(logins).toContainEqual(['bob', 'other']);
    expect((await client.query('SELECT 1')).values).toEqual(['db2']);
    expect((await client.query('INSERT INTO t VALUES (1)')).error).toBeNull();
    const runBy = cluster.servers.flatMap(({ received }) =>
      received
        .filter(({ text }) => /^(SELECT 1|INSERT)/.test(text))
        .map(({ session }) => session.login.user),
    );
    expect(runBy).toEqual(['bob', 'bob']);
    // What the old one had open is undone before anybody else has its connection.
    await until('it is reset', () => cluster.db(1).count(COM.RESET_CONNECTION) === 1);
    const reset = cluster.db(1).received.find(({ com }) => com === COM.RESET_CONNECTION);
    expect(reset?.session).toBe(old);
  });

  test('with a wrong password ends the connection with the server’s error', async () => {
    const client = await cluster.connect();
    await expect(client.changeUser('bob', 'wrong')).rejects.toThrow(
      /^1045 Access denied for user 'bob'/,
    );
    await client.untilClosed();
  });
});

describe('commands that are not statements', () => {
  test('COM_INIT_DB is known on every server of the session', async () => {
    const client = await cluster.connect();
    cluster
      .db(1)
      .when(COM.INIT_DB, (session, { text }) =>
        okWithState(session, [{ t: 'schema', schema: text }]),
      );
    await client.command(COM.INIT_DB, Buffer.from('shop'));
    expect((await client.query('SELECT 1')).values).toEqual(['db2']);
    expect(cluster.db(2).received.map(({ com, text }) => [com, text])).toEqual([
      [COM.INIT_DB, 'shop'],
      [COM.QUERY, 'SELECT 1'],
    ]);
  });

  test('COM_SET_OPTION is carried to each server that the session uses then', async () => {
    const client = await cluster.connect();
    const options = () =>
      cluster.servers.map(
        (server) => server.received.find(({ com }) => com === COM.SET_OPTION)?.payload[1],
      );
    expect((await client.command(COM.SET_OPTION, Buffer.from([1, 0]))).error).toBeNull();
    expect(options()).toEqual([undefined, undefined]);
    await client.query('SELECT 1');
    await client.query('INSERT INTO t VALUES (1)');
    expect(options()).toEqual([1, 1]);
  });

  test('COM_STATISTICS is one packet of text', async () => {
    const client = await cluster.connect();
    cluster.db(1).when(COM.STATISTICS, frame(Buffer.from('Uptime: 12  Threads: 1'), 1));
    const { rows } = await client.command(COM.STATISTICS, undefined, 'text');
    expect(rows.map(String)).toEqual(['Uptime: 12  Threads: 1']);
    expect((await client.query('SELECT 1')).values).toEqual(['db2']);
  });

  test('COM_FIELD_LIST is definitions until an EOF', async () => {
    const client = await cluster.connect();
    cluster.db(1).when(COM.FIELD_LIST, (session) => {
      const end = Buffer.from(ok(session));
      end[3] = 3;
      end[4] = 0xfe;
      return Buffer.concat([definition(1, 'a'), definition(2, 'b'), end]);
    });
    const { rows } = await client.command(COM.FIELD_LIST, Buffer.from('t\0'), 'rows');
    expect(rows).toHaveLength(2);
    expect((await client.query('SELECT 1')).rows).toHaveLength(1);
  });

  test('COM_PING reaches the server that the session has; where it has none it is answered', async () => {
    const client = await cluster.connect();
    const idle = await client.command(COM.PING);
    expect([idle.error, idle.status & STATUS.AUTOCOMMIT]).toEqual([null, STATUS.AUTOCOMMIT]);
    expect(cluster.counts(COM.PING)).toEqual([0, 0]);
    await client.query('BEGIN');
    const { error, status } = await client.command(COM.PING);
    expect([error, status & STATUS.IN_TRANS]).toEqual([null, STATUS.IN_TRANS]);
    expect(cluster.counts(COM.PING)).toEqual([1, 0]);
  });

  test('COM_REFRESH, which is FLUSH in a byte, reaches the primary', async () => {
    const client = await cluster.connect();
    cluster.db(1).when(COM.REFRESH, (session) => ok(session));
    const REFRESH_LOG = 0x02;
    expect((await client.command(COM.REFRESH, Buffer.from([REFRESH_LOG]))).error).toBeNull();
    expect(cluster.counts(COM.REFRESH)).toEqual([1, 0]);
  });

  test.each([COM.SLEEP, COM.SHUTDOWN, COM.PROCESS_INFO, COM.TIME, COM.DAEMON, COM.CLONE, 0x7f])(
    'command %d is refused, reaches no server, and the connection lives',
    async (com) => {
      const client = await cluster.connect();
      const { error } = await client.command(com, Buffer.from([0]));
      expect(error).toEqual({ code: 1047, sqlState: '08S01', message: 'Unknown command' });
      expect((await client.query('SELECT 1')).values).toEqual(['db2']);
      expect(cluster.counts(com)).toEqual([0, 0]);
    },
  );

  test('COM_QUIT closes the session, and leaves its server connections to others', async () => {
    const client = await cluster.connect();
    await client.query('SELECT 1');
    client.post(COM.QUIT);
    await client.untilClosed();
    await cluster.untilNoClients();
    expect(cluster.servers.map(({ sessions }) => sessions.size)).toEqual([1, 1]);
    expect(await cluster.metric(LEASED_1)).toBe(0);
  });

  test('COM_QUIT closes the server connections too where a session keeps its own', async () => {
    const own = await freshCluster(2, { pool: { mode: 'session' } });
    const client = await own.connect();
    await client.query('SELECT 1');
    expect(own.servers.map(({ sessions }) => sessions.size)).toEqual([1, 1]);
    client.post(COM.QUIT);
    await client.untilClosed();
    await until('no connection is left', () =>
      own.servers.every(({ sessions }) => sessions.size === 0),
    );
  });

  test('commands in one chunk are answered in order', async () => {
    const client = await cluster.connect();
    const query = (sql: string) =>
      frame(Buffer.concat([Buffer.from([COM.QUERY]), Buffer.from(sql)]), 0);
    client.send(
      Buffer.concat([query('SELECT 1'), query('BEGIN'), query('SELECT 2'), query('COMMIT')]),
    );
    expect((await client.reply()).values).toEqual(['db2']);
    expect((await client.reply()).status & STATUS.IN_TRANS).not.toBe(0);
    expect((await client.reply()).values).toEqual(['db1']);
    expect((await client.reply()).status & STATUS.IN_TRANS).toBe(0);
  });
});

describe('LOCAL INFILE', () => {
  test('passes the request to the client and the file to the server', async () => {
    const client = await cluster.connect();
    cluster.db(1).when(/LOAD DATA LOCAL/, takeFile);
    client.postQuery("LOAD DATA LOCAL INFILE 'data.csv' INTO TABLE t");
    expect(decodeLocalInfileRequest(await client.packet())).toBe('data.csv');
    const parts = ['a,b\n', 'x'.repeat(200_000), 'c,d\n'];
    for (const [index, part] of parts.entries()) client.send(frame(Buffer.from(part), index + 2));
    client.send(frame(Buffer.alloc(0), parts.length + 2));
    const reply = await client.reply();
    expect(reply.ok).toMatchObject({ affectedRows: 3, info: 'Bytes: 200008' });
    expect(reply.seqs).toEqual([parts.length + 3]);
    expect((await client.query('SELECT 1')).rows).toHaveLength(1);
  });

  test('an empty file, and one that comes byte by byte', async () => {
    const client = await cluster.connect();
    cluster.db(1).when(/LOAD DATA LOCAL/, takeFile);
    client.postQuery("LOAD DATA LOCAL INFILE 'data.csv' INTO TABLE t");
    await client.packet();
    client.send(frame(Buffer.alloc(0), 2));
    expect((await client.reply()).ok?.info).toBe('Bytes: 0');
    client.postQuery("LOAD DATA LOCAL INFILE 'data.csv' INTO TABLE t");
    await client.packet();
    const file = Buffer.concat([frame(Buffer.from('abc'), 2), frame(Buffer.alloc(0), 3)]);
    for (const byte of file) client.send(Buffer.from([byte]));
    expect((await client.reply()).ok?.info).toBe('Bytes: 3');
  });

  test('the server’s error after the file is the answer', async () => {
    const client = await cluster.connect();
    cluster.db(1).when(/LOAD DATA LOCAL/, async (session) => {
      await session.send(encodeLocalInfileRequest('data.csv', 1));
      while ((await session.pipe.read()).payload.length > 0);
      const packet = Buffer.from(err(1366, 'Incorrect value'));
      packet[3] = 4;
      await session.send(packet);
    });
    client.postQuery("LOAD DATA LOCAL INFILE 'data.csv' INTO TABLE t");
    await client.packet();
    client.send(Buffer.concat([frame(Buffer.from('abc'), 2), frame(Buffer.alloc(0), 3)]));
    expect((await client.reply()).error?.code).toBe(1366);
    expect((await client.query('SELECT 1')).rows).toHaveLength(1);
  });

  test('a client that leaves in its middle leaves nothing behind', async () => {
    const client = await cluster.connect();
    cluster.db(1).when(/LOAD DATA LOCAL/, takeFile);
    client.postQuery("LOAD DATA LOCAL INFILE 'data.csv' INTO TABLE t");
    await client.packet();
    client.send(frame(Buffer.from('half of it'), 2).subarray(0, 8));
    client.close();
    await cluster.untilNoClients();
    await until('its server connection is closed', () => cluster.db(1).sessions.size === 0);
  });

  test('a server that leaves in its middle: the client is told that it may have run', async () => {
    const client = await cluster.connect();
    cluster.db(1).when(/LOAD DATA LOCAL/, async (session) => {
      await session.send(encodeLocalInfileRequest('data.csv', 1));
      await session.pipe.read();
      session.pipe.destroy();
    });
    client.postQuery("LOAD DATA LOCAL INFILE 'data.csv' INTO TABLE t");
    await client.packet();
    client.send(frame(Buffer.from('abc'), 2));
    await client.untilClosed();
    expect(cluster.counts(/LOAD/)).toEqual([1, 0]);
  });
});

describe('KILL', () => {
  test('QUERY reaches the thread that runs the statement, under the killer’s account', async () => {
    const victim = await cluster.connect();
    const killer = await cluster.connect();
    const interrupted = Promise.withResolvers<void>();
    cluster.db(2).when(/SLEEP/, async (session) => {
      await interrupted.promise;
      await session.send(err(1317, 'Query execution was interrupted', '70100'));
    });
    cluster.db(2).when(/^KILL/, (session) => {
      interrupted.resolve();
      return ok(session);
    });
    victim.postQuery('SELECT SLEEP(100)');
    await until('it runs', () => cluster.db(2).count(/SLEEP/) === 1);
    const thread = cluster.db(2).received.find(({ text }) => /SLEEP/.test(text))?.session.threadId;
    expect((await killer.query(`KILL QUERY ${victim.greeting.threadId}`)).error).toBeNull();
    expect((await victim.reply()).error?.code).toBe(1317);
    expect(cluster.db(2).texts().at(-1)).toBe(`KILL QUERY ${thread}`);
    expect((await victim.query('SELECT 1')).rows).toHaveLength(1);
  });

  test('QUERY ends a statement that waits for a connection, which never runs', async () => {
    const pool = { maxPerServer: 1, waitMs: 30_000 };
    const one = await freshCluster(1, { pool, admin: { port: 0 } });
    const [holder, victim, killer] = [
      await one.connect(),
      await one.connect(),
      await one.connect(),
    ];
    await holder.query('BEGIN');
    victim.postQuery('UPDATE waits SET n = 1');
    await until('it waits', async () => {
      const response = await fetch(`http://127.0.0.1:${one.app.adminPort}/api/sessions`);
      return (await response.text()).includes('"running"');
    });
    expect((await killer.query(`KILL QUERY ${victim.greeting.threadId}`)).error).toBeNull();
    expect((await victim.reply()).error).toEqual({
      code: 1317,
      sqlState: '70100',
      message: 'Query execution was interrupted',
    });
    await holder.query('COMMIT');
    // Only that one: what comes behind it may wait and run.
    expect((await victim.query('UPDATE runs SET n = 1')).error).toBeNull();
    expect(one.counts(/UPDATE/)).toEqual([1]);
    expect(one.counts(/waits/)).toEqual([0]);
  });

  test('QUERY that comes late strikes nobody else', async () => {
    const one = await freshCluster(1, { pool: { maxPerServer: 1, waitMs: 5_000 } });
    const [victim, killer, other] = [await one.connect(), await one.connect(), await one.connect()];
    const ends = Promise.withResolvers<void>();
    const arrives = Promise.withResolvers<void>();
    const done: string[] = [];
    one.db(1).when(/^UPDATE slow/, async (session) => {
      await ends.promise;
      await session.send(ok(session));
    });
    one.db(1).when(/^KILL/, async (session) => {
      ends.resolve();
      await arrives.promise;
      done.push('killed');
      await session.send(ok(session));
    });
    one.db(1).when(/^UPDATE other/, (session) => {
      done.push('other');
      return ok(session);
    });
    victim.postQuery('UPDATE slow SET n = 1');
    await until('it runs', () => one.db(1).count(/^UPDATE slow/) === 1);
    killer.postQuery(`KILL QUERY ${victim.greeting.threadId}`);
    other.postQuery('UPDATE other SET n = 1');
    expect((await victim.reply()).error).toBeNull();
    // The statement has ended, and the KILL has not reached its thread yet.
    await sleep(50);
    arrives.resolve();
    expect([(await other.reply()).error, (await killer.reply()).error]).toEqual([null, null]);
    expect(done).toEqual(['killed', 'other']);
    expect((await victim.query('UPDATE again SET n = 1')).error).toBeNull();
  });

  test.each(['statement', 'COM_PROCESS_KILL'])(
    'of a connection ends its session (%s)',
    async (form) => {
      const victim = await cluster.connect();
      await victim.query('BEGIN');
      const killer = await cluster.connect();
      const { threadId } = victim.greeting;
      const id = Buffer.alloc(4);
      id.writeUInt32LE(threadId);
      const { error } = await (form === 'statement'
        ? killer.query(`KILL ${threadId}`)
        : killer.command(COM.PROCESS_KILL, id));
      expect(error).toBeNull();
      await victim.untilClosed();
      const { received } = cluster.db(1);
      const thread = received.find(({ text }) => text === 'BEGIN')?.session.threadId;
      expect(cluster.db(1).count(new RegExp(`^KILL CONNECTION ${thread}$`))).toBe(1);
    },
  );

  test('of a connection that does nothing ends its session, and no server has to know', async () => {
    const victim = await cluster.connect();
    await victim.query('SELECT 1');
    const killer = await cluster.connect();
    expect((await killer.query(`KILL ${victim.greeting.threadId}`)).error).toBeNull();
    await victim.untilClosed();
    // The connections that it used may be another client's by now.
    expect(cluster.counts(/KILL/)).toEqual([0, 0]);
  });

  test('of one’s own id is interrupted itself, and of the connection ends it behind that', async () => {
    const client = await cluster.connect();
    await client.query('BEGIN');
    const { threadId } = client.greeting;
    const error = { code: 1317, sqlState: '70100', message: 'Query execution was interrupted' };
    expect((await client.query(`KILL QUERY ${threadId}`)).error).toEqual(error);
    expect((await client.query('SELECT 1')).values).toEqual(['db1']);
    expect((await client.query(`KILL ${threadId}`)).error).toEqual(error);
    await client.untilClosed();
    expect(cluster.counts(/^KILL/)).toEqual([1, 0]);
  });

  test('of an id that no session has is refused as a server does, and reaches none', async () => {
    const client = await cluster.connect();
    expect((await client.query('KILL 4000000')).error).toEqual({
      code: 1094,
      sqlState: 'HY000',
      message: 'Unknown thread id: 4000000',
    });
    expect(cluster.counts(/KILL/)).toEqual([0, 0]);
  });

  test('that the server refuses is refused, and the victim goes on', async () => {
    const victim = await cluster.connect();
    await victim.query('BEGIN');
    const killer = await cluster.connect({ user: 'stranger' });
    cluster.db(1).when(/^KILL/, err(1095, 'You are not owner of thread 1', 'HY000'));
    expect((await killer.query(`KILL ${victim.greeting.threadId}`)).error?.code).toBe(1095);
    expect((await victim.query('SELECT 1')).rows).toHaveLength(1);
    const [session] = [...cluster.db(1).sessions].filter(({ login }) => login.user === 'stranger');
    expect(session).toBeDefined();
  });
});

describe('a replica behind the proxy', () => {
  test.each([COM.BINLOG_DUMP, COM.BINLOG_DUMP_GTID])(
    'command %d: bytes pass raw, both ways',
    async (com) => {
      const client = await cluster.connect();
      const events = Buffer.concat([
        frame(Buffer.from('\0event 1'), 1),
        frame(Buffer.from('\0event 2'), 2),
      ]);
      cluster.db(1).when(com, async (session) => {
        await session.send(events);
        const { payload } = await session.pipe.read();
        await session.send(frame(Buffer.concat([Buffer.from('\0got '), payload]), 3));
      });
      // As replicas do first: it is of use on the connection only that the events come over.
      await client.query('SET @source_binlog_checksum = @@global.binlog_checksum');
      await client.command(COM.REGISTER_SLAVE, Buffer.alloc(18));
      client.post(com, Buffer.alloc(10));
      expect(String(await client.packet())).toBe('\0event 1');
      expect(String(await client.packet())).toBe('\0event 2');
      client.send(frame(Buffer.from('an ack'), 0));
      expect(String(await client.packet())).toBe('\0got an ack');
      const [dump] = cluster.db(1).received.filter((each) => each.com === com);
      const [register] = cluster.db(1).received.filter((each) => each.com === COM.REGISTER_SLAVE);
      const [set] = cluster.db(1).received.filter(({ text }) => text.startsWith('SET @source'));
      expect([dump?.session, register?.session]).toEqual([set?.session, set?.session]);
      cluster.db(1).cutClients();
      await client.untilClosed();
    },
  );
});

describe('compression', () => {
  test('begins behind the handshake response, also of a client that does not wait for the OK', async () => {
    const one = await freshCluster(1, { users: [{ user: 'app', password: PASSWORD }] });
    const query = encodeCompressed(encodeQuery('SELECT 1', CLIENT_CAPS), 0, 'zlib', 6).bytes;
    const client = await one.connect({
      caps: union(CLIENT_CAPS, CAP.COMPRESS),
      onPipe: (pipe) => {
        const write = pipe.write.bind(pipe);
        pipe.write = (bytes) => write(Buffer.concat([bytes, query]));
      },
    });
    await until('the query arrives', () => one.db(1).count(/SELECT 1/) === 1);
    client.close();
  });

  test('is not asked of a server, whatever the client uses', async () => {
    const client = await cluster.connect({ caps: union(CLIENT_CAPS, CAP.FOUND_ROWS) });
    await client.query('SELECT 1');
    const [session] = cluster.db(2).sessions;
    expect((session?.login.caps ?? 0) & (CAP.COMPRESS | CAP.ZSTD_COMPRESSION)).toBe(0);
    expect((session?.login.caps ?? 0) & CAP.FOUND_ROWS).not.toBe(0);
  });
});

test('listen.maxConnections: one more is told so, and let in when there is room', async () => {
  const small = await freshCluster(1, { listen: { maxConnections: 1 } });
  const first = await small.connect();
  await expect(small.connect()).rejects.toThrow(/^1040 .*listen\.maxConnections is 1/);
  first.close();
  await small.untilNoClients();
  expect((await (await small.connect()).query('SELECT 1')).error).toBeNull();
});
