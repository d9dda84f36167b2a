import { LagwiseError } from '../lib/errors.ts';
import type { BackendConnection } from '../pool/backend-connection.ts';
import { ServerRefusedError } from '../pool/server-refused-error.ts';
import { EFFECT } from '../sql/classification.ts';
import { COM } from '../wire/command.ts';
import { encodeQuery } from '../wire/packets/query.ts';
import { REPLY } from '../wire/reply-kinds.ts';
import { STATUS } from '../wire/status.ts';
import type { Command } from './command.ts';
import type { Exchange, ExchangeOwner } from './exchange.ts';
import { lossError } from './loss.ts';
import { packetFor } from './execute-packet.ts';
import type { PreparedStatements } from './prepared-statements.ts';
import { verdictOnError } from './retry-policy.ts';
import type { SessionBackends } from './session-backends.ts';
import { SessionBinding } from './session-binding.ts';
import type { SessionDeps } from './session-deps.ts';
import { PINNING_EFFECTS, type SessionState } from './session-state.ts';

/** What a {@link CommandRunner} asks of its session. */
export interface RunnerOwner {
  /** The command is answered: the next one may come. */
  commandDone(): void;
  /** The command failed before the client had a byte of an answer. */
  commandFailed(error: unknown): void;
  /** The session cannot go on: its answer is cut, or its state is lost. */
  sessionBroken(error: LagwiseError): void;
  /** The server wants a file from the client. */
  fileWanted(): void;
  /** A long command has a server: its bytes may come. */
  longCommandPlaced(): void;
  serverDrained(): void;
  /** System variables changed: what the classifier must know may have too. */
  stateChanged(): void;
}

/** Their statements may have committed what was open before them. */
const COMMITTING = EFFECT.ENDS_TRANSACTION | EFFECT.IMPLICIT_COMMIT | EFFECT.OPAQUE;

/**
 * Runs a session's commands, one at a time: finds the server, sends, follows the reply, draws the
 * conclusions for the session's state, and decides what a failure means for the client.
 */
export class CommandRunner implements ExchangeOwner {
  readonly exchange: Exchange;
  readonly backends: SessionBackends;
  private readonly binding: SessionBinding;
  /** To be told with the next command: the transaction that it belongs to is gone. */
  pendingError: LagwiseError | null = null;
  private readonly owner: RunnerOwner;
  private readonly deps: SessionDeps;
  private readonly command: Command;
  private readonly state: SessionState;
  private readonly prepared: PreparedStatements;
  /** Where the command before ran. */
  private last: BackendConnection | null = null;
  private collationUnknown = false;

  constructor(options: {
    owner: RunnerOwner;
    deps: SessionDeps;
    command: Command;
    state: SessionState;
    prepared: PreparedStatements;
    makeExchange: (owner: ExchangeOwner) => Exchange;
    makeBackends: (user: Exchange) => SessionBackends;
  }) {
    this.owner = options.owner;
    this.deps = options.deps;
    this.command = options.command;
    this.state = options.state;
    this.prepared = options.prepared;
    this.binding = new SessionBinding(options.state);
    this.exchange = options.makeExchange(this);
    this.backends = options.makeBackends(this.exchange);
  }

  /** Runs the planned command. Without a promise where a connection is ready. */
  run(): void {
    const bound = this.boundConnection();
    const connection = bound ?? this.backends.ready(this.command);
    if (connection === null || this.needsPreparing(connection)) this.runLater(bound);
    else this.send(connection);
  }

  /** The connection on which this command must run, null where any of its target will do. */
  private boundConnection(): BackendConnection | null {
    const { command } = this;
    const boundTo = command.statement?.boundTo ?? null;
    if (boundTo !== null) return boundTo;
    if (command.target !== 'same') return null;
    if (this.binding.transactionOn !== null) return this.binding.transactionOn;
    if (command.reason === 'same-server' && this.last !== null) return this.last;
    command.target = 'primary';
    if (command.reason === 'pinned') return this.binding.pinnedTo;
    // A session that only reads goes on while there is no primary; what it sets is carried over.
    const leaderless = this.deps.topology.current().primary === null;
    return leaderless && (command.effects & PINNING_EFFECTS) === 0 ? this.last : null;
  }

  private needsPreparing(connection: BackendConnection): boolean {
    const { statement, com } = this.command;
    return statement !== null && com !== COM.STMT_PREPARE && statement.on(connection) === undefined;
  }

  /** The way off the hot path: a connection must be opened or brought to the session's state. */
  private runLater(bound: BackendConnection | null): void {
    this.prepareAndSend(bound).catch((error: unknown) => this.owner.commandFailed(error));
  }

