import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { LagwiseError } from '../../../src/lib/errors.ts';
import { serverId } from '../../../src/lib/ids.ts';
import type { PoolAccount } from '../../../src/pool/account.ts';
import type { BackendConnection } from '../../../src/pool/backend-connection.ts';
import type { Wish } from '../../../src/pool/pool-waiter.ts';
import { ServerLoad } from '../../../src/pool/server-load.ts';
import { type PoolLimits, ServerPool } from '../../../src/pool/server-pool.ts';
import type { StateProfile } from '../../../src/pool/state-profile.ts';
import { anAccount, aProfile, fakeBackend } from '../../support/fake-backend.ts';
import { WIDE } from '../../support/fake-pool.ts';
import type { FakeStream } from '../../support/fake-stream.ts';
import { aServer } from '../../support/snapshots.ts';

const NONE = aProfile();
const SHOP = aProfile({ schema: 'shop' });
const server = aServer();

/** A connection that the pool opens: it is the test's to say how that ends. */
interface Opening {
  readonly wish: Wish;
  succeed(profile?: StateProfile): Promise<BackendConnection>;
  fail(error: unknown): Promise<void>;
}

let pool: ServerPool;
let app: PoolAccount;
let other: PoolAccount;
let openings: Opening[];
let streams: Map<BackendConnection, FakeStream>;

beforeEach(() => {
  vi.useFakeTimers();
  app = anAccount('app');
  other = anAccount('other');
  make();
});
afterEach(() => {
  vi.useRealTimers();
});

const settled = async () => await vi.advanceTimersByTimeAsync(0);

function make(limits: Partial<PoolLimits> = {}): void {
  openings = [];
  streams = new Map();
  const open = (wish: Wish, home: ServerPool) => {
    const { promise, resolve, reject } = Promise.withResolvers<BackendConnection>();
    const succeed = async (profile = NONE) => {
      const { account } = wish;
      const { load } = home;
      const bornMs = performance.now();
      const made = fakeBackend({ server, account, load, home, bornMs, profile });
      streams.set(made.connection, made.stream);
      home.opened(made.connection);
      resolve(made.connection);
      await settled();
      return made.connection;
    };
    const fail = async (error: unknown) => {
      reject(error);
      await settled();
    };
    openings.push({ wish, succeed, fail });
    return promise;
  };
  pool = new ServerPool(new ServerLoad(serverId('db1')), { ...WIDE, ...limits }, open);
}

/** A connection that is asked for: what came of it, as far as it is known. */
interface Asked {
  got: BackendConnection | null;
  error: unknown;
  readonly gone: AbortController;
}

function ask(account = app, given: Partial<Wish> = {}): Asked {
  const gone = new AbortController();
  const asked: Asked = { got: null, error: null, gone };
  const wish = { server, account, profile: NONE, gone: gone.signal, fresh: null, ...given };
  pool.acquire(wish).then(
    (connection) => {
      asked.got = connection;
    },
    (error: unknown) => {
      asked.error = error;
    },
  );
  return asked;
}

/** A connection that was opened for the account and is in use. */
async function held(account = app, profile = NONE): Promise<BackendConnection> {
  ask(account);
  const opening = openings.at(-1);
  if (opening === undefined) throw new Error('Nothing was opened');
  return await opening.succeed(profile);
}

function giveBack(connection: BackendConnection): void {
  pool.giveBack(connection, performance.now());
}

/** A connection that is kept for a client; `saving` is what the client then has to save. */
async function kept(
  saving: Promise<void> | null = null,
  account = app,
  asksAfterwards = false,
): Promise<{ connection: BackendConnection; asked: () => number }> {
  const connection = await held(account);
  let count = 0;
  connection.keeper = {
    asksAfterwards,
    giveUp: () => {
      count += 1;
      return saving;
    },
  };
  giveBack(connection);
  return { connection, asked: () => count };
}

const FRESH = { schema: 'shop', collationId: 8, attributes: null };

