import type { LagwiseError } from '../../lib/errors.ts';
import type { BackendConnection, HoldReason } from '../../pool/backend-connection.ts';
import { ServerRefusedError } from '../../pool/server-refused-error.ts';
import { COM } from '../../wire/command.ts';
import { REPLY, type ReplyKind } from '../../wire/reply-kinds.ts';
import { decodeErr, type ErrPacket } from '../../wire/packets/err.ts';
import type { Command } from './command.ts';
import { GUARD_REPLY } from '../reads/catch-up.ts';
import { ErrorReplies } from '../servers/error-replies.ts';
import type { Exchange, ExchangeOwner } from '../reply/exchange.ts';
import { packetFor } from '../prepared/execute-packet.ts';
import type { PreparedStatements } from '../prepared/prepared-statements.ts';
import { restorationOf } from '../state/restore.ts';
import type { SessionBackends } from '../servers/session-backends.ts';
import { SessionBinding } from '../state/session-binding.ts';
import type { SessionDeps } from '../session-deps.ts';
import { StatementPreparer } from '../prepared/statement-preparer.ts';
import type { SessionState } from '../state/session-state.ts';
import type { StatementJudge } from '../statement/statement-judge.ts';
import { Conclusions } from '../reply/conclusions.ts';
import { type LongDataSent, requireLongData, sendLongData } from '../prepared/long-data.ts';
import { placeAndSend } from '../servers/place-and-send.ts';
import { Placement } from '../servers/placement.ts';
import type { Leaving } from '../servers/statement-waits.ts';
import { Readiness } from '../state/readiness.ts';
import { type ChangesOwner, ServerChanges } from '../servers/server-changes.ts';

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
  fileWanted(firstSeq: number): void;
  /** A long command has a server: its bytes may come. */
  longCommandPlaced(): void;
  /** Whether there is more to come of a long command or of a file. */
  readonly input: { readonly isMidway: boolean };
  serverDrained(): void;
}

/**
 * Runs a session's commands, one at a time: finds the server, sends, follows the reply, draws the
 * conclusions for the session's state, and decides what a failure means for the client.
 */
export class CommandRunner implements ExchangeOwner {
  readonly exchange: Exchange;
  readonly backends: SessionBackends;
  readonly binding: SessionBinding;
  /** What becomes of the session when servers are lost. */
  readonly changes: ServerChanges;
  private readonly owner: RunnerOwner;
  readonly deps: SessionDeps;
  readonly command: Command;
  private readonly state: SessionState;
  private readonly prepared: PreparedStatements;
  private readonly judge: StatementJudge;
  private readonly caps: number;
  /** Aborted when the client is, or the statement that waits. */
  readonly gone: Leaving;
  private readonly preparer: StatementPreparer;
  readonly placement: Placement;
  readonly readiness: Readiness;
  readonly conclusions: Conclusions;
  readonly errors: ErrorReplies;

