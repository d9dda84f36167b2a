import { LagwiseError } from '../../lib/errors.ts';
import { route } from '../../routing/route.ts';
import type { Policy } from '../../routing/policy.ts';
import { EFFECT } from '../../sql/classification.ts';
import { COM } from '../../wire/command.ts';
import { queryTextOffset } from '../../wire/packets/query.ts';
import { REPLY } from '../../wire/reply-kinds.ts';
import { frame, HEADER_BYTES } from '../../wire/writer.ts';
import { TRAIT } from '../statement/cause-traits.ts';
import { asksConnectionId } from './connection-id.ts';
import type { Command } from './command.ts';
import { isShowProcessList } from './process-list.ts';
import type { StatementJudge } from '../statement/statement-judge.ts';
import {
  judgementOf,
  LAST_PREPARED,
  type PreparedStatement,
  type PreparedStatements,
} from '../prepared/prepared-statements.ts';
import type { SessionState } from '../state/session-state.ts';

/** What is to be done with a command. */
export const PLAN = {
  /** Send it where `command.target` says and await its reply. */
  SEND: 0,
  /** Send it to the server of its statement; no reply will come. */
  LONG_DATA: 1,
  CLOSE_STATEMENT: 2,
  QUIT: 3,
  KILL: 4,
  /** `SELECT CONNECTION_ID()`: the id that KILL takes here is the proxy's own. */
  CONNECTION_ID: 11,
  CHANGE_USER: 5,
  RESET_CONNECTION: 6,
  /** The primary's binary log: bytes pass both ways from now on. */
  REPLICATION: 7,
  /** No such command: the server's own words. */
  UNKNOWN_COMMAND: 8,
  /** The statement id is not one of this session's. */
  UNKNOWN_STATEMENT: 9,
  /** FETCH without a cursor, or from one whose server is gone. */
  NO_CURSOR: 10,
  NOTHING_TO_RESET: 14,
  /** About `@lagwise_…`: the proxy's own answer. */
  SETTING: 12,
  SETTING_NOT_PREPARED: 13,
  /** SHOW PROCESSLIST: the sessions by the ids that KILL takes here. */
  PROCESS_LIST: 15,
} as const;
export type Plan = (typeof PLAN)[keyof typeof PLAN];

/** What a statement that is too long to be held nearly always is, from its first words. */
const CHANGES_ROWS = /^\W*(?:insert|replace|update|delete)\s/i;
const FIRST_WORDS = 32;
const PING_PACKET = frame(Buffer.from([COM.PING]), 0);
const BODY_AT = HEADER_BYTES + 1;

/**
 * Reads a command: what kind of reply it has, what it does, where it should go. Touches no socket.
 * It is also the `RouteInput` of its own routing decision, so that a decision allocates nothing.
 */
export class CommandPlanner {
  /** Of a KILL: the connection to kill, null where it is no plain number. */
  killTarget: number | null = null;
  killQueryOnly = false;
  private readonly state: SessionState;
  private readonly prepared: PreparedStatements;
  private readonly judge: StatementJudge;
  private readonly caps: number;
  private command: Command;

  constructor(options: {
    state: SessionState;
    prepared: PreparedStatements;
    judge: StatementJudge;
    caps: number;
    command: Command;
  }) {
    this.state = options.state;
    this.prepared = options.prepared;
    this.judge = options.judge;
    this.caps = options.caps;
    this.command = options.command;
  }

  get policy(): Policy | undefined {
    return this.command.policy ?? undefined;
  }
  get cls() {
    return this.command.cls;
  }
  get isAboutOneServer(): boolean {
    const { command, state } = this;
    if (command.is(TRAIT.ABOUT_ONE_SERVER) || state.inServerSchema) return true;
    return command.statement !== null && command.statement.inServerSchema;
  }
  get startsReadOnlyTransaction(): boolean {
    return (this.command.effects & EFFECT.STARTS_READ_ONLY_TRANSACTION) !== 0;
  }
  get inTransaction(): boolean {
    return this.state.inTransaction;
  }
  get readOnlyTransaction(): boolean {
    return this.state.readOnlyTransaction;
  }
  get autocommit(): boolean {
    return this.state.autocommit;
  }
  get serializable(): boolean {
    return this.state.serializable;
  }
  get pinned(): boolean {
    return this.state.pins.any;
  }

