import { beforeEach, describe, expect, test, vi } from 'vitest';
import { parseConfig } from '../../../../src/config/load.ts';
import { LagwiseError } from '../../../../src/lib/errors.ts';
import { serverId } from '../../../../src/lib/ids.ts';
import type { PoolAccount } from '../../../../src/pool/account.ts';
import {
  type BackendConnection,
  type BackendUser,
  LEFT,
} from '../../../../src/pool/backend-connection.ts';
import { ServerRefusedError } from '../../../../src/pool/server-refused-error.ts';
import { Command } from '../../../../src/session/command/command.ts';
import { Horizon } from '../../../../src/session/reads/horizon.ts';
import { HoldQueue } from '../../../../src/session/servers/hold-queue.ts';
import { PreparedStatements } from '../../../../src/session/prepared/prepared-statements.ts';
import {
  type BackendsOptions,
  SessionBackends,
} from '../../../../src/session/servers/session-backends.ts';
import type { SessionDeps } from '../../../../src/session/session-deps.ts';
import type { SessionState } from '../../../../src/session/state/session-state.ts';
import { EFFECT } from '../../../../src/sql/classification.ts';
import type { RouteTarget } from '../../../../src/routing/route.ts';
import type { ServerView, Snapshot } from '../../../../src/topology/snapshot.ts';
import { COM } from '../../../../src/wire/command.ts';
import { encodeErr } from '../../../../src/wire/packets/err.ts';
import { ReplyFacts } from '../../../../src/wire/reply-fields.ts';
import { encodeSessionState } from '../../../../src/wire/packets/session-state.ts';
import { STATUS } from '../../../../src/wire/status.ts';
import { encodeTextResultset } from '../../../../src/wire/text-resultset.ts';
import { anAccount, quietTelemetry } from '../../../support/fake-backend.ts';
import { FakePool } from '../../../support/fake-pool.ts';
import { aSessionState } from '../../../support/fake-session.ts';
import { NEW_CAPS } from '../../../support/replies.ts';
import { aServer, aSnapshot } from '../../../support/snapshots.ts';
import { until } from '../../../support/until.ts';

const view = (id: string, given: Partial<ServerView> = {}) =>
  aServer({ id: serverId(id), ...given });
const primary = (id = 'db1') =>
  view(id, { role: 'primary', caughtUpToMs: Number.POSITIVE_INFINITY });
/** A result of one row of one column. */
const aNumber = (value: string) =>
  encodeTextResultset(
    { columns: ['n'], rows: [[value]] },
    { seq: 1, caps: NEW_CAPS, status: STATUS.AUTOCOMMIT },
  );

let pool: FakePool;
let snapshot: Snapshot;
let holds: HoldQueue;
let telemetry: ReturnType<typeof quietTelemetry>;
let backends: SessionBackends;
let state: SessionState;
let gone: AbortController;
let account: PoolAccount;
const command = new Command();
const ignoring: BackendUser = {
  onBackendBytes: () => undefined,
  onBackendDrain: () => undefined,
  onBackendClose: (connection) => backends.dropped(connection),
};

function make(part: Readonly<Record<string, unknown>> = {}, given: Partial<BackendsOptions> = {}) {
  pool = new FakePool();
  telemetry = quietTelemetry();
  const config = parseConfig(
    {
      servers: [{ host: 'x' }],
      monitor: { user: 'm', password: 'x', intervalMs: 50, timeoutMs: 50 },
      routing: { waitMs: 0 },
      ...part,
    },
    { env: {} },
  );
  holds = new HoldQueue(config.failover, telemetry.metrics.holds, () => snapshot);
  state = aSessionState();
  gone = new AbortController();
  account = anAccount();
  const deps = {
    config,
    holds,
    metrics: telemetry.metrics,
    logger: telemetry.logger,
    keepsPromises: true,
    topology: { current: () => snapshot, wanted: () => undefined },
    pool: pool.asPool,
    random: () => 0,
    knowledge: { digests: { textOf: () => null } },
  };
  backends = new SessionBackends({
    horizon: new Horizon(),
    deps: deps as unknown as SessionDeps,
    account,
    own: null,
    state,
    prepared: new PreparedStatements(),
    user: ignoring,
    gone,
    ...given,
  });
}