  constructor(options: {
    owner: RunnerOwner;
    deps: SessionDeps;
    command: Command;
    state: SessionState;
    prepared: PreparedStatements;
    judge: StatementJudge;
    caps: number;
    gone: Leaving;
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
    this.gone = options.gone;
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
    this.errors = new ErrorReplies({ ...options, backends });
    const owner: ChangesOwner = {
      rerun: () => this.runLater(null),
      isMidway: () => this.owner.input.isMidway,
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
    const isAlone = this.backends.primaryConnection === null && this.binding.tiedTo === null;
    if (isAlone && this.answersItself()) return;
    const bound = this.placement.boundConnection();
    const connection = bound ?? (command.asksAfterwards ? null : this.backends.ready(command));
    if (command.asksAfterwards) this.answerFromSaved();
    else if (connection === null) this.runLater(bound);
    else if (this.readiness.isReady(connection)) this.sendReady(connection);
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
    placeAndSend(this, bound).catch((error: unknown) => {
      // A transaction that was lost on the way is what the client must know.
      const { pendingError } = this.changes;
      this.changes.pendingError = null;
      this.fail(pendingError ?? error);
    });
  }

  /** Nothing has to be done on the connection; something may have to hold on its server. */
  private sendReady(connection: BackendConnection): void {
    const guard = this.readiness.guardOn(connection);
    if (guard === null) this.send(connection);
    else if (this.readiness.isDroppable)
      this.send(connection, guard, 1, GUARD_REPLY[connection.flavor]);
    else this.runLater(connection);
  }

  /** False: what must hold on its server does not, and it is another server's turn. */
  async sendGuarded(connection: BackendConnection): Promise<boolean> {
    const guard = this.readiness.guardOn(connection);
    if (guard === null || this.readiness.isDroppable) {
      this.sendReady(connection);
      return true;
    }
    const [held] = await this.backends.swallow(connection, guard, [GUARD_REPLY[connection.flavor]]);
    if (held?.error === null) {
      // What was waited for is no time of the read's.
      this.command.sentAtMs = -1;
      this.send(connection);
      return true;
    }
    this.guardFailed(connection);
    return false;
  }

  private guardFailed(connection: BackendConnection): void {
    const { backends, errors, command } = this;
    if (connection === backends.replicaConnection) backends.tooLate(connection, command);
    else errors.noteDemoted(connection);
  }

  /** Sends the command, behind `prefix` to which `replies` come first. */
  private send(
    connection: BackendConnection,
    prefix: Buffer | null = null,
    replies = 0,
    kind: ReplyKind = REPLY.SIMPLE,
  ): void {
    const { command } = this;
    requireLongData(command, connection);
    const bytes = packetFor(command, connection);
    if (!command.isPartial) this.conclusions.noteSent(connection);
    this.judge.noteDdl(command);
    if (command.com === COM.STMT_PREPARE) this.deps.pool.makeRoomForStatement(connection);
    this.exchange.tracker.holdsEnds = this.conclusions.commits.mayBeUntold(connection);
    this.exchange.start(
      connection,
      prefix === null ? bytes : Buffer.concat([prefix, bytes]),
      replies,
      kind,
    );
    // Behind the write: what is sampled costs the client no time.
    this.exchange.tap = this.backends.tapFor(command, connection);
    if (command.isLong) this.owner.longCommandPlaced();
  }

  /** Long data has no reply: it goes to where its statement would run now, which is bound by it. */
  readonly sendLongData = (): Promise<LongDataSent> => sendLongData(this);

  onSessionState(connection: BackendConnection, sessionState: Buffer): void {
    this.conclusions.noteSessionState(connection, sessionState);
  }

  beforeOk(connection: BackendConnection): Promise<void> | null {
    return this.conclusions.commits.acknowledged(connection, this.exchange.tracker);
  }

  onErrorReply(connection: BackendConnection, error: Buffer): boolean {
    return this.errors.keeps(connection, error);
  }

  onPrepared(connection: BackendConnection, statementId: number): void {
    const { statement } = this.command;
    if (statement !== null) this.preparer.note(connection, statement, statementId);
  }

  onRestoreRefused(connection: BackendConnection, error: Buffer): void {
    const { command, backends } = this;
    if (command.isGuarded) {
      this.guardFailed(connection);
      this.runLater(null);
      return;
    }
    connection.profile = null;
    if (connection !== backends.replicaConnection) {
      this.fail(new ServerRefusedError(connection.server.id, decodeErr(error)));
      return;
    }
    backends.refusedBy(connection, command);
    command.target = 'primary';
    this.runLater(null);
  }

  onFileRequest(firstSeq: number): void {
    this.owner.fileWanted(firstSeq);
  }

  onServerDrain(): void {
    this.owner.serverDrained();
  }

  onReplyEnd(connection: BackendConnection, dropped: boolean): void {
    if (this.changes.answeredMidway(connection)) return;
    const replacement = this.errors.takeReplacement();
    if (replacement !== null) {
      this.replaceError(connection, replacement);
      return;
    }
    if (dropped) {
      this.errors.dropExpired();
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
    this.conclusions.conclude(connection, this.exchange.tracker.facts);
    this.fail(new ServerRefusedError(connection.server.id, error));
  }

  /** The command is answered: gives back what the next one does not need. */
  private done(): void {
    const { primaryConnection, replicaConnection } = this.backends;
    const killing = primaryConnection?.killing ?? replicaConnection?.killing ?? null;
    if (killing !== null) {
      // It would strike whoever runs the next statement there.
      const again = () => setImmediate(() => this.done());
      killing.then(again, again);
      return;
    }
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
      if (this.tieOf(connection) === null) return 'reuse';
      return this.state.mayReset ? 'reset' : 'quit';
    };
    backends.releaseAll(fateOf);
    this.state.pins.clearAll();
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
    this.conclusions.warnings = 0;
    this.changes.pendingError = null;
  }
}
