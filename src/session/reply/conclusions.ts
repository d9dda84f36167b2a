import { type BackendConnection, LEFT } from '../../pool/backend-connection.ts';
import { EFFECT } from '../../sql/classification.ts';
import { MAX_STATEMENT_BYTES } from '../../sql/classify.ts';
import { stateNames } from '../../sql/state-names.ts';
import { COM } from '../../wire/command.ts';
import { CAP, has } from '../../wire/capability.ts';
import { encodeEof } from '../../wire/packets/eof.ts';
import { decodeErr, ERR } from '../../wire/packets/err.ts';
import { encodeOk } from '../../wire/packets/ok.ts';
import { encodeQuery } from '../../wire/packets/query.ts';
import { REPLY } from '../../wire/reply-kinds.ts';
import type { ReplyFacts } from '../../wire/reply-fields.ts';
import { STATUS } from '../../wire/status.ts';
import { HEADER_BYTES } from '../../wire/writer.ts';
import { warningsIn } from './afterwards.ts';
import { Commits } from './commits.ts';
import { TRAIT } from '../statement/cause-traits.ts';
import type { Command } from '../command/command.ts';
import { maySetInsertId } from './insert-id.ts';
import { keepsWarnings } from './leftovers.ts';
import { noteRead, rowCountAfter } from './reply-figures.ts';
import { NAMING_EFFECTS, PINNING_EFFECTS } from '../state/pins.ts';
import type { SessionBackends } from '../servers/session-backends.ts';
import type { SessionBinding } from '../state/session-binding.ts';
import type { SessionDeps } from '../session-deps.ts';
import type { SessionState } from '../state/session-state.ts';
import { setsTrackers, setsUnreported } from '../state/unreported.ts';
import type { StatementJudge } from '../statement/statement-judge.ts';
import type { StatementPreparer } from '../prepared/statement-preparer.ts';

/** What is set by such a statement stays set. */
const MAY_SET = EFFECT.SETS_SESSION_VARIABLE | EFFECT.OPAQUE;
/** Of COM_SET_OPTION: where the option stands, and the one that turns several statements on. */
const OPTION_AT = 5;
const MULTI_STATEMENTS_ON = 0;
/** SET TRANSACTION: for the next transaction only, where the server does not report a default. */
const ONE_TRANSACTION =
  EFFECT.SETS_ISOLATION |
  EFFECT.SETS_NEXT_TRANSACTION_READ_ONLY |
  EFFECT.SETS_NEXT_TRANSACTION_READ_WRITE;

/** In one packet with others they leave open what a temporary table is called in the end. */
const RENAMING = EFFECT.IMPLICIT_COMMIT | EFFECT.CHANGES_SCHEMA;

/** Of a command that failed: what it takes may be taken all the same. */
const hasRunInPart = ({ cause }: Command, effects: number): boolean =>
  cause === 'multi-statement' || (effects & EFFECT.LOCKS_TABLES) !== 0;

/** What replies mean for a session: its state, what ties it to a connection, what is counted. */
export class Conclusions {
  /** The charset was set, and with it a collation that the server did not tell. */
  collationUnknown = false;
  /** COMMIT RELEASE or its like has succeeded: the client is to be let go. */
  released = false;
  /** When the last command's reply ended (monotonic ms). */
  endedAtMs = 0;
  /** Warnings that the last command's reply told of. */
  warnings = 0;
  readonly commits: Commits;
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
    this.commits = new Commits(parts);
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
  noteOwnAnswer(reply: Buffer, caps: number): void {
    const { asksAfterwards, cause } = this.command;
    const isMysql = this.judge.context.flavor === 'mysql';
    if (reply[HEADER_BYTES] !== ERR) {
      const isNew = asksAfterwards && cause !== 'diagnostics';
      if (isNew && isMysql) this.warnings = warningsIn(reply, caps);
      return;
    }
    // It comes on top of what is there, as a server's refusal of an unknown id does.
    if (isMysql) this.warnings += 1;
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
    const locksForItself = connection.flavor === 'mariadb' && (command.effects & MAY_SET) === 0;
    const reported = state.noteReported(sessionState, locksForItself);
    if (reported.gtids !== null) this.commits.noteGtids(reported.gtids);
    this.collationUnknown ||= reported.collationUnknown;
    this.transactionDefaults ||= reported.transactionDefaults;
    // What the session has learned the connection has; where they differed before, nobody knows.
    if (connection.profile === before) connection.profile = state.profile;
    else if (state.profile !== before) connection.profile = null;
    const explained =
      (command.effects & (PINNING_EFFECTS | NAMING_EFFECTS)) !== 0 ||
      command.com === COM.STMT_PREPARE ||
      (state.pins.any && command.is(TRAIT.NAMES_THINGS));
    const isHidden = reported.mayHideMore && setsUnreported(command, this.judge.context);
    if (isHidden || (reported.opaqueChange && !explained)) state.pins.set('opaque');
  }

