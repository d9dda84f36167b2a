import { LagwiseError } from '../lib/errors.ts';
import type { BackendConnection, BackendUser } from '../pool/backend-connection.ts';
import type { Identity } from '../pool/identity.ts';
import type { Lease } from '../pool/pool.ts';
import { ServerRefusedError } from '../pool/server-refused-error.ts';
import {
  chooseReplica,
  explainReplicas,
  isEligible,
  type ReplicaDemand,
} from '../routing/choose-replica.ts';
import type { FallbackReason } from '../telemetry/labels.ts';
import type { ServerView, Snapshot } from '../topology/snapshot.ts';
import { REPLY, type ReplyKind } from '../wire/reply-kinds.ts';
import type { Command } from './command.ts';
import { isUnreachable } from './loss.ts';
import type { PreparedStatements } from './prepared-statements.ts';
import { restorationOf } from './restore.ts';
import type { SessionDeps } from './session-deps.ts';
import type { SessionState } from './session-state.ts';
import { runSwallowed, type Swallowed } from './swallow.ts';

/** A server that could not be reached is tried again after so long even if nothing else is heard. */
const RETRY_MS = 250;
/** A replica is left for another only if that one has clearly less to do: moving costs a login. */
const MOVE_FACTOR = 1.5;
const MOVE_MARGIN = 3;

/**
 * The connections of one session: at most one to the primary and one to a replica, opened when they
 * are first needed, given back when the server's role is no longer what they were opened for.
 */
export class SessionBackends {
  private readonly deps: SessionDeps;
  private readonly identity: Identity;
  private readonly state: SessionState;
  private readonly prepared: PreparedStatements;
  private readonly user: BackendUser;
  private readonly gone: AbortSignal;
  private primary: Lease | null = null;
  private replica: Lease | null = null;
  /** Snapshot that the replica was last found eligible in. */
  private replicaCheckedIn = -1;
  /** State that no replica could take over (a variable that only the primary allows): -1 none. */
  private unsuitableVersion = -1;
  /** Snapshot in which no replica was eligible for this session's reads. */
  private noReplicaIn = -1;
  private noReplicaWhy: FallbackReason = 'no-replica';
  /** A read after this moment (monotonic ms) needs a replica that has caught up to it; -1 none. */
  private lastWriteAtMs = -1;

  constructor(options: {
    deps: SessionDeps;
    identity: Identity;
    state: SessionState;
    prepared: PreparedStatements;
    user: BackendUser;
    gone: AbortSignal;
  }) {
    this.deps = options.deps;
    this.identity = options.identity;
    this.state = options.state;
    this.prepared = options.prepared;
    this.user = options.user;
    this.gone = options.gone;
  }

  get primaryConnection(): BackendConnection | null {
    return this.primary?.connection ?? null;
  }

  get replicaConnection(): BackendConnection | null {
    return this.replica?.connection ?? null;
  }

  /** Takes over the connection that login was proved on. */
  adopt(lease: Lease, role: 'primary' | 'replica'): void {
    lease.connection.stateVersion = this.state.version;
    lease.connection.setUser(this.user);
    if (role === 'primary') this.primary = lease;
    else this.replica = lease;
  }

  /** The session wrote: replicas must catch up before they serve it again. */
  noteWrite(nowMs: number): void {
    this.lastWriteAtMs = nowMs;
    this.replicaCheckedIn = -1;
  }

  /**
   * The connection for the command, if one can be used at once. Runs for each statement: no
   * promise; a snapshot that was looked at already is not looked at again.
   * @throws LagwiseError where no replica may serve and reads may not go to the primary
   */
  ready(command: Command): BackendConnection | null {
    const snapshot = this.deps.topology.current();
    if (command.target === 'replica') {
      const { version } = snapshot;
      if (this.replicaCheckedIn !== version && this.noReplicaIn !== version) {
        this.lookAgain(snapshot, command);
      }
      if (this.replicaCheckedIn === version && this.replica !== null) {
        const { connection } = this.replica;
        return connection.stateVersion === this.state.version ? connection : null;
      }
      if (this.noReplicaIn !== version) return null;
      this.fallBack(command);
    }
    const lease = this.primary;
    if (lease === null || snapshot.primary?.id !== lease.connection.server.id) return null;
    return lease.connection.stateVersion === this.state.version ? lease.connection : null;
  }

  /** The primary runs a read that a replica could have taken; each such read is counted, once. */
  private fallBack(command: Command): void {
    command.target = 'primary';
    this.deps.metrics.statements.fallbacks.inc(command.failure ?? this.noReplicaWhy);
  }

