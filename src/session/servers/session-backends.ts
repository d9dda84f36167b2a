import type { ServerId } from '../../lib/ids.ts';
import type { PoolAccount } from '../../pool/account.ts';
import {
  type BackendConnection,
  type BackendUser,
  type HoldReason,
  LEFT,
} from '../../pool/backend-connection.ts';
import type { Fate } from '../../pool/pool.ts';
import type { FreshLogin } from '../../pool/pool-waiter.ts';
import { resetState } from '../../pool/reset.ts';
import { ServerRefusedError } from '../../pool/server-refused-error.ts';
import { runSwallowed, type Swallowed } from '../../pool/swallow.ts';
import type { StateProfile } from '../../pool/state-profile.ts';
import type { ServerView } from '../../topology/snapshot.ts';
import { REPLY, type ReplyKind } from '../../wire/reply-kinds.ts';
import type { Command } from '../command/command.ts';
import type { Horizon } from '../reads/horizon.ts';
import { Leftovers } from '../reply/leftovers.ts';
import type { PreparedStatements } from '../prepared/prepared-statements.ts';
import { PrimarySearch } from './primary-search.ts';
import type { Leaving } from './statement-waits.ts';
import type { ReplyTap } from '../reply/reply-tap.ts';
import { ReplicaReads } from '../reads/replica-reads.ts';
import { restorationOf } from '../state/restore.ts';
import type { SessionDeps } from '../session-deps.ts';
import type { SessionState } from '../state/session-state.ts';

/** What a session's connections are made of and bound to. */
export interface BackendsOptions {
  readonly deps: SessionDeps;
  readonly account: PoolAccount;
  /** The session keeps its connections, which log in as its client did; null where it shares. */
  readonly own: FreshLogin | null;
  readonly state: SessionState;
  readonly prepared: PreparedStatements;
  readonly user: BackendUser;
  /** What its reads have to see; that of the session before it on the same client connection. */
  readonly horizon: Horizon;
  readonly gone: Leaving;
}

/**
 * The connections that one session holds: at most one to the primary and one to a replica, taken
 * from the pool for a statement and given back behind it, unless something ties them to the session.
 */
export class SessionBackends {
  readonly leftovers: Leftovers;
  readonly reads: ReplicaReads;
  private readonly search: PrimarySearch;
  private readonly options: BackendsOptions;
  private readonly deps: SessionDeps;
  private readonly state: SessionState;
  /** What it holds now of each role. */
  primaryConnection: BackendConnection | null = null;
  replicaConnection: BackendConnection | null = null;

  constructor(options: BackendsOptions) {
    this.options = options;
    this.deps = options.deps;
    this.state = options.state;
    this.reads = new ReplicaReads(options, this);
    const leave = (connection: BackendConnection) => this.release(connection, 'reuse');
    this.search = new PrimarySearch(options.deps, options.gone, leave);
    const { pool, config, knowledge } = options.deps;
    const timeoutMs = config.pool.connectTimeoutMs;
    const { user, digests } = { ...options, ...knowledge };
    this.leftovers = new Leftovers(pool, options.state, { timeoutMs, digests, user });
  }

  /** All that are the session's own now. */
  get held(): readonly BackendConnection[] {
    return [this.primaryConnection, this.replicaConnection].filter((each) => each !== null);
  }

  /** The session keeps its connections between statements (`pool.mode` is `session`). */
  get keepsOwn(): boolean {
    return this.options.own !== null;
  }

  /** Takes over the connection that login was proved on. */
  adopt(connection: BackendConnection, role: 'primary' | 'replica'): void {
    this.hold(connection, role);
    connection.heldFor = 'session-mode';
  }

  /**
   * A connection for the command, if one can be had at once. Runs for each statement: no promise.
   * It may still have to be brought to the session's state.
   * @throws LagwiseError where no replica may serve and reads may not go to the primary
   */
  ready(command: Command): BackendConnection | null {
    const snapshot = this.deps.topology.current();
    if (command.target === 'replica') {
      this.stayBesideCursor(command);
      const server = this.reads.ready(snapshot, command);
      if (server === 'later') return null;
      if (server !== null) return this.readyOn(server, 'replica');
      this.reads.fallBack(command);
    }
    return snapshot.primary === null ? null : this.readyOn(snapshot.primary.id, 'primary');
  }

