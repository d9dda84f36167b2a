import { LagwiseError } from '../lib/errors.ts';
import { type BackendConnection, type HoldReason, LEFT } from '../pool/backend-connection.ts';
import { ServerRefusedError } from '../pool/server-refused-error.ts';
import { EFFECT, type ReasonCode } from '../sql/classification.ts';
import { stateNames } from '../sql/state-names.ts';
import { COM } from '../wire/command.ts';
import { decodeErr, type ErrPacket } from '../wire/packets/err.ts';
import { encodeQuery } from '../wire/packets/query.ts';
import { REPLY } from '../wire/reply-kinds.ts';
import { STATUS } from '../wire/status.ts';
import { HEADER_BYTES } from '../wire/writer.ts';
import type { Command } from './command.ts';
import type { Exchange, ExchangeOwner } from './exchange.ts';
import { answerAfterwards } from './afterwards.ts';
import { goneDiagnostics, READ_ONLY_TRANSACTION } from './client-errors.ts';
import { lossError } from './loss.ts';
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
import { NAMING_EFFECTS, PINNING_EFFECTS } from './pins.ts';

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

const EMPTY = Buffer.alloc(0);
/** Of COM_SET_OPTION: where the option stands, and the one that turns several statements on. */
const OPTION_AT = 5;
const MULTI_STATEMENTS_ON = 0;
/** Behind these a password that was right may be wrong. */
const CHANGES_ACCOUNTS: ReadonlySet<ReasonCode> = new Set(['acl', 'set-password']);
const ENDS_TRANSACTION: ReadonlySet<ReasonCode> = new Set(['commit', 'rollback']);
/** Statements that may give back what pins the session. */
const NAMES_THINGS: ReadonlySet<ReasonCode> = new Set([
  'ddl',
  'temporary-table',
  'handler',
  'lock-function',
  'deallocate',
  'prepare',
  'xa',
]);
/** SET TRANSACTION: for the next transaction only, where the server does not report a default. */
const ONE_TRANSACTION =
  EFFECT.SETS_ISOLATION |
  EFFECT.SETS_NEXT_TRANSACTION_READ_ONLY |
  EFFECT.SETS_NEXT_TRANSACTION_READ_WRITE;
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
  private readonly judge: StatementJudge;
  private readonly caps: number;
  private readonly preparer: StatementPreparer;
  private collationUnknown = false;
  /** The reply reported that defaults of transactions were set. */
  private transactionDefaults = false;
  /** When the command's reply ended (monotonic ms). */
  private endedAtMs = 0;
  /** A server closed this connection for idleness just as the command was sent. */
  private expired: BackendConnection | null = null;
  /** A write that the primary refused as read-only: it waits for what the next probe says. */
  private refusal: ServerRefusedError | null = null;
  /** What the client is told in place of a server's error. */
  private replacement: ErrPacket | null = null;
  /** COMMIT RELEASE or its like has succeeded: the client is to be let go. */
  released = false;

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
  }

  /** Takes over the connection that the login was proved on. */
  adopt(connection: BackendConnection, role: 'primary' | 'replica'): void {
    this.backends.adopt(connection, role);
  }

  /** Runs the planned command. Without a promise where a connection is ready. */
  run(): void {
    const { command } = this;
    const bound = this.boundConnection();
    const connection = bound ?? (command.asksAfterwards ? null : this.backends.ready(command));
    if (command.asksAfterwards) this.answerLater();
    else if (connection === null) this.runLater(bound);
    else if (this.isReady(connection)) this.send(connection);
    else if (this.isPipelinable(connection)) this.sendRestored(connection);
    else this.runLater(bound);
  }

  /** The connection is as the command wants it. */
  private isReady(connection: BackendConnection): boolean {
    const { command } = this;
    // They go on with what is there already.
    if (command.isContinuation) return true;
    if (connection.profile !== this.state.profile || this.preparer.isNeededOn(connection)) {
      return false;
    }
    if (command.asksInsertId && this.backends.insertId.isNeededOn(connection)) return false;
    return command.cause !== 'diagnostics' || !this.hasForeignDiagnostics(connection);
  }

  /**
   * Whether what restores the state may go in one write with the command: the command runs even if
   * the server refuses the state, so it must be one that changes nothing, whose answer can be dropped.
   */
  private isPipelinable(connection: BackendConnection): boolean {
    const { command } = this;
    return command.com === COM.QUERY && command.isRepeatable && connection.profile !== null;
  }

  private sendRestored(connection: BackendConnection): void {
    const { profile } = this.state;
    const { bytes, replies } = restorationOf(connection.profile, profile, connection);
    connection.profile = profile;
    this.sendBehind(connection, bytes, replies);
  }

  /** The connection on which this command must run, null where any of its target will do. */
  private boundConnection(): BackendConnection | null {
    const { command } = this;
    const boundTo = command.statement?.boundFor(command.com) ?? null;
    if (boundTo !== null) return boundTo;
    if (command.target !== 'same') return null;
    if (this.binding.transactionOn !== null) return this.binding.transactionOn;
    if (command.reason === 'same-server') return this.sameServer();
    command.target = 'primary';
    if (command.reason === 'pinned') return this.binding.pinnedTo;
    this.leaveLeaderless();
    return null;
  }

  /** What is not the primary's alone may run on a replica while there is no primary. */
  private leaveLeaderless(): void {
    const { command } = this;
    const leaderless = this.deps.topology.current().primary === null;
    if (leaderless && (command.effects & PINNING_EFFECTS) === 0) command.target = 'replica';
  }

  /**
   * Where the statement before ran, if nobody has had that connection since. What it left is gone
   * otherwise; where it left nothing, any connection that has nothing either tells the same.
   * @throws ServerRefusedError when what is asked for is lost
   */
  private sameServer(): BackendConnection | null {
    const { backends, command } = this;
    const again = backends.again();
    if (again !== null) return again;
    command.target = 'primary';
    command.asksAfterwards =
      command.cause === 'diagnostics'
        ? (backends.leftovers & LEFT.DIAGNOSTICS) !== 0
        : backends.lastConnection !== null;
    this.leaveLeaderless();
    return null;
  }

  /**
   * Answers from what was saved when the connection went to another client.
   * @throws ServerRefusedError when that does not tell it
   */
  private async answerAfterwards(): Promise<void> {
    const { backends, command, state } = this;
    await backends.saving;
    const { bytes, textAt, com } = command;
    const text = com === COM.QUERY ? bytes.subarray(textAt) : EMPTY;
    const options = { caps: this.caps, status: state.status };
    const answer = answerAfterwards(text, backends.remembered, options);
    if (answer === null) {
      backends.askedInVain();
      throw goneDiagnostics();
    }
    this.owner.answer(answer);
  }

  /** Another session's statement left warnings on it. */
  private hasForeignDiagnostics(connection: BackendConnection): boolean {
    const isForeign = connection !== this.backends.lastConnection;
    return isForeign && (connection.leftovers & LEFT.DIAGNOSTICS) !== 0;
  }

  /** The way off the hot path: a connection must be opened or brought to the session's state. */
  private runLater(bound: BackendConnection | null): void {
    this.prepareAndSend(bound).catch((error: unknown) => {
      // A transaction that was lost on the way is what the client must know.
      const { pendingError } = this;
      this.pendingError = null;
      this.fail(pendingError ?? error);
    });
  }

  private answerLater(): void {
    this.answerAfterwards().catch((error: unknown) => this.fail(error));
  }

  private async prepareAndSend(bound: BackendConnection | null): Promise<void> {
    const { refusal } = this;
    this.refusal = null;
    if (refusal !== null) await this.backends.awaitDemotion(refusal);
    for (;;) {
      const connection = bound ?? (await this.backends.obtain(this.command));
      if (await this.makeReady(connection)) {
        this.send(connection);
        return;
      }
    }
  }

  /** Brings the connection to what the command needs. False: it is another server's turn. */
  private async makeReady(connection: BackendConnection): Promise<boolean> {
    const { command, backends, state } = this;
    if (command.isContinuation) return true;
    if (this.preparer.isNeededOn(connection) && !(await this.preparer.prepareOn(connection))) {
      return false;
    }
    try {
      await backends.restore(connection, state.profile);
    } catch (error) {
      if (!(error instanceof ServerRefusedError)) throw error;
      if (connection !== backends.replicaConnection) throw error;
      backends.refusedBy(connection, command);
      command.target = 'primary';
      return false;
    }
    if (command.asksInsertId && backends.insertId.isNeededOn(connection)) {
      await backends.saving;
      await this.tell(connection, await backends.insertId.restoration());
      backends.insertId.noteSet(connection);
    }
    if (command.cause === 'diagnostics' && this.hasForeignDiagnostics(connection)) {
      await this.tell(connection, 'DO 0');
    }
    return true;
  }

  private async tell(connection: BackendConnection, statement: string): Promise<void> {
    const query = encodeQuery(statement, connection.caps);
    const [done] = await this.backends.swallow(connection, query, [REPLY.SIMPLE]);
    if (done?.error) throw new ServerRefusedError(connection.server.id, done.error);
  }

  private send(connection: BackendConnection): void {
    this.sendBehind(connection, null, 0);
  }

  /** Sends the command behind `prefix`, to which `replies` come first. */
  private sendBehind(connection: BackendConnection, prefix: Buffer | null, replies: number): void {
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
    let connection = this.boundConnection() ?? (await this.backends.obtain(command));
    while (!(await this.makeReady(connection))) connection = await this.backends.obtain(command);
    if (command.statement !== null) command.statement.longDataOn = connection;
    const flushed = connection.stream.write(packetFor(command, connection));
    return { connection, flushed };
  }

  onSessionState(connection: BackendConnection, sessionState: Buffer): void {
    const before = this.state.profile;
    const reported = this.state.noteReported(sessionState);
    this.collationUnknown ||= reported.collationUnknown;
    this.transactionDefaults ||= reported.transactionDefaults;
    // What the session has learned the connection has; where they differed before, nobody knows.
    if (connection.profile === before) connection.profile = this.state.profile;
    else if (this.state.profile !== before) connection.profile = null;
    const { com, cause, effects } = this.command;
    const explained =
      (effects & (PINNING_EFFECTS | NAMING_EFFECTS)) !== 0 ||
      com === COM.STMT_PREPARE ||
      (this.state.pins.any && NAMES_THINGS.has(cause));
    if (reported.opaqueChange && !explained) this.state.pins.set('opaque');
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
      this.replacement = READ_ONLY_TRANSACTION;
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
    this.conclude(connection);
    this.leaveStalePrimary();
    if (this.collationUnknown && !connection.isClosed) this.askCollation(connection);
    else this.done();
  }

  /** The server's error was kept from the client, who gets another one in its place. */
  private replaceError(connection: BackendConnection, error: ErrPacket): void {
    this.replacement = null;
    this.conclude(connection);
    this.fail(new ServerRefusedError(connection.server.id, error));
  }

  /** The command is answered: gives back what the next one does not need. */
  private done(): void {
    this.backends.settle(this.tieOf, this.endedAtMs);
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

  /** Has the server report the collation that SET NAMES left behind: assigning it says what it is. */
  private askCollation(connection: BackendConnection): void {
    this.collationUnknown = false;
    const ask = encodeQuery('SET collation_connection=@@collation_connection', connection.caps);
    this.backends.swallow(connection, ask, [REPLY.SIMPLE]).then(
      ([told]) => {
        const state = told?.sessionState ?? null;
        if (state !== null) this.onSessionState(connection, state);
        this.done();
      },
      (error: unknown) => {
        // The client has its answer already; that the server is lost shows at the next command.
        this.deps.logger.debug({ err: error }, 'Could not ask for the collation');
        this.lost(connection, `Server ${connection.server.id} was lost`);
        this.done();
      },
    );
  }

  /** What the reply means for the session. */
  private conclude(connection: BackendConnection): void {
    const { command, state, exchange, binding } = this;
    const { facts } = exchange.tracker;
    const nowMs = performance.now();
    const succeeded = facts.errno === 0;
    if (command.effects !== 0 || state.pins.any || this.wantsOwn)
      this.notePins(connection, succeeded);
    binding.noteReply(connection, facts.status);
    if (succeeded && ENDS_TRANSACTION.has(command.cause)) this.released = command.asksRelease;
    this.judge.noteDdl(command);
    if (succeeded && CHANGES_ACCOUNTS.has(command.cause)) this.deps.trust.clear();
    if (command.com === COM.SET_OPTION && succeeded) this.concludeSetOption(connection);
    if (command.statement !== null) {
      this.preparer.conclude(connection, { status: facts.status, succeeded });
    }
    const onReplica = connection === this.backends.replicaConnection;
    if (!onReplica && binding.hasWritten(command)) this.backends.noteWrite(nowMs);
    if (facts.hasInsertId || (command.asksInsertId && succeeded)) {
      this.backends.insertId.noteSet(connection);
    }
    const rowCount = !succeeded || command.cls === 'read' ? -1 : facts.affectedRows;
    this.backends.noteEnd(connection, this.leftBy(connection), rowCount);
    this.endedAtMs = nowMs;
    const { durations } = this.deps.metrics.statements;
    this.judge.noteRun(command, { onReplica, failed: !succeeded, nowMs });
    const took = onReplica ? durations.replica : durations.primary;
    took.observeUs((nowMs - command.startedAtMs) * 1000);
  }

  /** A rule or a comment wants the connection kept from now on. */
  private get wantsOwn(): boolean {
    return this.command.policy?.poolMode === 'session' && !this.backends.keepsOwn;
  }

  /** What the command means for the state that ties the session to its connection. */
  private notePins(connection: BackendConnection, succeeded: boolean): void {
    const { command, state } = this;
    const { pins } = state;
    const { cls, cause, effects } = command;
    pins.noteEffects(effects, succeeded);
    // SET ROLE and its kin: no tracker tells of them.
    if (cls === 'session' && (effects & EFFECT.OPAQUE) !== 0) {
      pins.set(cause === 'set-role' ? 'role' : 'opaque');
    }
    if (this.wantsOwn) pins.set('rule');
    if (succeeded && ((effects & NAMING_EFFECTS) !== 0 || (pins.any && NAMES_THINGS.has(cause)))) {
      this.noteNames();
    }
    if (succeeded && (effects & ONE_TRANSACTION) !== 0 && !this.transactionDefaults) {
      pins.set('next-transaction');
      // If a statement in between does not use it up, nobody else may meet it.
      connection.tainted = true;
    } else if (cls !== 'session' && pins.has('next-transaction')) {
      const { status } = this.exchange.tracker.facts;
      if (status !== -1 && (status & STATUS.IN_TRANS) === 0) pins.clear('next-transaction');
    }
    this.transactionDefaults = false;
  }

  private noteNames(): void {
    const { command, state } = this;
    const prepared = command.statement?.shape.packet ?? null;
    const text = prepared ?? command.bytes;
    const textAt = prepared === null ? command.textAt : HEADER_BYTES + 1;
    const names = stateNames(text, textAt, text.length, this.judge.context);
    const { pins } = state;
    if (names.kind !== 'none') pins.noteNames(names, state.schema);
    // Renamed perhaps: what it is called now is not known.
    else if (command.cause === 'ddl' && pins.has('temporary-table')) pins.set('temporary-table');
  }

  /** What the command left there to be asked for. */
  private leftBy({ account }: BackendConnection): number {
    const { command, exchange } = this;
    // SHOW WARNINGS shows them, and leaves them.
    if (command.cause === 'diagnostics') return this.backends.leftovers;
    const { warnings, errno } = exchange.tracker.facts;
    let left = warnings > 0 || errno !== 0 ? LEFT.DIAGNOSTICS : 0;
    if (command.cls === 'write' || command.cls === 'unknown') left |= LEFT.ROW_COUNT;
    if ((command.effects & EFFECT.SQL_CALC_FOUND_ROWS) !== 0) left |= LEFT.FOUND_ROWS;
    return account.asksAfterwards ? left | LEFT.ROW_COUNT | LEFT.FOUND_ROWS : left;
  }

  private concludeSetOption(connection: BackendConnection): void {
    this.state.setMultiStatements(
      this.command.bytes.readUInt16LE(OPTION_AT) === MULTI_STATEMENTS_ON,
    );
    connection.profile = this.state.profile;
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
    else this.fail(error);
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
    this.backends.release(stale, this.tieOf(stale) === null ? 'reuse' : 'discard');
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
    this.binding.forget(connection);
  }
}
