import type { ReasonCode, StatementClass } from '../sql/classification.ts';
import { digestName } from './digest-id.ts';
import { DigestIndex } from './digest-index.ts';

/** How one run of a statement ended; bits of the last parameter of `DigestTable.note`. */
export const RUN = {
  /** A replica ran it; the primary otherwise. */
  ON_REPLICA: 1,
  /** Its answer was an error. */
  FAILED: 2,
  /** A replica had refused it as a write before. */
  MISROUTED: 4,
} as const;

/** What is known of the statements of one digest. */
export interface DigestRow {
  /** 16 hexadecimal digits. */
  readonly digest: string;
  /** As classified when it was first seen. */
  readonly class: StatementClass;
  readonly reason: ReasonCode;
  readonly count: number;
  readonly errors: number;
  readonly misroutes: number;
  readonly totalUs: number;
  readonly maxUs: number;
  readonly onPrimary: number;
  readonly onReplica: number;
  /** On the clock of the caller, ms. */
  readonly firstMs: number;
  readonly lastMs: number;
  /** Normalized text without literals. */
  readonly text: string;
}

/** What `DigestTable.list` can sort by, largest first. */
export const DIGEST_ORDERS = [
  'total',
  'mean',
  'max',
  'count',
  'errors',
  'misroutes',
  'last',
] as const;
export type DigestOrder = (typeof DIGEST_ORDERS)[number];

/** The digest of one statement with what its class is; a `Classification` will do. */
interface Judged {
  readonly cls: StatementClass;
  readonly reason: ReasonCode;
  readonly digestHi: number;
  readonly digestLo: number;
}

/**
 * An application has some hundreds to a few thousand different statements. An entry costs about
 * 120 bytes and its text, at most 1 KiB: some MiB at worst.
 */
const DEFAULT_CAPACITY = 4096;
/** Characters of a text. */
const MAX_TEXT_LENGTH = 1024;
/**
 * New digests a second that a full table admits. A client that never says the same twice (names
 * made at random) would otherwise make each of its statements cost a text.
 */
const ADMISSIONS_PER_SECOND = 100;
/** Entries that are compared to find the one to give up. */
const EVICTION_SAMPLE = 16;
/** An entry that was seen this recently is given up only if all compared ones were, ms. */
const RECENT_MS = 60_000;
/** Makes each recent entry weigh more than every other; a count added to it stays exact. */
const RECENT_WEIGHT = 2 ** 50;

/** The numbers of one entry, side by side: one cache line or two. */
const STRIDE = 9;
const COUNT = 0;
const ERRORS = 1;
const MISROUTES = 2;
const TOTAL_US = 3;
const MAX_US = 4;
const ON_PRIMARY = 5;
const ON_REPLICA = 6;
const FIRST_MS = 7;
const LAST_MS = 8;

interface Words {
  readonly hi: number;
  readonly lo: number;
  readonly cls: StatementClass;
  readonly reason: ReasonCode;
  readonly text: string;
}

/**
 * The digests that passed, with what they cost. Noting a run of a known digest makes no object.
 *
 * Bounded. When it is full a new digest takes the place of one of sixteen neighbours, which differ
 * each time: of those not seen for a minute, or else of all, the one that ran least often. What is
 * given up is counted, and its runs go on in `othersCount`, so that sums stay true.
 */
export class DigestTable {
  readonly #capacity: number;
  readonly #index: DigestIndex;
  readonly #numbers: Float64Array;
  readonly #words: Words[] = [];
  #hand = 0;
  #secondBeganMs = Number.NEGATIVE_INFINITY;
  #admittedInSecond = 0;
  #evicted = 0;
  #others = 0;

  /** @param capacity at most this many digests */
  constructor(capacity: number = DEFAULT_CAPACITY) {
    this.#capacity = capacity;
    this.#index = new DigestIndex(capacity);
    this.#numbers = new Float64Array(capacity * STRIDE);
  }

  /** Digests in the table. */
  get size(): number {
    return this.#words.length;
  }

  /** Digests that had to give way to others. */
  get evicted(): number {
    return this.#evicted;
  }

  /** Runs of statements whose digest is not in the table (any more). */
  get othersCount(): number {
    return this.#others;
  }

