import { LagwiseError } from '../lib/errors.ts';
import type { BackendConnection } from '../pool/backend-connection.ts';
import type { Lease } from '../pool/pool.ts';
import { ServerRefusedError } from '../pool/server-refused-error.ts';
import { EFFECT } from '../sql/classification.ts';
import { COM } from '../wire/command.ts';
import { decodeErr } from '../wire/packets/err.ts';
import { encodeQuery } from '../wire/packets/query.ts';
import { REPLY } from '../wire/reply-kinds.ts';
import type { Command } from './command.ts';
import type { Exchange, ExchangeOwner } from './exchange.ts';
import { lossError } from './loss.ts';
import { packetFor } from './execute-packet.ts';
import type { PreparedStatements } from './prepared-statements.ts';
import { verdictOnError } from './retry-policy.ts';
import type { SessionBackends } from './session-backends.ts';
import { SessionBinding } from './session-binding.ts';
import type { SessionDeps } from './session-deps.ts';
import { StatementPreparer } from './statement-preparer.ts';
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
}

/** Of COM_SET_OPTION: where the option stands, and the one that turns several statements on. */
const OPTION_AT = 5;
const MULTI_STATEMENTS_ON = 0;
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
  private readonly preparer: StatementPreparer;
  /** Where the command before ran. */
  private last: BackendConnection | null = null;
  private collationUnknown = false;
  /** A write that the primary refused as read-only: it waits for what the next probe says. */
  private refusal: ServerRefusedError | null = null;

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
    this.binding = new SessionBinding(options.state);
    this.exchange = options.makeExchange(this);
    this.backends = options.makeBackends(this.exchange);
    this.preparer = new StatementPreparer(options.command, options.prepared, this.backends);
  }

  /** Takes over the connection that the login was proved on. */
  adopt(lease: Lease, role: 'primary' | 'replica'): void {
    this.backends.adopt(lease, role);
    this.last = lease.connection;
  }

  /** Runs the planned command. Without a promise where a connection is ready. */
  run(): void {
    const bound = this.boundConnection();
    const connection = bound ?? this.backends.ready(this.command);
    if (connection === null || this.preparer.isNeededOn(connection)) this.runLater(bound);
    else this.send(connection);
  }

  /** The connection on which this command must run, null where any of its target will do. */
  private boundConnection(): BackendConnection | null {
    const { command } = this;
    const boundTo = command.statement?.boundFor(command.com) ?? null;
    if (boundTo !== null) return boundTo;
    if (command.target !== 'same') return null;
    if (this.binding.transactionOn !== null) return this.binding.transactionOn;
    const last = this.last?.isClosed === false ? this.last : null;
    if (command.reason === 'same-server' && last !== null) return last;
    command.target = 'primary';
    if (command.reason === 'pinned') return this.binding.pinnedTo;
    // A session that only reads goes on while there is no primary; what it sets is carried over.
    const leaderless = this.deps.topology.current().primary === null;
    return leaderless && (command.effects & PINNING_EFFECTS) === 0 ? last : null;
  }

  /** The way off the hot path: a connection must be opened or brought to the session's state. */
  private runLater(bound: BackendConnection | null): void {
    this.prepareAndSend(bound).catch((error: unknown) => {
      // A transaction that was lost on the way is what the client must know.
      const { pendingError } = this;
      this.pendingError = null;
      this.owner.commandFailed(pendingError ?? error);
    });
  }

  private async prepareAndSend(bound: BackendConnection | null): Promise<void> {
    const { refusal } = this;
    this.refusal = null;
    if (refusal !== null) await this.backends.awaitDemotion(refusal);
    for (;;) {
      const connection = bound ?? (await this.backends.obtain(this.command));
      if (!this.preparer.isNeededOn(connection) || (await this.preparer.prepareOn(connection))) {
        this.send(connection);
        return;
      }
    }
  }

  private send(connection: BackendConnection): void {
    const { command } = this;
    const bytes = packetFor(command, connection);
    this.last = connection;
    if (!command.isPartial) {
      const role = connection === this.backends.replicaConnection ? 'replica' : 'primary';
      connection.statements[role].inc(command.cls);
      this.deps.metrics.statements.routes.inc(command.reason);
    }
    this.exchange.start(connection, bytes);
    if (command.isLong) this.owner.longCommandPlaced();
  }

  /**
   * Long data has no reply: it goes to where its statement would run now, which is bound by it.
   * Resolves to the connection and whether it could take the bytes at once.
   */
  async sendLongData(): Promise<{ connection: BackendConnection; flushed: boolean }> {
    const { command } = this;
    let connection = this.boundConnection() ?? (await this.backends.obtain(command));
    while (this.preparer.isNeededOn(connection) && !(await this.preparer.prepareOn(connection))) {
      connection = await this.backends.obtain(command);
    }
    if (command.statement !== null) command.statement.longDataOn = connection;
    const flushed = connection.stream.write(packetFor(command, connection));
    return { connection, flushed };
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
  }

  onErrorReply(connection: BackendConnection, error: Buffer): boolean {
    const { command, deps } = this;
    const onReplica = connection === this.backends.replicaConnection;
    const verdict = verdictOnError(command, error, onReplica);
    if (verdict === 'pass') return false;
    if (verdict === 'demoted') {
      if (deps.config.failover.holdMs === 0) return false;
      deps.topology.suspect();
      this.refusal = new ServerRefusedError(connection.server.id, decodeErr(error));
      command.attempts += 1;
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
    if (command.com === COM.SET_OPTION && succeeded) this.concludeSetOption(connection);
    if (command.statement !== null) {
      this.preparer.conclude(connection, { status: facts.status, succeeded });
    }
    const onReplica = connection === this.backends.replicaConnection;
    if (!onReplica && binding.hasWritten(command)) this.backends.noteWrite(nowMs);
    const { durations } = this.deps.metrics.statements;
    const took = onReplica ? durations.replica : durations.primary;
    took.observeUs((nowMs - command.startedAtMs) * 1000);
  }

  private concludeSetOption(connection: BackendConnection): void {
    const isBehind = connection.stateVersion !== this.state.version;
    this.state.setMultiStatements(
      this.command.bytes.readUInt16LE(OPTION_AT) === MULTI_STATEMENTS_ON,
    );
    if (!isBehind) connection.stateVersion = this.state.version;
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
        command.failure = 'lost';
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
    } else if (stale.busy) {
      // The proxy's own commands run there: they fail, and the client's finds the new primary.
      stale.stream.destroy();
    } else {
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