  private async prepareAndSend(bound: BackendConnection | null): Promise<void> {
    for (;;) {
      const connection = bound ?? (await this.backends.obtain(this.command));
      if (!this.needsPreparing(connection) || (await this.prepareOn(connection))) {
        this.send(connection);
        return;
      }
    }
  }

  /** Prepares the command's statement on another connection. False: try another server. */
  private async prepareOn(connection: BackendConnection): Promise<boolean> {
    const { statement } = this.command;
    if (statement === null) return true;
    const [done] = await this.backends.swallow(connection, statement.packet, [REPLY.PREPARE]);
    if (done === undefined) throw new LagwiseError('internal', 'PREPARE had no reply');
    if (done.error === null) {
      statement.preparedOn(connection, done.statementId);
      return true;
    }
    if (connection !== this.backends.replicaConnection) {
      throw new ServerRefusedError(connection.server.id, done.error);
    }
    // The replica may not know the table yet: the primary does, or has the error to show.
    this.command.target = 'primary';
    return false;
  }

  private send(connection: BackendConnection): void {
    const { command } = this;
    const bytes = packetFor(command, connection);
    this.last = connection;
    const role = connection === this.backends.replicaConnection ? 'replica' : 'primary';
    connection.statements[role].inc(command.cls);
    this.deps.metrics.statements.routes.inc(command.reason);
    this.exchange.start(connection, bytes);
    if (command.isLong) this.owner.longCommandPlaced();
  }

  /** Long data has no reply: it goes to where its statement will run, which is bound by it. */
  async sendLongData(): Promise<BackendConnection> {
    const { command } = this;
    let connection = this.boundConnection() ?? (await this.backends.obtain(command));
    if (this.needsPreparing(connection) && !(await this.prepareOn(connection))) {
      connection = await this.backends.obtain(command);
      if (this.needsPreparing(connection)) await this.prepareOn(connection);
    }
    if (command.statement !== null) command.statement.boundTo = connection;
    connection.stream.write(packetFor(command, connection));
    return connection;
  }

  onSessionState(connection: BackendConnection, sessionState: Buffer): void {
    const before = this.state.version;
    const { opaqueChange, collationUnknown } = this.state.noteReported(sessionState);
    this.collationUnknown ||= collationUnknown;
    if (this.state.version !== before && connection.stateVersion === before) {
      connection.stateVersion = this.state.version;
      connection.schema = this.state.schema;
    }
    const { com, effects } = this.command;
    const explained = (effects & PINNING_EFFECTS) !== 0 || com === COM.STMT_PREPARE;
    if (opaqueChange && !explained) this.state.pinOpaque();
    this.owner.stateChanged();
  }

  onErrorReply(connection: BackendConnection, errno: number): boolean {
    const { command, deps } = this;
    const onReplica = connection === this.backends.replicaConnection;
    const verdict = verdictOnError(command, errno, onReplica);
    if (verdict === 'pass') return false;
    if (verdict === 'demoted') {
      if (deps.config.failover.holdMs === 0) return false;
      deps.topology.reportUnreachable(connection.server.id, 'It refused a write as read-only');
    } else {
      if (verdict === 'read-only') {
        connection.statements.misroutes += 1;
        // From now on it counts as what it is: it is not repeated, and reads wait for it.
        command.cls = 'write';
      }
      deps.metrics.statements.fallbacks.inc(verdict);
    }
    command.target = 'primary';
    return true;
  }

  onFileRequest(): void {
    this.owner.fileWanted();
  }

  onServerDrain(): void {
    this.owner.serverDrained();
  }

  onReplyEnd(connection: BackendConnection, dropped: boolean): void {
    if (dropped) {
      this.runLater(null);
      return;
    }
    this.conclude(connection);
    this.leaveStalePrimary();
    if (this.collationUnknown && !connection.isClosed) this.askCollation(connection);
    else this.owner.commandDone();
  }

  /** Has the server report the collation that SET NAMES left behind: assigning it says what it is. */
  private askCollation(connection: BackendConnection): void {
    this.collationUnknown = false;
    const ask = encodeQuery('SET collation_connection=@@collation_connection', connection.caps);
    this.backends.swallow(connection, ask, [REPLY.SIMPLE]).then(
      ([told]) => {
        const state = told?.sessionState ?? null;
        if (state !== null) this.onSessionState(connection, state);
        this.owner.commandDone();
      },
      (error: unknown) => {
        // The client has its answer already; that the server is lost shows at the next command.
        this.deps.logger.debug({ err: error }, 'Could not ask for the collation');
        this.lost(connection, `Server ${connection.server.id} was lost`);
        this.owner.commandDone();
      },
    );
  }

