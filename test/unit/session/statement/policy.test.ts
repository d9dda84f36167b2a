import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../../../src/config/load.ts';
import { toClientError } from '../../../../src/lib/error-policy.ts';
import { LagwiseError, ERROR_SOURCES } from '../../../../src/lib/errors.ts';
import { serverId } from '../../../../src/lib/ids.ts';
import { ServerRefusedError } from '../../../../src/pool/server-refused-error.ts';
import { Command } from '../../../../src/session/command/command.ts';
import { Credentials } from '../../../../src/session/login/credentials.ts';
import { LoginLimiter } from '../../../../src/session/login/login-limiter.ts';
import { isUnreachable, lossError } from '../../../../src/session/servers/loss.ts';
import { verdictOnError } from '../../../../src/session/servers/retry-policy.ts';
import { SessionBinding } from '../../../../src/session/state/session-binding.ts';
import { EFFECT, type StatementClass } from '../../../../src/sql/classification.ts';
import { COM } from '../../../../src/wire/command.ts';
import { encodeErr } from '../../../../src/wire/packets/err.ts';
import { STATUS } from '../../../../src/wire/status.ts';
import { fakeBackend } from '../../../support/fake-backend.ts';
import { aSessionState } from '../../../support/fake-session.ts';

function aCommand(cls: StatementClass, given: Partial<Command> = {}): Command {
  const command = new Command();
  command.begin(COM.QUERY, Buffer.alloc(0), 0);
  return Object.assign(command, { cls }, given);
}

const READ_ONLY_OPTION = 'The MySQL server is running with the --read-only option so it cannot';

describe('what an error of a server means', () => {
  const verdict = (
    command: Command,
    code: number,
    onReplica: boolean,
    message = READ_ONLY_OPTION,
  ) =>
    verdictOnError(
      command,
      encodeErr({ code, sqlState: 'HY000', message }, 1).subarray(4),
      onReplica,
    );

  test.each([
    // class, errno, on a replica, verdict
    ['read', 1290, true, 'read-only'],
    ['read', 1792, true, 'read-only'],
    ['read', 1836, true, 'read-only'],
    ['read', 3100, true, 'read-only'],
    ['read', 1049, true, 'missing-object'],
    ['read', 1054, true, 'missing-object'],
    ['read', 1146, true, 'missing-object'],
    ['read', 1305, true, 'missing-object'],
    ['read', 1712, true, 'server-fault'],
    ['read', 1712, false, 'pass'],
    ['write', 1712, true, 'pass'],
    ['read', 1064, true, 'pass'],
    ['write', 1290, true, 'pass'],
    ['write', 1146, true, 'pass'],
    ['write', 1290, false, 'demoted'],
    ['write', 1836, false, 'demoted'],
    ['write', 1792, false, 'pass'],
    ['write', 1062, false, 'pass'],
    ['read', 1290, false, 'pass'],
    ['unknown', 1290, false, 'pass'],
    ['transaction', 1290, false, 'pass'],
  ] as const)('to a %s, errno %d, on a replica %s: %s', (cls, code, onReplica, expected) => {
    expect(verdict(aCommand(cls), code, onReplica)).toBe(expected);
  });

  test.each([
    ['in a transaction', { inTransaction: true }],
    ['of which the client has bytes', { answered: true }],
    ['that is too long to be sent again', { isLong: true }],
    ['that was sent again too often', { attempts: 2 }],
  ])('a command %s keeps its answer', (_, given) => {
    expect(verdict(aCommand('read', given), 1290, true)).toBe('pass');
    expect(verdict(aCommand('write', given), 1290, false)).toBe('pass');
  });

  test('a write that may have run half is never repeated', () => {
    expect(verdict(aCommand('write', { effects: EFFECT.OPAQUE }), 1290, false)).toBe('pass');
  });

  test.each(['--secure-file-priv', '--skip-show-database'])(
    '1290 because of %s is the answer',
    (option) => {
      const message = `The MySQL server is running with the ${option} option so it cannot execute this statement`;
      expect(verdict(aCommand('write'), 1290, false, message)).toBe('pass');
      expect(verdict(aCommand('read'), 1290, true, message)).toBe('pass');
    },
  );
});

