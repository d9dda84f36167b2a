import { CHARSET_KIND, type CharsetKind } from './charset-kind.ts';
import type { RoutineFacts } from './routine-facts.ts';

/**
 * What kind of statement it is, which is all that routing wants to know.
 *
 * - `read`: only reads; may leave the primary, unless its reason is one of `ABOUT_ONE_SERVER`.
 * - `write`: known to need the primary.
 * - `transaction`: BEGIN, COMMIT, ROLLBACK, savepoints, XA.
 * - `session`: changes the session only (SET, USE); where it goes is the session's matter.
 * - `local`: the proxy itself must answer (KILL, a lone `SELECT CONNECTION_ID()`, because
 *   connection ids are the proxy's own; SET and SELECT of nothing but `@lagwise_…` variables).
 * - `same-server`: about the statement before it, so it follows that one to its server.
 * - `unknown`: not understood; goes to the primary.
 */
export const STATEMENT_CLASSES = [
  'read',
  'write',
  'transaction',
  'session',
  'local',
  'same-server',
  'unknown',
] as const;
export type StatementClass = (typeof STATEMENT_CLASSES)[number];

/** Why a statement has its class. Closed, so that it can be a metric label. */
export const REASON_CODES = [
  // read
  'select',
  'values',
  'table',
  'do',
  'show',
  'describe',
  'explain',
  'help',
  'checksum',
  // primary, though it looks like a read
  'for-update',
  'for-share',
  'into',
  'user-variable-assignment',
  'lock-function',
  'replication-wait',
  'last-insert-id',
  'sequence',
  'server-variable',
  'server-function',
  'server-show',
  'server-table',
  'procedure-analyse',
  'writing-function',
  'stateful-function',
  'unsafe-view',
  // primary
  'dml',
  'load-data',
  'ddl',
  'temporary-table',
  'acl',
  'admin',
  'call',
  'handler',
  'lock-tables',
  'unlock-tables',
  'prepare',
  'execute',
  'deallocate',
  'set-global',
  'set-password',
  'set-primary-only',
  'explain-dml',
  'explain-analyze',
  'signal',
  // transaction
  'begin',
  'commit',
  'rollback',
  'savepoint',
  'xa',
  // session
  'set',
  'set-expression',
  'set-role',
  'set-transaction',
  'use',
  // local
  'kill',
  'connection-id',
  'lagwise-setting',
  // same server
  'diagnostics',
  'found-rows',
  'row-count',
  // unknown
  'unknown-statement',
  'unknown-function',
  'compound-statement',
  'multi-statement',
  'empty',
  'not-lexed',
  'too-long',
] as const;
export type ReasonCode = (typeof REASON_CODES)[number];

/**
 * Reasons of reads whose answers are about the server that gives them: without a word from the
 * client, that is the primary, so that they do not change from one statement to the next.
 */
export const ABOUT_ONE_SERVER = [
  'server-variable',
  'server-function',
  'server-show',
  'server-table',
] as const satisfies readonly ReasonCode[];

/**
 * Reasons of statements that the primary must run though they change no data. One that does weighs
 * more, wherever in the statement it stands.
 */
export const ASKS_ONLY = [
  'for-update',
  'for-share',
  'user-variable-assignment',
  'lock-function',
  'replication-wait',
  'last-insert-id',
] as const satisfies readonly ReasonCode[];

/**
 * What the session has to remember if the statement succeeds; bits of `Classification.effects`.
 * The server's own word (status flags, session trackers) beats these where it speaks.
 */
