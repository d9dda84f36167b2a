import { LagwiseError } from '../lib/errors.ts';
import type { ServerId } from '../lib/ids.ts';

/** What is known of a command whose server was lost before it answered. */
export interface Loss {
  readonly server: ServerId;
  readonly why: string;
  readonly inTransaction: boolean;
  /** It ends the transaction, or commits by itself. */
  readonly commits: boolean;
  readonly isRead: boolean;
}

/**
 * The error for a command whose server was lost. It says whether the command can have run: nothing
 * that may have is ever sent again by the proxy.
 */
export function lossError({ server, why, inTransaction, commits, isRead }: Loss): LagwiseError {
  const what = `Server ${server} ${why}`;
  if (inTransaction && !commits) {
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
  const outcome = isRead
    ? 'the read had begun to answer; run it again'
    : 'the statement may have run, look before you repeat it';
  return new LagwiseError('backend-network', `${what}: ${outcome}`);
}
