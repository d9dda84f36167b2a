import type { ByteSink, ByteStream } from '../../src/net/byte-stream.ts';

/** A {@link ByteStream} in memory: what was written is kept, what arrives is the test's to say. */
export class FakeStream implements ByteStream {
  readonly written: Buffer[] = [];
  paused = false;
  destroyed = false;
  ended = false;
  /** The peer takes no more: `write` says so until `drain`. */
  isFull = false;
  pendingBytes = 0;
  sink: ByteSink | null = null;

  setSink(sink: ByteSink): void {
    this.sink = sink;
  }

  write(bytes: Buffer): boolean {
    this.written.push(Buffer.from(bytes));
    return !this.isFull;
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  end(): void {
    this.ended = true;
  }

  destroy(): void {
    this.destroyed = true;
  }

  /** All that was written, in one. */
  get bytes(): Buffer {
    return Buffer.concat(this.written);
  }

  /** Bytes arrive from the peer, in pieces of `pieceBytes` where that is given. */
  receive(bytes: Buffer, pieceBytes: number = Math.max(1, bytes.length)): void {
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      this.sink?.onBytes(Buffer.from(bytes.subarray(at, at + pieceBytes)));
    }
  }

  /** The peer can take more again. */
  drain(): void {
    this.isFull = false;
    this.sink?.onDrain();
  }

  /** The peer is gone. */
  close(error: Error | null = null): void {
    this.destroyed = true;
    this.sink?.onClose(error);
  }
}
