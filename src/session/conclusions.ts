import { type BackendConnection, LEFT } from '../pool/backend-connection.ts';
import { EFFECT, type ReasonCode } from '../sql/classification.ts';
import { MAX_STATEMENT_BYTES } from '../sql/classify.ts';
import { stateNames } from '../sql/state-names.ts';
import { COM } from '../wire/command.ts';
import { CAP, has } from '../wire/capability.ts';
import { encodeEof } from '../wire/packets/eof.ts';
import { decodeErr, ERR } from '../wire/packets/err.ts';
import { encodeOk } from '../wire/packets/ok.ts';
import { encodeQuery } from '../wire/packets/query.ts';
import { REPLY } from '../wire/reply-kinds.ts';
import type { ReplyFacts } from '../wire/reply-fields.ts';
import { STATUS } from '../wire/status.ts';
import { HEADER_BYTES } from '../wire/writer.ts';
import type { Command } from './command.ts';
import { keepsWarnings } from './leftovers.ts';
import { NAMING_EFFECTS, PINNING_EFFECTS } from './pins.ts';
import type { SessionBackends } from './session-backends.ts';
import type { SessionBinding } from './session-binding.ts';
import type { SessionDeps } from './session-deps.ts';
import type { SessionState } from './session-state.ts';
import type { StatementJudge } from './statement-judge.ts';
import type { StatementPreparer } from './statement-preparer.ts';

/** Of COM_SET_OPTION: where the option stands, and the one that turns several statements on. */
const OPTION_AT = 5;
const MULTI_STATEMENTS_ON = 0;
/** Behind these a password that was right may be wrong: ALTER USER, FLUSH PRIVILEGES, a CALL. */
const MAY_CHANGE_ACCOUNTS: ReadonlySet<ReasonCode> = new Set([
  'acl',
  'set-password',
  'ddl',
  'admin',
  'call',
  'execute',
  'multi-statement',
  'compound-statement',
  'unknown-statement',
  'unknown-function',
  'not-lexed',
  'too-long',
]);
/** Outside of a transaction they are one, unlike a SELECT that may read no table. */
const USES_TABLES: ReadonlySet<ReasonCode> = new Set(['dml', 'load-data', 'ddl']);
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

/** What replies mean for a session: its state, what ties it to a connection, what is counted. */
export class Conclusions {
  /** The charset was set, and with it a collation that the server did not tell. */
  collationUnknown = false;
  /** COMMIT RELEASE or its like has succeeded: the client is to be let go. */
  released = false;
  /** When the last command's reply ended (monotonic ms). */
  endedAtMs = 0;
  /** Warnings that the last command's reply told of. */
  private warnings = 0;
  private readonly deps: SessionDeps;
  private readonly command: Command;
  private readonly state: SessionState;
  private readonly binding: SessionBinding;
  private readonly backends: SessionBackends;
  private readonly judge: StatementJudge;
  private readonly preparer: StatementPreparer;
  /** The reply reported that defaults of transactions were set. */
  private transactionDefaults = false;

  constructor(parts: {
    deps: SessionDeps;
    command: Command;
    state: SessionState;
    binding: SessionBinding;
    backends: SessionBackends;
    judge: StatementJudge;
    preparer: StatementPreparer;
  }) {
    this.deps = parts.deps;
    this.command = parts.command;
    this.state = parts.state;
    this.binding = parts.binding;
    this.backends = parts.backends;
    this.judge = parts.judge;
    this.preparer = parts.preparer;
  }

  /** What a server that the session holds no connection to would say to COM_PING. */
  answerToPing(caps: number): Buffer {
    const { status } = this.state;
    return encodeOk({ status, warnings: this.warnings }, this.command.replySeq, { caps });
  }

  /** The proxy itself answers the command: where it refuses it, that is what can be asked for. */
  noteOwnAnswer(reply: Buffer): void {
    if (reply[HEADER_BYTES] !== ERR) return;
    // It comes on top of what is there, as a server's refusal of an unknown id does.
    if (this.judge.context.flavor === 'mysql') this.warnings += 1;
    this.backends.leftovers.noteOwnError(decodeErr(reply.subarray(HEADER_BYTES)));
  }