let version = 0;
function publish(...servers: ServerView[]): void {
  version += 1;
  const found = servers.find(({ role }) => role === 'primary') ?? null;
  snapshot = aSnapshot({
    version,
    servers,
    primary: found,
    noPrimary: found === null ? 'None' : null,
  });
  holds?.published(snapshot);
}

beforeEach(() => {
  publish(primary(), view('db2'), view('db3'));
  make();
});

function aim(target: RouteTarget): Command {
  command.begin(COM.QUERY, Buffer.alloc(0), 0);
  command.target = target;
  return command;
}
const obtain = async (target: RouteTarget) => (await backends.obtain(aim(target))).server.id;
const setVariable = () =>
  state.noteReported(
    encodeSessionState([{ t: 'system-variable', name: 'time_zone', value: `+0${version}:00` }]),
  );

describe('reads', () => {
  test('go to a replica, stay with it, and need no promise then', async () => {
    expect(backends.ready(aim('replica'))).toBeNull();
    expect(await obtain('replica')).toBe('db2');
    expect(backends.ready(aim('replica'))?.server.id).toBe('db2');
    publish(primary(), view('db2'), view('db3'));
    expect(backends.ready(aim('replica'))?.server.id).toBe('db2');
    expect(pool.servers).toEqual(['db2']);
  });

  test('that the primary runs are counted each, whether or not the snapshot is new', async () => {
    await obtain('primary');
    publish(primary(), view('db2', { weight: 0 }), view('db3', { weight: 0 }));
    const { fallbacks } = telemetry.metrics.statements;
    const before = fallbacks.get('no-replica');
    for (let read = 0; read < 3; read += 1) {
      expect(backends.ready(aim('replica'))?.server.id).toBe('db1');
    }
    expect(fallbacks.get('no-replica')).toBe(before + 3);
  });

  test('that another replica runs in place of one that cannot be reached are no fallbacks', async () => {
    pool.failing.set('db2', new LagwiseError('backend-connect', 'refused'));
    const { fallbacks } = telemetry.metrics.statements;
    expect(await obtain('replica')).toBe('db3');
    expect(fallbacks.total).toBe(0);
    pool.failing.set('db3', new LagwiseError('backend-connect', 'refused'));
    backends.releaseAll(() => 'discard');
    expect(await obtain('replica')).toBe('db1');
    expect(fallbacks.get('connect')).toBe(1);
    expect(fallbacks.total).toBe(1);
  });

  test('wait for another replica to be opened where the one in use will no longer do', async () => {
    await obtain('replica');
    publish(primary(), view('db2', { ineligible: 'Its applier is stopped' }), view('db3'));
    expect(backends.ready(aim('replica'))).toBeNull();
    expect(await obtain('replica')).toBe('db3');
  });

  test.each([
    ['that lags too much', view('db2', { lag: { t: 'known', lagMs: 11_000, method: 'gtid' } })],
    ['of unknown lag', view('db2', { lag: { t: 'unknown', why: 'stopped' } })],
    ['that is not eligible', view('db2', { ineligible: 'Its applier is stopped' })],
    ['of weight 0', view('db2', { weight: 0 })],
    ['that is the primary now', view('db2', { role: 'primary' })],
  ])('leave a replica %s', async (_, changed) => {
    await obtain('replica');
    publish(changed, view('db3'), ...(changed.role === 'primary' ? [] : [primary()]));
    expect(await obtain('replica')).toBe('db3');
    expect(pool.released).toEqual([['db2', 'reuse']]);
  });

  test('move to a replica that has clearly less to do, not for a little', async () => {
    await obtain('replica');
    pool.loadOf('db2').readers = 2;
    pool.loadOf('db3').readers = 1;
    publish(primary(), view('db2'), view('db3'));
    expect(await obtain('replica')).toBe('db2');
    pool.loadOf('db2').readers = 3;
    publish(primary(), view('db2'), view('db3'));
    expect(await obtain('replica')).toBe('db3');
  });

  test('after a write wait for a replica that has it, and run on the primary meanwhile', async () => {
    await obtain('replica');
    backends.reads.noteWrite(1_000, null, 'mysql');
    expect(await obtain('replica')).toBe('db1');
    expect(backends.ready(aim('replica'))?.server.id).toBe('db1');
    publish(primary(), view('db2', { caughtUpToMs: 999 }), view('db3'));
    expect(await obtain('replica')).toBe('db1');
    publish(primary(), view('db2', { caughtUpToMs: 1_000 }), view('db3'));
    expect(await obtain('replica')).toBe('db2');
    expect(pool.servers).toEqual(['db2', 'db1']);
  });

  test('that a server failed are not sent to it again', async () => {
    const failed = aim('replica');
    failed.excludeServer(serverId('db2'));
    expect((await backends.obtain(failed)).server.id).toBe('db3');
    const both = aim('replica');
    both.excludeServer(serverId('db2'));
    both.excludeServer(serverId('db3'));
    expect((await backends.obtain(both)).server.id).toBe('db1');
    expect(both.target).toBe('primary');
    // What one command met says nothing of the next.
    expect(await obtain('replica')).toBe('db3');
  });

  test('go to the next replica where one cannot be reached', async () => {
    pool.failing.set('db2', new LagwiseError('backend-connect', 'refused'));
    expect(await obtain('replica')).toBe('db3');
  });

  test('go to the primary where a replica refuses the session’s state, until that changes', async () => {
    setVariable();
    const asked = aim('replica');
    const connection = await backends.obtain(asked);
    backends.refusedBy(connection, asked);
    expect([pool.released, asked.failure]).toEqual([[['db2', 'discard']], 'refused']);
    expect(await obtain('replica')).toBe('db1');
    expect(telemetry.metrics.statements.fallbacks.get('refused')).toBe(1);
    publish(primary(), view('db2'), view('db3'));
    expect(await obtain('replica')).toBe('db1');
    publish(primary(), view('db2'), view('db3'));
    setVariable();
    expect(await obtain('replica')).toBe('db2');
  });

  test('are not sent elsewhere by a pool that is used up: that is no fault of the server', async () => {
    pool.failing.set('db2', new LagwiseError('limit', 'all in use'));
    await expect(backends.obtain(aim('replica'))).rejects.toMatchObject({ source: 'limit' });
    expect(pool.servers).toEqual([]);
  });

  test('go to the primary where a replica refuses the account', async () => {
    const packet = { code: 1045, sqlState: '28000', message: 'Access denied' };
    pool.failing.set('db2', new ServerRefusedError('db2', packet));
    expect(await obtain('replica')).toBe('db1');
    expect(telemetry.metrics.statements.fallbacks.get('refused')).toBe(1);
  });

  test('fail with each server’s reason where they may not fall back', async () => {
    make({ routing: { fallback: 'error' } });
    publish(primary(), view('db2', { ineligible: 'Its applier is stopped' }));
    await expect(backends.obtain(aim('replica'))).rejects.toThrow(
      /routing\.fallback is "error" \(db1: It is primary, not a replica; db2: Its applier is stopped\)/,
    );
  });
});

