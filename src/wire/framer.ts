import { ByteQueue } from './byte-queue.ts';
import { MalformedPacketError } from './malformed.ts';
import { HEADER_BYTES, MAX_FRAME_BYTES } from './writer.ts';

/** One logical packet: the payloads of its frames joined, the sequence id of its last frame. */
export interface Packet {
  readonly seq: number;
  /** A view of the receive buffer where possible: copy what outlives the next turn. */
  readonly payload: Buffer;
}

/** What may wait beyond the packet being read: peers may send several packets at once. */
const DEFAULT_AHEAD_BYTES = 1024 * 1024;

/**
 * Cuts a byte stream into packets where packets are looked at one by one: login, and the proxy's
 * own control statements. (The command phase forwards bytes and never gathers packets.)
 *
 * Bounds: a packet that declares more than `maxBytes` fails as soon as its header is there, and a
 * peer that sends more than `maxBytes + aheadBytes` without being read fails too. A framer that has
 * failed stays failed: after a broken frame nothing in the stream can be trusted.
 */
export class Framer {
  readonly #maxBytes: number;
  readonly #aheadBytes: number;
  readonly #queue = new ByteQueue();
  /** Payload bytes and number of the current packet's frames whose headers have been checked. */
  #payloadBytes = 0;
  #frames = 0;
  /** False once the header of the current packet's last frame has been checked. */
  #continues = true;
  #failed: MalformedPacketError | null = null;

  /**
   * @param maxBytes longest payload of a packet, all of its frames together
   * @param aheadBytes what may wait beyond that
   */
  constructor(maxBytes: number, aheadBytes: number = DEFAULT_AHEAD_BYTES) {
    this.#maxBytes = maxBytes;
    this.#aheadBytes = aheadBytes;
  }

  /** Bytes that were pushed and not yet given out, headers included. */
  get bufferedBytes(): number {
    return this.#queue.length;
  }

  /**
   * Takes what the socket gave. The chunk must not be changed afterwards: it is not copied as long
   * as it holds whole packets.
   */
  push(chunk: Buffer): void {
    if (this.#failed !== null) throw this.#failed;
    if (this.bufferedBytes + chunk.length > this.#maxBytes + this.#aheadBytes) {
      throw this.#fail('Peer sends on without waiting for an answer');
    }
    this.#queue.push(chunk);
  }

  /** The next whole packet, or null until more bytes come. */
  next(): Packet | null {
    if (this.#failed !== null) throw this.#failed;
    while (this.#continues) {
      const header = this.#payloadBytes + this.#frames * HEADER_BYTES;
      if (this.bufferedBytes < header + HEADER_BYTES) return null;
      this.#checkHeader(header);
    }
    const totalBytes = this.#payloadBytes + this.#frames * HEADER_BYTES;
    return this.bufferedBytes < totalBytes ? null : this.#cut();
  }

  /**
   * Gives back all bytes that were not read and forgets them: for a TLS upgrade or the command
   * phase, which go on with the raw stream.
   */
  takeRest(): Buffer {
    this.#resetPacket();
    return this.#queue.take(this.#queue.length);
  }

  #checkHeader(at: number): void {
    const length = this.#queue.u24(at);
    if (this.#payloadBytes + length > this.#maxBytes) {
      throw this.#fail(`Packet is over the ${this.#maxBytes} bytes that are allowed here`);
    }
    // Within a packet ids run on; what the first one must be is for the caller to judge.
    if (this.#frames > 0) {
      const previous = this.#queue.u8(at - MAX_FRAME_BYTES - 1);
      if (this.#queue.u8(at + 3) !== ((previous + 1) & 0xff)) {
        throw this.#fail('Frames of a long packet are out of sequence');
      }
    }
    this.#payloadBytes += length;
    this.#frames += 1;
    this.#continues = length === MAX_FRAME_BYTES;
  }

  #cut(): Packet {
    const parts: Buffer[] = [];
    let seq = 0;
    for (let left = this.#payloadBytes, index = 0; index < this.#frames; index += 1) {
      seq = this.#queue.take(HEADER_BYTES).readUInt8(3);
      const part = this.#queue.take(Math.min(left, MAX_FRAME_BYTES));
      left -= part.length;
      parts.push(part);
    }
    this.#resetPacket();
    const [only] = parts;
    return { seq, payload: parts.length === 1 && only !== undefined ? only : Buffer.concat(parts) };
  }

  #resetPacket(): void {
    this.#payloadBytes = 0;
    this.#frames = 0;
    this.#continues = true;
  }

  #fail(message: string): MalformedPacketError {
    this.#queue.clear();
    this.#failed = new MalformedPacketError(message);
    return this.#failed;
  }
}
