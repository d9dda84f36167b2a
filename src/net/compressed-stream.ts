import {
  CompressedDecoder,
  type CompressionAlgorithm,
  encodeCompressed,
} from '../wire/compressed-frame.ts';
import { MalformedPacketError } from '../wire/malformed.ts';
import type { ByteSink, ByteStream } from './byte-stream.ts';

/**
 * The compressed protocol over another stream: what is written goes out in compressed frames, what
 * comes in is unpacked. Frames of an answer count on from those of its command.
 */
export class CompressedStream implements ByteStream, ByteSink {
  private readonly inner: ByteStream;
  private readonly algorithm: CompressionAlgorithm;
  private readonly level: number;
  private readonly decoder: CompressedDecoder;
  private sink: ByteSink | null = null;
  private seq = 0;
  private paused = false;

  constructor(inner: ByteStream, algorithm: CompressionAlgorithm, level: number) {
    this.inner = inner;
    this.algorithm = algorithm;
    this.level = level;
    this.decoder = new CompressedDecoder(algorithm);
  }

  get destroyed(): boolean {
    return this.inner.destroyed;
  }

  get pendingBytes(): number {
    return this.inner.pendingBytes;
  }

  setSink(sink: ByteSink): void {
    this.sink = sink;
    this.inner.setSink(this);
  }

  write(bytes: Buffer): boolean {
    const frames = encodeCompressed(bytes, this.seq, this.algorithm, this.level);
    this.seq = frames.nextSeq;
    return this.inner.write(frames.bytes);
  }

  pause(): void {
    this.paused = true;
    this.inner.pause();
  }

  resume(): void {
    this.paused = false;
    this.deliver();
    if (!this.paused) this.inner.resume();
  }

  end(): void {
    this.inner.end();
  }

  destroy(): void {
    this.inner.destroy();
  }

  onBytes(chunk: Buffer): void {
    try {
      this.decoder.push(chunk);
    } catch (error) {
      this.refuse(error);
      return;
    }
    this.deliver();
  }

  onDrain(): void {
    this.sink?.onDrain();
  }

  onClose(error: Error | null): void {
    const { sink } = this;
    this.sink = null;
    sink?.onClose(error);
  }

  private deliver(): void {
    try {
      while (!this.paused) {
        const piece = this.decoder.next();
        if (piece === null) return;
        this.seq = (piece.seq + 1) & 0xff;
        this.sink?.onBytes(piece.payload);
      }
    } catch (error) {
      this.refuse(error);
    }
  }

  private refuse(error: unknown): void {
    if (!(error instanceof MalformedPacketError)) throw error;
    this.onClose(error);
    this.inner.destroy();
  }
}
