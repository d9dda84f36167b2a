import type { RouteReason } from '../routing/route.ts';
import { EFFECT, type ReasonCode } from '../sql/classification.ts';

/** Sentences for people. Reasons are those of the classifier, and of routing where it decides. */

const STATEMENT: Readonly<Record<ReasonCode, string>> = {
  select: 'It is a SELECT that only reads',
  values: 'VALUES only makes rows',
  table: 'TABLE only reads',
  do: 'DO with expressions that only read',
  show: 'SHOW of what is the same on every server',
  describe: 'DESCRIBE only reads the definition',
  explain: 'EXPLAIN only plans',
  help: 'HELP only reads',
  checksum: 'CHECKSUM TABLE only reads',
  'for-update': 'FOR UPDATE takes locks that only the primary can give',
  'for-share': 'FOR SHARE (LOCK IN SHARE MODE) takes locks that only the primary can give',
  into: 'INTO leaves variables or a file behind',
  'user-variable-assignment': 'It assigns to a user variable',
  'lock-function': 'Locks by name (GET_LOCK and its kin) live on one server: the primary',
  'replication-wait': 'It waits for replication, which is about one server',
  'last-insert-id': 'LAST_INSERT_ID() is known to the server that inserted: the primary',
  sequence: 'It takes a value from a sequence, which is a write',
  'server-variable': 'It asks for a system variable that may differ by server',
  'server-function': 'It calls a function whose answer is about one server',
  'server-show': 'It shows the state of one server',
  'server-table': 'It reads tables about one server',
  'procedure-analyse': 'PROCEDURE ANALYSE is not known to be the same everywhere',
  'writing-function': 'It calls a stored function that writes',
  'stateful-function': 'It calls a stored function that leaves locks or variables behind',
  'unsafe-view': 'It reads a view that calls functions which may write',
  dml: 'It changes rows',
  'load-data': 'It loads rows',
  ddl: 'It changes definitions',
  'temporary-table': 'It makes or drops a temporary table, which lives on one server',
  acl: 'It changes accounts or rights',
  admin: 'It administers the server',
  call: 'A procedure may do anything',
  handler: 'HANDLER keeps a position open on one server',
  'lock-tables': 'It locks tables',
  'unlock-tables': 'It unlocks tables',
  prepare: 'PREPARE by text lives on one server',
  execute: 'EXECUTE runs a text that is not shown here',
  deallocate: 'It drops a statement prepared by text',
  'set-global': 'It changes a variable of the whole server',
  'set-password': 'It changes a password',
  'set-primary-only': 'It sets what only matters where writes go',
  'explain-dml': 'It explains a statement that writes',
  'explain-analyze': 'EXPLAIN ANALYZE runs the statement',
  signal: 'SIGNAL raises an error on the server that it runs on',
  begin: 'It begins a transaction that may write',
  commit: 'It ends a transaction',
  rollback: 'It ends a transaction',
  savepoint: 'Savepoints are part of a transaction',
  xa: 'XA transactions live on the primary',
  set: 'It sets variables of the session, which go where the session goes',
  'set-expression': 'It sets a variable to what an expression gives',
  'set-role': 'It changes the roles of the session',
  'set-transaction': 'It sets how transactions begin',
  use: 'It changes the current schema',
  kill: 'The ids that KILL takes here are those of Lagwise',
  'connection-id': 'The id of a connection is that of Lagwise, so that KILL can take it',
  'lagwise-setting': 'It is about settings of Lagwise, which answers itself',
  diagnostics: 'It asks about the statement before it',
  'found-rows': 'FOUND_ROWS() is about the statement before it',
  'row-count': 'ROW_COUNT() is about the statement before it',
  'unknown-statement': 'It is no statement that Lagwise knows to be a read',
  'unknown-function': 'It calls a function that is not known to read only',
  'compound-statement': 'It is a compound statement, whose parts may do anything',
  'multi-statement': 'Several statements in one packet run together, on the primary',
  empty: 'It is empty',
  'not-lexed': 'Its bytes cannot be read for sure, so neither can its meaning',
  'too-long': 'It is too long to be read to its end',
};

