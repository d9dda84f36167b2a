import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { CAP, has, union } from '../../src/wire/capability.ts';
import { COM } from '../../src/wire/command.ts';
import { decodeEof } from '../../src/wire/packets/eof.ts';
import { STATUS } from '../../src/wire/status.ts';
import { frame, PacketWriter } from '../../src/wire/writer.ts';
import { FLAVORS } from '../support/flavors.ts';
import { direct, errorOf, rowsOf, useCluster, valueOf } from '../support/proxy.ts';
import {
  CLIENT_CAPS,
  type ClientOptions,
  encodeExecute,
  idBody,
  ScriptedClient,
} from '../support/scripted-client.ts';
import { until } from '../support/until.ts';

/** The status with which an EXECUTE for a cursor of one column ends: it has no rows of its own. */
async function openedStatus(client: ScriptedClient): Promise<number> {
  if (has(client.caps, CAP.DEPRECATE_EOF)) return (await client.reply()).status;
  // Without the flag one EOF ends the columns and there is none for rows.
  await client.packet();
  await client.packet();
  return decodeEof(await client.packet()).status;
}

/** What no driver at hand does: the commands themselves, byte by byte, against real servers. */
describe.skipIf(direct).each(FLAVORS)('commands on %s', (flavor) => {
  const cluster = useCluster({ lab: { flavor, replicas: 1 } });

  const connect = async (options: Partial<ClientOptions> = {}) => {
    const client = await ScriptedClient.connect({
      port: cluster.port,
      ...cluster.lab.accounts.app,
      database: 'app',
      ...options,
    });
    onTestFinished(() => client.close());
    return client;
  };

  beforeAll(async () => {
    await cluster.root('db1', 'CREATE TABLE app.t (id INT PRIMARY KEY, word LONGTEXT)');
    await cluster.root('db1', "INSERT INTO app.t VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd')");
    await cluster.lab.waitReplicated();
  });

  it.each([
    ['with DEPRECATE_EOF', CLIENT_CAPS],
    ['without', CLIENT_CAPS & ~CAP.DEPRECATE_EOF],
  ])('a cursor is read in parts, %s, whatever runs between them', async (_, caps) => {
    const client = await connect({ caps: caps >>> 0 });
    const { id } = await client.prepare('SELECT id FROM t ORDER BY id');
    client.send(encodeExecute({ id, values: [], types: false, caps: client.caps, flags: 1 }));
    expect(await openedStatus(client)).toSatisfy((status: number) => {
      return (status & STATUS.CURSOR_EXISTS) !== 0;
    });
    const fetch = (count: number) =>
      client.command(COM.STMT_FETCH, idBody(id, count, 0, 0, 0), 'rows');
    expect((await fetch(2)).rows).toHaveLength(2);
    expect((await client.query('SELECT 1')).values).toEqual(['1']);
    const last = await fetch(10);
    expect(last.rows).toHaveLength(2);
    expect(last.status & STATUS.LAST_ROW_SENT).not.toBe(0);
    expect((await client.command(COM.STMT_RESET, idBody(id))).error).toBeNull();
    expect((await fetch(1).catch((error: unknown) => error)) as object).toMatchObject({
      error: { code: expect.any(Number) as number },
    });
    client.post(COM.STMT_CLOSE, idBody(id));
    expect((await client.query('SELECT 2')).values).toEqual(['2']);
  });

  it('long data in pieces is one parameter', async () => {
    const client = await connect();
    const { id } = await client.prepare('INSERT INTO t VALUES (100, ?)');
    for (const piece of ['one ', 'two ', 'x'.repeat(100_000)]) {
      const body = Buffer.concat([idBody(id, 0, 0), Buffer.from(piece)]);
      client.send(frame(Buffer.concat([Buffer.from([COM.STMT_SEND_LONG_DATA]), body]), 0));
    }
    // Null bitmap, types sent, one LONG_BLOB whose value came before.
    const execute = new PacketWriter()
      .u8(COM.STMT_EXECUTE)
      .u32(id)
      .u8(0)
      .u32(1)
      .u8(0)
      .u8(1)
      .u16(0xfb)
      .finish(0);
    client.send(execute);
    expect((await client.reply()).ok).toMatchObject({ affectedRows: 1 });
    const check = 'SELECT LENGTH(word) FROM t WHERE id = 100';
    expect((await client.query(check)).values).toEqual(['100008']);
    await client.query('DELETE FROM t WHERE id = 100');
  });

  it('statistics, field list, init db and ping', async () => {
    const client = await connect();
    const { rows } = await client.command(COM.STATISTICS, Buffer.alloc(0), 'text');
    expect(rows[0]?.toString()).toMatch(/^Uptime: \d+ +Threads: \d+/);
    const fields = await client.command(COM.FIELD_LIST, Buffer.from('t\0'), 'rows');
    if (fields.error === null) expect(fields.rows).toHaveLength(2);
    // MySQL 9.? and later have dropped it: then it is their own answer.
    else expect(fields.error.code).toBe(1047);
    expect((await client.command(COM.INIT_DB, Buffer.from('mysql'))).error).toBeNull();
    expect((await client.query('SELECT DATABASE()')).values).toEqual(['mysql']);
    expect((await client.command(COM.INIT_DB, Buffer.from('nowhere'))).error).toMatchObject({
      code: 1049,
    });
    expect((await client.query('SELECT DATABASE()')).values).toEqual(['mysql']);
    expect((await client.command(COM.PING)).error).toBeNull();
  });

  it('COM_SET_OPTION switches several statements in a packet on and off', async () => {
    const client = await connect({ caps: (CLIENT_CAPS & ~CAP.MULTI_STATEMENTS) >>> 0 });
    expect((await client.query('SELECT 1; SELECT 2')).error).toMatchObject({ code: 1064 });
    expect((await client.command(COM.SET_OPTION, Buffer.from([0, 0]))).error).toBeNull();
    expect((await client.query('SELECT 1; SELECT 2')).values).toEqual(['1', '2']);
    // The replica's connection must have it too.
    expect((await client.query('SELECT 3')).values).toEqual(['3']);
    expect((await client.command(COM.SET_OPTION, Buffer.from([1, 0]))).error).toBeNull();
    expect((await client.query('SELECT 1; SELECT 2')).error).toMatchObject({ code: 1064 });
  });

  it('COM_PROCESS_KILL takes the id of the greeting', async () => {
    const victim = await connect();
    const killer = await connect();
    await victim.query('SELECT 1');
    const { threadId } = victim.greeting;
    expect((await killer.command(COM.PROCESS_KILL, idBody(threadId))).error).toBeNull();
    await victim.untilClosed();
    expect((await killer.command(COM.PROCESS_KILL, idBody(threadId))).error).toMatchObject({
      code: 1094,
    });
  });

  it('an account may not kill another account’s session', async () => {
    await cluster.root('db1', "CREATE USER IF NOT EXISTS 'weak'@'%' IDENTIFIED BY 'weak'");
    await cluster.lab.waitReplicated();
    const victim = await connect();
    const killer = await connect({ user: 'weak', password: 'weak', database: null });
    const { threadId } = victim.greeting;
    for (const sql of [`KILL ${threadId}`, `KILL QUERY ${threadId}`]) {
      expect((await killer.query(sql)).error).toMatchObject({ code: 1095 });
    }
    expect((await victim.query('SELECT 5')).values).toEqual(['5']);
  });

  it('a statement that is killed is killed on its server', async () => {
    const running = await cluster.connect();
    const killer = await cluster.connect();
    const slow = errorOf(
      running.query("SELECT COUNT(*) FROM t WHERE SLEEP(20) OR word = 'killed'"),
    );
    await until('it runs on the replica', async () => {
      const rows = await cluster.root(
        'db2',
        "SELECT 1 FROM information_schema.PROCESSLIST WHERE INFO LIKE '%killed%' AND INFO NOT LIKE '%PROCESSLIST%'",
      );
      return rows.length > 0;
    });
    await killer.query(`KILL QUERY ${running.threadId}`);
    expect((await slow).errno).toBe(1317);
    expect(await valueOf(running, 'SELECT 7')).toBe(7);
  });

  it('query attributes reach the server', async ({ skip }) => {
    if (flavor === 'mariadb') skip('MariaDB has no query attributes');
    await cluster.root('db1', "INSTALL COMPONENT 'file://component_query_attributes'");
    const connection = await cluster.connect();
    const sql = "SELECT mysql_query_attribute_string('trace') AS trace";
    const [rows] = await connection.query({ sql, attributes: { trace: 'from the client' } });
    expect(rows).toEqual([{ trace: 'from the client' }]);
    const read = 'SELECT COUNT(*) AS n FROM t';
    const [counted] = await connection.query({ sql: read, attributes: { trace: 'x', other: 5 } });
    expect(counted).toEqual([{ n: 4 }]);
    const [prepared] = await connection.execute({
      sql: `${sql}, ? AS value`,
      values: ['parameter'],
      attributes: { trace: 'prepared' },
    });
    expect(prepared).toEqual([{ trace: 'prepared', value: 'parameter' }]);
  });

  it('session state is told to clients that ask, and only to them', async () => {
    const asking = await connect({ caps: union(CLIENT_CAPS, CAP.SESSION_TRACK) });
    const changed = await asking.query("SET time_zone = '+02:00'");
    const silent = await connect();
    const quiet = await silent.query("SET time_zone = '+02:00'");
    expect(quiet.ok?.sessionState ?? null).toBeNull();
    expect(changed.error).toBeNull();
    expect(await rowsOf(await cluster.connect(), 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });
});
