import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { DirectWriter } from './direct-write.ts';

/** Who receives what a {@link ByteStream} brings. Methods of one object: no closure per event. */
export interface ByteSink {
  /** Bytes that arrived. The receiver owns the buffer. */
  onBytes(chunk: Buffer): void;
  /** Everything written has left; a sender that was told `false` may go on. */
  onDrain(): void;
  /** Called once, last. `error` is null where the peer simply closed. */
  onClose(error: Error | null): void;
}

/** A byte stream in both directions: TCP, TLS or the compressed protocol over either. */
export interface ByteStream {
  /** Where bytes go from now on. Reading starts with the first sink. */
  setSink(sink: ByteSink): void;
  /** Sends; false when the peer is slow and the caller should wait for `onDrain`. */
  write(bytes: Buffer): boolean;
  pause(): void;
  resume(): void;
  /** Sends what is queued, then closes; destroyed by force after a short time. */
  end(): void;
  destroy(): void;
  readonly destroyed: boolean;
  /** Bytes accepted by `write` that have not left yet. */
  readonly pendingBytes: number;
}

/** A peer that does not take our last words within this time is cut off. */
const LINGER_MS = 2_000;

/** {@link ByteStream} over a TCP or TLS socket. */
export class SocketStream implements ByteStream {
  readonly socket: Socket | TLSSocket;
  private sink: ByteSink | null = null;
  private error: Error | null = null;
  private paused = false;
  /** Null where there is none to be had; undefined before the first write. */
  private writer: DirectWriter | null | undefined;
  /** The socket itself may have bytes to send. Asking it costs what writing to its handle saves. */
  private socketMayWrite = false;

  constructor(socket: Socket | TLSSocket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('error', (error) => {
      this.error = error;
    });
    socket.on('close', () => this.sink?.onClose(this.error));
    socket.on('drain', () => this.sink?.onDrain());
    // Half-open connections have no use in this protocol: the peer's end is the end.
    socket.on('end', () => socket.end());
  }

  get destroyed(): boolean {
    return this.socket.destroyed;
  }

  get pendingBytes(): number {
    return this.socket.writableLength + (this.writer?.pendingBytes ?? 0);
  }

  setSink(sink: ByteSink): void {
    const first = this.sink === null;
    this.sink = sink;
    if (first) this.socket.on('data', (chunk: Buffer) => this.sink?.onBytes(chunk));
  }

  /** Bytes that were read past the socket's own `data` events (see `sharedRead`). */
  deliver(chunk: Buffer): void {
    this.sink?.onBytes(chunk);
  }

  write(bytes: Buffer): boolean {
    const { writer } = this;
    if (writer && !this.socketMayWrite) return writer.write(bytes);
    const { socket } = this;
    if (writer === undefined && !socket.connecting) {
      this.writer = DirectWriter.of(socket, () => this.sink?.onDrain());
    }
    // Behind what the socket still has to send, as long as it has.
    this.socketMayWrite = socket.writableLength > 0;
    if (this.writer && !this.socketMayWrite) return this.writer.write(bytes);
    this.socketMayWrite = true;
    return socket.write(bytes);
  }

  pause(): void {
    if (this.paused) return;
    this.paused = true;
    this.socket.pause();
  }

  resume(): void {
    if (!this.paused) return;
    this.paused = false;
    this.socket.resume();
  }

  end(): void {
    if (this.socket.destroyed) return;
    this.socket.end();
    // A paused socket never sees the peer's end; nothing of it is wanted any more.
    this.resume();
    const timer = setTimeout(() => this.socket.destroy(), LINGER_MS);
    timer.unref();
    this.socket.once('close', () => clearTimeout(timer));
  }

  destroy(): void {
    this.socket.destroy();
  }

  /** Gives the bare socket back, for a TLS upgrade: this object hears nothing more of it. */
  release(unread: Buffer): Socket {
    this.socket.removeAllListeners('data');
    this.socket.removeAllListeners('end');
    this.socket.removeAllListeners('drain');
    this.socket.removeAllListeners('close');
    this.sink = null;
    this.socket.pause();
    // TLS records that came in the same segment as the request for TLS belong to the TLS layer.
    if (unread.length > 0) this.socket.unshift(unread);
    return this.socket;
  }
}