  /** A session has one replica: on another one a read would end what is open on this. */
  private stayBesideCursor(command: Command): void {
    const held = this.replicaConnection;
    if (held === null || held.isClosed || !this.options.prepared.holds(held)) return;
    for (const { id } of this.deps.topology.current().servers) {
      if (id !== held.server.id) command.excludeServer(id);
    }
  }

  /** The connection that ran the last statement, if nobody else has had it since. */
  again(): BackendConnection | null {
    const { connection: last } = this.leftovers;
    if (last === null) return null;
    if (last === this.primaryConnection || last === this.replicaConnection) return last;
    const taken = this.leftovers.takeLast();
    if (taken === null) return null;
    const isPrimary = this.deps.topology.current().primary?.id === taken.server.id;
    return this.hold(taken, isPrimary ? 'primary' : 'replica');
  }

  private readyOn(id: ServerId, role: 'primary' | 'replica'): BackendConnection | null {
    const held = role === 'primary' ? this.primaryConnection : this.replicaConnection;
    if (held !== null) return held.server.id === id && !held.isClosed ? held : null;
    // What is kept for this session is its to use, and warm.
    const { account } = this.options;
    const free =
      this.leftovers.takeKept(id) ?? this.deps.pool.of(id).take(account, this.state.profile);
    return free === null ? null : this.hold(free, role);
  }

  private hold(connection: BackendConnection, role: 'primary' | 'replica'): BackendConnection {
    connection.keeper = null;
    connection.setUser(this.options.user);
    if (role === 'primary') this.primaryConnection = connection;
    else this.replicaConnection = connection;
    return connection;
  }

  /**
   * A connection that may run the command, waited for where all are in use or there is no primary.
   * It may still have to be brought to the session's state.
   * @throws LagwiseError when there is no such server, with the reasons
   */
  async obtain(command: Command): Promise<BackendConnection> {
    if (command.target === 'replica') {
      this.stayBesideCursor(command);
      const connection = await this.reads.obtain(command);
      if (connection !== null) return connection;
      this.reads.fallBack(command);
    }
    return await this.search.obtain((server) => this.openOn(server, 'primary'));
  }

  /**
   * Brings a connection that is held to `profile`.
   * @throws ServerRefusedError with the error of the server that does not take it
   */
  async restore(connection: BackendConnection, profile: StateProfile): Promise<void> {
    const from = connection.profile;
    if (from === profile) return;
    const { bytes, replies } = restorationOf(from, profile, connection);
    connection.profile = null;
    if (replies > 0) {
      const kinds = Array.from({ length: replies }, () => REPLY.SIMPLE);
      const results = await this.swallow(connection, bytes, kinds);
      const failed = results.find((result) => result.error !== null)?.error;
      if (failed) throw new ServerRefusedError(connection.server.id, failed);
      // Perhaps: a server warns of character sets that it will drop, for one.
      connection.leftovers |= LEFT.DIAGNOSTICS;
    }
    connection.profile = profile;
  }

  /** Has the server forget all state of the connections that are held. */
  async reset(): Promise<void> {
    const { user, deps } = { ...this.options };
    await this.leftovers.reset(this.held);
    for (const connection of this.held) {
      if (!this.state.mayReset) {
        this.release(connection, 'quit');
        continue;
      }
      this.options.prepared.forget(connection);
      try {
        await resetState(connection, deps.config.pool.connectTimeoutMs);
        connection.setUser(user);
      } catch (error) {
        // Its state is gone with it, which is what was asked for.
        deps.logger.debug({ err: error, server: connection.server.id }, 'Reset failed');
        this.dropped(connection);
      }
    }
  }

  /** Runs commands of the proxy's own on a connection of this session. */
  async swallow(
    connection: BackendConnection,
    bytes: Buffer,
    kinds: readonly ReplyKind[],
  ): Promise<readonly Swallowed[]> {
    const { user } = this.options;
    try {
      const timeoutMs = this.deps.config.pool.connectTimeoutMs;
      return await runSwallowed(connection, bytes, kinds, timeoutMs);
    } catch (error) {
      // Whatever was open on it is lost with it.
      user.onBackendClose(connection, null);
      throw error;
    } finally {
      connection.setUser(user);
    }
  }

  /**
   * Between two statements: gives back what nothing ties to the session. What the last statement
   * left stays with it for a while.
   */
  settle(tieOf: (connection: BackendConnection) => HoldReason | null, nowMs: number): void {
    if (this.primaryConnection !== null) this.settleOne(this.primaryConnection, tieOf, nowMs);
    if (this.replicaConnection !== null) this.settleOne(this.replicaConnection, tieOf, nowMs);
  }

