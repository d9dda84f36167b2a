/**
 * Counters for the hot path: plain numbers in typed arrays, no label objects and no hashing. They
 * are turned into Prometheus series only when somebody scrapes (`prom-bridge.ts`).
 */

/** A count for each word of a closed set. */
export class ClosedCounter<Word extends string> {
  readonly words: readonly Word[];
  readonly #indexOf: Readonly<Record<Word, number>>;
  readonly #counts: Float64Array;

  constructor(words: readonly Word[]) {
    this.words = words;
    this.#indexOf = Object.fromEntries(words.map((word, index) => [word, index])) as Record<
      Word,
      number
    >;
    this.#counts = new Float64Array(words.length);
  }

  inc(word: Word): void {
    this.incAt(this.#indexOf[word]);
  }

  /** For callers that keep the position of the word in `words`. */
  incAt(index: number): void {
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
  }

  get(word: Word): number {
    return this.#counts[this.#indexOf[word]] ?? 0;
  }

  get total(): number {
    return this.#counts.reduce((sum, count) => sum + count, 0);
  }
}

/** The smallest bucket holds up to 2^4 = 16 µs: nothing crosses two sockets faster. */
const FIRST_POWER = 4;
/** The largest holds up to 2^26 µs = 67 s; slower statements are beyond what a histogram tells. */
const LAST_POWER = 26;
const BUCKETS = LAST_POWER - FIRST_POWER + 1;
const LAST_BOUND_US = 2 ** LAST_POWER;

/**
 * Durations in buckets that double in width: finding the bucket is one count-leading-zeros
 * instruction, and the error of a quantile is bounded by a factor of two at any scale.
 */
export class Log2Histogram {
  /** One more than the bounds: the last counts what is slower than all of them. */
  readonly #counts = new Float64Array(BUCKETS + 1);
  #sumUs = 0;

  /** @param us microseconds; fractions are fine, negatives (a clock that stepped) count as 0 */
  observeUs(us: number): void {
    const index = bucketIndex(us);
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    if (us > 0) this.#sumUs += us;
  }

  get count(): number {
    return this.#counts.reduce((sum, count) => sum + count, 0);
  }

  get sumSeconds(): number {
    return this.#sumUs / 1e6;
  }

  /** Bounds in seconds with the observations at or below each, as Prometheus counts. */
  cumulative(): { readonly boundSeconds: number; readonly count: number }[] {
    let sum = 0;
    return Array.from({ length: BUCKETS }, (_, index) => {
      sum += this.#counts[index] ?? 0;
      return { boundSeconds: 2 ** (FIRST_POWER + index) / 1e6, count: sum };
    });
  }
}

function bucketIndex(us: number): number {
  // Before the 32-bit operation: it would wrap what is larger.
  if (us > LAST_BOUND_US) return BUCKETS;
  // ceil(log2(us)): the power whose bound holds it. NaN and what is at most 1 give 0.
  const power = 32 - Math.clz32(Math.ceil(us) - 1);
  return us <= 1 || power <= FIRST_POWER ? 0 : power - FIRST_POWER;
}

/** Bytes that crossed the proxy's sockets, as they were on the wire. Add to the fields directly. */
export class Traffic {
  clientInBytes = 0;
  clientOutBytes = 0;
  serverInBytes = 0;
  serverOutBytes = 0;
}