describe('state', () => {
  const REFUSED = encodeErr({ code: 1298, sqlState: 'HY000', message: 'Unknown time zone' }, 1);

  test('is brought to a connection once, and again when it changed elsewhere', async () => {
    setVariable();
    const connection = await backends.obtain(aim('primary'));
    await backends.restore(connection, state.profile);
    await backends.restore(connection, state.profile);
    expect([pool.sent(0).length, connection.profile]).toEqual([1, state.profile]);
    publish(primary(), view('db2'), view('db3'));
    setVariable();
    await backends.restore(connection, state.profile);
    expect([pool.sent(0).length, connection.profile]).toEqual([2, state.profile]);
  });

  test('that a server refuses is its own error, and what the connection has is not known', async () => {
    setVariable();
    pool.answers.set('db1', REFUSED);
    const connection = await backends.obtain(aim('primary'));
    await expect(backends.restore(connection, state.profile)).rejects.toBeInstanceOf(
      ServerRefusedError,
    );
    expect(connection.profile).toBeNull();
    backends.settle(() => null, 0);
    expect(pool.released).toEqual([['db1', 'discard']]);
  });

  test('that cannot be brought since the server is lost leaves no dead connection behind', async () => {
    const connection = await backends.obtain(aim('primary'));
    setVariable();
    pool.answers.set('db1', Buffer.from([1, 0, 0, 1, 0x42]));
    await expect(backends.restore(connection, state.profile)).rejects.toThrow(/malformed/);
    expect(pool.at(0).stream.destroyed).toBe(true);
    pool.answers.clear();
    expect(backends.ready(aim('primary'))).toBeNull();
    expect(await obtain('primary')).toBe('db1');
    expect(pool.servers).toEqual(['db1', 'db1']);
    expect(backends.primaryConnection?.isClosed).toBe(false);
  });

  test('is forgotten by the servers on a reset, and connections that cannot are dropped', async () => {
    await obtain('primary');
    await obtain('replica');
    pool.answers.set('db2', REFUSED);
    await backends.reset();
    expect(pool.sent(0)).toHaveLength(3);
    expect([backends.primaryConnection?.isClosed, backends.replicaConnection]).toEqual([
      false,
      null,
    ]);
    expect(pool.at(1).stream.destroyed).toBe(true);
  });
});

