import { LagwiseError } from '../lib/errors.ts';
import type { ServerId } from '../lib/ids.ts';
import type { PoolAccount } from '../pool/account.ts';
import {
  type BackendConnection,
  type BackendUser,
  type HoldReason,
  LEFT,
} from '../pool/backend-connection.ts';
import type { Fate } from '../pool/pool.ts';
import type { FreshLogin } from '../pool/pool-waiter.ts';
import { resetState } from '../pool/reset.ts';
import { ServerRefusedError } from '../pool/server-refused-error.ts';
import { runSwallowed, type Swallowed } from '../pool/swallow.ts';
import type { StateProfile } from '../pool/state-profile.ts';
import type { ServerView, Snapshot } from '../topology/snapshot.ts';
import { REPLY, type ReplyKind } from '../wire/reply-kinds.ts';
import type { Command } from './command.ts';
import { Leftovers } from './leftovers.ts';
import { isUnreachable } from './loss.ts';
import type { PreparedStatements } from './prepared-statements.ts';
import { ReplicaChoice } from './replica-choice.ts';
import { restorationOf } from './restore.ts';
import type { SessionDeps } from './session-deps.ts';
import type { SessionState } from './session-state.ts';

/** A server that could not be reached is tried again after so long even if nothing else is heard. */
const RETRY_MS = 250;

/** What a session's connections are made of and bound to. */
export interface BackendsOptions {
  readonly deps: SessionDeps;
  readonly account: PoolAccount;
  /** The session keeps its connections, which log in as its client did; null where it shares. */
  readonly own: FreshLogin | null;
  readonly state: SessionState;
  readonly prepared: PreparedStatements;
  readonly user: BackendUser;
  readonly gone: AbortSignal;
}

/**
 * The connections that one session holds: at most one to the primary and one to a replica, taken
 * from the pool for a statement and given back behind it, unless something ties them to the session.
 */
export class SessionBackends {
  readonly leftovers: Leftovers;
  private readonly choice: ReplicaChoice;
  private readonly options: BackendsOptions;
  private readonly deps: SessionDeps;
  private readonly state: SessionState;
  private primary: BackendConnection | null = null;
  private replica: BackendConnection | null = null;
  constructor(options: BackendsOptions) {
    this.options = options;
    this.deps = options.deps;
    this.state = options.state;
    this.choice = new ReplicaChoice(options.deps, options.state);
    const { pool, config, knowledge } = options.deps;
    const timeoutMs = config.pool.connectTimeoutMs;
    const { digests } = knowledge;
    this.leftovers = new Leftovers(pool, options.state, { timeoutMs, digests });
  }

  get primaryConnection(): BackendConnection | null {
    return this.primary;
  }

  get replicaConnection(): BackendConnection | null {
    return this.replica;
  }