  /** Whether the replica in use will still do, or none will. If another should, it is opened later. */
  private lookAgain(snapshot: Snapshot, command: Command): void {
    const server = this.pickReplica(snapshot, command);
    if (server === null) this.noReplicaIn = snapshot.version;
    else if (server.id === this.replica?.connection.server.id) {
      this.replicaCheckedIn = snapshot.version;
    }
  }

  /**
   * A connection that may run the command: opened, brought to the session's state. Waits for a
   * primary where there is none.
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

  /** Brings a connection that is held to the session's state. */
  async restore(connection: BackendConnection): Promise<void> {
    if (connection.stateVersion === this.state.version) return;
    const { version, schema } = this.state;
    const { bytes, replies } = restorationOf(this.state, connection);
    if (replies > 0) {
      const kinds = Array.from({ length: replies }, () => REPLY.SIMPLE);
      const results = await this.swallow(connection, bytes, kinds);
      const failed = results.find((result) => result.error !== null)?.error;
      if (failed) throw new ServerRefusedError(connection.server.id, failed);
    }
    connection.trackersOn = true;
    connection.stateVersion = version;
    connection.schema = schema;
  }

  /** Runs commands of the proxy's own on a connection of this session. */
  async swallow(
    connection: BackendConnection,
    bytes: Buffer,
    kinds: readonly ReplyKind[],
  ): Promise<readonly Swallowed[]> {
    const timeoutMs = this.deps.config.pool.connectTimeoutMs;
    try {
      return await runSwallowed(connection, bytes, kinds, timeoutMs);
    } catch (error) {
      // Whatever was open on it is lost with it.
      this.user.onBackendClose(connection, null);
      throw error;
    } finally {
      connection.setUser(this.user);
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
      await holds.wait(({ primary }) => primary?.id !== refusal.server, until, this.gone);
    } catch {
      throw refusal;
    }
  }

  /** Forgets a connection that is gone, and all that was prepared on it. */
  dropped(connection: BackendConnection): void {
    this.prepared.forget(connection);
    if (this.primary?.connection === connection) this.primary = null;
    if (this.replica?.connection === connection) this.replica = null;
  }

  /** Gives back what is held. */
  releaseAll(fate: 'reuse' | 'discard'): void {
    for (const lease of [this.primary, this.replica]) {
      if (lease !== null) this.release(lease, fate);
    }
  }

  releaseReplica(fate: 'reuse' | 'discard'): void {
    if (this.replica !== null) this.release(this.replica, fate);
  }

  releasePrimary(fate: 'reuse' | 'discard'): void {
    if (this.primary !== null) this.release(this.primary, fate);
  }

  private release(lease: Lease, fate: 'reuse' | 'discard'): void {
    this.dropped(lease.connection);
    lease.release(fate);
  }

  private async obtainPrimary(): Promise<BackendConnection> {
    const { topology, holds, config } = this.deps;
    const deadlineMs = performance.now() + config.failover.holdMs;
    for (;;) {
      const hasPrimary = ({ primary }: Snapshot) => primary !== null;
      const snapshot = await holds.wait(hasPrimary, deadlineMs, this.gone);
      const server = snapshot.primary;
      if (server === null) continue;
      try {
        const connection = await this.openPrimary(server);
        // Meanwhile another server may have become the primary.
        if (topology.current().primary?.id === server.id) return connection;
      } catch (error) {
        if (!isUnreachable(error) || performance.now() >= deadlineMs) throw error;
        // Nothing was sent: it may wait for what the next probe says, or for the server to return.
        await this.pause(snapshot, deadlineMs);
      }
    }
  }

  private async openPrimary(server: ServerView): Promise<BackendConnection> {
    const held = this.primary;
    if (held !== null && (held.connection.isClosed || held.connection.server.id !== server.id)) {
      this.release(held, 'reuse');
    }
    this.primary ??= await this.open(server);
    const { connection } = this.primary;
    await this.restore(connection);
    return connection;
  }

  private async open(server: ServerView): Promise<Lease> {
    const lease = await this.deps.pool.acquire(server, { ...this.identity, schema: null });
    if (this.gone.aborted) {
      lease.release('reuse');
      throw new LagwiseError('client-network', 'The client left');
    }
    lease.connection.setUser(this.user);
    lease.connection.stateVersion = -1;
    return lease;
  }

