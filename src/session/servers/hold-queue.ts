import type { Config } from '../../config/schema.ts';
import { LagwiseError } from '../../lib/errors.ts';
import { goneError } from '../../pool/pool-waiter.ts';
import type { HoldMetrics } from '../../telemetry/hold-metrics.ts';
import type { Snapshot } from '../../topology/snapshot.ts';

interface Waiter {
  readonly acceptable: (snapshot: Snapshot) => boolean;
  readonly resolve: (snapshot: Snapshot) => void;
  readonly reject: (error: LagwiseError) => void;
  readonly timer: NodeJS.Timeout;
  readonly startedAtMs: number;
}

/**
 * Statements that wait for a primary: bounded in number (`failover.holdMaxStatements`) and time
 * (`failover.holdMs`). Their clients are paused, so what waits has at most one command each.
 */
export class HoldQueue {
  private readonly options: Config['failover'];
  private readonly metrics: HoldMetrics;
  private readonly current: () => Snapshot;
  private readonly waiters = new Set<Waiter>();

  constructor(options: Config['failover'], metrics: HoldMetrics, current: () => Snapshot) {
    this.options = options;
    this.metrics = metrics;
    this.current = current;
  }

  /**
   * Waits until a snapshot is acceptable.
   * @param deadlineMs monotonic
   * @param gone aborted when the client leaves
   * @throws LagwiseError `no-eligible-server` at the deadline or when too many wait, with the cause
   */
  async wait(
    acceptable: (snapshot: Snapshot) => boolean,
    deadlineMs: number,
    gone: AbortSignal,
  ): Promise<Snapshot> {
    const now = this.current();
    if (acceptable(now)) return now;
    if (this.waiters.size >= this.options.holdMaxStatements) {
      this.metrics.refused();
      throw this.noPrimary(
        `and ${this.waiters.size} statements wait for one already (failover.holdMaxStatements)`,
      );
    }
    if (gone.aborted) throw goneError(gone);
    const { promise, resolve, reject } = Promise.withResolvers<Snapshot>();
    const startedAtMs = performance.now();
    const timer = setTimeout(
      () => {
        this.end(waiter, 'timeout');
        waiter.reject(
          this.noPrimary(`none appeared within ${Math.round(performance.now() - startedAtMs)} ms`),
        );
      },
      Math.max(0, deadlineMs - startedAtMs),
    );
    const waiter: Waiter = { acceptable, resolve, reject, timer, startedAtMs };
    const onGone = () => {
      this.end(waiter, 'client-gone');
      reject(goneError(gone));
    };
    this.waiters.add(waiter);
    this.metrics.started();
    gone.addEventListener('abort', onGone, { once: true });
    try {
      return await promise;
    } finally {
      gone.removeEventListener('abort', onGone);
    }
  }

  /** A new snapshot: releases who waited for it. */
  published(snapshot: Snapshot): void {
    for (const waiter of this.waiters) {
      if (!waiter.acceptable(snapshot)) continue;
      this.end(waiter, 'released');
      waiter.resolve(snapshot);
    }
  }

  /** The proxy stops: nobody waits any longer. */
  shutdown(): void {
    for (const waiter of this.waiters) {
      this.end(waiter, 'shutdown');
      waiter.reject(
        new LagwiseError('shutdown', 'The proxy is stopping; the statement has not run'),
      );
    }
  }

  private end(waiter: Waiter, outcome: 'released' | 'timeout' | 'client-gone' | 'shutdown'): void {
    clearTimeout(waiter.timer);
    this.waiters.delete(waiter);
    this.metrics.ended(outcome, (performance.now() - waiter.startedAtMs) / 1000);
  }

  private noPrimary(detail: string): LagwiseError {
    const cause = this.current().noPrimary ?? 'The primary cannot be reached';
    return new LagwiseError(
      'no-eligible-server',
      `No server takes writes: ${cause}; ${detail}; the statement has not run and may be sent again`,
    );
  }
}