const SESSION: Readonly<Partial<Record<RouteReason | 'assumed-read' | 'learned', string>>> = {
  transaction: 'Its transaction may write, so all of it is on the primary',
  'read-only-transaction': 'Its transaction cannot write, and stays on the server it began on',
  'autocommit-off': 'With autocommit=0 every statement opens a transaction that may write',
  serializable: 'Under SERIALIZABLE reads take locks, which only the primary can give',
  'about-one-server':
    'Each server answers it differently: the primary is asked, and a replica only on request',
  pinned: 'The session has state that lives on one server',
  hint: 'Its comment asks for the primary',
  attribute: 'A query attribute asks for the primary',
  setting: '@lagwise_target of the session asks for the primary',
  rule: 'A rule of the configuration sends it to the primary',
  strong: 'Consistency "strong" is only to be had on the primary',
  'not-a-read': 'It asks for a replica, but it is not known to be a read: that has no effect',
  learned: 'A replica has refused it as a write before (DELETE /api/learned/… forgets that)',
  'assumed-read':
    'A rule vouches for its functions (assumeRead), though Lagwise does not know them',
};

/** The sentence for a reason, without a full stop. */
export function reasonSentence(reason: string): string {
  const words: Readonly<Record<string, string | undefined>> = { ...STATEMENT, ...SESSION };
  return words[reason] ?? reason;
}

const EFFECTS: Readonly<Record<keyof typeof EFFECT, string>> = {
  STARTS_TRANSACTION: 'begins a transaction',
  STARTS_READ_ONLY_TRANSACTION: 'the transaction is read-only',
  WITH_CONSISTENT_SNAPSHOT: 'takes its snapshot at once',
  ENDS_TRANSACTION: 'ends the transaction',
  IMPLICIT_COMMIT: 'commits an open transaction before it runs',
  SETS_AUTOCOMMIT_OFF: 'may switch autocommit off',
  SETS_AUTOCOMMIT_ON: 'may switch autocommit on, which commits',
  SETS_NEXT_TRANSACTION_READ_ONLY: 'the next transaction is read-only',
  SETS_NEXT_TRANSACTION_READ_WRITE: 'the next transaction may write',
  SETS_SESSION_READ_ONLY: 'the transactions of the session are read-only',
  SETS_SESSION_READ_WRITE: 'the transactions of the session may write',
  SETS_ISOLATION: 'sets the isolation level',
  SETS_SERIALIZABLE: 'the level is, or may be, SERIALIZABLE',
  SETS_SESSION_VARIABLE: 'sets session variables, which Lagwise carries along',
  SETS_USER_VARIABLE: 'sets user variables: the session stays on its server',
  USES_USER_VARIABLE: 'uses user variables',
  SETS_GLOBAL: 'sets a variable of the whole server',
  CHANGES_SCHEMA: 'changes the current schema, which Lagwise carries along',
  CREATES_TEMPORARY_TABLE: 'makes a temporary table: the session stays on its server',
  DROPS_TEMPORARY_TABLE: 'may drop a temporary table',
  LOCKS_TABLES: 'locks tables: the session stays on its server',
  UNLOCKS_TABLES: 'unlocks tables',
  TAKES_USER_LOCK: 'takes a lock by name: the session stays on its server',
  RELEASES_USER_LOCK: 'releases a lock by name',
  RELEASES_ALL_USER_LOCKS: 'releases all locks by name',
  PREPARES_STATEMENT: 'prepares a statement by text: the session stays on its server',
  DEALLOCATES_STATEMENT: 'drops a statement prepared by text',
  OPENS_HANDLER: 'opens a HANDLER: the session stays on its server',
  XA: 'is part of an XA transaction: the session stays on its server',
  SQL_CALC_FOUND_ROWS: 'leaves a count for FOUND_ROWS()',
  OPAQUE: 'may change the session in ways that its text does not show',
  USES_INSERT_ID: 'asks for LAST_INSERT_ID(), or sets it',
};

/** What a statement leaves behind in its session, for people. */
export function effectWords(effects: number): readonly string[] {
  return Object.entries(EFFECTS).flatMap(([name, words]) => {
    const bit = Object.entries(EFFECT).find(([each]) => each === name)?.[1] ?? 0;
    return (effects & bit) === 0 ? [] : [words];
  });
}

/** The same by their names, for programs. */
export function effectNames(effects: number): readonly string[] {
  return Object.entries(EFFECT).flatMap(([name, bit]) =>
    (effects & bit) === 0 ? [] : [name.toLowerCase().replaceAll('_', '-')],
  );
}
