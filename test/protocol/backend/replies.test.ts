import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { CAP, union, without } from '../../../src/wire/capability.ts';
import { COM } from '../../../src/wire/command.ts';
import { encodeSessionState } from '../../../src/wire/packets/session-state.ts';
import { STATUS } from '../../../src/wire/status.ts';
import { encodeTextResultset } from '../../../src/wire/text-resultset.ts';
import { frame } from '../../../src/wire/writer.ts';
import { CLIENT_CAPS } from '../../support/scripted-client.ts';
import { err, ok, okWithState, row, rows, variable } from '../../support/scripted-replies.ts';
import { useScriptedCluster } from '../../support/scripted-cluster.ts';
import { until } from '../../support/until.ts';

const cluster = useScriptedCluster(2);
const OLD_CAPS = without(CLIENT_CAPS, CAP.DEPRECATE_EOF);

describe.each([
  ['DEPRECATE_EOF', CLIENT_CAPS],
  ['EOF packets', OLD_CAPS],
  ['DEPRECATE_EOF, state shown', union(CLIENT_CAPS, CAP.SESSION_TRACK)],
])('replies that come byte by byte, %s', (_, caps) => {
  test('a whole session is as if they came at once', async () => {
    for (const server of cluster.servers) server.traits.pieceBytes = 1;
    cluster
      .db(1)
      .when(/SET time_zone/, (session) => okWithState(session, [variable('time_zone', '+01:00')]));
    cluster.db(2).when(/SELECT many/, (session) =>
      rows(
        session,
        ['a', 'b'],
        [
          ['x', null],
          ['', 'y'],
          [null, null],
        ],
      ),
    );
    cluster.db(2).when(/SELECT wrong/, err(1064, 'You have an error', '42000'));
    const client = await cluster.connect({ caps });
    expect((await client.query('SET time_zone = "+01:00"')).error).toBeNull();
    const many = await client.query('SELECT many');
    expect(many.rows.map((each) => each.toString('hex'))).toEqual(['0178fb', '000179', 'fbfb']);
    expect(many.seqs).toEqual(many.seqs.map((_each, index) => index + 1));
    expect((await client.query('SELECT wrong')).error?.message).toBe('You have an error');
    const { id } = await client.prepare('SELECT ?, ?');
    expect((await client.execute(id, ['a', 'b'], true)).error).toBeNull();
    expect((await client.query('BEGIN')).status & STATUS.IN_TRANS).not.toBe(0);
    expect((await client.query('INSERT INTO t VALUES (1)')).ok?.affectedRows).toBe(1);
    expect((await client.query('COMMIT')).status & STATUS.IN_TRANS).toBe(0);
    expect((await client.query('SELECT 1')).rows).toHaveLength(1);
  });
});

describe('session state in OK packets', () => {
  const state = [variable('time_zone', '+01:00')];

  test('is shown to a client that asked for it, as the server sent it', async () => {
    cluster.db(1).when(/SET/, (session) => okWithState(session, state));
    const client = await cluster.connect({ caps: union(CLIENT_CAPS, CAP.SESSION_TRACK) });
    const reply = await client.query('SET time_zone = "+01:00"');
    expect(reply.ok?.sessionState).toEqual(encodeSessionState(state));
    expect(reply.status & STATUS.SESSION_STATE_CHANGED).not.toBe(0);
  });

  test('is taken out for one that did not, with all else left in', async () => {
    cluster.db(1).when(/SET/, (session) =>
      ok(session, {
        affectedRows: 300,
        lastInsertId: 70_000,
        warnings: 2,
        info: 'Rows matched: 1',
        sessionState: encodeSessionState(state),
      }),
    );
    const client = await cluster.connect();
    const { ok: packet, status } = await client.query('SET time_zone = "+01:00"');
    expect(packet).toEqual({
      affectedRows: 300,
      lastInsertId: 70_000,
      warnings: 2,
      info: 'Rows matched: 1',
      status: STATUS.AUTOCOMMIT,
      sessionState: null,
    });
    expect(status & STATUS.SESSION_STATE_CHANGED).toBe(0);
  });

  test('decides where later statements run: a change that nothing explains pins', async () => {
    cluster
      .db(1)
      .when(/SET/, (session) => okWithState(session, [{ t: 'state-change', changed: true }]));
    const client = await cluster.connect();
    expect((await client.query('SELECT 1')).values).toEqual(['db2']);
    await client.query('SET unheard_of = 1');
    expect((await client.query('SELECT 1')).values).toEqual(['db1']);
    await client.command(COM.RESET_CONNECTION);
    expect((await client.query('SELECT 1')).values).toEqual(['db2']);
  });

  test('the way that NO_BACKSLASH_ESCAPES makes texts be read counts at once', async () => {
    cluster.db(1).when(/SET sql_mode/, (session) => {
      session.status |= STATUS.NO_BACKSLASH_ESCAPES;
      return okWithState(session, [variable('sql_mode', 'NO_BACKSLASH_ESCAPES')]);
    });
    const client = await cluster.connect();
    const locking = "SELECT '\\' FOR UPDATE -- '";
    expect((await client.query(locking)).values).toEqual(['db2']);
    await client.query("SET sql_mode = 'NO_BACKSLASH_ESCAPES'");
    expect((await client.query(locking)).values).toEqual(['db1']);
  });

  test('after COM_RESET_CONNECTION texts are read as after the login', async () => {
    cluster
      .db(1)
      .when(/SET sql_mode/, (session) =>
        okWithState(session, [variable('sql_mode', 'ANSI_QUOTES')]),
      );
    const client = await cluster.connect();
    const locking = 'SELECT "\\"" FOR UPDATE -- "';
    await client.query("SET sql_mode = 'ANSI_QUOTES'");
    expect((await client.query(locking)).values).toEqual(['db2']);
    await client.command(COM.RESET_CONNECTION);
    expect((await client.query(locking)).values).toEqual(['db1']);
  });
});