describe('what a client is told of a loss', () => {
  const loss = {
    server: serverId('db1'),
    why: 'closed the connection',
    inTransaction: false,
    commits: false,
    isRead: false,
    isCut: false,
  };

  test.each([
    ['a write', {}, 1053, /may have run/],
    ['a read whose answer had begun', { isRead: true }, 1053, /had begun to answer/],
    ['a statement in a transaction', { inTransaction: true }, 1213, /rolled back, run it again/],
    ['a read in a transaction', { inTransaction: true, isRead: true }, 1213, /rolled back/],
    [
      'a COMMIT',
      { inTransaction: true, commits: true },
      1053,
      /outcome of the transaction is unknown/,
    ],
    ['what commits by itself, outside of one', { commits: true }, 1053, /may have run/],
    ['a write of which the end was not sent', { isCut: true }, 1053, /max_allowed_packet.*not run/],
    [
      'a COMMIT of which the end was not sent',
      { isCut: true, inTransaction: true, commits: true },
      1213,
      /max_allowed_packet.*rolled back/,
    ],
  ])('%s', (_, given, code, words) => {
    const told = toClientError(lossError({ ...loss, ...given }));
    expect(told.code).toBe(code);
    expect(told.message).toMatch(words);
    expect(told.message).toMatch(/^lagwise: Server db1 closed the connection/);
  });

  test('only what could not be reached may be tried again', () => {
    const unreachable = ERROR_SOURCES.filter((source) =>
      isUnreachable(new LagwiseError(source, 'x')),
    );
    expect(unreachable).toEqual(['backend-connect', 'backend-network', 'backend-timeout']);
    const full = { code: 1040, sqlState: '08004', message: 'Too many connections' };
    expect(isUnreachable(new ServerRefusedError('db1', full))).toBe(false);
    expect(isUnreachable(new Error('a defect'))).toBe(false);
  });
});

describe('a session’s binding', () => {
  const one = fakeBackend().connection;
  const two = fakeBackend().connection;
  function made() {
    const state = aSessionState();
    return { state, binding: new SessionBinding(state) };
  }
  const IN = STATUS.IN_TRANS | STATUS.AUTOCOMMIT;

  test('a transaction is where the status flags say so, and ends there only', () => {
    const { state, binding } = made();
    binding.noteReply(one, IN);
    expect(binding.transactionOn).toBe(one);
    binding.noteReply(two, STATUS.AUTOCOMMIT);
    expect([binding.transactionOn, state.inTransaction]).toEqual([one, true]);
    binding.noteReply(one, -1);
    expect(binding.transactionOn).toBe(one);
    binding.noteReply(one, STATUS.AUTOCOMMIT);
    expect([binding.transactionOn, state.inTransaction]).toEqual([null, false]);
  });

  test('a pin is where it came up first, and is gone with its state', () => {
    const { state, binding } = made();
    state.pins.set('opaque');
    binding.noteReply(one, STATUS.AUTOCOMMIT);
    binding.noteReply(two, STATUS.AUTOCOMMIT);
    expect([binding.isPinnedTo(one), binding.isPinnedTo(two)]).toEqual([true, false]);
    state.reset();
    binding.noteReply(two, STATUS.AUTOCOMMIT);
    expect(binding.pinnedTo).toBeNull();
  });

  test('replicas must catch up with writes, and with what ends a transaction that wrote', () => {
    const { binding } = made();
    const step = (cls: StatementClass, status: number) => {
      binding.noteReply(one, status);
      return binding.hasWritten(aCommand(cls));
    };
    expect(step('read', STATUS.AUTOCOMMIT)).toBe(false);
    expect(step('write', STATUS.AUTOCOMMIT)).toBe(true);
    expect(step('unknown', STATUS.AUTOCOMMIT)).toBe(true);
    expect([step('transaction', IN), step('write', IN), step('read', IN)]).toEqual([
      false,
      true,
      false,
    ]);
    expect(step('transaction', STATUS.AUTOCOMMIT)).toBe(true);
    expect([
      step('transaction', IN),
      step('read', IN),
      step('transaction', STATUS.AUTOCOMMIT),
    ]).toEqual([false, false, false]);
    // SET autocommit=1 commits too.
    expect([step('write', STATUS.IN_TRANS), step('session', STATUS.AUTOCOMMIT)]).toEqual([
      true,
      true,
    ]);
  });

  test('a lost connection takes its transaction along', () => {
    const { state, binding } = made();
    binding.noteReply(one, IN | STATUS.IN_TRANS_READONLY);
    binding.forget(two);
    expect(binding.transactionOn).toBe(one);
    binding.forget(one);
    expect([binding.transactionOn, state.inTransaction, state.readOnlyTransaction]).toEqual([
      null,
      false,
      false,
    ]);
  });
});