  /** The command goes there. */
  noteSent(connection: BackendConnection): void {
    const { command, backends, deps } = this;
    const role = connection === backends.replicaConnection ? 'replica' : 'primary';
    connection.statements[role].inc(command.cls);
    deps.metrics.statements.routes.inc(command.reason);
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
    if (command.is(TRAIT.MAY_CHANGE_ACCOUNTS)) this.deps.trust.clear();
    if (succeeded) this.noteSuccess(connection);
    if ((succeeded || command.cause === 'multi-statement') && maySetInsertId(command, facts)) {
      backends.leftovers.insertId.noteSet(connection);
    }
    this.preparer.conclude(connection, { status: facts.status, succeeded });
    const onReplica = connection === backends.replicaConnection;
    if (!onReplica) this.commits.conclude(connection, nowMs);
    else if (command.awaits !== null) backends.reads.horizon.confirm(connection.server.id, nowMs);
    // Whatever it was, what it showed must not be unseen by the next read.
    if (facts.rows >= 0 && this.showsData) {
      backends.reads.noteRead(connection.server.id, nowMs);
    }
    backends.leftovers.found.note(connection, command, facts);
    const rowCount = rowCountAfter(command, facts);
    backends.leftovers.noteEnd(connection, this.leftBy(connection, facts), rowCount);
    this.endedAtMs = nowMs;
    // MariaDB tells of none in its answers to the commands that are no statements.
    // COM_INIT_DB leaves them, and what it tells is of whatever ran on its connection.
    const leaves = succeeded && command.com === COM.INIT_DB;
    if (connection.flavor === 'mysql' && !leaves) this.warnings = succeeded ? facts.warnings : 1;
    if (onReplica && command.cls === 'read') noteRead(connection, command, facts.errno, nowMs);
    this.judge.noteRun(command, { onReplica, failed: !succeeded, nowMs });
    if (command.reason === 'read' && !command.isPartial) this.noteReadEnd(connection, nowMs);
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

  /** What comes back counts for later reads: not where any state of it would have done. */
  private get showsData(): boolean {
    const { command, backends } = this;
    return command.tellsData && backends.reads.levelOf(command) !== 'eventual';
  }

  /** A read that a replica may run, or did. */
  private noteReadEnd(connection: BackendConnection, nowMs: number): void {
    const { command, backends, deps } = this;
    const level = backends.reads.levelOf(command);
    const onReplica = connection === backends.replicaConnection;
    const rung = onReplica ? (command.awaits === null ? 'known' : 'waited') : 'primary';
    deps.metrics.consistency.read(level, rung, nowMs - command.startedAtMs);
    if (onReplica)
      connection.statements.staleness[level].observeUs(backends.reads.readerLagMs * 1000);
  }

  private noteSuccess(connection: BackendConnection): void {
    const { command } = this;
    if (command.is(TRAIT.ENDS_TRANSACTION)) this.released = command.asksRelease;
    // Its server is about to close it: nobody else may get it.
    if (this.released) connection.profile = null;
    if (command.com === COM.SET_OPTION) this.noteOption(connection);
    // What a replica says of itself holds for its connection.
    if (command.com === COM.REGISTER_SLAVE) this.state.pins.set('opaque');
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
    if (setsTrackers(command)) {
      state.setsTrackers = true;
      pins.set('opaque');
    }
    // It may hold a lock now, or a role: neither text nor trackers tell.
    if ((effects & EFFECT.OPAQUE) !== 0) {
      // Of a long INSERT only the end is unread: it hardly holds anything, but nobody may meet it.
      const isUnread = command.isLong || command.bytes.length > MAX_STATEMENT_BYTES;
      if (cause === 'dml' && isUnread) connection.tainted = true;
      else pins.set(cause === 'set-role' ? 'role' : 'opaque');
    }
    if (this.wantsOwn) pins.set('rule');
    const isNaming = (effects & NAMING_EFFECTS) !== 0;
    const mayHaveTaken = succeeded || hasRunInPart(command, effects);
    if (mayHaveTaken && (isNaming || (pins.any && command.is(TRAIT.NAMES_THINGS)))) {
      this.noteNames(effects, succeeded);
    }
    if (mayHaveTaken && (effects & ONE_TRANSACTION) !== 0 && !this.transactionDefaults) {
      pins.set('next-transaction');
      // If a statement in between does not use it up, nobody else may meet it.
      connection.tainted = true;
    } else if (
      pins.has('next-transaction') &&
      (state.inTransaction || command.is(TRAIT.USES_TABLES))
    ) {
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

  private noteNames(effects: number, succeeded: boolean): void {
    const { command, state } = this;
    const prepared = command.statement?.shape.packet ?? null;
    const text = prepared ?? command.bytes;
    const textAt = prepared === null ? command.textAt : HEADER_BYTES + 1;
    const names = stateNames(text, textAt, text.length, this.judge.context);
    const { pins } = state;
    const isMulti = command.cause === 'multi-statement';
    if (command.cause === 'prepare')
      this.judge.textPrepared.notePrepare(text, textAt, this.judge.context);
    // Which of them came last is not looked at.
    else if (isMulti && (effects & EFFECT.PREPARES_STATEMENT) !== 0)
      this.judge.textPrepared.clear();
    pins.noteTaken(effects, names, { schema: state.schema, succeeded });
    // Renamed perhaps, or made in another schema: what it is called now is not known.
    const isNamed = !isMulti && names.some(({ kind }) => kind !== 'none');
    const mayRename = command.cause === 'ddl' || (isMulti && (effects & RENAMING) !== 0);
    if (!isNamed && mayRename && pins.has('temporary-table')) pins.set('temporary-table');
  }

  /** What the command left there to be asked for. */
  private leftBy(connection: BackendConnection, { warnings, errno }: ReplyFacts): number {
    const { command } = this;
    // SHOW WARNINGS shows them, and leaves them.
    if (command.cause === 'diagnostics') return this.backends.leftovers.left;
    const hasWarnings = warnings > 0 || errno !== 0 || keepsWarnings(connection);
    let left = hasWarnings ? LEFT.DIAGNOSTICS : 0;
    if (command.isPartial) return left;
    if (command.cls === 'write' || command.cls === 'unknown') left |= LEFT.ROW_COUNT;
    if ((command.effects & EFFECT.SQL_CALC_FOUND_ROWS) !== 0) left |= LEFT.FOUND_ROWS;
    const { asksAfterwards } = this.backends.leftovers;
    return asksAfterwards ? left | LEFT.ROW_COUNT | LEFT.FOUND_ROWS : left;
  }
}