  /** COM_SET_OPTION of a session that holds no connection: the next one is brought to it. */
  answerToSetOption(caps: number): Buffer {
    const { command, state, warnings } = this;
    this.setOption();
    const { status } = state;
    return has(caps, CAP.DEPRECATE_EOF)
      ? encodeOk({ status, warnings }, command.replySeq, { caps, afterRows: true })
      : encodeEof({ status, warnings }, command.replySeq);
  }

  /** An OK packet carries this session state. */
  noteSessionState(connection: BackendConnection, sessionState: Buffer): void {
    const { state, command } = this;
    // MariaDB reports what holds inside of it, and not that it has ended.
    if (connection.flavor === 'mariadb' && command.isSetStatement) return;
    const before = state.profile;
    const reported = state.noteReported(sessionState);
    this.collationUnknown ||= reported.collationUnknown;
    this.transactionDefaults ||= reported.transactionDefaults;
    // What the session has learned the connection has; where they differed before, nobody knows.
    if (connection.profile === before) connection.profile = state.profile;
    else if (state.profile !== before) connection.profile = null;
    const explained =
      (command.effects & (PINNING_EFFECTS | NAMING_EFFECTS)) !== 0 ||
      command.com === COM.STMT_PREPARE ||
      (state.pins.any && NAMES_THINGS.has(command.cause));
    if (reported.opaqueChange && !explained) state.pins.set('opaque');
  }

  /** The reply to the command has ended. */
  conclude(connection: BackendConnection, facts: ReplyFacts): void {
    const { command, binding, backends } = this;
    const nowMs = performance.now();
    const succeeded = facts.errno === 0;
    if (command.effects !== 0 || this.state.pins.any || this.wantsOwn) {
      this.notePins(connection, facts, succeeded);
    }
    binding.noteReply(connection, facts.status);
    this.judge.noteDdl(command);
    // A failed one may have done a part of it.
    if (MAY_CHANGE_ACCOUNTS.has(command.cause)) this.deps.trust.clear();
    if (succeeded) this.noteSuccess(connection, facts);
    this.preparer.conclude(connection, { status: facts.status, succeeded });
    const onReplica = connection === backends.replicaConnection;
    if (!onReplica && binding.hasWritten(command)) backends.noteWrite(nowMs);
    backends.leftovers.found.note(connection, command, facts);
    const rowCount = rowCountAfter(command, facts);
    backends.leftovers.noteEnd(connection, this.leftBy(connection, facts), rowCount);
    this.endedAtMs = nowMs;
    // MariaDB tells of none in its answers to the commands that are no statements.
    if (connection.flavor === 'mysql') this.warnings = succeeded ? facts.warnings : 1;
    this.judge.noteRun(command, { onReplica, failed: !succeeded, nowMs });
    const { durations } = this.deps.metrics.statements;
    const took = onReplica ? durations.replica : durations.primary;
    took.observeUs((nowMs - command.startedAtMs) * 1000);
  }

  /**
   * Has the server report the collation that SET NAMES left behind: assigning it says what it is.
   * @throws LagwiseError when the server is lost
   */
  async askCollation(connection: BackendConnection): Promise<void> {
    this.collationUnknown = false;
    const ask = encodeQuery('SET collation_connection=@@collation_connection', connection.caps);
    const [told] = await this.backends.swallow(connection, ask, [REPLY.SIMPLE]);
    const state = told?.sessionState ?? null;
    if (state !== null) this.noteSessionState(connection, state);
  }

  private noteSuccess(connection: BackendConnection, facts: ReplyFacts): void {
    const { command } = this;
    if (ENDS_TRANSACTION.has(command.cause)) this.released = command.asksRelease;
    if (command.com === COM.SET_OPTION) this.noteOption(connection);
    // What a replica says of itself holds for its connection.
    if (command.com === COM.REGISTER_SLAVE) this.state.pins.set('opaque');
    // INSERT … RETURNING does not tell the id.
    const mayHaveInserted = command.cause === 'dml' && facts.rows >= 0;
    if (facts.hasInsertId || command.asksInsertId || mayHaveInserted) {
      this.backends.leftovers.insertId.noteSet(connection);
    }
  }

  private noteOption(connection: BackendConnection): void {
    this.setOption();
    connection.profile = this.state.profile;
  }

  private setOption(): void {
    const option = this.command.bytes.readUInt16LE(OPTION_AT);
    this.state.setMultiStatements(option === MULTI_STATEMENTS_ON);
  }

  /** A rule or a comment wants the connection kept from now on. */
  private get wantsOwn(): boolean {
    return this.command.policy?.poolMode === 'session' && !this.backends.keepsOwn;
  }

