import type { ReadCounts } from '../routing/outliers.ts';
import { LATENCY_BUCKETS } from '../routing/replica-latency.ts';
import type { ServerLoad } from './server-load.ts';

type Counters = Pick<ServerLoad, 'reads' | 'faults' | 'latencies'>;

/** What happened on one server lately, in slots of equal time: the growth of its counters. */
export class ReadWindow {
  readonly #size: number;
  #slots: ReadCounts[] = [];
  #last: ReadCounts | null = null;

  /** @param size slots that are kept */
  constructor(size: number) {
    this.#size = size;
  }

  /** The slots that are over, oldest first. */
  get slots(): readonly ReadCounts[] {
    return this.#slots;
  }

  /** A slot is over. */
  close(counters: Counters): void {
    const last = this.#last;
    const now = copyOf(counters);
    this.#last = now;
    if (last === null) return;
    const latencies = Uint32Array.from(
      { length: LATENCY_BUCKETS },
      (_, at) => (now.latencies[at] ?? 0) - (last.latencies[at] ?? 0),
    );
    this.#slots.push({
      reads: now.reads - last.reads,
      faults: now.faults - last.faults,
      latencies,
    });
    if (this.#slots.length > this.#size) this.#slots.shift();
  }

  /** Forgets all: what comes from now on is another matter. */
  clear(): void {
    this.#slots = [];
    this.#last = null;
  }
}

function copyOf({ reads, faults, latencies }: Counters): ReadCounts {
  return { reads, faults, latencies: Uint32Array.from(latencies) };
}