export const EFFECT = {
  STARTS_TRANSACTION: 1 << 0,
  /** With STARTS_TRANSACTION: it was asked for as READ ONLY. */
  STARTS_READ_ONLY_TRANSACTION: 1 << 1,
  WITH_CONSISTENT_SNAPSHOT: 1 << 2,
  /** COMMIT or ROLLBACK; together with STARTS_TRANSACTION for AND CHAIN. */
  ENDS_TRANSACTION: 1 << 3,
  /** Commits an open transaction before it runs (DDL and the rest of the manual's list). */
  IMPLICIT_COMMIT: 1 << 4,
  /** Also set where the value is an expression: a transaction that is not there costs less. */
  SETS_AUTOCOMMIT_OFF: 1 << 5,
  SETS_AUTOCOMMIT_ON: 1 << 6,
  SETS_NEXT_TRANSACTION_READ_ONLY: 1 << 7,
  SETS_NEXT_TRANSACTION_READ_WRITE: 1 << 8,
  SETS_SESSION_READ_ONLY: 1 << 9,
  SETS_SESSION_READ_WRITE: 1 << 10,
  /** The isolation level changes, for the session or the next transaction. */
  SETS_ISOLATION: 1 << 11,
  /** With SETS_ISOLATION: to SERIALIZABLE, or to what the text does not show. */
  SETS_SERIALIZABLE: 1 << 12,
  SETS_SESSION_VARIABLE: 1 << 13,
  SETS_USER_VARIABLE: 1 << 14,
  USES_USER_VARIABLE: 1 << 15,
  SETS_GLOBAL: 1 << 16,
  CHANGES_SCHEMA: 1 << 17,
  CREATES_TEMPORARY_TABLE: 1 << 18,
  DROPS_TEMPORARY_TABLE: 1 << 19,
  /** LOCK TABLES, FLUSH TABLES WITH READ LOCK, LOCK INSTANCE, BACKUP LOCK. */
  LOCKS_TABLES: 1 << 20,
  UNLOCKS_TABLES: 1 << 21,
  TAKES_USER_LOCK: 1 << 22,
  RELEASES_USER_LOCK: 1 << 23,
  RELEASES_ALL_USER_LOCKS: 1 << 24,
  PREPARES_STATEMENT: 1 << 25,
  DEALLOCATES_STATEMENT: 1 << 26,
  OPENS_HANDLER: 1 << 27,
  XA: 1 << 28,
  SQL_CALC_FOUND_ROWS: 1 << 29,
  /**
   * Runs or holds something that the text does not show (CALL, EXECUTE, an unknown function,
   * bytes that could not be lexed): any session state may have changed.
   */
  OPAQUE: 1 << 30,
  /** LAST_INSERT_ID(), which the statement reads, or sets by an argument. */
  USES_INSERT_ID: 1 << 31,
} as const;

/** What is known of one statement. See `Classifier.classify` for how long it lives. */
export interface Classification {
  readonly cls: StatementClass;
  readonly reason: ReasonCode;
  /** Bits of `EFFECT`. */
  readonly effects: number;
  /** Upper half of the 64-bit digest, unsigned. */
  readonly digestHi: number;
  /** Lower half of the 64-bit digest, unsigned. */
  readonly digestLo: number;
  /** Byte range of the schema's name as written (quotes included) for USE; -1 otherwise. */
  readonly schemaStart: number;
  readonly schemaEnd: number;
  /**
   * Byte range of what a leading comment that begins with `lagwise:` says behind the colon, for
   * `parseHint`; -1 without one.
   */
  readonly hintStart: number;
  readonly hintEnd: number;
  /** For KILL: the connection id; `null` where it is not one plain number. */
  readonly killTarget: number | null;
  /** For KILL: `KILL QUERY` (the connection lives on). */
  readonly killQueryOnly: boolean;
  /** `@lagwise_gtid` is in it, or a SET of another such variable: servers know nothing of them. */
  readonly needsProxy: boolean;
}

/** What of the session's state decides how bytes are read. */
export interface ClassifyContext {
  /** `NO_BACKSLASH_ESCAPES` is in sql_mode. */
  readonly noBackslashEscapes: boolean;
  /** `ANSI_QUOTES` is in sql_mode: `"` quotes a name, not a string. */
  readonly ansiQuotes: boolean;
  /** CLIENT_IGNORE_SPACE, or `IGNORE_SPACE` in sql_mode: `COUNT (*)` is the built-in function. */
  readonly ignoreSpace: boolean;
  /** How character_set_client is read; see `charsetKind`. */
  readonly charsetKind: CharsetKind;
  /** What is known of stored routines and views; `null` for nothing. */
  readonly routines: RoutineFacts | null;
  readonly flavor: 'mysql' | 'mariadb';
  /**
   * As version comments count: 90704 for MySQL 9.7.4, 101119 for MariaDB 10.11.19. With 0 (not
   * known yet) a numbered version comment makes the statement `not-lexed`.
   */
  readonly serverVersion: number;
}

/** Of a session of which nothing is known. */
export const UNKNOWN_CONTEXT: ClassifyContext = {
  noBackslashEscapes: false,
  ansiQuotes: false,
  ignoreSpace: false,
  charsetKind: CHARSET_KIND.UNSURE,
  routines: null,
  flavor: 'mysql',
  serverVersion: 0,
};
