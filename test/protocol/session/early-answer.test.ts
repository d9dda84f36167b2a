import { describe, expect, test } from 'vitest';
import { COM } from '../../../src/wire/command.ts';
import { encodeQuery } from '../../../src/wire/packets/query.ts';
import { frame } from '../../../src/wire/writer.ts';
import { err } from '../../support/scripted-replies.ts';
import { useScriptedCluster } from '../../support/scripted-cluster.ts';
import type { ScriptedClient } from '../../support/scripted-client.ts';
import type { ServerSession } from '../../support/scripted-server.ts';
import { until } from '../../support/until.ts';

const TOO_LARGE = err(1153, "Got a packet bigger than 'max_allowed_packet' bytes");
const INTERRUPTED = err(1317, 'Query execution was interrupted');
const LONG_BYTES = 100_000;

/** What somebody has put into a value: whoever looks for commands there finds one. */
const hidden = (caps: number): Buffer => encodeQuery('INSERT INTO smuggled VALUES (1)', caps);

describe('a server that answers before it has all of a command', () => {
  const cluster = useScriptedCluster(1, {
    listen: { gatherMaxBytes: 16_384 },
    pool: { trustLoginMs: 60_000 },
  });

  /** The only connection to the server, once something of the client has been sent there. */
  async function serving(): Promise<ServerSession> {
    const leased = 'lagwise_backend_connections{server="db1",state="leased"}';
    await until('the command has a server', async () => (await cluster.metric(leased)) === 1);
    const [session] = cluster.db(1).sessions;
    if (session === undefined) throw new Error('db1 has no session');
    return session;
  }

  /** The client goes on with its value; another one must not meet what was left there. */
  async function expectEnded(client: ScriptedClient, session: ServerSession): Promise<void> {
    await client.untilClosed();
    const next = await cluster.connect();
    expect((await next.query('INSERT INTO t VALUES (2)')).ok?.affectedRows).toBe(1);
    expect(cluster.db(1).received.at(-1)?.session).not.toBe(session);
    expect(
      cluster
        .db(1)
        .texts()
        .filter((text) => /smuggled/.test(text)),
    ).toEqual([]);
    expect(session.pipe.isClosed).toBe(true);
  }

  test('has its error told, and no rest of a packet is taken for a command', async () => {
    const client = await cluster.connect();
    const text = Buffer.from(`INSERT INTO t VALUES ('${'x'.repeat(LONG_BYTES)}`);
    const whole = frame(Buffer.concat([Buffer.from([COM.QUERY, 0, 1]), text]), 0);
    client.send(whole.subarray(0, 50_000));
    const session = await serving();
    session.pipe.write(TOO_LARGE);
    expect((await client.reply()).error?.code).toBe(1153);
    client.send(Buffer.concat([hidden(client.caps), whole.subarray(60_000)]));
    await expectEnded(client, session);
  });

  test('has its error told, and no rest of a file is taken for a command', async () => {
    cluster.db(1).when(/LOAD DATA/, frame(Buffer.from('\u00fbx.csv', 'latin1'), 1), 1);
    const client = await cluster.connect();
    client.postQuery("LOAD DATA LOCAL INFILE 'x.csv' INTO TABLE t");
    expect((await client.packet())[0]).toBe(0xfb);
    const part = frame(Buffer.alloc(1000, 'a,b\n'), 2);
    client.send(part.subarray(0, 500));
    const session = await serving();
    session.pipe.write(INTERRUPTED);
    expect((await client.reply()).error?.code).toBe(1317);
    client.send(hidden(client.caps));
    await expectEnded(client, session);
  });
});
