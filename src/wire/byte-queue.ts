/** First size of memory of our own; most login packets fit. */
const MIN_OWNED_BYTES = 256;

const EMPTY = Buffer.alloc(0);

/**
 * Bytes in, in the chunks of a socket; bytes out, in the pieces of a protocol, as views without a
 * copy where a piece lies within one chunk. Memory doubles when pieces arrive bit by bit, so
 * byte-by-byte input costs linear time. It sets no bound: its owner must.
 *
 * Bytes are never moved or overwritten within a buffer, so views that were given out stay good.
 */
export class ByteQueue {
  /** Unread bytes are `#buffer[#start..#end)`. */
  #buffer: Buffer = EMPTY;
  #start = 0;
  #end = 0;

  /** Bytes waiting. */
  get length(): number {
    return this.#end - this.#start;
  }

  /** Takes a chunk, which must not be changed afterwards. */
  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    if (this.#start === this.#end) {
      this.#buffer = chunk;
      this.#start = 0;
      this.#end = chunk.length;
    } else {
      this.#append(chunk);
    }
  }

  /** Byte `at` places behind the first that waits. The caller has checked `length`. */
  u8(at: number): number {
    return this.#buffer.readUInt8(this.#start + at);
  }

  /** Three-byte length at that place. The caller has checked `length`. */
  u24(at: number): number {
    return this.#buffer.readUIntLE(this.#start + at, 3);
  }

  /** The next bytes; the caller has checked that `count` of them wait. */
  take(count: number): Buffer {
    const taken = this.#buffer.subarray(this.#start, this.#start + count);
    this.#start += count;
    if (this.#start === this.#end) this.clear();
    return taken;
  }

  /** Forgets what waits and lets go of its memory. */
  clear(): void {
    this.#buffer = EMPTY;
    this.#start = 0;
    this.#end = 0;
  }

  #append(chunk: Buffer): void {
    const kept = this.length;
    // A chunk lent by `push` is full to its end, so bytes never go into memory that is not ours.
    if (this.#end + chunk.length > this.#buffer.length) {
      const capacity = Math.max(kept + chunk.length, kept * 2, MIN_OWNED_BYTES);
      const grown = Buffer.allocUnsafeSlow(capacity);
      this.#buffer.copy(grown, 0, this.#start, this.#end);
      this.#buffer = grown;
      this.#start = 0;
      this.#end = kept;
    }
    chunk.copy(this.#buffer, this.#end);
    this.#end += chunk.length;
  }
}
