import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { Framer, type Packet } from '../../src/wire/framer.ts';

/** Enough for a row of more than one 16 MB frame. */
const MAX_PACKET_BYTES = 64 * 1024 * 1024;

/** Packets in and bytes out over a socket, for scripted peers: every read waits, no read hangs. */
export class PacketPipe {
  /** Settles when the peer is gone. */
  readonly closed: Promise<void>;
  /** Sequence id of the packet that was read last. */
  lastSeq = -1;
  #socket: Socket | TLSSocket;
  readonly #framer = new Framer(MAX_PACKET_BYTES);
  #isClosed = false;
  #wake: () => void = () => undefined;
  readonly #markClosed: () => void;

  constructor(socket: Socket) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    this.#markClosed = () => {
      this.#isClosed = true;
      resolve();
      this.#wake();
    };
    this.#socket = socket;
    socket.setNoDelay(true);
    this.#listen(socket);
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get socket(): Socket | TLSSocket {
    return this.#socket;
  }

  /** The next packet; rejects when the peer closes first. */
  async read(): Promise<Packet> {
    for (;;) {
      const packet = this.#framer.next();
      if (packet !== null) {
        this.lastSeq = packet.seq;
        return packet;
      }
      if (this.#isClosed) throw new Error('The peer closed the connection');
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  write(bytes: Buffer): void {
    if (!this.#socket.destroyed) this.#socket.write(bytes);
  }

  /** Closes at once, with a reset where data is unread. */
  destroy(): void {
    this.#socket.destroy();
    this.#markClosed();
  }

  /** Takes the connection over to TLS; bytes that came with the request belong to it. */
  upgrade(secure: (socket: Socket) => TLSSocket): void {
    const bare = this.#socket;
    bare.removeAllListeners('data');
    bare.removeAllListeners('close');
    bare.pause();
    const unread = this.#framer.takeRest();
    if (unread.length > 0) bare.unshift(unread);
    this.#socket = secure(bare);
    this.#listen(this.#socket);
  }

  #listen(socket: Socket): void {
    socket.on('data', (chunk: Buffer) => {
      this.#framer.push(Buffer.from(chunk));
      this.#wake();
    });
    socket.on('error', () => undefined);
    socket.on('end', () => socket.end());
    socket.on('close', this.#markClosed);
  }
}
