import { LagwiseError } from '../../lib/errors.ts';
import type { BackendConnection } from '../../pool/backend-connection.ts';
import type { ServerRefusedError } from '../../pool/server-refused-error.ts';
import type { ServerView, Snapshot } from '../../topology/snapshot.ts';
import { isUnreachable } from './loss.ts';
import type { SessionDeps } from '../session-deps.ts';
import type { Leaving } from './statement-waits.ts';

/** A server that could not be reached is tried again after so long even if nothing else is heard. */
const RETRY_MS = 250;

/**
 * After a write that the primary refused as read-only: waits until the probes say that it is not
 * the primary any more.
 * @throws the refusal, if it still is: then that was the statement's own error
 */
export async function awaitDemotion(
  { holds, config }: Pick<SessionDeps, 'holds' | 'config'>,
  refusal: ServerRefusedError,
  gone: AbortSignal,
): Promise<void> {
  const graceMs = config.monitor.intervalMs * 2;
  const until = performance.now() + Math.min(graceMs, config.failover.holdMs);
  try {
    const isDemoted = ({ primary }: Snapshot) => primary?.id !== refusal.server;
    await holds.wait(isDemoted, until, gone);
  } catch {
    throw refusal;
  }
}

/** Finds the primary and opens a connection to it, over a change of the primary if need be. */
export class PrimarySearch {
  private readonly deps: SessionDeps;
  private readonly gone: Leaving;
  private readonly leave: (connection: BackendConnection) => void;

  /** @param leave takes a connection to what is the primary no more */
  constructor(deps: SessionDeps, gone: Leaving, leave: (connection: BackendConnection) => void) {
    this.deps = deps;
    this.gone = gone;
    this.leave = leave;
  }

  /**
   * Waits for a primary, and for a connection to it, for `failover.holdMs` at most.
   * @throws LagwiseError when there is none, with the reasons
   */
  async obtain(
    open: (server: ServerView) => Promise<BackendConnection>,
  ): Promise<BackendConnection> {
    const { topology, holds, config } = this.deps;
    const deadlineMs = performance.now() + config.failover.holdMs;
    for (;;) {
      const hasPrimary = ({ primary }: Snapshot) => primary !== null;
      const snapshot = await holds.wait(hasPrimary, deadlineMs, this.gone.signal);
      const server = snapshot.primary;
      if (server === null) continue;
      try {
        const connection = await open(server);
        // Meanwhile another server may have become the primary.
        if (topology.current().primary?.id === server.id) return connection;
        this.leave(connection);
      } catch (error) {
        if (!isUnreachable(error) || performance.now() >= deadlineMs) throw error;
        // Nothing was sent: it may wait for what the next probe says, or for the server to return.
        await this.pause(snapshot, deadlineMs);
      }
    }
  }

  private async pause(snapshot: Snapshot, deadlineMs: number): Promise<void> {
    const until = Math.min(deadlineMs, performance.now() + RETRY_MS);
    try {
      const isNewer = (next: Snapshot) => next.version > snapshot.version;
      await this.deps.holds.wait(isNewer, until, this.gone.signal);
    } catch (error) {
      // Nothing new was heard in time: the caller tries again until its own deadline.
      if (!(error instanceof LagwiseError) || error.source !== 'no-eligible-server') throw error;
    }
  }
}
