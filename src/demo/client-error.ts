import type { Outcome } from './ledger.ts';

/** What a client was doing when it met an error. */
export type Doing = 'connect' | 'read' | 'write' | 'transaction' | 'commit';

/** What the error says to a client. Closed: these are keys of the summary. */
export type ErrorKind =
  | 'rolled-back' // run the transaction again
  | 'outcome-unknown' // it may have run: look before repeating it
  | 'interrupted' // a read without an answer: run it again
  | 'no-primary' // nobody takes writes; it has not run
  | 'refused' // the server or the proxy refused it; it has not run
  | 'timeout' // no answer within the client's own limit
  | 'unreachable'; // no connection could be made

/** What follows from an error. */
export interface Verdict {
  readonly kind: ErrorKind;
  /** What it means for the row that was being written. */
  readonly outcome: Outcome;
  /** The connection is of no more use. */
  readonly reconnect: boolean;
}

/** Replies after which nobody knows whether the statement ran: 1053, network errors, 1105. */
const UNKNOWN: ReadonlySet<number> = new Set([1053, 1105, 1158, 1159, 1160, 1161]);
/** ER_LOCK_DEADLOCK, ER_LOCK_WAIT_TIMEOUT. */
const ROLLED_BACK: ReadonlySet<number> = new Set([1213, 1205]);
/** ER_OPTION_PREVENTS_STATEMENT. */
const NO_PRIMARY = 1290;

/**
 * Judges what mysql2 threw as a careful client does: by the error number of a reply, and where
 * there was no reply, by what was under way. Errors are of the driver, so `thrown` is anything.
 */
export function judgeError(thrown: unknown, doing: Doing): Verdict {
  const errno = replyNumber(thrown);
  const reconnect = errno === null;
  if (doing === 'connect') return { kind: 'unreachable', outcome: 'refused', reconnect: true };
  if (isTimeout(thrown)) return { kind: 'timeout', outcome: lostOutcome(doing), reconnect: true };
  if (errno === null || UNKNOWN.has(errno)) {
    return { kind: lostKind(doing), outcome: lostOutcome(doing), reconnect };
  }
  if (ROLLED_BACK.has(errno)) return { kind: 'rolled-back', outcome: 'refused', reconnect };
  if (errno === NO_PRIMARY) return { kind: 'no-primary', outcome: 'refused', reconnect };
  return { kind: 'refused', outcome: 'refused', reconnect };
}

/** Of a transaction that was lost before its COMMIT nothing stays. */
function lostOutcome(doing: Doing): Outcome {
  return doing === 'write' || doing === 'commit' ? 'unknown' : 'refused';
}

function lostKind(doing: Doing): ErrorKind {
  if (doing === 'read') return 'interrupted';
  return doing === 'transaction' ? 'rolled-back' : 'outcome-unknown';
}

/** The number in an error reply; null for errors of sockets and of the driver itself. */
function replyNumber(thrown: unknown): number | null {
  if (!(thrown instanceof Error) || !('errno' in thrown) || !('sqlState' in thrown)) return null;
  return typeof thrown.errno === 'number' && typeof thrown.sqlState === 'string'
    ? thrown.errno
    : null;
}

function isTimeout(thrown: unknown): boolean {
  return thrown instanceof Error && 'code' in thrown && thrown.code === 'PROTOCOL_SEQUENCE_TIMEOUT';
}
