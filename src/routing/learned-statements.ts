import { digestName, parseDigestName } from './digest-id.ts';
import { DigestIndex } from './digest-index.ts';

/** What a replica's error taught about a statement. */
export const LEARNED_REASONS = [
  /** It refused the statement as a write: the statement goes to the primary from now on. */
  'read-only',
  /**
   * It missed a schema, table, column or routine. Only counted: that passes as soon as the replica
   * has caught up, and a digest sent to the primary for good would outlive the reason.
   */
  'missing-object',
] as const;
export type LearnedReason = (typeof LEARNED_REASONS)[number];

/** One learned statement as people see it. */
export interface LearnedStatement {
  /** 16 hexadecimal digits. */
  readonly digest: string;
  readonly why: LearnedReason;
  /** How often each reason was seen. */
  readonly count: Readonly<Record<LearnedReason, number>>;
  /** When it was first and last seen to fail on a replica, on the clock of the caller, ms. */
  readonly firstMs: number;
  readonly lastMs: number;
  /** Its normalized text. */
  readonly sample: string;
}

/** How many are kept; each costs a misroute, so that many is a sign of something else. */
const DEFAULT_CAPACITY = 1000;
/** Characters of a sample. */
const MAX_SAMPLE_LENGTH = 1024;

interface Entry {
  readonly hi: number;
  readonly lo: number;
  why: LearnedReason;
  readonly count: Record<LearnedReason, number>;
  readonly firstMs: number;
  lastMs: number;
  readonly sample: string;
}

/**
 * Statements that were taken for reads and that a replica has refused, by digest. Two statements
 * of one digest may do different things, and then both go to the primary: the safe side.
 *
 * Bounded: when full, the oldest that is only counted goes first, then the oldest of all, which is
 * learned again with its next misroute.
 */
export class LearnedStatements {
  readonly #capacity: number;
  readonly #index: DigestIndex;
  /** By name, in the order in which they were learned. */
  readonly #entries = new Map<string, Entry>();
  /** Those of reason `read-only`, which alone are in the index. */
  #routed = 0;
  #evicted = 0;

  /** @param capacity at most this many digests */
  constructor(capacity: number = DEFAULT_CAPACITY) {
    this.#capacity = capacity;
    this.#index = new DigestIndex(capacity);
  }

  /** How many digests go to the primary because a replica refused them. */
  get size(): number {
    return this.#routed;
  }

  /** How many had to give way to newer ones. */
  get evicted(): number {
    return this.#evicted;
  }

  /** Whether statements of this digest go to the primary. Runs for each read; makes no object. */
  isLearned(digestHi: number, digestLo: number): boolean {
    return this.#routed !== 0 && this.#index.get(digestHi, digestLo) >= 0;
  }

  /**
   * Takes note of a replica's error. The halves of the digest are those of `Classification`.
   * @param sample normalized text, without literals (`digestText`); the first one is kept
   */
  learn(
    digestHi: number,
    digestLo: number,
    why: LearnedReason,
    nowMs: number,
    sample: string,
  ): void {
    const name = digestName(digestHi, digestLo);
    const entry = this.#entries.get(name) ?? this.#add(name, nowMs, sample);
    entry.count[why] += 1;
    entry.lastMs = nowMs;
    if (why !== 'read-only' || this.#index.get(entry.hi, entry.lo) >= 0) return;
    entry.why = why;
    this.#index.set(entry.hi, entry.lo, 1);
    this.#routed += 1;
  }

  /** All of them, the one that failed last first. */
  list(): readonly LearnedStatement[] {
    return [...this.#entries]
      .map(([digest, { why, count, firstMs, lastMs, sample }]) => ({
        digest,
        why,
        count: { ...count },
        firstMs,
        lastMs,
        sample,
      }))
      .sort((a, b) => b.lastMs - a.lastMs);
  }

  /** Forgets one, by its 16 digits. Returns whether it was known. */
  forget(digest: string): boolean {
    const name = digest.toLowerCase();
    const entry = this.#entries.get(name);
    if (entry === undefined) return false;
    this.#remove(name, entry);
    return true;
  }

  /** Forgets all; returns how many there were. */
  clear(): number {
    const count = this.#entries.size;
    this.#entries.clear();
    this.#index.clear();
    this.#routed = 0;
    return count;
  }

  #add(name: string, nowMs: number, sample: string): Entry {
    if (this.#entries.size >= this.#capacity) this.#evict();
    const halves = parseDigestName(name) ?? { hi: 0, lo: 0 };
    const entry: Entry = {
      ...halves,
      why: 'missing-object',
      count: { 'read-only': 0, 'missing-object': 0 },
      firstMs: nowMs,
      lastMs: nowMs,
      sample: sample.slice(0, MAX_SAMPLE_LENGTH),
    };
    this.#entries.set(name, entry);
    return entry;
  }

  #evict(): void {
    let oldest: readonly [string, Entry] | null = null;
    for (const pair of this.#entries) {
      oldest ??= pair;
      if (pair[1].why !== 'missing-object') continue;
      oldest = pair;
      break;
    }
    if (oldest === null) return;
    this.#remove(...oldest);
    this.#evicted += 1;
  }

  #remove(name: string, entry: Entry): void {
    this.#entries.delete(name);
    if (entry.why !== 'read-only') return;
    this.#index.delete(entry.hi, entry.lo);
    this.#routed -= 1;
  }
}
