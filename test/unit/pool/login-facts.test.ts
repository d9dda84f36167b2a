import { describe, expect, test } from 'vitest';
import { PacketChannel } from '../../../src/net/packet-channel.ts';
import { askState } from '../../../src/pool/login-facts.ts';
import { TRACKER_STATEMENTS } from '../../../src/pool/trackers.ts';
import { CAP, without } from '../../../src/wire/capability.ts';
import { COM } from '../../../src/wire/command.ts';
import { encodeErr } from '../../../src/wire/packets/err.ts';
import { encodeOk } from '../../../src/wire/packets/ok.ts';
import { encodeSessionState } from '../../../src/wire/packets/session-state.ts';
import { STATUS } from '../../../src/wire/status.ts';
import { encodeTextResultset } from '../../../src/wire/text-resultset.ts';
import { vars } from '../../support/fake-backend.ts';
import { commandsIn } from '../../support/fake-pool.ts';
import { FakeStream } from '../../support/fake-stream.ts';
import { NEW_CAPS, OLD_CAPS } from '../../support/replies.ts';
import { aServer } from '../../support/snapshots.ts';

const status = STATUS.AUTOCOMMIT;
const CHARSET = {
  character_set_client: 'latin1',
  character_set_results: 'latin1',
  character_set_connection: 'latin1',
  collation_connection: 'latin1_swedish_ci',
};

/** What the trackers report when they are turned on. */
function reported(caps: number, variables: Readonly<Record<string, string>>): Buffer {
  const entries = Object.entries(variables).map(
    ([name, value]) => ({ t: 'system-variable', name, value }) as const,
  );
  return encodeOk({ status, sessionState: encodeSessionState(entries) }, 1, { caps });
}
const number = (caps: number, value: string | null) =>
  encodeTextResultset({ columns: ['n'], rows: [[value]] }, { seq: 1, caps, status });
const error = (code: number) => encodeErr({ code, sqlState: 'HY000', message: 'No' }, 1);

/** Asks a server that says `bytes`, in pieces. */
async function ask(caps: number, bytes: Buffer, pieceBytes = bytes.length) {
  const stream = new FakeStream();
  const channel = new PacketChannel(
    stream,
    {
      network: 'backend-network',
      protocol: 'backend-protocol',
      timeout: 'backend-connect',
      peer: 'Server db1',
    },
    { deadlineMs: 5_000, maxPacketBytes: 64 * 1024 },
  );
  try {
    const asking = askState(channel, { server: aServer(), caps, flavor: 'mysql' });
    stream.receive(bytes, pieceBytes);
    return { told: await asking, stream, unread: channel.takeUnread().length };
  } finally {
    channel.detach();
  }
}

describe.each([
  ['with DEPRECATE_EOF', NEW_CAPS],
  ['with EOF packets', OLD_CAPS],
])('what a server says after the login, %s', (_, caps) => {
  const whole = Buffer.concat([
    reported(caps, { sql_mode: 'ANSI_QUOTES', ...CHARSET, session_track_schema: 'ON' }),
    number(caps, '16382'),
  ]);

  test('is asked in one write', async () => {
    const { stream } = await ask(caps, whole);
    expect(stream.written).toHaveLength(1);
    expect(commandsIn(stream.bytes)).toEqual([
      `${COM.QUERY} ${TRACKER_STATEMENTS.mysql}`,
      `${COM.QUERY} SELECT @@GLOBAL.max_prepared_stmt_count`,
    ]);
  });

  test('is mode, character set and bound, cut anywhere, and nothing stays unread', async () => {
    for (let pieceBytes = 1; pieceBytes <= whole.length; pieceBytes += 1) {
      const { told, unread } = await ask(caps, whole, pieceBytes);
      expect(told).toEqual({
        sqlMode: 'ANSI_QUOTES',
        variables: vars(CHARSET),
        maxPrepared: 16382,
      });
      expect(unread).toBe(0);
    }
  });

  test('need not tell anything', async () => {
    const { told } = await ask(
      caps,
      Buffer.concat([encodeOk({ status }, 1, { caps }), number(caps, '0')]),
    );
    expect(told).toEqual({ sqlMode: '', variables: new Map(), maxPrepared: 0 });
  });

  test.each([
    ['an error', error(1193)],
    ['OK', encodeOk({ status }, 1, { caps })],
    ['no number', number(caps, 'many')],
    ['a number below zero', number(caps, '-1')],
    ['a number that is too large', number(caps, '99999999999999999999')],
  ])('%s is no bound', async (_what, bytes) => {
    const { told, unread } = await ask(caps, Buffer.concat([reported(caps, CHARSET), bytes]));
    expect([told.maxPrepared, told.variables, unread]).toEqual([null, vars(CHARSET), 0]);
  });

  test('NULL is no bound, and no crash', async () => {
    const { told, unread } = await ask(
      caps,
      Buffer.concat([reported(caps, CHARSET), number(caps, null)]),
    );
    expect([told.maxPrepared, unread]).toEqual([null, 0]);
  });

  test('a refusal of the trackers is an error that names the server', async () => {
    await expect(ask(caps, Buffer.concat([error(1193), number(caps, '1')]))).rejects.toMatchObject({
      source: 'backend-protocol',
      message: 'Server db1 (9.7.4) refused session tracking: No',
    });
  });

  test('an expired password lets nothing be known, and the client in to change it', async () => {
    const { told, unread } = await ask(caps, Buffer.concat([error(1820), error(1820)]));
    expect(told).toEqual({ sqlMode: '', variables: new Map(), maxPrepared: null });
    expect(unread).toBe(0);
  });
});

test('a server without trackers is not asked', async () => {
  const { told, stream } = await ask(without(NEW_CAPS, CAP.SESSION_TRACK), Buffer.alloc(0), 1);
  expect([told.maxPrepared, stream.written]).toEqual([null, []]);
});
