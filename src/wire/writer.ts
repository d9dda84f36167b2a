import { MalformedPacketError } from './malformed.ts';

/** Length of a frame's header: length of three bytes, sequence id of one. */
export const HEADER_BYTES = 4;
/** Longest payload of one frame; a frame of this length is continued by the next. */
export const MAX_FRAME_BYTES = 0xff_ffff;

const FIRST_CAPACITY_BYTES = 128;

/**
 * Builds one packet, header included: room for the header is kept in front, so `finish` need not
 * copy what was written (payloads of 16 MB and more aside, which are cut into frames).
 */
export class PacketWriter {
  #buffer: Buffer;
  #length = HEADER_BYTES;

  /** @param capacityBytes expected payload length, to spare growing */
  constructor(capacityBytes: number = FIRST_CAPACITY_BYTES) {
    this.#buffer = Buffer.allocUnsafe(HEADER_BYTES + capacityBytes);
  }

  /** Payload bytes written so far. */
  get payloadBytes(): number {
    return this.#length - HEADER_BYTES;
  }

  u8(value: number): this {
    // The place is reserved first everywhere: reserving may exchange the buffer.
    const at = this.#reserve(1);
    this.#buffer.writeUInt8(value, at);
    return this;
  }

  u16(value: number): this {
    const at = this.#reserve(2);
    this.#buffer.writeUInt16LE(value, at);
    return this;
  }

  u24(value: number): this {
    const at = this.#reserve(3);
    this.#buffer.writeUIntLE(value, at, 3);
    return this;
  }

  u32(value: number): this {
    const at = this.#reserve(4);
    this.#buffer.writeUInt32LE(value >>> 0, at);
    return this;
  }

  u64(value: bigint): this {
    const at = this.#reserve(8);
    this.#buffer.writeBigUInt64LE(value, at);
    return this;
  }

  /** Length-encoded integer in its shortest form. */
  lenenc(value: number | bigint): this {
    if (value < 0xfb) return this.u8(Number(value));
    if (value <= 0xffff) return this.u8(0xfc).u16(Number(value));
    if (value <= 0xff_ffff) return this.u8(0xfd).u24(Number(value));
    return this.u8(0xfe).u64(BigInt(value));
  }

  bytes(value: Buffer): this {
    const at = this.#reserve(value.length);
    value.copy(this.#buffer, at);
    return this;
  }

  string(value: string, encoding: BufferEncoding = 'utf8'): this {
    const length = Buffer.byteLength(value, encoding);
    const at = this.#reserve(length);
    this.#buffer.write(value, at, length, encoding);
    return this;
  }

  lenencBytes(value: Buffer): this {
    return this.lenenc(value.length).bytes(value);
  }

  lenencString(value: string, encoding: BufferEncoding = 'utf8'): this {
    return this.lenenc(Buffer.byteLength(value, encoding)).string(value, encoding);
  }

  /**
   * String that ends with a NUL. One that holds a NUL is refused: passed on to a server it would
   * end early, and what follows it would be read as the next fields.
   */
  nulString(value: string, encoding: BufferEncoding = 'utf8'): this {
    if (value.includes('\0')) throw new MalformedPacketError('Name holds a NUL byte');
    return this.string(value, encoding).u8(0);
  }

  zeros(length: number): this {
    const at = this.#reserve(length);
    this.#buffer.fill(0, at, at + length);
    return this;
  }

  /**
   * The packet as it goes on the wire. The writer is spent afterwards: its memory is the result's.
   * @param seq sequence id of the first frame; further frames count on from it
   */
  finish(seq: number): Buffer {
    const payload = this.#length - HEADER_BYTES;
    if (payload >= MAX_FRAME_BYTES) {
      return frame(this.#buffer.subarray(HEADER_BYTES, this.#length), seq);
    }
    writeHeader(this.#buffer, 0, payload, seq);
    return this.#buffer.subarray(0, this.#length);
  }

  #reserve(length: number): number {
    const at = this.#length;
    const needed = at + length;
    if (needed > this.#buffer.length) {
      const grown = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2));
      this.#buffer.copy(grown, 0, 0, at);
      this.#buffer = grown;
    }
    this.#length = needed;
    return at;
  }
}

/**
 * Puts headers in front of a payload, cutting it at 16 MB - 1. A payload of an exact multiple ends
 * with an empty frame, as the protocol asks.
 * @param seq sequence id of the first frame
 * @see https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_packets.html
 */
export function frame(payload: Buffer, seq: number): Buffer {
  const frames = frameCount(payload.length);
  const out = Buffer.allocUnsafe(payload.length + frames * HEADER_BYTES);
  let at = 0;
  for (let index = 0; index < frames; index += 1) {
    const start = index * MAX_FRAME_BYTES;
    const length = Math.min(MAX_FRAME_BYTES, payload.length - start);
    writeHeader(out, at, length, seq + index);
    payload.copy(out, at + HEADER_BYTES, start, start + length);
    at += HEADER_BYTES + length;
  }
  return out;
}

/** How many frames (and so sequence ids) a payload of that many bytes takes. */
export function frameCount(payloadBytes: number): number {
  return Math.floor(payloadBytes / MAX_FRAME_BYTES) + 1;
}

function writeHeader(out: Buffer, at: number, length: number, seq: number): void {
  out.writeUIntLE(length, at, 3);
  out.writeUInt8(seq & 0xff, at + 3);
}
