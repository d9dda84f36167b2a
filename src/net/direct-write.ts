import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { getSystemErrorName } from 'node:util';
import { handleOf, STREAM_WRAP, type StreamWrap, type WriteRequest } from './stream-wrap.ts';

/** The part of a socket's handle that is used. */
interface WritableHandle {
  /** 0, or a negative error number. What the kernel does not take at once is kept and sent later. */
  writeBuffer(request: WriteRequest, bytes: Buffer): number;
}

/** One that was not kept by a write serves for the next, of whatever socket. */
let spare: WriteRequest | null = null;

/**
 * Writes to the handle of a plain socket, past Node's streams, which cost more than half a
 * microsecond a write: a request object, a callback and a tick for what nearly always is done at
 * once. Where the handle is not to be had `of` gives null, and the socket itself serves, only slower.
 */
export class DirectWriter {
  /** Bytes that the kernel has not taken yet. */
  pendingBytes = 0;
  /** Somebody was told to wait. */
  private isAwaited = false;
  private readonly socket: Socket;
  private readonly handle: WritableHandle;
  private readonly made: StreamWrap;
  private readonly onDrain: () => void;

  private constructor(
    socket: Socket,
    { handle, made }: { handle: WritableHandle; made: StreamWrap },
    onDrain: () => void,
  ) {
    this.socket = socket;
    this.handle = handle;
    this.made = made;
    this.onDrain = onDrain;
  }

  /**
   * For a socket that is connected.
   * @param onDrain everything is sent, and somebody was told to wait for that
   */
  static of(socket: Socket, onDrain: () => void): DirectWriter | null {
    if (STREAM_WRAP === null || socket instanceof TLSSocket) return null;
    const handle = handleOf(socket);
    if (handle === null || !isWritable(handle)) return null;
    return new DirectWriter(socket, { handle, made: STREAM_WRAP }, onDrain);
  }

  /** Sends; false when the peer is slow and the caller should wait. An error ends the socket. */
  write(bytes: Buffer): boolean {
    const { made } = this;
    const request = spare ?? new made.WriteWrap();
    spare = null;
    const status = this.handle.writeBuffer(request, bytes);
    if (status !== 0) {
      this.failed(status);
      return false;
    }
    if (made.streamBaseState[made.kLastWriteWasAsync] === 0) {
      spare = request;
      return true;
    }
    this.pendingBytes += bytes.length;
    // Holds on to the bytes, which libuv does not.
    request.oncomplete = (sent) => this.sent(bytes, sent);
    this.isAwaited ||= this.pendingBytes >= this.socket.writableHighWaterMark;
    return !this.isAwaited;
  }

  private sent(bytes: Buffer, status: number): void {
    this.pendingBytes -= bytes.length;
    if (status < 0) {
      this.failed(status);
      return;
    }
    if (this.pendingBytes > 0 || !this.isAwaited) return;
    this.isAwaited = false;
    this.onDrain();
  }

  private failed(status: number): void {
    if (this.socket.destroyed) return;
    const code = getSystemErrorName(status);
    const error = new Error(`write ${code}`);
    this.socket.destroy(Object.assign(error, { code, errno: status, syscall: 'write' }));
  }
}

function isWritable(handle: object): handle is WritableHandle {
  return 'writeBuffer' in handle;
}