  /** What the command means for the state that ties the session to its connection. */
  private notePins(connection: BackendConnection, facts: ReplyFacts, succeeded: boolean): void {
    const { command, state } = this;
    const { pins } = state;
    const { cause } = command;
    const effects = this.effectsOf(command);
    pins.noteEffects(effects, succeeded);
    if ((command.effects & EFFECT.SETS_USER_VARIABLE) !== 0) this.noteUserVariables(connection);
    // It may hold a lock now, or a role: neither text nor trackers tell.
    if ((effects & EFFECT.OPAQUE) !== 0) {
      // Of a long INSERT only the end is unread: it hardly holds anything, but nobody may meet it.
      const isUnread = command.isLong || command.bytes.length > MAX_STATEMENT_BYTES;
      if (cause === 'dml' && isUnread) connection.tainted = true;
      else pins.set(cause === 'set-role' ? 'role' : 'opaque');
    }
    if (this.wantsOwn) pins.set('rule');
    if (succeeded && ((effects & NAMING_EFFECTS) !== 0 || (pins.any && NAMES_THINGS.has(cause)))) {
      this.noteNames();
    }
    if (succeeded && (effects & ONE_TRANSACTION) !== 0 && !this.transactionDefaults) {
      pins.set('next-transaction');
      // If a statement in between does not use it up, nobody else may meet it.
      connection.tainted = true;
    } else if (pins.has('next-transaction') && (state.inTransaction || USES_TABLES.has(cause))) {
      const { status } = facts;
      if (status !== -1 && (status & STATUS.IN_TRANS) === 0) pins.clear('next-transaction');
    }
    this.transactionDefaults = false;
  }

  /** Of EXECUTE by text, the effects of what it ran where that is known. */
  private effectsOf(command: Command): number {
    const { bytes, cause, effects, textAt } = command;
    if (cause !== 'execute' || command.statement !== null) return effects;
    return this.judge.textPrepared.effectsOf(bytes, textAt, this.judge.context) ?? effects;
  }

  /** On a replica they are remembered by name, since a write has to find them on the primary. */
  private noteUserVariables(connection: BackendConnection): void {
    if (connection !== this.backends.replicaConnection) return;
    const { bytes, statement } = this.command;
    this.binding.userVariables.note((statement?.shape.packet ?? bytes).toString('latin1'));
  }

  private noteNames(): void {
    const { command, state } = this;
    const prepared = command.statement?.shape.packet ?? null;
    const text = prepared ?? command.bytes;
    const textAt = prepared === null ? command.textAt : HEADER_BYTES + 1;
    const names = stateNames(text, textAt, text.length, this.judge.context);
    const { pins } = state;
    if (command.cause === 'prepare')
      this.judge.textPrepared.notePrepare(text, textAt, this.judge.context);
    if (names.kind !== 'none') pins.noteNames(names, state.schema);
    // Renamed perhaps: what it is called now is not known.
    else if (command.cause === 'ddl' && pins.has('temporary-table')) pins.set('temporary-table');
  }

  /** What the command left there to be asked for. */
  private leftBy(connection: BackendConnection, { warnings, errno }: ReplyFacts): number {
    const { command } = this;
    const { account } = connection;
    // SHOW WARNINGS shows them, and leaves them.
    if (command.cause === 'diagnostics') return this.backends.leftovers.left;
    const hasWarnings = warnings > 0 || errno !== 0 || keepsWarnings(connection);
    let left = hasWarnings ? LEFT.DIAGNOSTICS : 0;
    if (command.isPartial) return left;
    if (command.cls === 'write' || command.cls === 'unknown') left |= LEFT.ROW_COUNT;
    if ((command.effects & EFFECT.SQL_CALC_FOUND_ROWS) !== 0) left |= LEFT.FOUND_ROWS;
    return account.asksAfterwards ? left | LEFT.ROW_COUNT | LEFT.FOUND_ROWS : left;
  }
}

/** What ROW_COUNT() is behind the command; null where it is what it was. */
function rowCountAfter({ com, cause }: Command, facts: ReplyFacts): number | null {
  if (facts.errno !== 0 || facts.rows >= 0) return -1;
  // GET DIAGNOSTICS tells it and leaves it.
  if (com === COM.STMT_PREPARE || cause === 'diagnostics') return null;
  return facts.affectedRows;
}