  /** A connection is the session's own now: something ties it, or it keeps what it has. */
  get holdsAny(): boolean {
    return this.primary !== null || this.replica !== null;
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

  /** The session wrote: replicas must catch up before they serve it again. */
  noteWrite(nowMs: number): void {
    this.choice.noteWrite(nowMs);
  }

  /**
   * A connection for the command, if one can be had at once. Runs for each statement: no promise.
   * It may still have to be brought to the session's state.
   * @throws LagwiseError where no replica may serve and reads may not go to the primary
   */
  ready(command: Command): BackendConnection | null {
    const snapshot = this.deps.topology.current();
    if (command.target === 'replica') {
      const server = this.choice.ready(snapshot, command);
      if (server !== null) return this.readyOn(server, 'replica');
      if (!this.choice.isNone(snapshot)) return null;
      this.fallBack(command);
    }
    return snapshot.primary === null ? null : this.readyOn(snapshot.primary.id, 'primary');
  }

  /** The connection that ran the last statement, if nobody else has had it since. */
  again(): BackendConnection | null {
    const { connection: last } = this.leftovers;
    if (last === null) return null;
    if (last === this.primary || last === this.replica) return last;
    const taken = this.leftovers.takeLast();
    if (taken === null) return null;
    const isPrimary = this.deps.topology.current().primary?.id === taken.server.id;
    return this.hold(taken, isPrimary ? 'primary' : 'replica');
  }

  private readyOn(id: ServerId, role: 'primary' | 'replica'): BackendConnection | null {
    const held = role === 'primary' ? this.primary : this.replica;
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
    if (role === 'primary') this.primary = connection;
    else this.replica = connection;
    return connection;
  }

  /** The primary runs a read that a replica could have taken; each such read is counted, once. */
  private fallBack(command: Command): void {
    command.target = 'primary';
    this.deps.metrics.statements.fallbacks.inc(command.failure ?? this.choice.whyNone);
  }

  /**
   * A connection that may run the command, waited for where all are in use or there is no primary.
   * It may still have to be brought to the session's state.
   * @throws LagwiseError when there is no such server, with the reasons
   */
  async obtain(command: Command): Promise<BackendConnection> {
    if (command.target === 'replica') {
      const connection = await this.obtainReplica(command);
      if (connection !== null) return connection;
      this.fallBack(command);
    }
    return await this.obtainPrimary();
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
    this.leftovers.forget();
    for (const connection of [this.primary, this.replica]) {
      if (connection === null) continue;
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
   * After a write that the primary refused as read-only: waits until the probes say that it is not
   * the primary any more.
   * @throws the refusal, if it still is: then that was the statement's own error
   */
  async awaitDemotion(refusal: ServerRefusedError): Promise<void> {
    const { holds, config } = this.deps;
    const graceMs = config.monitor.intervalMs * 2;
    const until = performance.now() + Math.min(graceMs, config.failover.holdMs);
    try {
      const isDemoted = ({ primary }: Snapshot) => primary?.id !== refusal.server;
      await holds.wait(isDemoted, until, this.options.gone);
    } catch {
      throw refusal;
    }
  }

  /**
   * Between two statements: gives back what nothing ties to the session. What the last statement
   * left stays with it for a while.
   */
  settle(tieOf: (connection: BackendConnection) => HoldReason | null, nowMs: number): void {
    if (this.primary !== null) this.settleOne(this.primary, tieOf, nowMs);
    if (this.replica !== null) this.settleOne(this.replica, tieOf, nowMs);
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

  /** What is asked for is gone with the connection: from now on they are kept longer. */
  askedInVain(): void {
    this.options.account.asksAfterwards = true;
  }

  /** Forgets a connection that is gone. */
  dropped(connection: BackendConnection): void {
    this.options.prepared.forget(connection);
    this.letGo(connection);
  }

  private letGo(connection: BackendConnection): void {
    if (this.primary === connection) this.primary = null;
    if (this.replica === connection) this.replica = null;
  }

  /** Gives back all that is held, and what is kept for the session. */
  releaseAll(fateOf: (connection: BackendConnection) => Fate): void {
    for (const connection of [this.primary, this.replica]) {
      if (connection !== null) this.release(connection, fateOf(connection));
    }
    this.leftovers.forget();
    this.choice.leave();
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

  private async obtainPrimary(): Promise<BackendConnection> {
    const { topology, holds, config } = this.deps;
    const deadlineMs = performance.now() + config.failover.holdMs;
    for (;;) {
      const hasPrimary = ({ primary }: Snapshot) => primary !== null;
      const snapshot = await holds.wait(hasPrimary, deadlineMs, this.options.gone);
      const server = snapshot.primary;
      if (server === null) continue;
      try {
        const connection = await this.openOn(server, 'primary');
        // Meanwhile another server may have become the primary.
        if (topology.current().primary?.id === server.id) return connection;
        this.release(connection, 'reuse');
      } catch (error) {
        if (!isUnreachable(error) || performance.now() >= deadlineMs) throw error;
        // Nothing was sent: it may wait for what the next probe says, or for the server to return.
        await this.pause(snapshot, deadlineMs);
      }
    }
  }

  private async openOn(
    server: ServerView,
    role: 'primary' | 'replica',
  ): Promise<BackendConnection> {
    const held = role === 'primary' ? this.primary : this.replica;
    if (held !== null && !held.isClosed && held.server.id === server.id) return held;
    if (held !== null) this.release(held, 'reuse');
    const kept = this.leftovers.takeKept(server.id);
    if (kept !== null) return this.hold(kept, role);
    const { account, own: fresh, gone } = this.options;
    const { profile } = this.state;
    const wish = { server, account, profile, gone, fresh };
    return this.hold(await this.deps.pool.acquire(wish), role);
  }

  private async pause(snapshot: Snapshot, deadlineMs: number): Promise<void> {
    const until = Math.min(deadlineMs, performance.now() + RETRY_MS);
    try {
      const isNewer = (next: Snapshot) => next.version > snapshot.version;
      await this.deps.holds.wait(isNewer, until, this.options.gone);
    } catch (error) {
      // Nothing new was heard in time: the caller tries again until its own deadline.
      if (!(error instanceof LagwiseError) || error.source !== 'no-eligible-server') throw error;
    }
  }

  /** Null when the read goes to the primary instead. */
  private async obtainReplica(command: Command): Promise<BackendConnection | null> {
    for (;;) {
      const server = this.choice.choose(this.deps.topology.current(), command);
      if (server === null) return null;
      try {
        return await this.openOn(server, 'replica');
      } catch (error) {
        if (this.options.gone.aborted || isExhausted(error)) throw error;
        command.excludeServer(server.id);
        command.failure = 'connect';
        if (error instanceof ServerRefusedError) {
          this.choice.refused();
          command.failure = 'refused';
          return null;
        }
      }
    }
  }

  /** A replica takes the login but not the session's state: the others would do the same. */
  refusedBy(connection: BackendConnection, command: Command): void {
    this.choice.refused();
    command.failure = 'refused';
    this.release(connection, 'discard');
  }
}

/** The pool is used up: that is no fault of the server, and the next one has no more to give. */
const isExhausted = (error: unknown): boolean =>
  error instanceof LagwiseError && error.source === 'limit';