describe('a connection that is asked for', () => {
  test('is opened where none is idle, and counted while that lasts', async () => {
    const asked = ask();
    expect([pool.size, pool.load.connecting, asked.got]).toEqual([1, 1, null]);
    const connection = await openings[0]?.succeed();
    expect(asked.got).toBe(connection);
    expect([pool.size, pool.load.connecting, pool.load.connections]).toEqual([1, 0, 1]);
  });

  test('is an idle one where there is one', async () => {
    const connection = await held();
    giveBack(connection);
    const asked = ask();
    await settled();
    expect([asked.got, openings.length]).toEqual([connection, 1]);
  });

  test('is a new one where the server is to judge the login', async () => {
    giveBack(await held());
    ask(app, { fresh: FRESH });
    expect(openings).toHaveLength(2);
    expect(openings[1]?.wish.fresh).toEqual(FRESH);
  });

  test('that cannot be opened fails with the reason, and leaves room', async () => {
    make({ maxPerServer: 1 });
    const asked = ask();
    const next = ask();
    const why = new LagwiseError('backend-connect', 'refused');
    await openings[0]?.fail(why);
    expect([asked.error, next.got, openings.length]).toEqual([why, null, 2]);
    expect(await openings[1]?.succeed()).toBe(next.got);
    expect(pool.size).toBe(1);
  });

  test('is lent anew each time: what is remembered of the time before holds no longer', async () => {
    const connection = await held();
    connection.heldFor = 'transaction';
    const before = connection.leases;
    giveBack(connection);
    expect(connection.heldFor).toBe('statement');
    expect(pool.take(app, NONE)).toBe(connection);
    expect(connection.leases).toBeGreaterThan(before);
  });
});

describe('the very connection of before', () => {
  test('can be had back until somebody else has had it', async () => {
    const connection = await held();
    const { leases } = connection;
    expect(pool.takeBack(connection, leases)).toBe(false);
    giveBack(connection);
    expect(pool.takeBack(connection, leases)).toBe(true);
    expect([connection.idle, pool.idle.size]).toEqual([false, 0]);
    giveBack(connection);
    expect(pool.takeBack(connection, leases)).toBe(false);
    expect(connection.idle).toBe(true);
  });
});

describe('those who wait', () => {
  beforeEach(() => make({ maxPerServer: 1, waitMs: 1_000 }));

  test('are served in the order in which they came', async () => {
    const connection = await held();
    const [first, second] = [ask(), ask()];
    expect([pool.waiting, pool.load.waiting]).toEqual([2, 2]);
    giveBack(connection);
    await settled();
    expect([first.got, second.got, pool.waiting]).toEqual([connection, null, 1]);
    giveBack(connection);
    await settled();
    expect([second.got, pool.waiting, pool.load.waiting]).toEqual([connection, 0, 0]);
  });

  test('are not passed by one who comes just as a connection becomes free', async () => {
    make({ maxPerServer: 1, maxPerAccount: 1 });
    const connection = await held();
    // Of the other account: it cannot use what comes back, but room is made for it.
    const waits = ask(other);
    expect(pool.take(app, NONE)).toBeNull();
    giveBack(connection);
    expect(pool.take(app, NONE)).toBeNull();
    await openings[1]?.succeed();
    expect(waits.got?.account).toBe(other);
  });

  test('are told so when it takes too long, with who has the connections', async () => {
    make({ maxPerServer: 4, waitMs: 1_000 });
    const all = [await held(), await held(), await held(), await held()];
    const reasons = ['transaction', 'transaction', 'pinned', 'statement'] as const;
    for (const [index, connection] of all.entries()) {
      connection.heldFor = reasons[index] ?? 'statement';
    }
    const asked = ask();
    await vi.advanceTimersByTimeAsync(999);
    expect(asked.error).toBeNull();
    await vi.advanceTimersByTimeAsync(1);
    expect(asked.error).toMatchObject({
      source: 'limit',
      message:
        'No connection to server db1 became free within 1000 ms: all 4 (pool.maxPerServer is 4) are in use (1 statement, 2 transaction, 1 pinned), 1 statements wait; the statement has not run',
    });
    expect([pool.waiting, pool.load.waiting]).toEqual([0, 0]);
  });

  test('have no limit any more once a connection is being opened for them', async () => {
    const connection = await held();
    const asked = ask();
    connection.destroy();
    expect(openings).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(5_000);
    expect([asked.error, asked.got]).toEqual([null, null]);
    expect(await openings[1]?.succeed()).toBe(asked.got);
  });

  test('and leave are forgotten', async () => {
    const connection = await held();
    const [first, second] = [ask(), ask()];
    first.gone.abort();
    await settled();
    expect(first.error).toMatchObject({ source: 'client-network' });
    giveBack(connection);
    await settled();
    expect([first.got, second.got]).toEqual([null, connection]);
  });

  test('and leave while one is opened leave it to the next', async () => {
    const [first, second] = [ask(), ask()];
    first.gone.abort();
    const connection = await openings[0]?.succeed();
    expect(first.error).toMatchObject({ source: 'client-network' });
    expect(second.got).toBe(connection);
  });

  test('and have left before they asked get none', async () => {
    const connection = await held();
    const gone = new AbortController();
    gone.abort();
    const asked = ask(app, { gone: gone.signal });
    await settled();
    expect([asked.error, pool.waiting]).toEqual([
      expect.objectContaining({ source: 'client-network' }),
      0,
    ]);
    giveBack(connection);
    expect(connection.idle).toBe(true);
  });

  test('get a new one when a connection in use is lost', async () => {
    const connection = await held();
    const asked = ask();
    streams.get(connection)?.close(new Error('ECONNRESET'));
    expect(await openings[1]?.succeed()).toBe(asked.got);
    expect(pool.size).toBe(1);
  });
});

