import type { LagwiseError } from '../lib/errors.ts';
import type { BackendConnection, HoldReason } from '../pool/backend-connection.ts';
import { ServerRefusedError } from '../pool/server-refused-error.ts';
import { EFFECT } from '../sql/classification.ts';
import { COM } from '../wire/command.ts';
import { decodeErr, type ErrPacket } from '../wire/packets/err.ts';
import type { Command } from './command.ts';
import type { Exchange, ExchangeOwner } from './exchange.ts';
import { readOnlyTransaction } from './client-errors.ts';
import { packetFor } from './execute-packet.ts';
import type { PreparedStatements } from './prepared-statements.ts';
import { restorationOf } from './restore.ts';
import { verdictOnError } from './retry-policy.ts';
import type { SessionBackends } from './session-backends.ts';
import { SessionBinding } from './session-binding.ts';
import type { SessionDeps } from './session-deps.ts';
import { StatementPreparer } from './statement-preparer.ts';
import type { SessionState } from './session-state.ts';
import type { StatementJudge } from './statement-judge.ts';
import { Conclusions } from './conclusions.ts';
import { Placement } from './placement.ts';
import { Readiness } from './readiness.ts';
import { type ChangesOwner, ServerChanges } from './server-changes.ts';

/** What a {@link CommandRunner} asks of its session. */
export interface RunnerOwner {
  /** The command is answered: the next one may come. */
  commandDone(): void;
  /** The proxy itself has the answer. */
  answer(reply: Buffer): void;
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

/**
 * Runs a session's commands, one at a time: finds the server, sends, follows the reply, draws the
 * conclusions for the session's state, and decides what a failure means for the client.
 */
export class CommandRunner implements ExchangeOwner {
  readonly exchange: Exchange;
  readonly backends: SessionBackends;
  private readonly binding: SessionBinding;
  /** What becomes of the session when servers are lost. */
  readonly changes: ServerChanges;
  private readonly owner: RunnerOwner;
  private readonly deps: SessionDeps;
  private readonly command: Command;
  private readonly state: SessionState;
  private readonly prepared: PreparedStatements;
  private readonly judge: StatementJudge;
  private readonly caps: number;
  private readonly preparer: StatementPreparer;
  private readonly placement: Placement;
  private readonly readiness: Readiness;
  readonly conclusions: Conclusions;
  /** A server closed this connection for idleness just as the command was sent. */
  private expired: BackendConnection | null = null;
  /** A write that the primary refused as read-only: it waits for what the next probe says. */
  private refusal: ServerRefusedError | null = null;
  /** What the client is told in place of a server's error. */
  private replacement: ErrPacket | null = null;

