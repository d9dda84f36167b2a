import { LagwiseError } from '../lib/errors.ts';
import type { ServerId } from '../lib/ids.ts';
import type { PoolAccount } from './account.ts';
import type { BackendConnection, ConnectionHome } from './backend-connection.ts';
import { describeHolders } from './holders.ts';
import { IdleConnections } from './idle-connections.ts';
import { goneError, PoolWaiter, type Wish } from './pool-waiter.ts';
import type { ServerLoad } from './server-load.ts';
import type { StateProfile } from './state-profile.ts';
import { StatementBudget } from './statement-cache.ts';
import { WakeUp } from './wake-up.ts';

/** Bounds of the connections to one server; see the configuration's `pool`. */
export interface PoolLimits {
  readonly maxPerServer: number;
  /** 0: no bound of its own. */
  readonly maxPerAccount: number;
  readonly minIdle: number;
  readonly idleMs: number;
  readonly maxAgeMs: number;
  readonly waitMs: number;
  readonly keepMs: number;
}

/** Opens a connection that the pool has counted already. */
export type Open = (wish: Wish, home: ServerPool) => Promise<BackendConnection>;

/** Until a server has told its own limit: half of what MySQL and MariaDB have by default. */
const DEFAULT_STATEMENTS = 8191;

/**
 * The connections to one server: lends idle ones, opens more up to the limits, takes back those
 * that are only kept for what a statement left there, and lets the rest wait in order.
 */
export class ServerPool implements ConnectionHome {
  readonly id: ServerId;
  readonly load: ServerLoad;
  readonly budget = new StatementBudget(DEFAULT_STATEMENTS);
  readonly idle = new IdleConnections();
  private readonly limits: PoolLimits;
  private readonly open: Open;
  private readonly all = new Set<BackendConnection>();
  /** Open and being opened, by account. */
  private readonly counts = new Map<PoolAccount, number>();
  private readonly waiters = new Set<PoolWaiter>();
  private opening = 0;
  /** Who waits is being looked after: what is freed meanwhile is seen by that. */
  private serving = false;
  /** Whatever comes back from now on is closed. */
  private closing = false;
  /** Looks after who waits when the next kept connection may be taken. */
  private readonly ripe = new WakeUp(() => this.serve());

  constructor(load: ServerLoad, limits: PoolLimits, open: Open) {
    this.id = load.id;
    this.load = load;
    this.limits = limits;
    this.open = open;
  }

  /** Connections, those being opened included. */
  get size(): number {
    return this.all.size + this.opening;
  }

  get waiting(): number {
    return this.waiters.size;
  }

  /** An idle connection that suits, at once, or null. The hot path. */
  take(account: PoolAccount, profile: StateProfile): BackendConnection | null {
    if (this.waiters.size > 0) return null;
    const connection = this.idle.take(account, profile);
    if (connection !== null) lend(connection);
    return connection;
  }

  /** Takes the very connection that was given back after `leases`, if nobody has had it since. */
  takeBack(connection: BackendConnection, leases: number): boolean {
    if (!connection.idle || connection.leases !== leases) return false;
    this.idle.remove(connection);
    lend(connection);
    return true;
  }

  /**
   * A connection of the account: an idle one, a new one, or one that another client gives back.
   * @throws LagwiseError `limit` when none became free in time; what opening one throws
   */
  async acquire(wish: Wish): Promise<BackendConnection> {
    const waiter = new PoolWaiter(wish);
    // First come, first served: nobody passes those who wait.
    if (this.waiters.size > 0) {
      this.enqueue(waiter);
      // They may only wait for their own account's limit.
      this.serve();
    } else {
      this.placeFirst(waiter);
    }
    const connection = await waiter.promise;
    if (!wish.gone.aborted) return connection;
    this.giveBack(connection, performance.now());
    throw goneError(wish.gone);
  }

  /** Takes back a connection whose state is known; with a keeper it stays his for a while. */
  giveBack(connection: BackendConnection, nowMs: number): void {
    if (connection.isClosed) return;
    const { maxAgeMs } = this.limits;
    const isOld = maxAgeMs > 0 && nowMs - connection.bornMs > maxAgeMs;
    if (this.closing || (isOld && connection.keeper === null)) {
      connection.quit();
      return;
    }
    connection.heldFor = 'statement';
    this.idle.put(connection, nowMs);
    if (this.waiters.size > 0) this.serve();
  }

  /** A connection was opened. */
  opened(connection: BackendConnection): void {
    this.all.add(connection);
  }