describe('the limit of an account', () => {
  beforeEach(() => make({ maxPerServer: 3, maxPerAccount: 1, waitMs: 1_000 }));

  test('holds its own statements up, and nobody else’s', async () => {
    const connection = await held();
    const mine = ask();
    // They stand behind one who can have none; there is room for them all the same.
    const theirs = ask(other);
    expect(openings.at(-1)?.wish.account).toBe(other);
    expect(await openings.at(-1)?.succeed()).toBe(theirs.got);
    expect(mine.got).toBeNull();
    giveBack(connection);
    await settled();
    expect(mine.got).toBe(connection);
  });

  test('does not cost other accounts their idle connections, which would not help', async () => {
    make({ maxPerServer: 2, maxPerAccount: 1, waitMs: 1_000 });
    await held();
    const theirs = await held(other);
    giveBack(theirs);
    const mine = ask();
    expect([theirs.isClosed, mine.got, pool.waiting]).toEqual([false, null, 1]);
  });

  test('is named where it was the reason', async () => {
    await held();
    const asked = ask();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(asked.error).toMatchObject({
      message: expect.stringMatching(/all 1 of this account \(pool\.maxPerAccount\) are in use/),
    });
  });

  test('does not cost other accounts what is kept for them, which would not help', async () => {
    await held();
    const { connection, asked } = await kept(null, other);
    const mine = ask();
    await settled();
    expect([asked(), connection.isClosed, mine.got]).toEqual([0, false, null]);
    // Served once more behind another's return: still bounded, still waiting, not lost.
    giveBack(await held(anAccount('third')));
    await vi.advanceTimersByTimeAsync(1_000);
    expect(mine.error).toMatchObject({ source: 'limit' });
  });

  test('one of its own that is kept is taken back for it', async () => {
    const { connection } = await kept();
    const mine = ask();
    await settled();
    expect(mine.got).toBe(connection);
  });
});

describe('where all connections are open', () => {
  test('an idle one of another account gives way', async () => {
    make({ maxPerServer: 2 });
    const [older, newer] = [await held(other), await held(other)];
    giveBack(older);
    await vi.advanceTimersByTimeAsync(10);
    giveBack(newer);
    const asked = ask();
    expect([older.isClosed, newer.isClosed, openings.length]).toEqual([true, false, 3]);
    expect(await openings[2]?.succeed()).toBe(asked.got);
    expect(pool.size).toBe(2);
  });

  test('one’s own that cannot be brought to the state gives way before others’', async () => {
    make({ maxPerServer: 2 });
    const theirs = await held(other);
    giveBack(theirs);
    const mine = await held(app, SHOP);
    giveBack(mine);
    ask();
    expect([theirs.isClosed, mine.isClosed, openings.length]).toEqual([false, true, 3]);
  });

  test('an idle one gives way to a login that is to be judged', async () => {
    make({ maxPerServer: 1 });
    const connection = await held();
    giveBack(connection);
    ask(app, { fresh: FRESH });
    expect([connection.isClosed, openings.length]).toEqual([true, 2]);
  });

  test('several who wait are each served once, whatever must give way', async () => {
    make({ maxPerServer: 3 });
    const busy = await held(other);
    await kept(null, other);
    await kept(null, other);
    const all = [ask(), ask(), ask()];
    giveBack(busy);
    await settled();
    const mine = openings.filter(({ wish }) => wish.account === app);
    expect(mine).toHaveLength(3);
    for (const opening of mine) await opening.succeed();
    expect(new Set(all.map(({ got }) => got)).size).toBe(3);
    expect([pool.size, pool.waiting]).toEqual([3, 0]);
  });
});

