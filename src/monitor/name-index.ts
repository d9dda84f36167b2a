/** Names in the catalogue are ASCII but for very few; the length of a name has at most 64 characters. */
const MAX_NAME_BYTES = 64;
const NON_ASCII = 0x80;

interface Entry<Value> {
  readonly bytes: Uint8Array;
  readonly value: Value;
}

/**
 * Finds a value by a name's bytes, whatever their case, without making a string. Of names that are
 * not ASCII only the presence is kept: how two servers and a client compare those is a matter of
 * their character sets and collations.
 */
export class NameIndex<Value> {
  readonly #buckets = new Map<number, Entry<Value>[]>();
  #hasOthers = false;

  /** Adds a name, which must not be there yet in any case of its letters. */
  add(name: string, value: Value): void {
    const bytes = Buffer.from(name.toLowerCase());
    const hash = hashOf(bytes, 0, bytes.length);
    if (hash < 0) {
      this.#hasOthers = true;
      return;
    }
    const bucket = this.#buckets.get(hash);
    if (bucket === undefined) this.#buckets.set(hash, [{ bytes, value }]);
    else bucket.push({ bytes, value });
  }

  /** Some name is not ASCII, or too long to be one: `get` does not find it. */
  get hasOthers(): boolean {
    return this.#hasOthers;
  }

  /** The value of the name in `buf[start, end)`; undefined also for one that is not ASCII. */
  get(buf: Uint8Array, start: number, end: number): Value | undefined {
    const hash = hashOf(buf, start, end);
    if (hash < 0) return undefined;
    const bucket = this.#buckets.get(hash);
    if (bucket === undefined) return undefined;
    for (const { bytes, value } of bucket) {
      if (isSame(bytes, buf, start, end)) return value;
    }
    return undefined;
  }
}

/** Whether these bytes can be looked up at all. */
export function isPlainName(buf: Uint8Array, start: number, end: number): boolean {
  return hashOf(buf, start, end) >= 0;
}

/** A hash of at most 30 bits, so that it is no object; -1 for what is not a plain name. */
function hashOf(buf: Uint8Array, start: number, end: number): number {
  if (end - start > MAX_NAME_BYTES) return -1;
  let hash = end - start;
  for (let at = start; at < end; at += 1) {
    const byte = buf[at] ?? NON_ASCII;
    if (byte >= NON_ASCII) return -1;
    hash = Math.imul(hash ^ lower(byte), 0x0100_0193);
  }
  return (hash ^ (hash >>> 15)) & 0x3fff_ffff;
}

function isSame(bytes: Uint8Array, buf: Uint8Array, start: number, end: number): boolean {
  if (bytes.length !== end - start) return false;
  for (let n = 0; n < bytes.length; n += 1) {
    if (bytes[n] !== lower(buf[start + n] ?? 0)) return false;
  }
  return true;
}

function lower(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte;
}
