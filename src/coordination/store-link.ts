import { messageOf } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';
import type { Store, StoreConnection } from './store.ts';

const FIRST_RETRY_MS = 50;
/** How much longer than needed it may take until somebody who has been away for long is found. */
const MAX_RETRY_MS = 1000;

/** Keeps a connection to the shared place open, and makes a new one when it fails. */
export class StoreLink {
  readonly #store: Store;
  readonly #logger: Logger;
  readonly #nowMs: () => number;
  readonly #onUp: (connection: StoreConnection) => void;
  #connection: StoreConnection | null = null;
  #isAway = true;
  #sinceMs: number;
  #retryMs = FIRST_RETRY_MS;
  #timer: NodeJS.Timeout | null = null;
  #isStopped = false;
  #complained = false;

  constructor(deps: {
    readonly store: Store;
    readonly logger: Logger;
    readonly nowMs: () => number;
    /** A new connection, nothing was said over it yet. */
    readonly onUp: (connection: StoreConnection) => void;
  }) {
    this.#store = deps.store;
    this.#logger = deps.logger;
    this.#nowMs = deps.nowMs;
    this.#onUp = deps.onUp;
    this.#sinceMs = deps.nowMs();
  }

  get connection(): StoreConnection | null {
    return this.#connection;
  }

  /** Whether nobody answers, and since when that is so or not so. */
  get status(): { readonly isAway: boolean; readonly sinceMs: number } {
    return { isAway: this.#isAway, sinceMs: this.#sinceMs };
  }

  start(): void {
    void this.#open();
  }

  /** The place has answered over this connection: it counts as there. */
  answered(): void {
    this.#retryMs = FIRST_RETRY_MS;
    this.#complained = false;
    if (!this.#isAway) return;
    this.#isAway = false;
    this.#sinceMs = this.#nowMs();
    this.#logger.info({}, 'Coordination is connected to Redis');
  }

  /** The connection is of no use any more. Those that are not the current one do not matter. */
  drop(connection: StoreConnection, why: unknown): void {
    if (connection !== this.#connection) return;
    connection.close();
    this.#connection = null;
    this.#lost(why);
  }

  stop(): void {
    this.#isStopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#connection?.close();
    this.#connection = null;
  }

  async #open(): Promise<void> {
    this.#timer = null;
    let opened: StoreConnection | null = null;
    try {
      opened = await this.#store.open((why) => {
        if (opened !== null) this.drop(opened, why);
      });
    } catch (error) {
      if (!this.#isStopped) this.#lost(error);
      return;
    }
    if (this.#isStopped) {
      opened.close();
      return;
    }
    this.#connection = opened;
    this.#onUp(opened);
  }

  #lost(why: unknown): void {
    if (!this.#isAway) {
      this.#isAway = true;
      this.#sinceMs = this.#nowMs();
    }
    if (!this.#complained) {
      this.#complained = true;
      this.#logger.warn(
        { source: 'backend-network', err: messageOf(why) },
        'Redis is away: reads of consistency global ask the primary until it is back',
      );
    }
    if (this.#isStopped) return;
    // Half of it is random: proxies that lost it at the same moment do not come back as one.
    this.#timer = setTimeout(() => void this.#open(), this.#retryMs * (0.5 + Math.random() / 2));
    this.#retryMs = Math.min(MAX_RETRY_MS, this.#retryMs * 2);
  }
}