  /** Fills in `command` from its packet. */
  plan(command: Command): Plan {
    switch (command.com) {
      case COM.QUERY:
        return this.planQuery(command);
      case COM.STMT_EXECUTE:
        return this.planOnStatement(command, REPLY.RESULT);
      case COM.STMT_PREPARE:
        return this.planPrepare(command);
      case COM.STMT_FETCH:
        return this.planOnStatement(command, REPLY.ROWS);
      case COM.STMT_RESET: {
        const plan = this.planOnStatement(command, REPLY.SIMPLE);
        if (command.statement !== null) command.statement.longDataLost = false;
        const isBound = (command.statement?.boundFor(COM.STMT_RESET) ?? null) !== null;
        // Without a cursor or long data there is nothing to be reset on any server.
        if (plan !== PLAN.SEND || isBound) return plan;
        if (!this.state.inTransaction) return PLAN.NOTHING_TO_RESET;
        // Only the server knows whether a DDL that failed has ended the transaction: it is asked.
        command.statement = null;
        command.bytes = PING_PACKET;
        return PLAN.SEND;
      }
      case COM.STMT_SEND_LONG_DATA:
        return this.planOnStatement(command, REPLY.SIMPLE) === PLAN.SEND
          ? PLAN.LONG_DATA
          : // The protocol has no answer to this command, not even an error.
            PLAN.CLOSE_STATEMENT;
      case COM.STMT_CLOSE:
        command.statement = this.statementOf(command);
        return PLAN.CLOSE_STATEMENT;
      default:
        return this.planOther(command);
    }
  }

  /** A command too long to be held: where it goes cannot depend on its text. */
  planLong(command: Command): Plan {
    command.isLong = true;
    command.reply = REPLY.RESULT;
    command.cls = 'unknown';
    switch (command.com) {
      case COM.QUERY:
        command.effects = EFFECT.OPAQUE;
        if (CHANGES_ROWS.test(command.bytes.toString('latin1', BODY_AT, BODY_AT + FIRST_WORDS))) {
          command.cause = 'dml';
        }
        this.setRoute(command);
        return PLAN.SEND;
      case COM.STMT_EXECUTE:
      case COM.STMT_SEND_LONG_DATA: {
        const plan = this.plan(command);
        // It is not held, so it cannot be repeated: it goes where nothing can be missing.
        if (plan === PLAN.SEND && command.target === 'replica') command.target = 'primary';
        return plan;
      }
      default:
        return PLAN.UNKNOWN_COMMAND;
    }
  }

  private planQuery(command: Command): Plan {
    const { bytes } = command;
    command.textAt = queryTextOffset(bytes, HEADER_BYTES, bytes.length, this.caps);
    command.reply = REPLY.RESULT;
    const found = this.judge.judgeQuery(command);
    // As an ordinary user variable it would be lost in silence, and with it what it promises.
    if (found.reason === 'lagwise-setting' || found.needsProxy) return PLAN.SETTING;
    if (found.reason === 'kill') {
      this.killTarget = found.killTarget;
      this.killQueryOnly = found.killQueryOnly;
      return PLAN.KILL;
    }
    if (found.reason === 'connection-id') {
      const isAlone = found.cls === 'local' || asksConnectionId(command.bytes, command.textAt);
      if (isAlone) return PLAN.CONNECTION_ID;
    }
    this.setRoute(command);
    const isShow = found.reason === 'server-show';
    return isShow && isShowProcessList(command) ? PLAN.PROCESS_LIST : PLAN.SEND;
  }