/** As behind SELECT SQL_CALC_FOUND_ROWS, whose number only the connection knows. */
function countOnPurpose(connection: BackendConnection): void {
  const counting = new Command();
  counting.begin(COM.QUERY, Buffer.alloc(0), 0);
  counting.cause = 'select';
  counting.effects = EFFECT.SQL_CALC_FOUND_ROWS;
  const { found } = backends.leftovers;
  found.note(connection, counting, Object.assign(new ReplyFacts(), { rows: 2 }));
  backends.leftovers.noteEnd(connection, LEFT.FOUND_ROWS, -1);
}

describe('between two statements', () => {
  const free = () => null;
  const idleOn = (id: string) => pool.of(serverId(id)).idle.size;

  test('connections are given back, and taken again without a promise', async () => {
    const connection = await backends.obtain(aim('primary'));
    backends.leftovers.noteEnd(connection, 0, -1);
    backends.settle(free, 1);
    expect([backends.primaryConnection, idleOn('db1'), connection.keeper]).toEqual([null, 1, null]);
    expect(backends.ready(aim('primary'))).toBe(connection);
    expect([idleOn('db1'), pool.servers]).toEqual([0, ['db1']]);
  });

  test('what is tied to the session stays with it, and says why', async () => {
    const connection = await backends.obtain(aim('primary'));
    await obtain('replica');
    backends.settle((each) => (each === connection ? 'transaction' : null), 1);
    expect([backends.primaryConnection, backends.replicaConnection]).toEqual([connection, null]);
    expect(connection.heldFor).toBe('transaction');
  });

  test('a session that keeps its own gives none back', async () => {
    make({}, { own: { schema: null, collationId: 45, attributes: null } });
    const connection = await backends.obtain(aim('primary'));
    backends.settle(free, 1);
    expect([backends.keepsOwn, backends.primaryConnection, connection.heldFor]).toEqual([
      true,
      connection,
      'session-mode',
    ]);
  });

  test('what only a reset takes back is reset before others have it', async () => {
    (await backends.obtain(aim('primary'))).tainted = true;
    backends.settle(free, 1);
    expect(pool.released).toEqual([['db1', 'reset']]);
  });

  test('what was left to be asked for is kept, and found again', async () => {
    const connection = await backends.obtain(aim('replica'));
    backends.leftovers.noteEnd(connection, LEFT.DIAGNOSTICS, -1);
    backends.settle(free, 1);
    expect([connection.keeper, backends.replicaConnection]).toEqual([backends.leftovers, null]);
    expect(backends.again()).toBe(connection);
    expect([connection.keeper, backends.replicaConnection]).toEqual([null, connection]);
  });

  test('nothing is found again where another session has had it', async () => {
    const connection = await backends.obtain(aim('primary'));
    backends.leftovers.noteEnd(connection, 0, -1);
    backends.settle(free, 1);
    const other = pool.of(serverId('db1'));
    expect(other.take(account, state.profile)).toBe(connection);
    expect(backends.again()).toBeNull();
    other.giveBack(connection, 2);
    expect(backends.again()).toBeNull();
  });

  test('warnings are saved when others need the connection', async () => {
    const connection = await backends.obtain(aim('replica'));
    backends.leftovers.noteEnd(connection, LEFT.DIAGNOSTICS, 3);
    backends.settle(free, 1);
    const saving = backends.leftovers.giveUp(connection);
    expect(saving).not.toBeNull();
    expect(backends.leftovers.saving).toBe(saving);
    await saving;
    expect(pool.sent(0)).toEqual([`${COM.QUERY} SHOW WARNINGS`]);
    expect(backends.leftovers.saving).toBeNull();
    expect(backends.leftovers.remembered.rowCount).toBe(3);
    expect(backends.leftovers.remembered.warnings).not.toBeNull();
    // The next statement has left something else.
    backends.leftovers.noteEnd(connection, 0, -1);
    expect(backends.leftovers.remembered).toEqual({ warnings: null, rowCount: -1 });
  });

  test('a count of rows needs no saving', async () => {
    const connection = await backends.obtain(aim('primary'));
    backends.leftovers.noteEnd(connection, LEFT.ROW_COUNT, 3);
    backends.settle(free, 1);
    expect(backends.leftovers.giveUp(connection)).toBeNull();
  });

  test('what is kept goes back for all when the session ends or starts anew', async () => {
    const connection = await backends.obtain(aim('primary'));
    backends.leftovers.insertId.noteSet(connection);
    backends.leftovers.noteEnd(connection, 0, -1);
    backends.settle(free, 1);
    expect(connection.keeper).toBe(backends.leftovers);
    backends.leftovers.forget();
    expect([connection.keeper, connection.idle, backends.leftovers.insertId.connection]).toEqual([
      null,
      true,
      null,
    ]);
    expect(pool.of(serverId('db1')).take(anAccount('other'), state.profile)).toBeNull();
    expect(pool.of(serverId('db1')).take(account, state.profile)).toBe(connection);
  });

  test('an insert id is saved before the connection that has it is reset', async () => {
    const connection = await backends.obtain(aim('primary'));
    backends.leftovers.insertId.noteSet(connection);
    connection.tainted = true;
    pool.answers.set('db1', aNumber('77'));
    backends.settle(free, 1);
    await until('it is reset', () => pool.released.length > 0);
    expect([pool.released, state.savedInsertId]).toEqual([[['db1', 'reset']], '77']);
  });

  test('an insert id that only another connection knows is asked for where that is kept', async () => {
    const connection = await backends.obtain(aim('primary'));
    backends.leftovers.insertId.noteSet(connection);
    pool.answers.set('db1', aNumber('77'));
    backends.settle(free, 1);
    await backends.obtain(aim('replica'));
    await backends.leftovers.fetchInsertId(backends.held);
    expect([state.savedInsertId, connection.idle, connection.keeper]).toEqual(['77', true, null]);
    expect(await backends.leftovers.insertId.restoration(true)).toBe('SET last_insert_id=77');
  });

  test('and where the session itself holds it, which goes on using it', async () => {
    const connection = await backends.obtain(aim('primary'));
    const setUser = vi.spyOn(connection, 'setUser');
    backends.leftovers.insertId.noteSet(connection);
    pool.answers.set('db1', aNumber('77'));
    await backends.leftovers.fetchInsertId(backends.held);
    expect([state.savedInsertId, backends.primaryConnection]).toEqual(['77', connection]);
    expect(setUser).toHaveBeenLastCalledWith(ignoring);
  });

  test('FOUND_ROWS() that was counted on purpose outlives a reset', async () => {
    const connection = await backends.obtain(aim('primary'));
    countOnPurpose(connection);
    pool.answers.set('db1', aNumber('9'));
    backends.settle(free, 1);
    await backends.reset();
    expect(backends.leftovers.found.value).toBe(9);
  });

  test('and so it does on a connection that the session holds, which the reset would make forget', async () => {
    const connection = await backends.obtain(aim('primary'));
    countOnPurpose(connection);
    pool.answers.set('db1', aNumber('9'));
    await backends.reset();
    expect(pool.sent(0).slice(0, 2)).toEqual([
      `${COM.QUERY} SELECT FOUND_ROWS()`,
      `${COM.RESET_CONNECTION} `,
    ]);
    expect(backends.leftovers.found.value).toBe(9);
  });

  test('FOUND_ROWS() of a server that is lost is known to nobody behind a reset', async () => {
    const connection = await backends.obtain(aim('primary'));
    countOnPurpose(connection);
    connection.destroy();
    await backends.reset();
    expect(backends.leftovers.found.value).toBeNull();
  });

  test('a client that asked in vain has them kept longer', () => {
    expect(backends.leftovers.asksAfterwards).toBe(false);
    backends.leftovers.askedInVain();
    expect(backends.leftovers.asksAfterwards).toBe(true);
  });
});

