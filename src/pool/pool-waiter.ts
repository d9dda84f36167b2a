import { LagwiseError } from '../lib/errors.ts';
import type { ServerView } from '../topology/snapshot.ts';
import type { PoolAccount } from './account.ts';
import type { BackendConnection } from './backend-connection.ts';
import type { StateProfile } from './state-profile.ts';

/** The login that a fresh connection is opened with, where it differs from the account's. */
export interface FreshLogin {
  readonly schema: string | null;
  readonly collationId: number;
  readonly attributes: Buffer | null;
}

/** What a session wants of a server. */
export interface Wish {
  readonly server: ServerView;
  readonly account: PoolAccount;
  /** The state that it will be brought to: a connection that is in it already is preferred. */
  readonly profile: StateProfile;
  /** Aborted when nobody wants it any more: with a LagwiseError where not the client has left. */
  readonly gone: AbortSignal;
  /** It must be a new one, since the server is to judge this login; null where any will do. */
  readonly fresh: FreshLogin | null;
  /** It waits no longer than until then (monotonic ms), even if `pool.waitMs` is more. */
  readonly untilMs?: number;
}

/** Why a wait was given up: what aborted it. */
export function goneError(gone: AbortSignal): LagwiseError {
  const reason: unknown = gone.reason;
  if (reason instanceof LagwiseError) return reason;
  return new LagwiseError('client-network', 'The client left while its statement waited');
}

/** Somebody who waits for a connection: until there is one, the limit has passed, or he has left. */
export class PoolWaiter {
  readonly wish: Wish;
  readonly promise: Promise<BackendConnection>;
  private readonly resolve: (connection: BackendConnection) => void;
  private readonly reject: (error: unknown) => void;
  private timer: NodeJS.Timeout | null = null;
  private readonly onGone = () => {
    this.fail(goneError(this.wish.gone));
  };
  private onEnd: (() => void) | null = null;

  constructor(wish: Wish) {
    this.wish = wish;
    const { promise, resolve, reject } = Promise.withResolvers<BackendConnection>();
    this.promise = promise;
    this.resolve = resolve;
    this.reject = reject;
  }

  /**
   * Has to wait: bounded by `maxMs` and by what is wished, told by `onEnd` when it is over, however
   * it ends.
   */
  queue(maxMs: number, whyLate: () => LagwiseError, onEnd: () => void): void {
    const { gone, untilMs = Number.POSITIVE_INFINITY } = this.wish;
    const waitMs = Math.max(0, Math.min(maxMs, untilMs - performance.now()));
    this.onEnd = onEnd;
    this.timer = setTimeout(() => this.fail(whyLate()), waitMs);
    if (gone.aborted) this.onGone();
    else gone.addEventListener('abort', this.onGone, { once: true });
  }

  /** A connection was found or is being made: the wait is over, its limit does not count any more. */
  leaveQueue(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    this.wish.gone.removeEventListener('abort', this.onGone);
    this.onEnd?.();
    this.onEnd = null;
  }

  give(connection: BackendConnection): void {
    this.leaveQueue();
    this.resolve(connection);
  }

  fail(error: unknown): void {
    this.leaveQueue();
    this.reject(error);
  }
}
