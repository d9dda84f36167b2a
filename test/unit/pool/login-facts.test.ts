import { describe, expect, test } from 'vitest';
import { PacketChannel } from '../../../src/net/packet-channel.ts';
import { askState } from '../../../src/pool/login-facts.ts';
import { TRACKER_STATEMENTS } from '../../../src/pool/trackers.ts';
import { CAP, union, without } from '../../../src/wire/capability.ts';
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
const LATIN = ['latin1', 'latin1', 'latin1_swedish_ci'];
const NAMES = vars({ names: 'latin1 COLLATE latin1_swedish_ci' });

/** What the trackers report when they are turned on. */
function reported(caps: number, variables: Readonly<Record<string, string>>): Buffer {
  const entries = Object.entries(variables).map(
    ([name, value]) => ({ t: 'system-variable', name, value }) as const,
  );
  return encodeOk({ status, sessionState: encodeSessionState(entries) }, 1, { caps });
}
const row = (caps: number, values: readonly (string | null)[]) =>
  encodeTextResultset(
    { columns: values.map((_, index) => `c${index}`), rows: [values] },
    { seq: 1, caps, status },
  );
const ok = (caps: number) => encodeOk({ status }, 1, { caps });
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
  const told = (most: string | null) => row(caps, [...LATIN, most]);
  const whole = Buffer.concat([
    reported(caps, { sql_mode: 'ANSI_QUOTES', time_zone: 'UTC' }),
    told('16382'),
    ok(caps),
  ]);

  test('is asked in one write, which leaves no warnings', async () => {
    const { stream } = await ask(caps, whole);
    expect(stream.written).toHaveLength(1);
    expect(commandsIn(stream.bytes)).toEqual([
      `${COM.QUERY} ${TRACKER_STATEMENTS.mysql}`,
      `${COM.QUERY} SELECT @@character_set_client, @@character_set_results, @@collation_connection, @@GLOBAL.max_prepared_stmt_count`,
      `${COM.QUERY} DO 0`,
    ]);
  });

  test('is mode, character set and bound, cut anywhere, and nothing stays unread', async () => {
    for (let pieceBytes = 1; pieceBytes <= whole.length; pieceBytes += 1) {
      const { told: facts, unread } = await ask(caps, whole, pieceBytes);
      expect(facts).toEqual({ sqlMode: 'ANSI_QUOTES', variables: NAMES, maxPrepared: 16_382 });
      expect(unread).toBe(0);
    }
  });

  test.each([
    ['the client’s alone', ['gbk', 'gbk', 'gbk_bin', '1'], { names: 'gbk COLLATE gbk_bin' }],
    [
      'another one for results',
      ['gbk', 'utf8mb4', 'gbk_bin', '1'],
      { names: 'gbk COLLATE gbk_bin', character_set_results: 'utf8mb4' },
    ],
    [
      'none for results',
      ['gbk', null, 'gbk_bin', '1'],
      { names: 'gbk COLLATE gbk_bin', character_set_results: '' },
    ],
  ])('a login’s character set: %s', async (_what, values, expected) => {
    const bytes = Buffer.concat([ok(caps), row(caps, values), ok(caps)]);
    expect((await ask(caps, bytes)).told.variables).toEqual(vars(expected));
  });

  test.each([
    ['CLIENT_IGNORE_SPACE makes the mode the session’s own', CAP.IGNORE_SPACE, 'ANSI_QUOTES'],
    ['without it the mode is the server’s', 0, undefined],
  ])('%s', async (_what, flag, expected) => {
    const { told: facts } = await ask(union(caps, flag), whole);
    expect(facts.variables.get('sql_mode')).toBe(expected);
  });

  test.each([
    ['NULL', told(null)],
    ['no number', told('many')],
    ['a number that is too large', told('99999999999999999999')],
  ])('%s is no bound', async (_what, bytes) => {
    const { told: facts, unread } = await ask(caps, Buffer.concat([ok(caps), bytes, ok(caps)]));
    expect([facts.maxPrepared, facts.variables, unread]).toEqual([null, NAMES, 0]);
  });

  test.each([
    ['an error', error(1193)],
    ['OK', ok(caps)],
  ])('where the answer is %s, nothing is known, and nothing stays unread', async (_what, bytes) => {
    const { told: facts, unread } = await ask(caps, Buffer.concat([ok(caps), bytes, ok(caps)]));
    expect(facts).toEqual({ sqlMode: '', variables: new Map(), maxPrepared: null });
    expect(unread).toBe(0);
  });

  test('a refusal of the trackers is an error that names the server', async () => {
    const bytes = Buffer.concat([error(1193), told('1'), ok(caps)]);
    await expect(ask(caps, bytes)).rejects.toMatchObject({
      source: 'backend-protocol',
      message: 'Server db1 (9.7.4) refused session tracking: No',
    });
  });

  test('an expired password lets nothing be known, and the client in to change it', async () => {
    const bytes = Buffer.concat([error(1820), error(1820), error(1820)]);
    const { told: facts, unread } = await ask(caps, bytes);
    expect(facts).toEqual({ sqlMode: '', variables: new Map(), maxPrepared: null });
    expect(unread).toBe(0);
  });
});

test('a server without trackers is not asked', async () => {
  const { told, stream } = await ask(without(NEW_CAPS, CAP.SESSION_TRACK), Buffer.alloc(0), 1);
  expect([told.maxPrepared, stream.written]).toEqual([null, []]);
});
