import {
  constants,
  deflateSync,
  inflateSync,
  zstdCompressSync,
  zstdDecompressSync,
} from 'node:zlib';
import { ByteQueue } from './byte-queue.ts';
import { MalformedPacketError } from './malformed.ts';
import { MAX_FRAME_BYTES } from './writer.ts';

export type CompressionAlgorithm = 'zlib' | 'zstd';

/** One compressed frame, unpacked: a piece of the packet stream, not a packet. */
export interface CompressedPiece {
  /** Of the compressed frames, which count on their own. */
  readonly seq: number;
  readonly payload: Buffer;
}

/** Compressed frames ready to be sent. */
export interface CompressedFrames {
  readonly bytes: Buffer;
  /** Sequence id of the compressed frame that comes after these. */
  readonly nextSeq: number;
}

/** Compressed length of three bytes, sequence id, uncompressed length of three bytes. */
const HEADER_BYTES = 7;
/** The protocol's own bound: shorter pieces do not shrink and go as they are. */
const MIN_COMPRESS_BYTES = 50;
const AHEAD_BYTES = 1024 * 1024;
/**
 * A zstd frame may ask its reader for a window of 128 MiB and more. A piece has at most 2^24 bytes,
 * so no larger window can serve it; without this bound a few bytes would cost that memory.
 */
const MAX_ZSTD_WINDOW_LOG = 24;

/**
 * Unpacks the compressed protocol. Every piece is bounded twice: by the 16 MB that its header can
 * declare, and by what it declares, which is checked against what comes out.
 * @see https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_compression_packet.html
 */
export class CompressedDecoder {
  readonly #algorithm: CompressionAlgorithm;
  readonly #queue = new ByteQueue();
  #failed: MalformedPacketError | null = null;

  constructor(algorithm: CompressionAlgorithm) {
    this.#algorithm = algorithm;
  }

  /** Bytes that were pushed and not yet given out, still compressed. */
  get bufferedBytes(): number {
    return this.#queue.length;
  }

  /** Takes what the socket gave; the chunk must not be changed afterwards. */
  push(chunk: Buffer): void {
    if (this.#failed !== null) throw this.#failed;
    if (this.bufferedBytes + chunk.length > HEADER_BYTES + MAX_FRAME_BYTES + AHEAD_BYTES) {
      throw this.#fail('Peer sends on without waiting for an answer');
    }
    this.#queue.push(chunk);
  }

  /** The next piece, or null until more bytes come. */
  next(): CompressedPiece | null {
    if (this.#failed !== null) throw this.#failed;
    const queue = this.#queue;
    if (queue.length < HEADER_BYTES || queue.length < HEADER_BYTES + queue.u24(0)) return null;
    const header = queue.take(HEADER_BYTES);
    const body = queue.take(header.readUIntLE(0, 3));
    const plainBytes = header.readUIntLE(4, 3);
    const payload = plainBytes === 0 ? body : this.#unpack(body, plainBytes);
    return { seq: header.readUInt8(3), payload };
  }

  /** Gives back all bytes that were not read and forgets them. */
  takeRest(): Buffer {
    return this.#queue.take(this.#queue.length);
  }

  #unpack(body: Buffer, plainBytes: number): Buffer {
    let plain: Buffer;
    try {
      plain =
        this.#algorithm === 'zlib'
          ? inflateSync(body, { maxOutputLength: plainBytes })
          : zstdDecompressSync(body, {
              maxOutputLength: plainBytes,
              params: { [constants.ZSTD_d_windowLogMax]: MAX_ZSTD_WINDOW_LOG },
            });
    } catch (error) {
      throw this.#fail('Compressed frame does not unpack to the length it declares', error);
    }
    if (plain.length !== plainBytes) {
      throw this.#fail('Compressed frame unpacks to less than it declares');
    }
    return plain;
  }

  #fail(message: string, cause?: unknown): MalformedPacketError {
    this.#queue.clear();
    this.#failed = new MalformedPacketError(message, { cause });
    return this.#failed;
  }
}

/**
 * Packs packets (headers included) into compressed frames, cut at 16 MB - 1. What would not shrink
 * is sent as it is.
 * @param seq id of the first compressed frame, 0 after a command begins
 * @param level 1–9 for zlib, 1–22 for zstd
 */
export function encodeCompressed(
  payload: Buffer,
  seq: number,
  algorithm: CompressionAlgorithm,
  level: number,
): CompressedFrames {
  const parts: Buffer[] = [];
  let nextSeq = seq;
  for (let at = 0; at < payload.length; at += MAX_FRAME_BYTES) {
    const plain = payload.subarray(at, at + MAX_FRAME_BYTES);
    const packed = plain.length < MIN_COMPRESS_BYTES ? plain : pack(plain, algorithm, level);
    const shrunk = packed.length < plain.length;
    const header = Buffer.allocUnsafe(HEADER_BYTES);
    header.writeUIntLE(shrunk ? packed.length : plain.length, 0, 3);
    header.writeUInt8(nextSeq & 0xff, 3);
    header.writeUIntLE(shrunk ? plain.length : 0, 4, 3);
    parts.push(header, shrunk ? packed : plain);
    nextSeq = (nextSeq + 1) & 0xff;
  }
  return { bytes: Buffer.concat(parts), nextSeq };
}

function pack(plain: Buffer, algorithm: CompressionAlgorithm, level: number): Buffer {
  if (algorithm === 'zlib') return deflateSync(plain, { level });
  return zstdCompressSync(plain, {
    params: { [constants.ZSTD_c_compressionLevel]: level },
    // Known in advance, the length keeps the frame's window no larger than the piece.
    pledgedSrcSize: plain.length,
  });
}