  constructor(options: {
    owner: RunnerOwner;
    deps: SessionDeps;
    command: Command;
    state: SessionState;
    prepared: PreparedStatements;
    judge: StatementJudge;
    caps: number;
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
    this.prepared = options.prepared;
    this.judge = options.judge;
    this.caps = options.caps;
    this.preparer = new StatementPreparer(
      options.command,
      options.prepared,
      this.backends,
      options.deps.pool,
    );
    const { binding, backends, preparer } = this;
    this.placement = new Placement({ ...options, binding, backends });
    this.readiness = new Readiness({ ...options, binding, backends, preparer });
    this.conclusions = new Conclusions({ ...options, binding, backends, preparer });
    const owner: ChangesOwner = {
      rerun: () => this.runLater(null),
      fail: (error) => this.fail(error),
      broken: (error) => this.owner.sessionBroken(error),
    };
    const { exchange } = this;
    this.changes = new ServerChanges({ ...options, binding, backends, exchange, owner });
  }

  /** Runs the planned command. Without a promise where a connection is ready. */
  run(): void {
    const { command } = this;
    // No server stands for the session now: what a server would say is known.
    if (!this.backends.holdsAny && this.answersItself()) return;
    const bound = this.placement.boundConnection();
    const connection = bound ?? (command.asksAfterwards ? null : this.backends.ready(command));
    if (command.asksAfterwards) this.answerFromSaved();
    else if (connection === null) this.runLater(bound);
    else if (this.readiness.isReady(connection)) this.send(connection);
    else if (this.readiness.isPipelinable(connection)) this.sendRestored(connection);
    else this.runLater(bound);
  }

  /** Answers what needs no server while none stands for the session. */
  private answersItself(): boolean {
    const { command, conclusions, caps } = this;
    if (command.com === COM.PING) this.owner.answer(conclusions.answerToPing(caps));
    else if (command.isPlainOption) this.owner.answer(conclusions.answerToSetOption(caps));
    else return false;
    return true;
  }

  private answerFromSaved(): void {
    const answered = this.placement.savedAnswer(this.caps).finally(() => this.settle());
    const onFailed = (error: unknown) => this.fail(error);
    answered.then((answer) => this.owner.answer(answer), onFailed);
  }

  private sendRestored(connection: BackendConnection): void {
    const { profile } = this.state;
    const { bytes, replies } = restorationOf(connection.profile, profile, connection);
    connection.profile = profile;
    this.send(connection, bytes, replies);
  }

  /** The way off the hot path: a connection must be opened or brought to the session's state. */
  private runLater(bound: BackendConnection | null): void {
    this.prepareAndSend(bound).catch((error: unknown) => {
      // A transaction that was lost on the way is what the client must know.
      const { pendingError } = this.changes;
      this.changes.pendingError = null;
      this.fail(pendingError ?? error);
    });
  }

  private async prepareAndSend(bound: BackendConnection | null): Promise<void> {
    const { refusal } = this;
    this.refusal = null;
    if (refusal !== null) await this.backends.awaitDemotion(refusal);
    for (;;) {
      const connection = bound ?? (await this.backends.obtain(this.command));
      if (await this.readiness.make(connection)) {
        this.send(connection);
        return;
      }
    }
  }

  /** Sends the command, behind `prefix` to which `replies` come first. */
  private send(connection: BackendConnection, prefix: Buffer | null = null, replies = 0): void {
    const { command } = this;
    const bytes = packetFor(command, connection);
    if (!command.isPartial) {
      const role = connection === this.backends.replicaConnection ? 'replica' : 'primary';
      connection.statements[role].inc(command.cls);
      this.deps.metrics.statements.routes.inc(command.reason);
    }
    this.judge.noteDdl(command);
    if (command.com === COM.STMT_PREPARE) this.deps.pool.makeRoomForStatement(connection);
    this.exchange.start(
      connection,
      prefix === null ? bytes : Buffer.concat([prefix, bytes]),
      replies,
    );
    if (command.isLong) this.owner.longCommandPlaced();
  }

  /**
   * Long data has no reply: it goes to where its statement would run now, which is bound by it.
   * Resolves to the connection and whether it could take the bytes at once.
   */
  async sendLongData(): Promise<{ connection: BackendConnection; flushed: boolean }> {
    const { command } = this;
    let connection = this.placement.boundConnection() ?? (await this.backends.obtain(command));
    while (!(await this.readiness.make(connection)))
      connection = await this.backends.obtain(command);
    if (command.statement !== null) command.statement.longDataOn = connection;
    const flushed = connection.stream.write(packetFor(command, connection));
    return { connection, flushed };
  }

  onSessionState(connection: BackendConnection, sessionState: Buffer): void {
    this.conclusions.noteSessionState(connection, sessionState);
  }

  onErrorReply(connection: BackendConnection, error: Buffer): boolean {
    const { command, deps } = this;
    const onReplica = connection === this.backends.replicaConnection;
    const verdict = verdictOnError(command, error, onReplica);
    if (verdict === 'pass') return false;
    if (verdict === 'not-run' || verdict === 'not-prepared' || verdict === 'too-many-statements') {
      this.repair(connection, verdict);
      return true;
    }
    if (verdict === 'read-only-transaction') {
      // The primary would have said it so: that this is a replica is not the client's matter.
      this.replacement = readOnlyTransaction(connection.flavor);
      return true;
    }
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
        command.effects |= EFFECT.OPAQUE;
        command.misrouted = true;
      }
      this.judge.learn(command, verdict);
      deps.metrics.statements.fallbacks.inc(verdict);
    }
    command.target = 'primary';
    return true;
  }