describe('the limit of failed logins', () => {
  const limiter = () => new LoginLimiter({ maxFailures: 3, windowMs: 1_000, blockMs: 500 });

  test('blocks an address at the last failure allowed, for a time, and no other', () => {
    const limit = limiter();
    expect([limit.failed('a', 0), limit.failed('a', 10), limit.failed('a', 20)]).toEqual([
      false,
      false,
      true,
    ]);
    expect(limit.blockedForMs('a', 20)).toBe(500);
    expect(limit.blockedForMs('a', 519)).toBe(1);
    expect(limit.blockedForMs('a', 520)).toBe(0);
    expect(limit.blockedForMs('b', 20)).toBe(0);
  });

  test('is told once for each block, and begins anew behind it', () => {
    const limit = limiter();
    for (const at of [0, 1]) limit.failed('a', at);
    expect([limit.failed('a', 2), limit.failed('a', 3)]).toEqual([true, false]);
    expect(limit.failed('a', 600)).toBe(false);
    expect(limit.blockedForMs('a', 600)).toBe(0);
  });

  test('forgets failures that are older than the window', () => {
    const limit = limiter();
    limit.failed('a', 0);
    limit.failed('a', 1);
    expect(limit.failed('a', 1_000)).toBe(false);
    expect(limit.blockedForMs('a', 1_000)).toBe(0);
  });

  test('remembers a bounded number of addresses', () => {
    const limit = limiter();
    for (const at of [0, 1, 2]) limit.failed('first', at);
    for (let index = 0; index < 10_000; index += 1) limit.failed(`address ${index}`, 3);
    expect(limit.blockedForMs('first', 3)).toBe(0);
  });
});

describe('passwords that are known', () => {
  const users = (value: unknown) =>
    parseConfig(
      { servers: [{ host: 'db1' }], monitor: { user: 'm', password: 'x' }, users: value },
      { env: {} },
    ).users;

  test('passthrough learns what a server accepted, and forgets what it refused', () => {
    const known = new Credentials(users('passthrough'));
    const password = Buffer.from('secret');
    expect([known.passthrough, known.passwordOf('app')]).toEqual([true, null]);
    known.learn('app', password);
    password.fill(0);
    expect(known.passwordOf('app')?.toString()).toBe('secret');
    known.forget('app');
    expect(known.passwordOf('app')).toBeNull();
  });

  test('passthrough keeps a bounded number, the latest', () => {
    const known = new Credentials('passthrough');
    for (let index = 0; index <= 10_000; index += 1) known.learn(`u${index}`, Buffer.from('x'));
    expect(known.passwordOf('u0')).toBeNull();
    expect(known.passwordOf('u1')).not.toBeNull();
    expect(known.passwordOf('u10000')).not.toBeNull();
  });

  test('a list neither learns nor forgets', () => {
    const known = new Credentials(users([{ user: 'app', password: 'listed' }]));
    known.learn('app', Buffer.from('other'));
    known.learn('stranger', Buffer.from('other'));
    known.forget('app');
    expect(known.passthrough).toBe(false);
    expect(known.passwordOf('app')?.toString()).toBe('listed');
    expect(known.passwordOf('stranger')).toBeNull();
  });
});
