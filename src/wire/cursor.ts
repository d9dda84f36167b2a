import { MalformedPacketError } from './malformed.ts';

/** First byte of a length-encoded integer that stands for SQL NULL in a text row. */
export const LENENC_NULL = 0xfb;

/**
 * Reads one packet's payload from front to back. Every read is checked against the end first, and
 * every length against a maximum before anything is taken: a packet that lies ends in
 * `MalformedPacketError`, never in a RangeError or a large allocation. Byte strings are views of
 * the payload, not copies.
 * @see https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_data_types.html
 */
export class ByteCursor {
  readonly buffer: Buffer;
  readonly end: number;
  #pos: number;

  constructor(buffer: Buffer, pos = 0, end: number = buffer.length) {
    if (pos < 0 || end > buffer.length || pos > end) {
      throw new MalformedPacketError(`Packet ends before byte ${pos}`);
    }
    this.buffer = buffer;
    this.#pos = pos;
    this.end = end;
  }

  /** Index in `buffer` of the next byte to read. */
  get pos(): number {
    return this.#pos;
  }

  /** Bytes that are still to be read. */
  get remaining(): number {
    return this.end - this.#pos;
  }

  u8(): number {
    return this.buffer.readUInt8(this.#take(1));
  }

  u16(): number {
    return this.buffer.readUInt16LE(this.#take(2));
  }

  u24(): number {
    return this.buffer.readUIntLE(this.#take(3), 3);
  }

  u32(): number {
    return this.buffer.readUInt32LE(this.#take(4));
  }

  u64(): bigint {
    return this.buffer.readBigUInt64LE(this.#take(8));
  }

  /** The next byte without moving on. */
  peek(): number {
    if (this.remaining < 1) throw cutShort(this.#pos);
    return this.buffer.readUInt8(this.#pos);
  }

  /** Length-encoded integer as a number; values over 2^53 - 1 are refused. */
  lenenc(): number {
    const value = this.lenencBig();
    if (typeof value === 'bigint') {
      throw new MalformedPacketError('Length-encoded integer is over 2^53');
    }
    return value;
  }

  /** Length-encoded integer; a bigint only where a number would lose digits. */
  lenencBig(): number | bigint {
    const first = this.u8();
    if (first < LENENC_NULL) return first;
    if (first === 0xfc) return this.u16();
    if (first === 0xfd) return this.u24();
    if (first === 0xfe) {
      const value = this.u64();
      return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
    }
    throw new MalformedPacketError(`Byte ${first} does not begin a length-encoded integer`);
  }

  /** Bytes that follow their own length-encoded length, at most `maxBytes`. */
  lenencBytes(maxBytes: number): Buffer {
    const length = this.lenenc();
    if (length > maxBytes) {
      throw new MalformedPacketError(`String of ${length} bytes, at most ${maxBytes} are allowed`);
    }
    return this.bytes(length);
  }

  /** Exactly `length` bytes. */
  bytes(length: number): Buffer {
    const start = this.#take(length);
    return this.buffer.subarray(start, start + length);
  }

  /** Bytes up to the next NUL, which is read and left out. */
  nulBytes(): Buffer {
    const start = this.#pos;
    const left = this.buffer.subarray(start, this.end);
    const length = left.indexOf(0);
    if (length < 0) throw new MalformedPacketError('String is not terminated within its packet');
    this.#pos = start + length + 1;
    return left.subarray(0, length);
  }

  /** Everything up to the end. */
  rest(): Buffer {
    const start = this.#pos;
    this.#pos = this.end;
    return this.buffer.subarray(start, this.end);
  }

  skip(length: number): void {
    this.#take(length);
  }

  /** Refuses bytes after the packet's last field. */
  expectEnd(): void {
    if (this.remaining > 0) {
      throw new MalformedPacketError(`Packet has ${this.remaining} bytes after its last field`);
    }
  }

  #take(length: number): number {
    const start = this.#pos;
    if (length < 0 || length > this.end - start) throw cutShort(this.end);
    this.#pos = start + length;
    return start;
  }
}

function cutShort(end: number): MalformedPacketError {
  return new MalformedPacketError(`Packet is cut short after ${end} bytes`);
}
