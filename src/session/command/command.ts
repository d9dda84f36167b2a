import type { Newest } from '../../coordination/coordination.ts';
import type { ServerId } from '../../lib/ids.ts';
import type { Policy } from '../../routing/policy.ts';
import type { RouteReason, RouteTarget } from '../../routing/route.ts';
import { EFFECT, type ReasonCode, type StatementClass } from '../../sql/classification.ts';
import type { FallbackReason } from '../../telemetry/labels.ts';
import { COM } from '../../wire/command.ts';
import type { ReplyKind } from '../../wire/reply-kinds.ts';
import { REPLY } from '../../wire/reply-kinds.ts';
import { HEADER_BYTES } from '../../wire/writer.ts';
import { TRAIT, traitsOf } from '../statement/cause-traits.ts';
import type { PreparedStatement } from '../prepared/prepared-statements.ts';

const EMPTY = Buffer.alloc(0);
const MAX_ATTEMPTS = 2;
/** Header, command byte, option. */
const OPTION_PACKET_BYTES = HEADER_BYTES + 3;
/** No COMMIT is longer, unless for comments. */
const MAX_COMMIT_BYTES = 200;
/** Comments in front of it are rarely longer. */
const SET_STATEMENT_BYTES = 1024;
const SET_STATEMENT = /^(?:\s|\/\*.*?\*\/|--\s.*\n|#.*\n)*set\s+statement\s/is;
const PREPARED_TEXT_AT = HEADER_BYTES + 1;
const RELEASE = /\brelease\b/i;
/** It names tables, or calls functions that may read some. */
const MAY_READ_TABLES = /\b(?:from|table)\b|(?<!\b(?:found_rows|row_count)\s*)\(/i;
/** Causes of a SELECT that tells of its server or of the statement before, and may tell more. */
const ASIDES: ReadonlySet<ReasonCode> = new Set([
  'server-variable',
  'server-function',
  'diagnostics',
  'found-rows',
  'row-count',
]);
const NO_RELEASE = /\bno\s+release\b|\bto\b|savepoint/i;

/**
 * The command that a session works on. One object a session, filled anew for each command, so that
 * a command costs no allocation.
 */
export class Command {
  /** Command byte. */
  com = 0;
  /** The whole packet, header included; of a long command only its head. */
  bytes: Buffer = EMPTY;
  /** It is too long to be held: its bytes pass through, and it cannot be sent again. */
  isLong = false;
  /** Where the text of a COM_QUERY begins. */
  textAt = 0;
  reply: ReplyKind = REPLY.SIMPLE;
  cls: StatementClass = 'unknown';
  /** Why the statement has its class. */
  cause: ReasonCode = 'unknown-statement';
  effects = 0;
  /** Halves of the statement's digest. */
  digestHi = 0;
  digestLo = 0;
  /** What clients and rules say of it; null where it is no statement. */
  policy: Policy | null = null;
  target: RouteTarget = 'primary';
  reason: RouteReason = 'unknown';
  /** The prepared statement that it prepares, runs or closes. */
  statement: PreparedStatement | null = null;
  /** When its last byte came (monotonic ms). */
  startedAtMs = 0;
  /** When it was sent to a server (monotonic ms), -1 where that is not known. */
  sentAtMs = -1;
  /** When the first bytes of an answer that came in parts were there; -1: it came at once. */
  firstPartAtMs = -1;
  /** Bytes of its answer have gone to the client. */
  answered = false;
  /** It was in a transaction when it was sent. */
  inTransaction = false;
  /** How often it was sent again; a statement that kills servers must not kill them all. */
  attempts = 0;
  /** Why a replica failed it, if one did: told if it is the primary that runs it in the end. */
  failure: FallbackReason | null = null;
  /** Servers that failed it so far; null while none did. */
  tried: Set<ServerId> | null = null;
  /** Sequence id of an answer that the proxy makes itself. */
  replySeq = 1;
  /** A replica has refused it as a write. */
  misrouted = false;
  /** The statement that its replica runs first, which waits for what the read must see. */
  awaits: string | null = null;
  /** It was sent behind a statement that must not fail. */
  isGuarded = false;
  /** What a `global` read has to see, asked for when it came; null: not asked. */
  newest: Newest | null = null;
  /** A replica did not catch up in time: it is not waited for again. */
  isLate = false;
  /** It asks for what the statement before left on a connection that others have now. */
  asksAfterwards = false;
  /** The cause that `traits` is of. */
  private traitsFor: ReasonCode = 'unknown-statement';
  private traits = traitsOf('unknown-statement');

  begin(com: number, bytes: Buffer, startedAtMs: number): void {
    this.com = com;
    this.bytes = bytes;
    this.isLong = false;
    this.reply = REPLY.SIMPLE;
    this.cls = 'unknown';
    this.cause = 'unknown-statement';
    this.effects = 0;
    this.policy = null;
    this.misrouted = false;
    this.awaits = null;
    this.isGuarded = false;
    this.newest = null;
    this.isLate = false;
    this.target = 'primary';
    this.reason = 'unknown';
    this.statement = null;
    this.startedAtMs = startedAtMs;
    this.sentAtMs = startedAtMs;
    this.firstPartAtMs = -1;
    this.answered = false;
    this.inTransaction = false;
    this.attempts = 0;
    this.failure = null;
    this.tried = null;
    this.replySeq = 1;
    this.asksAfterwards = false;
  }

  /**
   * Whether it may be sent again though a server may have run it: a read outside of a transaction
   * of whose answer the client has had no byte.
   */
  get isRepeatable(): boolean {
    return this.cls === 'read' && this.mayTryAgain;
  }

  /**
   * Whether another try is open to it where the first is known to have changed nothing: its client
   * has had no byte of an answer, no transaction was lost with it, and there are tries left.
   */
  get mayTryAgain(): boolean {
    return !this.inTransaction && !this.answered && !this.isLong && this.attempts < MAX_ATTEMPTS;
  }

  /** Whether its cause has the trait, one of `TRAIT`. Asked several times for each statement. */
  is(trait: number): boolean {
    // Nearly always the cause of the command before.
    if (this.cause !== this.traitsFor) {
      this.traitsFor = this.cause;
      this.traits = traitsOf(this.cause);
    }
    return (this.traits & trait) !== 0;
  }

  /** It runs no statement of its own: it prepares one, or goes on with one. */
  get isPartial(): boolean {
    return (
      this.com === COM.STMT_PREPARE || this.com === COM.STMT_FETCH || this.com === COM.STMT_RESET
    );
  }

  /** Whether a server that refuses it as read-only has surely not run any part of it. */
  get isRefusable(): boolean {
    return this.cls === 'write' && (this.effects & EFFECT.OPAQUE) === 0 && this.mayTryAgain;
  }

  /** COM_SET_OPTION with one of the two options that there are. */
  get isPlainOption(): boolean {
    const { com, bytes } = this;
    if (com !== COM.SET_OPTION || bytes.length !== OPTION_PACKET_BYTES) return false;
    return bytes.readUInt16LE(OPTION_PACKET_BYTES - 2) <= 1;
  }

  /** Its answer tells of the warnings that the session's last statement left. */
  get tellsWarnings(): boolean {
    return this.cause === 'diagnostics' || this.com === COM.INIT_DB;
  }

  /** It goes on with what an earlier command left on its connection. */
  get isContinuation(): boolean {
    return this.com === COM.STMT_FETCH || this.com === COM.STMT_RESET;
  }

  /** COMMIT RELEASE, ROLLBACK RELEASE: the server closes the connection behind its answer. */
  get asksRelease(): boolean {
    if (this.com !== COM.QUERY || this.bytes.length > MAX_COMMIT_BYTES) return false;
    const text = this.bytes.toString('latin1', this.textAt);
    return RELEASE.test(text) && !NO_RELEASE.test(text);
  }

  /** MariaDB's SET STATEMENT … FOR …: variables for one statement. */
  get isSetStatement(): boolean {
    return SET_STATEMENT.test(this.textOf(SET_STATEMENT_BYTES));
  }

  /**
   * What comes back is data, whatever else it is: a SELECT of the server's variables, or of what the
   * statement before left, may have columns of tables beside. Of those alone the text is looked at.
   */
  get tellsData(): boolean {
    if (!this.is(TRAIT.TELLS_NO_DATA)) return true;
    if (!ASIDES.has(this.cause)) return false;
    return this.isLong || MAY_READ_TABLES.test(this.textOf(Number.POSITIVE_INFINITY));
  }

  /** The beginning of its text, or of its prepared statement's. */
  private textOf(maxBytes: number): string {
    const text = this.statement?.shape.packet ?? this.bytes;
    const textAt = this.statement === null ? this.textAt : PREPARED_TEXT_AT;
    return text.toString('latin1', textAt, Math.min(text.length, textAt + maxBytes));
  }

  /** Whether it may ask for LAST_INSERT_ID(). */
  get asksInsertId(): boolean {
    return (this.effects & (EFFECT.USES_INSERT_ID | EFFECT.OPAQUE)) !== 0;
  }

  /**
   * Whether LAST_INSERT_ID() must be the session's before it runs: it asks for it, or it may insert,
   * and then nobody could tell whether what is there behind it is new.
   */
  get concernsInsertId(): boolean {
    return this.asksInsertId || this.cause === 'dml' || this.cause === 'load-data';
  }

  excludeServer(id: ServerId): void {
    this.tried ??= new Set();
    this.tried.add(id);
  }

  /** Lets go of the packet, which may be large. */
  end(): void {
    this.bytes = EMPTY;
    this.statement = null;
    this.tried = null;
  }
}