  closed(connection: BackendConnection): void {
    if (!this.all.delete(connection)) return;
    if (connection.idle) this.idle.remove(connection);
    this.uncount(connection.account);
    if (this.waiters.size > 0) this.serve();
  }

  /** Closes what lies idle: the server is down. */
  dropIdle(): void {
    for (const connection of Array.from(this.idle)) connection.destroy();
  }

  /** Closes what nobody used for long; opens what `pool.minIdle` asks for. */
  sweep(nowMs: number): void {
    const { idleMs, keepMs, minIdle } = this.limits;
    const keptSinceMs = nowMs - Math.max(idleMs, keepMs);
    for (const connection of this.idle.kept) {
      if (connection.idleSinceMs >= keptSinceMs) break;
      this.reclaim(connection, (freed) => this.giveBack(freed, performance.now()));
    }
    for (const account of this.counts.keys()) {
      const free = this.idle.freeOf(account);
      const wanted = account.sessions > 0 ? minIdle : 0;
      const surplus = free.length - wanted;
      const old = free.slice(0, Math.max(0, surplus));
      for (const connection of old) {
        if (connection.idleSinceMs < nowMs - idleMs) connection.quit();
      }
      if (this.idle.countOf(account) < wanted && this.hasRoom(account)) this.warm(account);
    }
    // What is kept may have become theirs with time alone.
    if (this.waiters.size > 0) this.serve();
  }

  /** Closes everything; who waits is told so. */
  close(): void {
    this.closing = true;
    this.ripe.cancel();
    for (const waiter of this.waiters) {
      waiter.fail(new LagwiseError('shutdown', 'The proxy is stopping'));
    }
    for (const connection of this.all) connection.quit();
  }

  [Symbol.iterator](): IterableIterator<BackendConnection> {
    return this.all.values();
  }

  /** Opens one more connection for an account in use. */
  private warm(account: PoolAccount): void {
    const [model] = this.all;
    if (model === undefined || model.profile === null || this.waiters.size > 0) return;
    const fresh = { ...account.identity };
    const gone = new AbortController().signal;
    const wish = { server: model.server, account, profile: model.profile, gone, fresh };
    const waiter = new PoolWaiter(wish);
    this.openFor(waiter);
    waiter.promise.then(
      (connection) => this.giveBack(connection, performance.now()),
      // Whoever opens connections has counted and reported the failure; the next sweep tries again.
      () => undefined,
    );
  }

  private enqueue(waiter: PoolWaiter): void {
    const startedMs = performance.now();
    const whyLate = () => this.exhausted(waiter.wish.account, performance.now() - startedMs);
    this.waiters.add(waiter);
    this.load.waiting = this.waiters.size;
    waiter.queue(this.limits.waitMs, whyLate, () => {
      this.waiters.delete(waiter);
      this.load.waiting = this.waiters.size;
    });
    this.awaitRipe();
  }

  /** Gives what is free to those who wait, in order. */
  private serve(): void {
    if (this.serving) return;
    this.guarded(() => {
      for (const waiter of this.waiters) {
        if (this.place(waiter)) waiter.leaveQueue();
        // One who only waits for his own account's limit does not hold up the others.
        else if (this.isExhausted) break;
      }
    });
    this.awaitRipe();
  }

  /** What is kept may become free with time alone: then those who wait are served, in one go. */
  private awaitRipe(): void {
    if (this.waiters.size === 0 || this.ripe.isSet) return;
    // The longest kept one comes first: none of the others is ripe before it.
    const first = this.idle.findKept((each) => !this.mayReclaim(each));
    if (first !== null) this.ripe.set(first.idleSinceMs + this.limits.keepMs);
  }

  /** What `work` frees is for whom it works: nobody else is served by it. */
  private guarded<T>(work: () => T): T {
    const before = this.serving;
    this.serving = true;
    try {
      return work();
    } finally {
      this.serving = before;
    }
  }

  /** Finds a connection for the waiter, or begins to make one. False: there is none to be had. */
  private place(waiter: PoolWaiter): boolean {
    const { account, profile, fresh } = waiter.wish;
    if (fresh === null) {
      const free = this.idle.take(account, profile);
      if (free !== null) {
        waiter.give(lend(free));
        return true;
      }
    }
    if (this.hasRoom(account) || this.makeRoom(account)) {
      this.openFor(waiter);
      return true;
    }
    const helps = this.isAtOwnLimit(account)
      ? (connection: BackendConnection) => connection.account === account
      : () => true;
    const kept = this.idle.findKept((each) => helps(each) && this.mayReclaim(each));
    if (kept === null) return false;
    this.reclaim(
      kept,
      (freed) => {
        const { profile: state } = freed;
        const suits = fresh === null && freed.account === account && state !== null;
        if (suits && profile.isReachableFrom(state)) waiter.give(freed);
        else this.replace(() => freed.quit(), waiter);
      },
      () => this.replace(() => kept.destroy(), waiter),
    );
    return true;
  }

