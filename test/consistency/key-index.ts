import { type History, type Level, NO_VALUE } from './history.ts';

/**
 * What is known of one key: its writes, in a form that answers "what must a read see" by bisection.
 */
export interface KeyIndex {
  /** Acknowledged writes. */
  acknowledged: number;
  /** Writes that may have happened or not. */
  unknown: number;
  /** Acknowledged writes by completion: the newest value among them so far, and whose it is. */
  readonly acknowledgedBy: Frontier;
  /** The same of what reads of level strong have shown. */
  readonly shownBy: Frontier;
  /** Start of each write that may have happened, in order. */
  readonly begunMs: number[];
  /** The write of each value. */
  readonly writeOf: Map<number, number>;
}

/** The newest value up to a moment, over operations that are added in the order of completion. */
export class Frontier {
  readonly #completedMs: number[] = [];
  readonly #newest: number[] = [];
  #value = NO_VALUE;

  add(index: number, value: number, completedMs: number): void {
    if (value <= this.#value) return;
    this.#value = value;
    this.#completedMs.push(completedMs);
    this.#newest.push(index);
  }

  /** The newest value of all; {@link NO_VALUE} where there is none. */
  get value(): number {
    return this.#value;
  }

  /** The operation with the newest value of those that were completed before `ms`, -1 for none. */
  before(ms: number): number {
    const count = countBefore(this.#completedMs, ms);
    return count === 0 ? -1 : (this.#newest[count - 1] ?? -1);
  }
}

/** How many of the ascending numbers are less than `limit`. */
export function countBefore(ascending: readonly number[], limit: number): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ascending[middle] ?? 0) < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * The index of every key of a history.
 * @param judgedAs the level that all reads count as; absent: each as its own
 */
export function indexKeys(history: History, judgedAs?: Level): KeyIndex[] {
  const { registers, counters } = history.keys;
  const keys = Array.from({ length: registers + counters }, emptyIndex);
  for (const index of history.byCompletion()) {
    const operation = history.at(index);
    const known = keys[operation.key];
    if (known === undefined) throw new Error(`There is no key ${operation.key}`);
    const { value, completedMs, outcome } = operation;
    if (operation.kind === 'read') {
      const isStrong = (judgedAs ?? operation.level) === 'strong';
      if (outcome === 'ok' && isStrong) known.shownBy.add(index, value, completedMs);
      continue;
    }
    if (value !== NO_VALUE && outcome !== 'void') known.writeOf.set(value, index);
    if (outcome === 'ok' || outcome === 'unknown') known.begunMs.push(operation.invokedMs);
    if (outcome === 'unknown') known.unknown += 1;
    if (outcome !== 'ok') continue;
    known.acknowledged += 1;
    known.acknowledgedBy.add(index, value, completedMs);
  }
  for (const { begunMs } of keys) begunMs.sort((a, b) => a - b);
  return keys;
}

function emptyIndex(): KeyIndex {
  return {
    acknowledged: 0,
    unknown: 0,
    acknowledgedBy: new Frontier(),
    shownBy: new Frontier(),
    begunMs: [],
    writeOf: new Map(),
  };
}
