import type { BackendConnection } from '../../pool/backend-connection.ts';
import type { DigestTable } from '../../routing/digest-table.ts';
import { EFFECT, type ReasonCode } from '../../sql/classification.ts';
import { CAP, has } from '../../wire/capability.ts';
import { COM } from '../../wire/command.ts';
import type { ReplyFacts } from '../../wire/reply-fields.ts';
import { STATUS } from '../../wire/status.ts';
import { HEADER_BYTES } from '../../wire/writer.ts';
import { TRAIT } from '../statement/cause-traits.ts';
import type { Command } from '../command/command.ts';

/** What may be either, by its text. */
const BY_TEXT: ReadonlySet<ReasonCode> = new Set(['show', 'server-variable', 'diagnostics']);
/** They leave FOUND_ROWS() as it was, unless they read rows on the way. */
const LEAVING_BUT_SELECT: ReadonlySet<ReasonCode> = new Set(['load-data', 'ddl', 'set-expression']);
const LEAVING: ReadonlySet<ReasonCode> = new Set([
  'help',
  'checksum',
  'acl',
  'lock-tables',
  'unlock-tables',
  'prepare',
  'deallocate',
  'set-global',
  'set-password',
  'begin',
  'commit',
  'rollback',
  'savepoint',
  'set',
  'set-role',
  'set-transaction',
  'use',
]);
/** SHOW statements that are no queries inside. */
const LEAVING_SHOW =
  /^\s*(?:\/\*[^!].*?\*\/\s*)?show\s+(?:create|grants|privileges|warnings|errors)\b/is;
const HAS_SELECT = /select/i;
const INSERT = /^\s*(?:insert|replace)\s/i;
/** Of one table: what reads several counts rows on the way. */
const DELETE = /^\s*delete\s+from\s+[\w`.]+\s*(?:where|order|limit|;|$)/i;
const UPDATE = /^\s*update\s+[\w`.]+\s+set\s/i;
/** Of a statement this much is looked at for a SELECT inside, which comes before its values. */
const HEAD_BYTES = 1024;
/** Where rows were skipped, or left out of a union, FOUND_ROWS() is more than what was sent. */
const COUNTS_MORE = /\boffset\b|\blimit \?, |\bfetch\b|\b(?:union|except|intersect)\b.*\blimit\b/is;
/** Texts of digests are cut there, and made of no more of a statement than this. */
const MAX_DIGEST_TEXT = 1024;
const MAX_DIGESTED_BYTES = 8192;

/**
 * FOUND_ROWS() of one session, wherever its statements ran: mostly the number of rows that were
 * sent, which costs nothing to know. Runs for each statement.
 */
export class FoundRows {
  /** The last statement set it: the connection that ran that can be asked. */
  byLast = false;
  /** Where it was set if only that connection knows it, and which lease of it that was. */
  on: BackendConnection | null = null;
  lease = 0;
  /** It was counted on purpose, or is often asked for: worth a question before it is lost. */
  isWanted = false;
  /** Of a session without statements it is 0. */
  private rows: number | null = 0;
  /** Of the statement that sent `rows`. */
  private digestHi = 0;
  private digestLo = 0;
  /** There is no such statement: the number needs no proof. */
  private isSure = true;
  private readonly digests: Pick<DigestTable, 'textOf'>;

  constructor(digests: Pick<DigestTable, 'textOf'>) {
    this.digests = digests;
  }

  /** A statement has ended on the connection. */
  note(connection: BackendConnection, command: Command, facts: ReplyFacts): void {
    this.byLast = false;
    // Of several statements some have run before the one that failed.
    const hasRun = command.cause === 'multi-statement' && facts.status !== -1;
    if (facts.errno !== 0 && !hasRun) return;
    const found = rowsFound(command, facts, connection);
    if (found === 'as-before') return;
    this.byLast = true;
    this.rows = found;
    this.isSure = false;
    this.digestHi = command.digestHi;
    this.digestLo = command.digestLo;
    this.on = connection;
    this.lease = connection.leases;
  }

