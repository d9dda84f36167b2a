import { type ErrorSource, LagwiseError } from '../../lib/errors.ts';
import type { ServerId } from '../../lib/ids.ts';
import { ServerRefusedError } from '../../pool/server-refused-error.ts';

/** What is known of a command whose server was lost before it answered. */
export interface Loss {
  readonly server: ServerId;
  readonly why: string;
  readonly inTransaction: boolean;
  /** It ends the transaction, or commits by itself. */
  readonly commits: boolean;
  readonly isRead: boolean;
  /** The client had not sent all of it: no server runs half a statement. */
  readonly isCut: boolean;
}

/**
 * The error for a command whose server was lost. It says whether the command can have run: nothing
 * that may have is ever sent again by the proxy.
 */
export function lossError(loss: Loss): LagwiseError {
  const { server, why, inTransaction, commits, isRead, isCut } = loss;
  // Servers close on a packet that is too long for them, often before anybody has read why.
  const hint = isCut
    ? ' in the middle of a statement longer than its max_allowed_packet, maybe'
    : '';
  const what = `Server ${server} ${why}${hint}`;
  if (inTransaction && (isCut || !commits)) {
    return new LagwiseError(
      'topology-change',
      `${what}: the transaction was rolled back, run it again`,
    );
  }
  if (inTransaction) {
    return new LagwiseError(
      'backend-network',
      `${what} during COMMIT: the outcome of the transaction is unknown, look before you repeat it`,
    );
  }
  if (isCut) return new LagwiseError('backend-network', `${what}: it has not run`);
  const outcome = isRead
    ? 'the read had begun to answer; run it again'
    : 'the statement may have run, look before you repeat it';
  return new LagwiseError('backend-network', `${what}: ${outcome}`);
}

/** Nothing of the client's was sent: another server, or the same one later, may be tried. */
const UNREACHABLE: ReadonlySet<ErrorSource> = new Set([
  'backend-connect',
  'backend-network',
  'backend-timeout',
]);

/** Whether a server could not be reached, as against having refused. */
export function isUnreachable(error: unknown): boolean {
  if (error instanceof ServerRefusedError || !(error instanceof LagwiseError)) return false;
  return UNREACHABLE.has(error.source);
}

/** The pool is used up: that is no fault of the server, and the next one has no more to give. */
export const isExhausted = (error: unknown): boolean =>
  error instanceof LagwiseError && error.source === 'limit';