  /** What the reply means for the session. */
  private conclude(connection: BackendConnection): void {
    const { command, state, exchange, binding } = this;
    const { facts } = exchange.tracker;
    const nowMs = performance.now();
    const succeeded = facts.errno === 0;
    if (command.effects !== 0) state.noteEffects(command.effects, succeeded);
    // SET ROLE and its kin: no tracker tells of them.
    if (command.cls === 'session' && (command.effects & EFFECT.OPAQUE) !== 0) state.pinOpaque();
    binding.noteReply(connection, facts.status);
    if (command.statement !== null) this.concludeStatement(connection, facts.status, succeeded);
    const onReplica = connection === this.backends.replicaConnection;
    if (!onReplica && binding.hasWritten(command)) this.backends.noteWrite(nowMs);
    const { durations } = this.deps.metrics.statements;
    const took = onReplica ? durations.replica : durations.primary;
    took.observeUs((nowMs - command.startedAtMs) * 1000);
  }

  private concludeStatement(connection: BackendConnection, status: number, ok: boolean): void {
    const { statement, com } = this.command;
    if (statement === null) return;
    if (com === COM.STMT_PREPARE) {
      if (ok) this.prepared.add(statement);
      return;
    }
    const open =
      com !== COM.STMT_RESET &&
      status !== -1 &&
      (status & STATUS.CURSOR_EXISTS) !== 0 &&
      (status & STATUS.LAST_ROW_SENT) === 0;
    statement.boundTo = open ? connection : null;
  }

  onExchangeLost(connection: BackendConnection, why: string): void {
    const { command, deps } = this;
    deps.topology.suspect();
    const onReplica = connection === this.backends.replicaConnection;
    const hadTransaction = this.binding.transactionOn === connection;
    const hadPins = this.binding.isPinnedTo(connection);
    this.forget(connection);
    if (command.isRepeatable && !hadPins) {
      if (onReplica) {
        deps.metrics.statements.fallbacks.inc('lost');
        command.excludeServer(connection.server.id);
      }
      command.attempts += 1;
      this.runLater(null);
      return;
    }
    const error = lossError({
      server: connection.server.id,
      why,
      inTransaction: hadTransaction || command.inTransaction,
      commits: (command.effects & COMMITTING) !== 0,
      isRead: command.cls === 'read',
    });
    if (command.answered || hadPins || command.isLong) this.owner.sessionBroken(error);
    else this.owner.commandFailed(error);
  }

  onIdleLost(connection: BackendConnection): void {
    this.lost(connection, `Server ${connection.server.id} closed the connection`);
  }

  /** The cluster changed: leaves a server that is no longer the primary. */
  onTopology(): void {
    const stale = this.stalePrimary();
    if (stale === null) return;
    const view = this.deps.topology.current().servers.find(({ id }) => id === stale.server.id);
    if (this.exchange.current === stale) {
      // A server that is alive may still answer truthfully; one that is not never will.
      if (view?.role !== 'down') return;
      this.exchange.abandon();
      stale.destroy();
      this.onExchangeLost(stale, 'is down and another server is the primary now');
    } else if (this.exchange.current !== null || !stale.busy) {
      this.leaveStalePrimary();
    }
  }

  private stalePrimary(): BackendConnection | null {
    const connection = this.backends.primaryConnection;
    const { primary } = this.deps.topology.current();
    if (connection === null || primary === null) return null;
    return primary.id === connection.server.id ? null : connection;
  }

  private leaveStalePrimary(): void {
    const stale = this.stalePrimary();
    if (stale === null) return;
    this.backends.releasePrimary(this.binding.transactionOn === stale ? 'discard' : 'reuse');
    this.lost(stale, `Server ${stale.server.id} is no longer the primary`);
  }

  /** COM_RESET_CONNECTION rolled back what was open. */
  resetTransaction(): void {
    this.binding.reset();
    this.pendingError = null;
  }

  private lost(connection: BackendConnection, why: string): void {
    const hadPins = this.binding.isPinnedTo(connection);
    if (this.binding.transactionOn === connection) {
      this.pendingError = new LagwiseError(
        'topology-change',
        `${why}: the transaction was rolled back, run it again`,
      );
    }
    this.forget(connection);
    if (hadPins) {
      this.owner.sessionBroken(
        new LagwiseError('topology-change', `${why}, and this session had state only there`),
      );
    }
  }

  private forget(connection: BackendConnection): void {
    this.backends.dropped(connection);
    if (this.last === connection) this.last = null;
    this.binding.forget(connection);
  }
}
