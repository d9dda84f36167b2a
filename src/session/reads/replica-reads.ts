import type { Consistency } from '../../config/rule-schema.ts';
import type { Position } from '../../gtid/position.ts';
import type { ServerId } from '../../lib/ids.ts';
import type { BackendConnection } from '../../pool/backend-connection.ts';
import { ServerRefusedError } from '../../pool/server-refused-error.ts';
import type { Flavor, ServerView, Snapshot } from '../../topology/snapshot.ts';
import { CatchUp, type Lender } from './catch-up.ts';
import type { Command } from '../command/command.ts';
import type { Horizon } from './horizon.ts';
import { isExhausted } from '../servers/loss.ts';
import { ReplicaChoice } from './replica-choice.ts';
import type { SessionDeps } from '../session-deps.ts';
import type { Leaving } from '../servers/statement-waits.ts';
import type { SessionState } from '../state/session-state.ts';

/** Opens connections to replicas besides lending them. */
export interface ReplicaLender extends Lender {
  /** @throws LagwiseError when it cannot be had */
  openReplica(server: ServerView): Promise<BackendConnection>;
}

/**
 * Where a session's reads run, by a ladder: a replica that is known to show what the session must
 * see, one that is waited for, the primary.
 */
export class ReplicaReads {
  /** What the session's reads have to see. */
  readonly horizon: Horizon;
  private readonly choice: ReplicaChoice;
  private readonly catchUp: CatchUp;
  private readonly deps: SessionDeps;
  private readonly lender: ReplicaLender;
  private readonly gone: Leaving;

  constructor(
    parts: { deps: SessionDeps; state: SessionState; horizon: Horizon; gone: Leaving },
    lender: ReplicaLender,
  ) {
    const { deps, state, horizon, gone } = parts;
    this.deps = deps;
    this.horizon = horizon;
    this.gone = gone;
    this.lender = lender;
    this.choice = new ReplicaChoice(deps, state, this.horizon);
    this.catchUp = new CatchUp(deps, lender, this.choice);
  }

  /** Lag of the replica that the session reads from, ms, when it was last looked at. */
  get readerLagMs(): number {
    return this.choice.readerLagMs;
  }

  /** How much the command must see. */
  levelOf(command: Command): Consistency {
    return this.choice.levelOf(command);
  }

  /**
   * The session wrote: replicas must catch up before they serve it again.
   * @param gtids what it committed; null where the server did not tell
   */
  noteWrite(nowMs: number, gtids: string | null, flavor: Flavor): void {
    this.horizon.noteWrite(nowMs, gtids, flavor);
    this.choice.recheck();
  }

  /** Rows of this server went to the client: later reads must not see less. Runs for each statement. */
  noteRead(server: ServerId, nowMs: number): void {
    this.horizon.noteRead(server, nowMs);
    this.choice.noteRead(server);
  }

  /** What its reads have to see besides; null for nothing more. */
  bring(position: Position | null): void {
    this.horizon.bring(position);
    this.choice.recheck();
  }

  /** All that was brought along, were this brought too. */
  broughtWith(position: Position): Position {
    return this.horizon.broughtWith(position);
  }

  /** All that the session's reads have to see; not known where no server can be asked. */
  async position(): Promise<{ known: boolean; position: Position | null }> {
    const requirements = this.horizon.requirements(this.deps.topology.current().primary);
    const position = await this.catchUp.positionFor(requirements);
    return { known: position !== null || requirements.length === 0, position };
  }

  /**
   * The first rung, at once: the server to read from, `later` where that takes a question or a
   * wait, null for the primary. Runs for each read.
   */
  ready(snapshot: Snapshot, command: Command): ServerId | 'later' | null {
    if (this.choice.levelOf(command) === 'global') return 'later';
    const server = this.choice.ready(snapshot, command);
    if (server !== null) return server;
    return this.choice.isNone(snapshot) && !this.choice.mayWait(snapshot, command) ? null : 'later';
  }

  /**
   * The first rung or the second; null for the primary.
   * @throws LagwiseError when the pool is used up, or the client is gone
   */
  async obtain(command: Command): Promise<BackendConnection | null> {
    if (this.choice.levelOf(command) === 'global') {
      command.newest ??= await this.deps.coordination.newest();
    }
    // Of a replica that was lost while it was waited for.
    command.awaits = null;
    const moveTo = this.choice.takeMove();
    const moved = moveTo === null ? null : await this.obtainAsked(command, moveTo);
    return moved ?? (await this.obtainKnown(command)) ?? (await this.obtainCaughtUp(command));
  }

  private async obtainKnown(command: Command): Promise<BackendConnection | null> {
    for (;;) {
      const server = this.choice.choose(this.deps.topology.current(), command);
      if (server === null) return null;
      const connection = await this.tryOpen(server, command);
      if (connection !== null || command.failure === 'refused') return connection;
    }
  }

  /** A replica that may have by now what none was known to have. */
  private async obtainCaughtUp(command: Command): Promise<BackendConnection | null> {
    const { deps, choice } = this;
    if (!choice.mayWait(deps.topology.current(), command)) return null;
    deps.topology.wanted();
    return await this.obtainAsked(command, null);
  }

  private async obtainAsked(
    command: Command,
    preferred: ServerId | null,
  ): Promise<BackendConnection | null> {
    const candidate = await this.catchUp.find(command, preferred);
    if (candidate === null) return null;
    if (candidate.awaits !== null && this.isFull(candidate.server)) return null;
    const connection = await this.tryOpen(candidate.server, command);
    if (connection !== null) command.awaits = candidate.awaits;
    return connection;
  }

  /** Half of a server's connections are for reads that need no wait. */
  private isFull({ id }: ServerView): boolean {
    const { pool, config } = this.deps;
    return pool.loadOf(id).inFlight * 2 >= config.pool.maxPerServer;
  }

  /** Null where it cannot be reached, or does not take the session's state. */
  private async tryOpen(server: ServerView, command: Command): Promise<BackendConnection | null> {
    const { signal } = this.gone;
    try {
      return await this.lender.openReplica(server);
    } catch (error) {
      if (signal.aborted || isExhausted(error)) throw error;
      command.excludeServer(server.id);
      if (error instanceof ServerRefusedError) this.refused(command);
      else command.failure = 'connect';
      return null;
    }
  }

  /**
   * The primary runs a read that a replica could have taken; each such read is counted, once.
   * @throws LagwiseError where it may not (`routing.fallback`)
   */
  fallBack(command: Command): void {
    const why = command.failure ?? this.choice.whyNone;
    // Its own state is in the way, not the replicas' being behind or away: no other would do either.
    if (why !== 'refused') this.choice.leaveToPrimary(this.deps.topology.current(), command);
    command.target = 'primary';
    this.deps.metrics.statements.fallbacks.inc(why);
  }

  /** A replica takes the login but not the session's state: the others would do the same. */
  refused(command: Command): void {
    this.choice.refused();
    command.failure = 'refused';
  }

  /** The replica did not catch up in time: the primary runs the read. */
  late(command: Command): void {
    command.awaits = null;
    command.isLate = true;
    this.deps.metrics.consistency.waitWasLate();
  }

  /** The session is over. */
  leave(): void {
    this.choice.leave();
  }
}
