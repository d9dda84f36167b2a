import { LagwiseError } from '../../lib/errors.ts';
import type { BackendConnection } from '../../pool/backend-connection.ts';
import { EFFECT } from '../../sql/classification.ts';
import type { Command } from '../command/command.ts';
import type { Exchange } from '../reply/exchange.ts';
import { lossError } from './loss.ts';
import type { SessionBackends } from './session-backends.ts';
import type { SessionBinding } from '../state/session-binding.ts';
import type { SessionDeps } from '../session-deps.ts';

/** What {@link ServerChanges} asks of the runner of commands. */
export interface ChangesOwner {
  /** The command is to be run again: it is a read of which the client has had nothing. */
  rerun(): void;
  /** There is more to come of a long command or of a file. */
  isMidway(): boolean;
  /** The command failed before the client had a byte of an answer. */
  fail(error: unknown): void;
  /** The session cannot go on: its answer is cut, or its state is lost. */
  broken(error: LagwiseError): void;
}

/** Their statements may have committed what was open before them. */
const COMMITTING = EFFECT.ENDS_TRANSACTION | EFFECT.IMPLICIT_COMMIT | EFFECT.OPAQUE;

/** What becomes of a session when a server is lost, or is not the primary any more. */
export class ServerChanges {
  /** To be told with the next command: the transaction that it belongs to is gone. */
  pendingError: LagwiseError | null = null;
  private readonly deps: SessionDeps;
  private readonly command: Command;
  private readonly binding: SessionBinding;
  private readonly backends: SessionBackends;
  private readonly exchange: Exchange;
  private readonly owner: ChangesOwner;

  constructor(parts: {
    deps: SessionDeps;
    command: Command;
    binding: SessionBinding;
    backends: SessionBackends;
    exchange: Exchange;
    owner: ChangesOwner;
  }) {
    this.deps = parts.deps;
    this.command = parts.command;
    this.binding = parts.binding;
    this.backends = parts.backends;
    this.exchange = parts.exchange;
    this.owner = parts.owner;
  }

  /** The connection ended before the reply to the command did. */
  lostInExchange(connection: BackendConnection, why: string): void {
    const { command, deps } = this;
    deps.topology.suspect();
    const onReplica = connection === this.backends.replicaConnection;
    const hadTransaction = this.binding.transactionOn === connection;
    const hadPins = this.binding.isPinnedTo(connection);
    this.forget(connection);
    if (command.isRepeatable && !hadPins) {
      if (onReplica) {
        command.failure = 'lost';
        command.excludeServer(connection.server.id);
      }
      command.attempts += 1;
      this.owner.rerun();
      return;
    }
    const error = lossError({
      server: connection.server.id,
      why,
      inTransaction: hadTransaction || command.inTransaction,
      commits: (command.effects & COMMITTING) !== 0,
      isRead: command.cls === 'read',
      isCut: command.isLong && this.owner.isMidway(),
    });
    if (command.answered || hadPins || command.isLong) this.owner.broken(error);
    else this.owner.fail(error);
  }

  /**
   * Whether the reply has ended before the command: that is longer than the server takes, or was
   * killed. What comes of it yet must not be taken for commands, and nobody else may go on where
   * half of it lies: both connections end, the client's behind the reply. Servers close theirs, too.
   */
  answeredMidway(connection: BackendConnection): boolean {
    if (!this.owner.isMidway()) return false;
    connection.destroy();
    const why = `Server ${connection.server.id} answered before it had all of the command`;
    this.owner.broken(new LagwiseError('limit', why));
    return true;
  }

  /** A connection that the session holds is gone while nothing was asked of it. */
  lost(connection: BackendConnection, why: string): void {
    const hadPins = this.binding.isPinnedTo(connection);
    if (this.binding.transactionOn === connection) {
      this.pendingError = new LagwiseError(
        'topology-change',
        `${why}: the transaction was rolled back, run it again`,
      );
    }
    this.forget(connection);
    if (hadPins) {
      this.owner.broken(
        new LagwiseError('topology-change', `${why}, and this session had state only there`),
      );
    }
  }

  /** The cluster changed: leaves a server that is no longer the primary. */
  onTopology(): void {
    const { primary } = this.deps.topology.current();
    if (primary !== null && this.backends.reads.horizon.dropLost(primary)) {
      this.deps.metrics.consistency.positionLost();
    }
    const stale = this.stalePrimary();
    if (stale === null) return;
    const view = this.deps.topology.current().servers.find(({ id }) => id === stale.server.id);
    if (this.exchange.current === stale) {
      // A server that is alive may still answer truthfully; one that is not never will.
      if (view?.role !== 'down') return;
      this.exchange.abandon();
      stale.destroy();
      this.lostInExchange(stale, 'is down and another server is the primary now');
    } else if (stale.busy) {
      // The proxy's own commands run there: they fail, and the client's finds the new primary.
      stale.stream.destroy();
    } else {
      this.leaveStalePrimary();
    }
  }

  /** Gives back a connection to a server that is no longer the primary. */
  leaveStalePrimary(): void {
    const stale = this.stalePrimary();
    if (stale === null) return;
    const isBound = this.binding.transactionOn === stale || this.binding.isPinnedTo(stale);
    this.backends.release(stale, isBound ? 'discard' : 'reuse');
    this.lost(stale, `Server ${stale.server.id} is no longer the primary`);
  }

  private stalePrimary(): BackendConnection | null {
    const connection = this.backends.primaryConnection;
    const { primary } = this.deps.topology.current();
    if (connection === null || primary === null) return null;
    return primary.id === connection.server.id ? null : connection;
  }

  private forget(connection: BackendConnection): void {
    this.backends.dropped(connection);
    this.binding.forget(connection);
  }
}
