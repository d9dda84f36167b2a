import { decodeErr } from '../wire/packets/err.ts';
import type { Command } from './command.ts';

/** ER_OPTION_PREVENTS_STATEMENT: the option is named in the message, and there are several. */
const OPTION_PREVENTS = 1290;
/** Errors by which a replica says that it takes no writes (1290, 1792, 1836, 3100). */
const REPLICA_READ_ONLY: ReadonlySet<number> = new Set([OPTION_PREVENTS, 1792, 1836, 3100]);
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
  /** The primary was demoted before the proxy saw it; the write has not run. */
  | 'demoted';

/** @param onReplica whether the server has the command as a replica */
export function verdictOnError(command: Command, error: Buffer, onReplica: boolean): ErrorVerdict {
  const { code, message } = decodeErr(error);
  // Among others --secure-file-priv is told of by the same number, and any server refuses that.
  const isOther = code === OPTION_PREVENTS && !message.includes('read-only');
  if (isOther) return 'pass';
  if (!onReplica) return PRIMARY_READ_ONLY.has(code) && command.isRefusable ? 'demoted' : 'pass';
  if (!command.isRepeatable) return 'pass';
  if (REPLICA_READ_ONLY.has(code)) return 'read-only';
  return BEHIND_ERRORS.has(code) ? 'missing-object' : 'pass';
}