describe('a connection that is kept for a client', () => {
  beforeEach(() => make({ maxPerServer: 1, keepMs: 100 }));

  test('goes to another one at once where nothing is to be saved', async () => {
    const { connection, asked } = await kept();
    const wants = ask();
    await settled();
    expect([wants.got, connection.keeper, asked()]).toEqual([connection, null, 1]);
  });

  test('goes to another one when what it has is saved', async () => {
    const saved = Promise.withResolvers<void>();
    const { connection } = await kept(saved.promise);
    const wants = ask();
    await settled();
    expect([wants.got, connection.idle]).toEqual([null, false]);
    saved.resolve();
    await settled();
    expect(wants.got).toBe(connection);
  });

  test('whose client cannot save is closed, and another is opened', async () => {
    const saved = Promise.withResolvers<void>();
    const { connection } = await kept(saved.promise);
    const wants = ask();
    const next = ask();
    saved.reject(new Error('lost'));
    await settled();
    expect([connection.isClosed, openings.length]).toEqual([true, 2]);
    const opened = await openings[1]?.succeed();
    // It is still the turn of who came first.
    expect([wants.got, next.got]).toEqual([opened, null]);
  });

  test('of another account is closed to make room', async () => {
    const { connection, asked } = await kept(null, other);
    const wants = ask();
    expect([connection.isClosed, asked(), openings.length]).toEqual([true, 1, 2]);
    expect(await openings[1]?.succeed()).toBe(wants.got);
  });

  test('stays for a time where its client asks for what it has', async () => {
    const { connection, asked } = await kept(null, app, true);
    const wants = ask();
    await settled();
    expect([asked(), wants.got]).toEqual([0, null]);
    await vi.advanceTimersByTimeAsync(99);
    expect(wants.got).toBeNull();
    // Nobody has come since: time alone frees it.
    await vi.advanceTimersByTimeAsync(3);
    expect(wants.got).toBe(connection);
  });

  test('is free for those who wait from when it was kept, not from when their turn comes', async () => {
    make({ maxPerServer: 3, keepMs: 100, waitMs: 5_000 });
    const all = [await held(), await held(), await held()];
    for (const connection of all) {
      connection.keeper = { giveUp: () => null, asksAfterwards: true };
      giveBack(connection);
      await vi.advanceTimersByTimeAsync(10);
    }
    const waiting = [ask(), ask(), ask()];
    await vi.advanceTimersByTimeAsync(72);
    expect(waiting.map(({ got }) => got !== null)).toEqual([true, false, false]);
    await vi.advanceTimersByTimeAsync(20);
    expect(waiting.map(({ got }) => got)).toEqual(all);
    expect(pool.waiting).toBe(0);
  });

  test('leaves no timer behind when the pool is closed', async () => {
    await kept(null, app, true);
    ask();
    pool.close();
    await settled();
    expect(vi.getTimerCount()).toBe(0);
  });

  test('too long is free for all', async () => {
    make({ maxPerServer: 2, keepMs: 100, idleMs: 200 });
    const { connection, asked } = await kept();
    await vi.advanceTimersByTimeAsync(200);
    pool.sweep(performance.now());
    expect(asked()).toBe(0);
    await vi.advanceTimersByTimeAsync(1);
    pool.sweep(performance.now());
    expect([asked(), connection.keeper, connection.idle]).toEqual([1, null, true]);
    expect(pool.take(app, NONE)).toBe(connection);
  });
});

