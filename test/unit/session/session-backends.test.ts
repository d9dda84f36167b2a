import { beforeEach, describe, expect, test } from 'vitest';
import { parseConfig } from '../../../src/config/load.ts';
import { LagwiseError } from '../../../src/lib/errors.ts';
import { serverId } from '../../../src/lib/ids.ts';
import type { BackendUser } from '../../../src/pool/backend-connection.ts';
import type { BackendPool, Lease } from '../../../src/pool/pool.ts';
import { ServerLoad } from '../../../src/pool/server-load.ts';
import { ServerRefusedError } from '../../../src/pool/server-refused-error.ts';
import { Command } from '../../../src/session/command.ts';
import { HoldQueue } from '../../../src/session/hold-queue.ts';
import { PreparedStatements } from '../../../src/session/prepared-statements.ts';
import { SessionBackends } from '../../../src/session/session-backends.ts';
import type { SessionDeps } from '../../../src/session/session-deps.ts';
import { SessionState } from '../../../src/session/session-state.ts';
import type { RouteTarget } from '../../../src/routing/route.ts';
import type { ServerView, Snapshot } from '../../../src/topology/snapshot.ts';
import { COM } from '../../../src/wire/command.ts';
import { encodeErr } from '../../../src/wire/packets/err.ts';
import { encodeOk } from '../../../src/wire/packets/ok.ts';
import { encodeSessionState } from '../../../src/wire/packets/session-state.ts';
import { STATUS } from '../../../src/wire/status.ts';
import { fakeBackend, quietTelemetry } from '../../support/fake-backend.ts';
import type { FakeStream } from '../../support/fake-stream.ts';
import { NEW_CAPS } from '../../support/replies.ts';
import { aServer, aSnapshot } from '../../support/snapshots.ts';

const view = (id: string, given: Partial<ServerView> = {}) =>
  aServer({ id: serverId(id), ...given });
const primary = (id = 'db1') =>
  view(id, { role: 'primary', caughtUpToMs: Number.POSITIVE_INFINITY });
const OK = encodeOk({ status: STATUS.AUTOCOMMIT }, 1, { caps: NEW_CAPS });

interface Opened {
  readonly lease: Lease;
  readonly stream: FakeStream;
  fate: 'reuse' | 'discard' | null;
}

/** Opens connections to nobody; each answers OK to all that it is sent, unless told otherwise. */
class FakePool {
  readonly opened: Opened[] = [];
  readonly failing = new Map<string, unknown>();
  readonly loads = new Map<string, ServerLoad>();
  /** What connections to a server answer to the commands that set them up. */
  readonly answers = new Map<string, Buffer>();

  loadOf(id: string): ServerLoad {
    const load = this.loads.get(id) ?? new ServerLoad(serverId(id));
    this.loads.set(id, load);
    return load;
  }

  acquire(server: ServerView): Promise<Lease> {
    const failure = this.failing.get(server.id);
    if (failure !== undefined) return Promise.reject(failure);
    const { connection, stream } = fakeBackend({ server, load: this.loadOf(server.id) });
    const write = stream.write.bind(stream);
    stream.write = (bytes) => {
      queueMicrotask(() => stream.sink?.onBytes(this.answers.get(server.id) ?? OK));
      return write(bytes);
    };
    const release = (fate: 'reuse' | 'discard') => {
      opened.fate = fate;
      connection.destroy();
    };
    const opened: Opened = { lease: { connection, release }, stream, fate: null };
    this.opened.push(opened);
    return Promise.resolve(opened.lease);
  }

  /** Servers that a connection was opened to, in order. */
  get servers(): string[] {
    return this.opened.map(({ lease }) => lease.connection.server.id);
  }
}

let pool: FakePool;
let snapshot: Snapshot;
let holds: HoldQueue;
let telemetry: ReturnType<typeof quietTelemetry>;
let backends: SessionBackends;
let state: SessionState;
let gone: AbortController;
const command = new Command();
const ignoring: BackendUser = {
  onBackendBytes: () => undefined,
  onBackendDrain: () => undefined,
  onBackendClose: (connection) => backends.dropped(connection),
};