describe('large replies', () => {
  test.each([CLIENT_CAPS, OLD_CAPS])(
    'rows over 16 MB pass, whatever they begin with',
    async (caps) => {
      const long = Buffer.alloc(0xff_ffff + 1000, 0x41);
      long[0] = 0xfe;
      const full = Buffer.alloc(0xff_ffff, 0xfe);
      cluster.db(2).when(/SELECT long/, (session) => {
        const small = encodeTextResultset(
          { columns: ['v'], rows: [] },
          { seq: 1, caps: session.caps, status: session.status },
        );
        // Without the packet that ends the rows, whose sequence id the client here does not look at.
        const endBytes = small.length - lastPacketAt(small);
        const head = small.subarray(0, small.length - endBytes);
        const end = small.subarray(small.length - endBytes);
        return Buffer.concat([
          head,
          frame(long, 4),
          frame(full, 6),
          frame(Buffer.from([1, 0x7a]), 8),
          end,
        ]);
      });
      const client = await cluster.connect({ caps });
      const reply = await client.query('SELECT long');
      expect(reply.rows.map((each) => each.length)).toEqual([long.length, full.length, 2]);
      expect(reply.rows[0]?.equals(long)).toBe(true);
      expect((await client.query('SELECT 1')).values).toEqual(['db2']);
    },
  );

  test('a client that is slow to take a result gets all of it, and the next one', async () => {
    const value = 'x'.repeat(200);
    cluster.db(2).when(/SELECT much/, (session) =>
      rows(
        session,
        ['v'],
        Array.from({ length: 30_000 }, () => [value]),
      ),
    );
    const client = await cluster.connect();
    client.pipe.socket.pause();
    client.postQuery('SELECT much');
    await until('it is on its way', () => cluster.db(2).count(/much/) === 1);
    await turn();
    client.pipe.socket.resume();
    expect((await client.reply()).rows).toHaveLength(30_000);
    expect((await client.query('SELECT 1')).values).toEqual(['db2']);
  });
});

describe('a server that breaks the protocol', () => {
  test.each([
    ['garbage', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')],
    ['an empty packet', Buffer.from([0, 0, 0, 1])],
    ['a packet over the bound where an OK is due', Buffer.from([0xff, 0xff, 0xff, 1, 0, 0, 0])],
    ['an OK that is cut short', frame(Buffer.from([0, 0]), 1)],
    ['a column count of NULL', frame(Buffer.from([0xfc]), 1)],
    [
      'a second OK behind the first',
      Buffer.concat([
        frame(Buffer.from([0, 0, 0, 2, 0, 0, 0]), 1),
        frame(Buffer.from([0, 0, 0, 2, 0, 0, 0]), 2),
      ]),
    ],
  ])('with %s is left, and the session goes on', async (_, bytes) => {
    cluster.db(2).when(/SELECT broken/, bytes);
    const client = await cluster.connect();
    const { error, values } = await client.query('SELECT broken');
    // Of a second OK the client may have had the first already.
    if (error === null) expect(values.length).toBeLessThanOrEqual(1);
    await until('its connection is closed', () => cluster.db(2).sessions.size === 0);
    const other = await cluster.connect();
    expect((await other.query('SELECT 1')).error).toBeNull();
  });

  test('by speaking unasked has its connection closed, and the session opens another', async () => {
    const client = await cluster.connect();
    expect((await client.query('SELECT 1')).values).toEqual(['db2']);
    const [session] = cluster.db(2).sessions;
    session?.pipe.write(
      err(4031, 'The client was disconnected by the server because of inactivity.'),
    );
    await session?.pipe.closed;
    expect((await client.query('SELECT 2')).values).toEqual(['db2']);
    expect([...cluster.db(2).sessions][0]?.threadId).not.toBe(session?.threadId);
  });
});

test('a single row over several chunks arrives unchanged', async () => {
  cluster.db(2).traits.pieceBytes = 1000;
  const value = Array.from({ length: 25_000 }, (_, index) => String(index)).join();
  cluster.db(2).when(/SELECT pieces/, (session) => row(session, value));
  const client = await cluster.connect();
  const [only] = (await client.query('SELECT pieces')).rows;
  expect(only?.toString('utf8', only.length - value.length)).toBe(value);
});

function lastPacketAt(bytes: Buffer): number {
  let last = 0;
  for (let at = 0; at < bytes.length; at += 4 + bytes.readUIntLE(at, 3)) last = at;
  return last;
}