  /** Closes a connection and has the waiter take its place. */
  private replace(close: () => void, waiter: PoolWaiter): void {
    this.guarded(() => {
      close();
      this.placeFirst(waiter);
    });
    if (this.waiters.size > 0) this.serve();
  }

  /** For one whose turn had come, but what he was to get is gone. */
  private placeFirst(waiter: PoolWaiter): void {
    if (!this.guarded(() => this.place(waiter))) this.enqueue(waiter);
  }

  private hasRoom(account: PoolAccount): boolean {
    return this.size < this.limits.maxPerServer && !this.isAtOwnLimit(account);
  }

  private isAtOwnLimit(account: PoolAccount): boolean {
    const { maxPerAccount } = this.limits;
    return maxPerAccount > 0 && (this.counts.get(account) ?? 0) >= maxPerAccount;
  }

  /** Closes an idle connection that the waiter cannot use, so that he may open one. */
  private makeRoom(account: PoolAccount): boolean {
    const own = this.idle.freeOf(account)[0];
    const onlyOwn = this.isAtOwnLimit(account) || this.size < this.limits.maxPerServer;
    const oldest = own ?? (onlyOwn ? null : this.idle.oldestFree());
    oldest?.quit();
    return oldest !== null && this.hasRoom(account);
  }

  /** Who asks for a connection of the account now waits for what others give back. */
  mustWait(account: PoolAccount): boolean {
    return this.waiters.size > 0 || this.isExhausted || this.isAtOwnLimit(account);
  }

  private get isExhausted(): boolean {
    return this.size >= this.limits.maxPerServer && this.idle.size === 0;
  }

  private openFor(waiter: PoolWaiter): void {
    const { wish } = waiter;
    this.opening += 1;
    this.load.connecting += 1;
    this.counts.set(wish.account, (this.counts.get(wish.account) ?? 0) + 1);
    this.open(wish, this)
      .finally(() => {
        this.opening -= 1;
        this.load.connecting -= 1;
      })
      .then(
        (connection) => {
          if (this.closing) {
            connection.quit();
            waiter.fail(new LagwiseError('shutdown', 'The proxy is stopping'));
          } else {
            waiter.give(lend(connection));
          }
        },
        (error: unknown) => {
          this.uncount(wish.account);
          waiter.fail(error);
          if (this.waiters.size > 0) this.serve();
        },
      );
  }

  /** Whether a connection that is kept for a client may go to another one now. */
  private mayReclaim(connection: BackendConnection): boolean {
    if (connection.keeper?.asksAfterwards !== true) return true;
    return performance.now() - connection.idleSinceMs > this.limits.keepMs;
  }

  /** Takes a connection from the client that it is kept for, who may have to save something. */
  private reclaim(
    connection: BackendConnection,
    then: (freed: BackendConnection) => void,
    failed: () => void = () => connection.destroy(),
  ): void {
    this.idle.remove(connection);
    lend(connection);
    const saving = connection.keeper?.giveUp(connection) ?? null;
    connection.keeper = null;
    if (saving === null) then(connection);
    else saving.then(() => then(connection), failed);
  }

  private uncount(account: PoolAccount): void {
    const left = (this.counts.get(account) ?? 0) - 1;
    if (left > 0) this.counts.set(account, left);
    else this.counts.delete(account);
  }

  private exhausted(account: PoolAccount, waitedMs: number): LagwiseError {
    const { maxPerServer, maxPerAccount } = this.limits;
    const count = this.counts.get(account) ?? 0;
    const bound =
      maxPerAccount > 0 && count >= maxPerAccount
        ? `all ${count} of this account (pool.maxPerAccount)`
        : `all ${this.size} (pool.maxPerServer is ${maxPerServer})`;
    return new LagwiseError(
      'limit',
      `No connection to server ${this.id} became free within ${Math.round(waitedMs)} ms: ${bound} are in use (${describeHolders(this.all)}), ${this.waiting} statements wait; the statement has not run`,
    );
  }
}

/** It is in somebody's hands now: what he remembers of an earlier lease holds no longer. */
function lend(connection: BackendConnection): BackendConnection {
  connection.leases += 1;
  connection.heldFor = 'statement';
  return connection;
}
