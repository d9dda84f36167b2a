import type { ByteStream } from './byte-stream.ts';

/**
 * Memory for what sockets read. Small reads are copied into Buffer's own pool. Large ones, of which
 * a long result is made, go into chunks that are used again: fresh ones would be garbage as fast as
 * the network is, and V8 lets some 64 MiB of it lie before it collects.
 */

/** What one read may bring; the size that Node itself reads with. */
export const READ_BYTES = 64 * 1024;
/** A read of this length and more is a large one. */
const LARGE_BYTES = 8 * 1024;
/** Chunks kept for later; more are left to the garbage collector. */
const MAX_FREE = 64;

const free: ArrayBuffer[] = [];
/** Chunks in use, so that nothing else is ever taken for one, and none is given back twice. */
const inUse = new WeakSet<ArrayBufferLike>();

/** A copy of what a socket has read, to do with as one likes. */
export function copyOfRead(read: Buffer): Buffer {
  if (read.length < LARGE_BYTES) return Buffer.from(read);
  const memory = free.pop() ?? new ArrayBuffer(READ_BYTES);
  inUse.add(memory);
  const chunk = Buffer.from(memory, 0, read.length);
  read.copy(chunk);
  return chunk;
}

/** Whether giving it back would be of any use. */
const isLargeRead = (chunk: Buffer): boolean => chunk.length >= LARGE_BYTES;

/**
 * Large reads that were written to a stream: their memory is used again as soon as that has taken
 * them.
 */
export class LentChunks {
  private readonly chunks: Buffer[] = [];
  private stream: Pick<ByteStream, 'pendingBytes'> | null = null;

  /** The chunk was just written to the stream, and nobody else refers to its memory. */
  lend(chunk: Buffer, stream: Pick<ByteStream, 'pendingBytes'>): void {
    if (!isLargeRead(chunk)) return;
    if (stream !== this.stream) this.forget();
    this.stream = stream;
    this.chunks.push(chunk);
    this.takeBack();
  }

  /** The stream may have taken them. */
  takeBack(): void {
    if (this.stream === null || this.stream.pendingBytes > 0) return;
    for (const chunk of this.chunks) recycle(chunk);
    this.chunks.length = 0;
  }

  /** The stream is somebody else's now: the collector has what it has not taken. */
  forget(): void {
    this.chunks.length = 0;
    this.stream = null;
  }
}

/**
 * Gives back a large read that nobody refers to any more: its memory will hold other bytes, or is
 * freed at once where Node itself allocated it (TLS).
 */
function recycle(chunk: Buffer): void {
  const memory = chunk.buffer;
  if (!(memory instanceof ArrayBuffer)) return;
  if (inUse.delete(memory)) {
    if (free.length < MAX_FREE) free.push(memory);
  } else if (chunk.byteLength === memory.byteLength) {
    // Only memory that is this chunk's alone; a part of Buffer's pool is not.
    memory.transfer(0);
  }
}