  private async pause(snapshot: Snapshot, deadlineMs: number): Promise<void> {
    const until = Math.min(deadlineMs, performance.now() + RETRY_MS);
    try {
      await this.deps.holds.wait((next) => next.version > snapshot.version, until, this.gone);
    } catch (error) {
      // Nothing new was heard in time: the caller tries again until its own deadline.
      if (!(error instanceof LagwiseError) || error.source !== 'no-eligible-server') throw error;
    }
  }

  /** Null when the read goes to the primary instead. */
  private async obtainReplica(command: Command): Promise<BackendConnection | null> {
    for (;;) {
      const snapshot = this.deps.topology.current();
      const server = this.pickReplica(snapshot, command);
      if (server === null) {
        this.noReplicaIn = command.tried === null ? snapshot.version : -1;
        return null;
      }
      try {
        const connection = await this.openReplica(server);
        this.replicaCheckedIn = snapshot.version;
        return connection;
      } catch (error) {
        if (this.gone.aborted) throw error;
        command.excludeServer(server.id);
        this.releaseReplica('discard');
        command.failure = 'connect';
        // It takes the login but not the session's state: the other replicas would do the same.
        if (error instanceof ServerRefusedError) {
          this.unsuitableVersion = this.state.version;
          command.failure = 'refused';
          return null;
        }
      }
    }
  }

  private async openReplica(server: ServerView): Promise<BackendConnection> {
    if (this.replica !== null && this.replica.connection.server.id !== server.id) {
      this.releaseReplica('reuse');
    }
    this.replica ??= await this.open(server);
    const { connection } = this.replica;
    await this.restore(connection);
    return connection;
  }

  /**
   * The replica for this read: the one in use while it will do, else another. Null when there is
   * none; the one in use is kept then, since it will soon do again.
   * @throws LagwiseError where reads may not go to the primary (`routing.fallback`)
   */
  private pickReplica(snapshot: Snapshot, command: Command): ServerView | null {
    if (this.unsuitableVersion === this.state.version) {
      this.noReplicaWhy = 'refused';
      return null;
    }
    const demand = this.demand(command);
    const used = this.replica?.connection ?? null;
    if (used !== null) {
      const view = snapshot.servers.find(({ id }) => id === used.server.id);
      const stays = this.prepared.holds(used) || !this.isOverloaded(snapshot, demand, used);
      if (view !== undefined && isEligible(view, demand) && stays) return view;
    }
    const { pool, random, config } = this.deps;
    const choice = chooseReplica(snapshot, demand, (id) => pool.loadOf(id).work, random);
    if (choice.t === 'chosen') return choice.server;
    if (config.routing.fallback === 'error') throw noReplica(snapshot, demand);
    this.noReplicaWhy = whyNone(snapshot, demand);
    return null;
  }

  /** Whether another replica has clearly less to do: it came back, or sessions ended unevenly. */
  private isOverloaded(
    snapshot: Snapshot,
    demand: ReplicaDemand,
    used: BackendConnection,
  ): boolean {
    for (const server of snapshot.servers) {
      if (server.id === used.server.id || !isEligible(server, demand)) continue;
      // By connections alone: what is in flight changes faster than a login takes.
      const theirs = this.deps.pool.loadOf(server.id).connections;
      if (used.load.connections > theirs * MOVE_FACTOR + MOVE_MARGIN) return true;
    }
    return false;
  }

  private demand(command: Command): ReplicaDemand {
    const { routing } = this.deps.config;
    return {
      maxLagMs: routing.maxLagMs,
      minCaughtUpToMs: routing.consistency === 'session' ? this.lastWriteAtMs : -1,
      exclude: command.tried ?? undefined,
    };
  }
}

function noReplica(snapshot: Snapshot, demand: ReplicaDemand): LagwiseError {
  const why = explainReplicas(snapshot, demand)
    .map(({ id, why: reason }) => `${id}: ${reason}`)
    .join('; ');
  return new LagwiseError(
    'no-eligible-server',
    `No replica may take this read and routing.fallback is "error" (${why})`,
  );
}

function whyNone(snapshot: Snapshot, demand: ReplicaDemand): FallbackReason {
  const some = (other: ReplicaDemand) =>
    snapshot.servers.some((server) => isEligible(server, other));
  if (some({ ...demand, minCaughtUpToMs: -1 })) return 'own-writes';
  return some({ maxLagMs: Number.POSITIVE_INFINITY, minCaughtUpToMs: -1 }) ? 'lag' : 'no-replica';
}
