import type { CoordinationMetrics } from '../telemetry/coordination-metrics.ts';
import type { Membership } from './membership.ts';
import { Outbox } from './outbox.ts';
import type { StoreConnection } from './store.ts';

/** Where to publish now, or null. */
export type Target = () => {
  readonly connection: StoreConnection;
  readonly storeId: string;
} | null;

/** What a publisher is made of. */
export interface PublisherOptions {
  readonly name: string;
  readonly membership: Membership;
  readonly metrics: CoordinationMetrics;
  readonly nowMs: () => number;
  readonly target: Target;
  readonly onFailed: (connection: StoreConnection, error: unknown) => void;
  /** The place does not know of the membership. */
  readonly onRefused: () => void;
}

/**
 * Makes writes known before they are acknowledged, all that come while one publication is under way
 * with the next one. Where that cannot be done, they are acknowledged when this proxy's word ends.
 */
export class Publisher {
  readonly #options: PublisherOptions;
  readonly #outbox = new Outbox();
  #releaseTimer: NodeJS.Timeout | null = null;

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  /** Since when the oldest write waits, or null. */
  get oldestSinceMs(): number | null {
    return this.#outbox.oldestSinceMs;
  }

  /** Resolves when the write may be acknowledged. */
  add(gtid: string | null): Promise<void> {
    const done = this.#outbox.add(gtid, this.#options.nowMs());
    this.flush();
    this.#armRelease();
    return done;
  }

  /** Publishes what waits, if that is possible now. */
  flush(): void {
    const target = this.#options.target();
    const { join } = this.#options.membership;
    if (target === null || join === null) return;
    const entries = this.#outbox.take();
    if (entries !== null) void this.#send(target, join, entries);
  }

  /** Resolves when all that wait now are acknowledged. */
  drained(): Promise<void> {
    return this.#outbox.drained();
  }

  async #send(
    { connection, storeId }: NonNullable<ReturnType<Target>>,
    join: string,
    entries: readonly string[],
  ): Promise<void> {
    const { name, membership, metrics, nowMs, onFailed, onRefused } = this.#options;
    const startMs = nowMs();
    try {
      if (await connection.publish({ storeId, name, join, entries })) {
        this.#outbox.published();
        metrics.published(nowMs() - startMs);
      } else {
        this.#outbox.failed();
        if (membership.join === join) onRefused();
      }
    } catch (error) {
      this.#outbox.failed();
      onFailed(connection, error);
    }
    this.flush();
  }

  /** Writes that wait go on when the word that they wait for has ended. */
  #armRelease(): void {
    if (this.#releaseTimer !== null) return;
    const { membership, nowMs } = this.#options;
    this.#releaseTimer = setTimeout(
      () => {
        this.#releaseTimer = null;
        this.#releaseIfDue();
      },
      Math.max(1, membership.promisedUntilMs - nowMs()),
    );
  }

  #releaseIfDue(): void {
    if (this.#outbox.isEmpty) return;
    const { membership, metrics, nowMs } = this.#options;
    const now = nowMs();
    if (now < membership.promisedUntilMs) {
      this.#armRelease();
      return;
    }
    membership.leave();
    membership.coolDown(now);
    metrics.released();
    this.#outbox.release();
  }
}