function make(part: Readonly<Record<string, unknown>> = {}): void {
  pool = new FakePool();
  telemetry = quietTelemetry();
  const config = parseConfig(
    {
      servers: [{ host: 'x' }],
      monitor: { user: 'm', password: 'x', intervalMs: 50, timeoutMs: 50 },
      ...part,
    },
    { env: {} },
  );
  holds = new HoldQueue(config.failover, telemetry.metrics.holds, () => snapshot);
  state = new SessionState({ schema: null, status: STATUS.AUTOCOMMIT, sqlMode: '' });
  gone = new AbortController();
  const deps = {
    config,
    holds,
    metrics: telemetry.metrics,
    logger: telemetry.logger,
    topology: { current: () => snapshot },
    pool: pool as unknown as BackendPool,
    random: () => 0,
  };
  backends = new SessionBackends({
    deps: deps as unknown as SessionDeps,
    identity: {
      user: 'app',
      password: Buffer.alloc(0),
      schema: null,
      collationId: 45,
      caps: NEW_CAPS,
      attributes: null,
    },
    state,
    prepared: new PreparedStatements(),
    user: ignoring,
    gone: gone.signal,
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
    backends.releaseReplica('discard');
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
    expect(pool.opened[0]?.fate).toBe('reuse');
  });

  test('move to a replica that has clearly less to do, not for a little', async () => {
    await obtain('replica');
    pool.loadOf('db2').connections = 4;
    pool.loadOf('db3').connections = 1;
    publish(primary(), view('db2'), view('db3'));
    expect(await obtain('replica')).toBe('db2');
    pool.loadOf('db2').connections = 6;
    publish(primary(), view('db2'), view('db3'));
    expect(await obtain('replica')).toBe('db3');
  });

  test('after a write wait for a replica that has it, and run on the primary meanwhile', async () => {
    await obtain('replica');
    backends.noteWrite(1_000);
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

  test('go to the primary where the replica refuses the session’s state, until that changes', async () => {
    setVariable();
    pool.answers.set(
      'db2',
      encodeErr({ code: 1298, sqlState: 'HY000', message: 'Unknown time zone' }, 1),
    );
    expect(await obtain('replica')).toBe('db1');
    expect(pool.opened[0]?.fate).toBe('discard');
    pool.answers.clear();
    expect(await obtain('replica')).toBe('db1');
    publish(primary(), view('db2'), view('db3'));
    setVariable();
    expect(await obtain('replica')).toBe('db2');
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
  test('is brought to a connection once, and again when it changed elsewhere', async () => {
    setVariable();
    await obtain('primary');
    await obtain('replica');
    await obtain('primary');
    const sent = () => pool.opened.map(({ stream }) => stream.written.length);
    expect(sent()).toEqual([1, 1]);
    publish(primary(), view('db2'), view('db3'));
    setVariable();
    expect(backends.ready(aim('primary'))).toBeNull();
    await obtain('primary');
    expect(sent()).toEqual([2, 1]);
  });

  test('that the primary refuses is its own error', async () => {
    setVariable();
    pool.answers.set(
      'db1',
      encodeErr({ code: 1298, sqlState: 'HY000', message: 'Unknown time zone' }, 1),
    );
    await expect(backends.obtain(aim('primary'))).rejects.toBeInstanceOf(ServerRefusedError);
  });

  test('that cannot be brought since the server is lost leaves no dead connection behind', async () => {
    await obtain('primary');
    setVariable();
    pool.answers.set('db1', Buffer.from([1, 0, 0, 1, 0x42]));
    await expect(backends.obtain(aim('primary'))).rejects.toThrow(/malformed/);
    expect(pool.opened[0]?.stream.destroyed).toBe(true);
    pool.answers.clear();
    expect(backends.ready(aim('primary'))).toBeNull();
    expect(await obtain('primary')).toBe('db1');
    expect(pool.servers).toEqual(['db1', 'db1']);
    expect(backends.primaryConnection?.isClosed).toBe(false);
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
    expect(pool.opened[0]?.fate).toBe('reuse');
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
    expect(pool.opened.every(({ fate }) => fate === 'reuse')).toBe(true);
    expect(backends.primaryConnection).toBeNull();
  });
});

test('all that is held is given back as is said', async () => {
  await obtain('primary');
  await obtain('replica');
  backends.releaseAll('discard');
  expect(pool.opened.map(({ fate }) => fate)).toEqual(['discard', 'discard']);
  expect([backends.primaryConnection, backends.replicaConnection]).toEqual([null, null]);
});
