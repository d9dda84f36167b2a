/** Slot of the index that holds nothing. */
const FREE = -1;

/**
 * Finds the number under which a 64-bit digest is kept, in typed arrays: a look-up makes no object.
 * A Map would need a key of 64 bits, and V8 puts each number beyond 31 bits on the heap.
 *
 * Open addressing with linear probing; at most half of the slots are taken, so probes are short.
 */
export class DigestIndex {
  readonly #mask: number;
  readonly #his: Uint32Array;
  readonly #los: Uint32Array;
  readonly #values: Int32Array;

  /** @param capacity how many digests it must hold at most */
  constructor(capacity: number) {
    let slots = 8;
    while (slots < 2 * capacity) slots *= 2;
    this.#mask = slots - 1;
    this.#his = new Uint32Array(slots);
    this.#los = new Uint32Array(slots);
    this.#values = new Int32Array(slots).fill(FREE);
  }

  /** What the digest was set to; -1 if it is not here. Both halves unsigned. */
  get(hi: number, lo: number): number {
    return this.#values[this.#slotOf(hi, lo)] ?? FREE;
  }

  /** Adds a digest or changes its value, which must not be negative. */
  set(hi: number, lo: number, value: number): void {
    const slot = this.#slotOf(hi, lo);
    this.#his[slot] = hi;
    this.#los[slot] = lo;
    this.#values[slot] = value;
  }

  /** Takes a digest out; what had to give way to it moves back, so that no tombstones pile up. */
  delete(hi: number, lo: number): void {
    let hole = this.#slotOf(hi, lo);
    if (this.#values[hole] === FREE) return;
    this.#values[hole] = FREE;
    for (let slot = (hole + 1) & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const value = this.#values[slot] ?? FREE;
      if (value === FREE) return;
      const movedHi = this.#his[slot] ?? 0;
      const movedLo = this.#los[slot] ?? 0;
      const home = mix(movedHi, movedLo) & this.#mask;
      // It may move if its home is not between the hole and where it is (around the end, too).
      if (((slot - home) & this.#mask) < ((slot - hole) & this.#mask)) continue;
      this.#his[hole] = movedHi;
      this.#los[hole] = movedLo;
      this.#values[hole] = value;
      this.#values[slot] = FREE;
      hole = slot;
    }
  }

  clear(): void {
    this.#values.fill(FREE);
  }

  /** The slot that has the digest, or the free one where it belongs. */
  #slotOf(hi: number, lo: number): number {
    const mask = this.#mask;
    let slot = mix(hi, lo) & mask;
    while (this.#values[slot] !== FREE && (this.#los[slot] !== lo || this.#his[slot] !== hi)) {
      slot = (slot + 1) & mask;
    }
    return slot;
  }
}

/** Digests are hashes, but not against somebody who chooses statements: fold both halves. */
function mix(hi: number, lo: number): number {
  const folded = Math.imul(hi ^ (lo >>> 15), 0x2c1b_3c6d) ^ lo;
  return folded ^ (folded >>> 16);
}
