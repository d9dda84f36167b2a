import type { Command } from './command.ts';

/** Errors by which a server says that it takes no writes (1290, 1792, 1836, 3100). */
const READ_ONLY_ERRORS: ReadonlySet<number> = new Set([1290, 1792, 1836, 3100]);
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
export function verdictOnError(command: Command, errno: number, onReplica: boolean): ErrorVerdict {
  if (onReplica) {
    if (!command.isRepeatable) return 'pass';
    if (READ_ONLY_ERRORS.has(errno)) return 'read-only';
    return BEHIND_ERRORS.has(errno) ? 'missing-object' : 'pass';
  }
  return READ_ONLY_ERRORS.has(errno) && command.isRefusable ? 'demoted' : 'pass';
}