describe('the primary', () => {
  test('is waited for, and its connection follows the role', async () => {
    await obtain('primary');
    publish(view('db2'), view('db3'));
    expect(backends.ready(aim('primary'))).toBeNull();
    const waiting = obtain('primary');
    publish(primary('db2'), view('db3'));
    expect(await waiting).toBe('db2');
    expect(pool.released).toEqual([['db1', 'reuse']]);
  });

  test('that cannot be reached is tried again with the next snapshot', async () => {
    pool.failing.set('db1', new LagwiseError('backend-connect', 'refused'));
    const waiting = obtain('primary');
    await new Promise((resolve) => setImmediate(resolve));
    publish(primary('db2'), view('db3'));
    expect(await waiting).toBe('db2');
  });

  test('that refuses the account is not tried again', async () => {
    const packet = { code: 1045, sqlState: '28000', message: 'Access denied' };
    pool.failing.set('db1', new ServerRefusedError('db1', packet));
    await expect(backends.obtain(aim('primary'))).rejects.toThrow(/1045 Access denied/);
  });

  test('is not opened for a client that has left', async () => {
    gone.abort();
    await expect(backends.obtain(aim('primary'))).rejects.toMatchObject({
      source: 'client-network',
    });
    expect(pool.opened.every(({ connection }) => connection.idle)).toBe(true);
    expect(backends.primaryConnection).toBeNull();
  });
});

test('all that is held is given back as is said, and nobody reads there any more', async () => {
  await obtain('primary');
  await obtain('replica');
  expect(pool.loadOf('db2').readers).toBe(1);
  backends.releaseAll((connection) => (connection.server.id === 'db1' ? 'discard' : 'reuse'));
  expect(pool.released).toEqual([
    ['db1', 'discard'],
    ['db2', 'reuse'],
  ]);
  expect(pool.loadOf('db2').readers).toBe(0);
  expect([backends.primaryConnection, backends.replicaConnection]).toEqual([null, null]);
});