  /**
   * Whether to `admit` this statement: its digest is not here and there is room, or time to make
   * some. Ask when the statement is classified, while its text is at hand. Makes no object.
   */
  wants(digestHi: number, digestLo: number, nowMs: number): boolean {
    if (this.#index.get(digestHi, digestLo) >= 0) return false;
    if (this.#words.length < this.#capacity) return true;
    if (nowMs - this.#secondBeganMs >= 1000) {
      this.#secondBeganMs = nowMs;
      this.#admittedInSecond = 0;
    }
    return this.#admittedInSecond < ADMISSIONS_PER_SECOND;
  }

  /**
   * Makes an entry for a digest that is new.
   * @param text normalized text, without literals (`digestText`)
   */
  admit(judged: Judged, text: string, nowMs: number): void {
    const { digestHi: hi, digestLo: lo, cls, reason } = judged;
    if (this.#index.get(hi, lo) >= 0) return;
    const isFull = this.#words.length >= this.#capacity;
    const entry = isFull ? this.#evict(nowMs) : this.#words.length;
    if (isFull) this.#admittedInSecond += 1;
    this.#words[entry] = { hi, lo, cls, reason, text: text.slice(0, MAX_TEXT_LENGTH) };
    const at = entry * STRIDE;
    this.#numbers.fill(0, at, at + STRIDE);
    this.#numbers[at + FIRST_MS] = nowMs;
    this.#numbers[at + LAST_MS] = nowMs;
    this.#index.set(hi, lo, entry);
  }

  /**
   * Counts one run that has ended. The digest may have been given up meanwhile.
   * @param us from its last byte in to its answer's last byte out, microseconds
   * @param run bits of `RUN`
   */
  note(digestHi: number, digestLo: number, us: number, run: number, nowMs: number): void {
    const entry = this.#index.get(digestHi, digestLo);
    if (entry < 0) {
      this.#others += 1;
      return;
    }
    const numbers = this.#numbers;
    const at = entry * STRIDE;
    const where = at + ((run & RUN.ON_REPLICA) === 0 ? ON_PRIMARY : ON_REPLICA);
    numbers[at + COUNT] = (numbers[at + COUNT] ?? 0) + 1;
    numbers[where] = (numbers[where] ?? 0) + 1;
    if (us > 0) {
      numbers[at + TOTAL_US] = (numbers[at + TOTAL_US] ?? 0) + us;
      if (us > (numbers[at + MAX_US] ?? 0)) numbers[at + MAX_US] = us;
    }
    numbers[at + LAST_MS] = nowMs;
    if ((run & (RUN.FAILED | RUN.MISROUTED)) === 0) return;
    if ((run & RUN.FAILED) !== 0) numbers[at + ERRORS] = (numbers[at + ERRORS] ?? 0) + 1;
    if ((run & RUN.MISROUTED) !== 0) numbers[at + MISROUTES] = (numbers[at + MISROUTES] ?? 0) + 1;
  }

  /** The normalized text of a digest, null where it is not in the table (any more). */
  textOf(digestHi: number, digestLo: number): string | null {
    const entry = this.#index.get(digestHi, digestLo);
    return entry < 0 ? null : (this.#words[entry]?.text ?? null);
  }

  /** The first `limit` rows in an order, largest first. */
  list(order: DigestOrder, limit: number): readonly DigestRow[] {
    const weight = WEIGHTS[order];
    return this.#words
      .map((words, entry) => this.#row(words, entry))
      .sort((a, b) => weight(b) - weight(a))
      .slice(0, limit);
  }

  #row({ hi, lo, cls, reason, text }: Words, entry: number): DigestRow {
    const number = (which: number) => this.#numbers[entry * STRIDE + which] ?? 0;
    return {
      digest: digestName(hi, lo),
      class: cls,
      reason,
      count: number(COUNT),
      errors: number(ERRORS),
      misroutes: number(MISROUTES),
      totalUs: number(TOTAL_US),
      maxUs: number(MAX_US),
      onPrimary: number(ON_PRIMARY),
      onReplica: number(ON_REPLICA),
      firstMs: number(FIRST_MS),
      lastMs: number(LAST_MS),
      text,
    };
  }

  /** Gives one entry up and returns its number. */
  #evict(nowMs: number): number {
    let victim = this.#hand;
    let least = Number.POSITIVE_INFINITY;
    for (let n = 0; n < Math.min(EVICTION_SAMPLE, this.#capacity); n += 1) {
      const entry = this.#hand;
      this.#hand = (this.#hand + 1) % this.#capacity;
      const at = entry * STRIDE;
      const isRecent = nowMs - (this.#numbers[at + LAST_MS] ?? 0) < RECENT_MS;
      const value = (this.#numbers[at + COUNT] ?? 0) + (isRecent ? RECENT_WEIGHT : 0);
      if (value >= least) continue;
      least = value;
      victim = entry;
    }
    const words = this.#words[victim];
    if (words !== undefined) this.#index.delete(words.hi, words.lo);
    this.#others += this.#numbers[victim * STRIDE + COUNT] ?? 0;
    this.#evicted += 1;
    return victim;
  }
}

const WEIGHTS: Readonly<Record<DigestOrder, (row: DigestRow) => number>> = {
  total: (row) => row.totalUs,
  mean: (row) => (row.count === 0 ? 0 : row.totalUs / row.count),
  max: (row) => row.maxUs,
  count: (row) => row.count,
  errors: (row) => row.errors,
  misroutes: (row) => row.misroutes,
  last: (row) => row.lastMs,
};