  private planPrepare(command: Command): Plan {
    const whyFull = this.prepared.whyFull(command.bytes.length);
    if (whyFull !== null) {
      throw new LagwiseError('limit', `${whyFull}: close those that are not used`);
    }
    command.reply = REPLY.PREPARE;
    const found = this.judge.judgePrepare(command);
    if (found.reason === 'lagwise-setting' || found.needsProxy) return PLAN.SETTING_NOT_PREPARED;
    // Preparing runs nothing: the effects are those of each execution.
    command.effects = 0;
    const judgement = judgementOf(found, this.judge.context.routines);
    command.statement = this.prepared.create(command.bytes, this.state.profile, judgement);
    this.setRoute(command);
    return PLAN.SEND;
  }

  private planOnStatement(command: Command, reply: Command['reply']): Plan {
    const statement = this.statementOf(command);
    if (statement === null) return PLAN.UNKNOWN_STATEMENT;
    command.statement = statement;
    command.reply = reply;
    this.judge.judgePrepared(command, statement);
    if (command.com !== COM.STMT_EXECUTE) command.effects = 0;
    this.setRoute(command);
    if (command.com === COM.STMT_FETCH && statement.cursorOn === null) return PLAN.NO_CURSOR;
    return command.com === COM.STMT_EXECUTE ? this.planExecute(command, statement) : PLAN.SEND;
  }

  /** Servers prepare what only the proxy can answer, so its turn comes when that is run. */
  private planExecute({ cause }: Command, statement: PreparedStatement): Plan {
    if (cause === 'kill') {
      const { killTarget, killQueryOnly } = this.judge.classifyPrepared(statement);
      this.killTarget = killTarget;
      this.killQueryOnly = killQueryOnly;
      return PLAN.KILL;
    }
    const isIdAsked =
      cause === 'connection-id' && asksConnectionId(statement.shape.packet, BODY_AT);
    return isIdAsked ? PLAN.CONNECTION_ID : PLAN.SEND;
  }

  private statementOf(command: Command) {
    if (command.bytes.length < BODY_AT + 4) return null;
    const id = command.bytes.readUInt32LE(BODY_AT);
    if (id === LAST_PREPARED && this.judge.context.flavor === 'mariadb') return this.prepared.last;
    return this.prepared.get(id) ?? null;
  }

  private planOther(command: Command): Plan {
    command.cls = 'session';
    switch (command.com) {
      case COM.QUIT:
        return PLAN.QUIT;
      case COM.CHANGE_USER:
        return PLAN.CHANGE_USER;
      case COM.RESET_CONNECTION:
        return PLAN.RESET_CONNECTION;
      case COM.PROCESS_KILL:
        this.killTarget =
          command.bytes.length >= BODY_AT + 4 ? command.bytes.readUInt32LE(BODY_AT) : null;
        this.killQueryOnly = false;
        return PLAN.KILL;
      case COM.BINLOG_DUMP:
      case COM.BINLOG_DUMP_GTID:
        return PLAN.REPLICATION;
      case COM.REFRESH:
        // FLUSH in a byte: MariaDB's client programs send it.
        command.cause = 'admin';
        command.cls = 'write';
        break;
      case COM.REGISTER_SLAVE:
      case COM.DEBUG:
        command.cls = 'write';
        break;
      case COM.INIT_DB:
      case COM.PING:
      case COM.SET_OPTION:
        break;
      case COM.STATISTICS:
        command.reply = REPLY.TEXT;
        break;
      case COM.FIELD_LIST:
        command.reply = REPLY.FIELDS;
        break;
      default:
        return PLAN.UNKNOWN_COMMAND;
    }
    this.setRoute(command);
    return PLAN.SEND;
  }

  private setRoute(command: Command): void {
    this.command = command;
    const { target, reason } = route(this);
    command.target = target;
    command.reason = reason;
    command.inTransaction = this.state.inTransaction;
  }
}