  /** It is this, whatever any connection says; null where nobody can tell it any more. */
  set(rows: number | null): void {
    this.rows = rows;
    this.isSure = true;
    this.byLast = false;
    this.on = null;
  }

  /** The proxy itself has asked something there, for a statement that leaves the number alone. */
  noteOverwritten(connection: BackendConnection): void {
    this.byLast = false;
    if (connection === this.on) this.on = null;
  }

  /** The number; null where only the connection that counted knows it. */
  get value(): number | null {
    if (this.rows === null || this.isSure) return this.rows;
    const text = this.digests.textOf(this.digestHi, this.digestLo);
    const isKnown = text !== null && text.length < MAX_DIGEST_TEXT && !COUNTS_MORE.test(text);
    return isKnown ? this.rows : null;
  }

  /** The session has this connection again, and nobody had it since the lease `before`. */
  noteTakenBack(connection: BackendConnection, before: number): void {
    if (connection === this.on && this.lease === before) this.lease = connection.leases;
  }

  /** Whether the connection, which goes to somebody else now, is to be asked for it. */
  isWantedFrom(connection: BackendConnection): boolean {
    if (!this.isWanted || connection !== this.on) return false;
    // It was taken out of the pool for that: one lease more.
    return connection.leases - this.lease <= 1 && this.value === null;
  }
}

/** What FOUND_ROWS() is behind a statement that succeeded; null where it cannot be told. */
function rowsFound(
  command: Command,
  facts: ReplyFacts,
  { flavor, caps }: Pick<BackendConnection, 'flavor' | 'caps'>,
): number | null | 'as-before' {
  const { rows, status } = facts;
  const { com, cause } = command;
  // The rows of a cursor come later, one fetch after the other.
  if (status !== -1 && (status & STATUS.CURSOR_EXISTS) !== 0) return null;
  if (com !== COM.QUERY && com !== COM.STMT_EXECUTE) {
    return com === COM.STMT_FETCH ? null : 'as-before';
  }
  if (command.isLong || (command.effects & EFFECT.SQL_CALC_FOUND_ROWS) !== 0) return null;
  // MariaDB counts rows that it reads, and VALUES reads none.
  if (cause === 'values' && flavor === 'mariadb') {
    return HAS_SELECT.test(headOf(command)) ? null : 'as-before';
  }
  if (command.is(TRAIT.COUNTED)) {
    const { length } = command.statement?.shape.packet ?? command.bytes;
    return rows >= 0 && length <= MAX_DIGESTED_BYTES ? rows : null;
  }
  if (LEAVING.has(cause)) return 'as-before';
  if (LEAVING_BUT_SELECT.has(cause)) return HAS_SELECT.test(headOf(command)) ? null : 'as-before';
  if (BY_TEXT.has(cause)) {
    return rows < 0 || LEAVING_SHOW.test(headOf(command)) ? 'as-before' : rows;
  }
  // OPEN and CLOSE.
  if (cause === 'handler') return rows < 0 ? 'as-before' : null;
  if (cause === 'explain') return flavor === 'mysql' ? 'as-before' : null;
  if (cause === 'dml') {
    const text = headOf(command);
    if (HAS_SELECT.test(text)) return null;
    if (INSERT.test(text) || DELETE.test(text)) return 'as-before';
    if (!UPDATE.test(text)) return null;
    if (flavor === 'mariadb') return 'as-before';
    // MySQL counts the rows that matched, which is what such clients are told.
    return has(caps, CAP.FOUND_ROWS) ? facts.affectedRows : null;
  }
  if (cause === 'do') return flavor === 'mysql' ? 1 : 'as-before';
  return null;
}

function headOf({ bytes, textAt, statement }: Command): string {
  const text = statement?.shape.packet ?? bytes;
  const from = statement === null ? textAt : HEADER_BYTES + 1;
  return text.toString('latin1', from, from + HEAD_BYTES);
}