describe('what lies idle', () => {
  test('for long is closed, in order; what was used since is not', async () => {
    make({ idleMs: 1_000 });
    const [old, used] = [await held(), await held()];
    giveBack(old);
    await vi.advanceTimersByTimeAsync(600);
    giveBack(used);
    await vi.advanceTimersByTimeAsync(500);
    pool.sweep(performance.now());
    expect([old.isClosed, used.isClosed, pool.size]).toEqual([true, false, 1]);
    expect(streams.get(old)?.bytes.toString('hex')).toBe('0100000001');
  });

  test('is not closed below the least number of an account in use', async () => {
    make({ idleMs: 1_000, minIdle: 1 });
    app.sessions = 1;
    const all = [await held(), await held()];
    for (const connection of all) giveBack(connection);
    await vi.advanceTimersByTimeAsync(2_000);
    pool.sweep(performance.now());
    expect(all.map(({ isClosed }) => isClosed)).toEqual([true, false]);
    app.sessions = 0;
    pool.sweep(performance.now());
    expect(all.map(({ isClosed }) => isClosed)).toEqual([true, true]);
  });

  test('is made up to the least number, one at a time', async () => {
    make({ minIdle: 2 });
    app.sessions = 1;
    await held();
    pool.sweep(performance.now());
    expect(openings).toHaveLength(2);
    const warm = await openings[1]?.succeed();
    expect(warm?.idle).toBe(true);
    pool.sweep(performance.now());
    await openings[2]?.succeed();
    pool.sweep(performance.now());
    expect([openings.length, pool.idle.size]).toEqual([3, 2]);
  });

  test('is not made up where there is no room, or the server refuses', async () => {
    make({ minIdle: 1, maxPerServer: 2 });
    app.sessions = 1;
    await held();
    pool.sweep(performance.now());
    await openings[1]?.fail(new LagwiseError('backend-connect', 'refused'));
    expect(pool.size).toBe(1);
    await held();
    pool.sweep(performance.now());
    expect(openings).toHaveLength(3);
  });

  test('and is closed by its server is not lent', async () => {
    const connection = await held();
    giveBack(connection);
    streams.get(connection)?.close();
    expect([pool.take(app, NONE), pool.size, pool.idle.size]).toEqual([null, 0, 0]);
  });

  test('and says that it closes is closed', async () => {
    const connection = await held();
    giveBack(connection);
    streams.get(connection)?.receive(Buffer.from('an error'));
    expect([connection.isClosed, pool.idle.size, pool.size]).toEqual([true, 0, 0]);
  });

  test('is closed when its server is down; what is in use is not', async () => {
    const [idle, busy] = [await held(), await held()];
    giveBack(idle);
    pool.dropIdle();
    expect([idle.isClosed, busy.isClosed, pool.size]).toEqual([true, false, 1]);
  });
});

describe('a connection that is given back', () => {
  test('too old is closed, and the next one opened', async () => {
    make({ maxAgeMs: 1_000, maxPerServer: 1 });
    const connection = await held();
    const asked = ask();
    await vi.advanceTimersByTimeAsync(1_001);
    giveBack(connection);
    expect([connection.isClosed, openings.length]).toEqual([true, 2]);
    expect(await openings[1]?.succeed()).toBe(asked.got);
  });

  test('too old stays while it is kept for somebody', async () => {
    make({ maxAgeMs: 1_000 });
    const connection = await held();
    await vi.advanceTimersByTimeAsync(1_001);
    connection.keeper = { giveUp: () => null, asksAfterwards: false };
    giveBack(connection);
    expect([connection.isClosed, connection.idle]).toEqual([false, true]);
  });

  test('closed is not put away', async () => {
    const connection = await held();
    connection.destroy();
    giveBack(connection);
    expect([pool.idle.size, pool.size]).toEqual([0, 0]);
  });
});

describe('at its end', () => {
  test('who waits is told, and all connections are closed in order', async () => {
    make({ maxPerServer: 2 });
    const [busy, idle] = [await held(), await held()];
    giveBack(idle);
    ask(other);
    const waits = ask(other);
    pool.close();
    await settled();
    expect(waits.error).toMatchObject({ source: 'shutdown' });
    for (const connection of [busy, idle]) {
      expect([connection.isClosed, streams.get(connection)?.ended]).toEqual([true, true]);
    }
  });

  test('what is still being opened is closed once it is there', async () => {
    const asked = ask();
    pool.close();
    const connection = await openings[0]?.succeed();
    expect([connection?.isClosed, asked.got]).toEqual([true, null]);
    expect(asked.error).toMatchObject({ source: 'shutdown' });
    expect(pool.size).toBe(0);
  });
});