  /** The server has not run the command, for a reason that the client need not know. */
  private repair(
    connection: BackendConnection,
    verdict: 'not-run' | 'not-prepared' | 'too-many-statements',
  ): void {
    const { command } = this;
    command.attempts += 1;
    if (verdict === 'not-run') this.expired = connection;
    else if (verdict === 'too-many-statements') this.deps.pool.lowerStatementLimit(connection);
    else if (command.statement !== null) connection.prepared.remove(command.statement.shape);
  }

  onPrepared(connection: BackendConnection, statementId: number): void {
    const { statement } = this.command;
    if (statement !== null) this.preparer.note(connection, statement, statementId);
  }

  onRestoreRefused(connection: BackendConnection, error: Buffer): void {
    const { command, backends } = this;
    connection.profile = null;
    if (connection !== backends.replicaConnection) {
      this.fail(new ServerRefusedError(connection.server.id, decodeErr(error)));
      return;
    }
    backends.refusedBy(connection, command);
    command.target = 'primary';
    this.runLater(null);
  }

  onFileRequest(): void {
    this.owner.fileWanted();
  }

  onServerDrain(): void {
    this.owner.serverDrained();
  }

  onReplyEnd(connection: BackendConnection, dropped: boolean): void {
    if (this.replacement !== null) {
      this.replaceError(connection, this.replacement);
      return;
    }
    if (dropped) {
      if (this.expired !== null) this.backends.release(this.expired, 'discard');
      this.expired = null;
      this.runLater(null);
      return;
    }
    this.conclusions.conclude(connection, this.exchange.tracker.facts);
    this.changes.leaveStalePrimary();
    if (this.conclusions.collationUnknown && !connection.isClosed) this.askCollation(connection);
    else this.done();
  }

  /** The server's error was kept from the client, who gets another one in its place. */
  private replaceError(connection: BackendConnection, error: ErrPacket): void {
    this.replacement = null;
    this.conclusions.conclude(connection, this.exchange.tracker.facts);
    this.fail(new ServerRefusedError(connection.server.id, error));
  }

  /** The command is answered: gives back what the next one does not need. */
  private done(): void {
    this.backends.settle(this.tieOf, this.conclusions.endedAtMs);
    this.owner.commandDone();
  }

  private fail(error: unknown): void {
    this.backends.settle(this.tieOf, performance.now());
    this.owner.commandFailed(error);
  }

  /** Gives back what nothing ties to the session, after a command that was not run by `run`. */
  settle(): void {
    this.backends.settle(this.tieOf, performance.now());
  }

  /** The session is over: whatever it left on its connections nobody else may see. */
  releaseAll(): void {
    const { backends } = this;
    const fateOf = (connection: BackendConnection) => {
      if (backends.keepsOwn) return 'quit';
      return this.tieOf(connection) === null ? 'reuse' : 'reset';
    };
    backends.releaseAll(fateOf);
  }

  /** Why the session cannot do without this connection, null if it can. */
  private readonly tieOf = (connection: BackendConnection): HoldReason | null => {
    if (this.binding.transactionOn === connection) return 'transaction';
    if (this.binding.isPinnedTo(connection)) return 'pinned';
    return this.prepared.holds(connection) ? 'cursor' : null;
  };

  /** The client has its answer already; that the server is lost shows at the next command. */
  private askCollation(connection: BackendConnection): void {
    this.conclusions.askCollation(connection).then(
      () => this.done(),
      (error: unknown) => {
        this.deps.logger.debug({ err: error }, 'Could not ask for the collation');
        this.changes.lost(connection, `Server ${connection.server.id} was lost`);
        this.done();
      },
    );
  }

  onExchangeLost(connection: BackendConnection, why: string): void {
    this.changes.lostInExchange(connection, why);
  }

  onIdleLost(connection: BackendConnection): void {
    this.changes.lost(connection, `Server ${connection.server.id} closed the connection`);
  }

  /** The cluster changed: leaves a server that is no longer the primary. */
  onTopology(): void {
    this.changes.onTopology();
  }

  /** COM_RESET_CONNECTION rolled back what was open. */
  resetTransaction(): void {
    this.binding.reset();
    this.changes.pendingError = null;
  }
}