  private settleOne(
    connection: BackendConnection,
    tieOf: (connection: BackendConnection) => HoldReason | null,
    nowMs: number,
  ): void {
    const tie = this.keepsOwn ? 'session-mode' : tieOf(connection);
    if (tie !== null) {
      connection.heldFor = tie;
      return;
    }
    this.letGo(connection);
    if (connection.profile === null) {
      this.deps.pool.release(connection, 'discard', nowMs);
      return;
    }
    if (connection.tainted) {
      this.cleanse(connection);
      return;
    }
    connection.keeper = this.leftovers.isKept(connection) ? this.leftovers : null;
    this.deps.pool.release(connection, 'reuse', nowMs);
  }

  /** It has state that no command takes back one by one: the server forgets all of it. */
  private cleanse(connection: BackendConnection): void {
    const saved = this.leftovers.giveUp(connection);
    const reset = () => this.deps.pool.release(connection, 'reset', performance.now());
    if (saved === null) reset();
    else saved.then(reset, () => connection.destroy());
  }

  /** Forgets a connection that is gone. */
  dropped(connection: BackendConnection): void {
    this.options.prepared.forget(connection);
    this.letGo(connection);
  }

  private letGo(connection: BackendConnection): void {
    if (this.primaryConnection === connection) this.primaryConnection = null;
    if (this.replicaConnection === connection) this.replicaConnection = null;
  }

  /** Gives back all that is held, and what is kept for the session. */
  releaseAll(fateOf: (connection: BackendConnection) => Fate): void {
    for (const connection of this.held) this.release(connection, fateOf(connection));
    this.leftovers.forget();
    this.reads.leave();
  }

  /** What is to listen to the reply of a command that was just sent; null for nothing. */
  tapFor(command: Command, connection: BackendConnection): ReplyTap | null {
    const { staleness } = this.deps;
    if (staleness === null || connection !== this.replicaConnection) return null;
    return staleness.sample(command, connection);
  }

  release(connection: BackendConnection, fate: Fate): void {
    this.dropped(connection);
    const nowMs = performance.now();
    this.deps.pool.release(
      connection,
      fate === 'reuse' && connection.tainted ? 'reset' : fate,
      nowMs,
    );
  }

  async openReplica(server: ServerView): Promise<BackendConnection> {
    return await this.openOn(server, 'replica');
  }

  private async openOn(
    server: ServerView,
    role: 'primary' | 'replica',
  ): Promise<BackendConnection> {
    const held = role === 'primary' ? this.primaryConnection : this.replicaConnection;
    if (held !== null && !held.isClosed && held.server.id === server.id) return held;
    if (held !== null) this.release(held, 'reuse');
    const kept = this.leftovers.takeKept(server.id);
    if (kept !== null) return this.hold(kept, role);
    const { account, own: fresh } = this.options;
    const { signal: gone } = this.options.gone;
    const { profile } = this.state;
    const wish = { server, account, profile, gone, fresh };
    return this.hold(await this.deps.pool.acquire(wish), role);
  }

  /**
   * A connection to ask a server something on; null where none is free.
   * @throws LagwiseError when a new one cannot be opened
   */
  async borrow(server: ServerView): Promise<BackendConnection | null> {
    for (const held of [this.primaryConnection, this.replicaConnection]) {
      if (held?.server.id === server.id && !held.isClosed && !held.busy) return held;
    }
    const { account, own: fresh } = this.options;
    const { signal: gone } = this.options.gone;
    const { profile } = this.state;
    const pool = this.deps.pool.of(server.id);
    const free = pool.take(account, profile);
    if (free !== null || pool.mustWait(account)) return free;
    return await this.deps.pool.acquire({ server, account, profile, gone, fresh });
  }

  giveBack(connection: BackendConnection): void {
    if (connection === this.primaryConnection || connection === this.replicaConnection) return;
    this.deps.pool.release(connection, 'reuse', performance.now());
  }

  /** A replica takes the login but not the session's state. */
  refusedBy(connection: BackendConnection, command: Command): void {
    this.reads.refused(command);
    this.release(connection, 'discard');
  }

  /** The replica did not catch up in time: the primary runs the read. */
  tooLate(connection: BackendConnection, command: Command): void {
    this.reads.late(command);
    this.release(connection, 'reuse');
  }
}
