import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { COM } from '../../src/wire/command.ts';
import { FLAVORS } from '../support/flavors.ts';
import { direct, errorOf, rowsOf, useCluster, valueOf } from '../support/proxy.ts';
import { idBody, ScriptedClient } from '../support/scripted-client.ts';
import { until } from '../support/until.ts';

const STALL_MS = 600;
const LONG_HEADER = Buffer.from([0xfe, 0xff, 0xff, 0]);

describe.skipIf(direct).each(FLAVORS)('on %s, clients that say nothing', (flavor) => {
  const cluster = useCluster({
    lab: { flavor, replicas: 1, serverOptions: ['--local-infile=1'] },
    config: {
      listen: { port: 0, stallTimeoutMs: STALL_MS },
      pool: { maxPerServer: 1, keepMs: 50, waitMs: 10_000 },
    },
  });

  beforeAll(async () => {
    await cluster.root('db1', 'CREATE TABLE app.written (n INT)');
    await cluster.root('db1', 'CREATE TABLE app.word (w LONGTEXT)');
    await cluster.lab.waitReplicated();
  });

  async function scripted(): Promise<ScriptedClient> {
    const { port } = cluster;
    const account = cluster.lab.accounts.app;
    const client = await ScriptedClient.connect({ port, ...account, database: 'app' });
    onTestFinished(() => client.close());
    return client;
  }

  const why = () =>
    cluster.proxy.logs.filter(({ msg }) => msg === 'Client connection ended').at(-1);

  /** Others can write: the only connection of the pool is free, and as it should be. */
  async function expectFree(): Promise<void> {
    const other = await cluster.connect();
    await other.query('INSERT INTO written VALUES (7)');
    expect(await valueOf(other, 'SELECT COUNT(*) FROM written WHERE n = 8')).toBe(0);
    await other.end();
  }

  it('in the middle of a long command are let go, and the command has not run', async () => {
    const client = await scripted();
    client.send(Buffer.concat([LONG_HEADER, Buffer.from([COM.QUERY])]));
    client.send(Buffer.from('INSERT INTO written VALUES (8); '.padEnd(100_000)));
    await expectFree();
    await until('it is let go', () => client.pipe.isClosed);
    expect(why()).toMatchObject({ reason: 'client-timeout' });
  });

  it('in the middle of a short command are let go, too', async () => {
    const client = await scripted();
    client.send(Buffer.from([200, 0, 0, 0, COM.QUERY, 0x53]));
    await until('it is let go', () => client.pipe.isClosed);
    expect(why()).toMatchObject({ reason: 'client-timeout' });
  });

  it('in the middle of a file are let go', async () => {
    const client = await scripted();
    client.send(
      Buffer.concat([
        Buffer.from([55, 0, 0, 0, COM.QUERY]),
        Buffer.from("LOAD DATA LOCAL INFILE 'f' INTO TABLE app.written".padEnd(54)),
      ]),
    );
    // What it is asked for is the file; not a byte of it comes.
    await client.packet();
    await expectFree();
    await until('it is let go', () => client.pipe.isClosed);
  });

  it('in the middle of long data leave nobody half of it', async () => {
    const client = await scripted();
    const { id } = await client.prepare('INSERT INTO word VALUES (?)');
    client.send(Buffer.concat([LONG_HEADER, Buffer.from([COM.STMT_SEND_LONG_DATA])]));
    client.send(Buffer.concat([idBody(id, 0, 0), Buffer.alloc(100_000, 0x78)]));
    await until('it is let go', () => client.pipe.isClosed);
    await expectFree();
    const other = await cluster.connect();
    expect(await valueOf(other, 'SELECT COUNT(*) FROM word')).toBe(0);
  });

  it('though slow are not let go while bytes come', async () => {
    const client = await scripted();
    const text = Buffer.from(`SELECT '${'x'.repeat(40)}'`);
    client.send(Buffer.from([text.length + 1, 0, 0, 0, COM.QUERY]));
    for (const at of [0, 12, 24, 36]) {
      client.send(text.subarray(at, at === 36 ? text.length : at + 12));
      await sleep(STALL_MS / 2);
    }
    expect((await client.reply()).values).toEqual(['x'.repeat(40)]);
  });

  it.each(['outside', 'inside'])(
    'for longer than their wait_timeout are let go, %s a transaction',
    async (where) => {
      const idle = await cluster.connect();
      await idle.query('SET SESSION wait_timeout = 1');
      if (where === 'inside') {
        await idle.query('BEGIN');
        await idle.query('INSERT INTO written VALUES (8)');
      }
      await until('it is let go', async () =>
        idle.query('DO 0').then(
          async () => {
            await sleep(2_500);
            return false;
          },
          () => true,
        ),
      );
      expect(why()).toMatchObject({ reason: 'idle' });
      await expectFree();
      const other = await cluster.connect();
      expect(await valueOf(other, 'SELECT @@wait_timeout')).not.toBe(1);
      expect(await valueOf(other, 'SELECT COUNT(*) FROM written WHERE n = 8')).toBe(0);
    },
  );

  it('within it stay, however long a statement took', async () => {
    const session = await cluster.connect();
    await session.query('SET SESSION wait_timeout = 2');
    await session.query('DO SLEEP(2.5)');
    await sleep(500);
    expect(await valueOf(session, 'SELECT 1')).toBe(1);
  });

  it('a limit of time for statements goes with the session', async () => {
    const [session, other] = [await cluster.connect(), await cluster.connect()];
    const set = flavor === 'mysql' ? 'max_execution_time = 100' : 'max_statement_time = 0.1';
    await session.query(`SET SESSION ${set}`);
    for (const target of ['primary', 'replica']) {
      const slow = `/* lagwise: target=${target} */ SELECT COUNT(*) FROM information_schema.COLUMNS a JOIN information_schema.COLUMNS b JOIN information_schema.COLUMNS c`;
      await rowsOf(other, `/* lagwise: target=${target} */ SELECT n FROM written LIMIT 1`);
      const { errno } = await errorOf(session.query(slow));
      expect(errno).toBe(flavor === 'mysql' ? 3024 : 1969);
      // It is the session's alone.
      await rowsOf(other, `/* lagwise: target=${target} */ SELECT SLEEP(0.2) FROM written LIMIT 1`);
    }
  });
});
