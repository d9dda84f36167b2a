import { SERVER_FAULTS } from '../../pool/server-faults.ts';
import { decodeErr } from '../../wire/packets/err.ts';
import { COM } from '../../wire/command.ts';
import type { Command } from '../command/command.ts';
import { TOO_MANY_STATEMENTS } from '../prepared/statement-preparer.ts';

/** ER_OPTION_PREVENTS_STATEMENT: the option is named in the message, and there are several. */
const OPTION_PREVENTS = 1290;
/** Errors by which a replica says that it takes no writes (1290, 1792, 1836, 3100). */
const REPLICA_READ_ONLY: ReadonlySet<number> = new Set([OPTION_PREVENTS, 1792, 1836, 3100]);
/** ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION. */
const READ_ONLY_TRANSACTION = 1792;
/** ER_READ_ONLY_MODE. On a primary 1792 is about the session's own transaction. */
const PRIMARY_READ_ONLY: ReadonlySet<number> = new Set([OPTION_PREVENTS, 1836]);
/** Errors of a replica that may only be behind: unknown schema, column, table, routine. */
const BEHIND_ERRORS: ReadonlySet<number> = new Set([1049, 1054, 1146, 1305]);

/** What a server's error means for a command of whose answer the client has had nothing. */
export type ErrorVerdict =
  /** It is the answer. */
  | 'pass'
  /** A replica refused it as a write: it was misrouted. */
  | 'read-only'
  /** The replica may only be behind: the primary knows. */
  | 'missing-object'
  /** The replica failed by a fault of its own, not by the statement's. */
  | 'server-fault'
  /** The primary was demoted before the proxy saw it; the write has not run. */
  | 'demoted'
  /** It refused a write in a transaction that the client itself began as read-only. */
  | 'read-only-transaction'
  /** The server closed the connection for idleness and has not read the command. */
  | 'not-run'
  /** The statement is not prepared there any more. */
  | 'not-prepared'
  /** The server has all the prepared statements that it may. */
  | 'too-many-statements';

/** ER_CLIENT_INTERACTION_TIMEOUT: sent in place of a reply, to a client that was silent for long. */
const INTERACTION_TIMEOUT = 4031;
/** ER_UNKNOWN_STMT_HANDLER; ER_NEED_REPREPARE: both come before anything is run. */
const NOT_PREPARED: ReadonlySet<number> = new Set([1243, 1615]);

/** Errors that the proxy itself can repair: the command has not run. */
function repairOf(command: Command, code: number): ErrorVerdict | null {
  if (command.answered || command.isLong || command.attempts >= MAX_REPAIRS) return null;
  if (code === INTERACTION_TIMEOUT && !command.inTransaction) return 'not-run';
  if (command.com === COM.STMT_EXECUTE && NOT_PREPARED.has(code)) return 'not-prepared';
  if (command.com === COM.STMT_PREPARE && code === TOO_MANY_STATEMENTS) {
    return 'too-many-statements';
  }
  return null;
}

const MAX_REPAIRS = 2;

/** @param onReplica whether the server has the command as a replica */
export function verdictOnError(command: Command, error: Buffer, onReplica: boolean): ErrorVerdict {
  const { code, message } = decodeErr(error);
  const repair = repairOf(command, code);
  if (repair !== null) return repair;
  // Among others --secure-file-priv is told of by the same number, and any server refuses that.
  const isOther = code === OPTION_PREVENTS && !message.includes('read-only');
  if (isOther) return 'pass';
  if (!onReplica) return PRIMARY_READ_ONLY.has(code) && command.isRefusable ? 'demoted' : 'pass';
  if (command.reason === 'read-only-transaction' && REPLICA_READ_ONLY.has(code)) {
    return code === READ_ONLY_TRANSACTION ? 'pass' : 'read-only-transaction';
  }
  if (!command.isRepeatable) return 'pass';
  if (REPLICA_READ_ONLY.has(code)) return 'read-only';
  if (BEHIND_ERRORS.has(code)) return 'missing-object';
  return SERVER_FAULTS.has(code) ? 'server-fault' : 'pass';
}
