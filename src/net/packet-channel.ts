import { LagwiseError, type ErrorSource } from '../lib/errors.ts';
import { Framer, type Packet } from '../wire/framer.ts';
import { MalformedPacketError } from '../wire/malformed.ts';
import type { ByteSink, ByteStream } from './byte-stream.ts';

/** Which side of the proxy a channel talks to: decides the source of its errors. */
export interface ChannelErrors {
  readonly network: ErrorSource;
  readonly protocol: ErrorSource;
  readonly timeout: ErrorSource;
  /** For messages: `client 127.0.0.1:5123`, `server db1`. */
  readonly peer: string;
}

interface Waiter {
  readonly resolve: (packet: Packet) => void;
  readonly reject: (error: LagwiseError) => void;
}

/**
 * Whole packets one by one, awaited: for login and other dialogues off the hot path. One reader at
 * a time. All reads together end at the channel's deadline, so no peer can hold a login open.
 */
export class PacketChannel implements ByteSink {
  stream: ByteStream;
  /** Sequence id of the next packet that we send: one after the last one seen. */
  nextSeq = 0;
  /** When every pending and later read fails (monotonic ms). */
  readonly deadlineAtMs: number;
  /** Aborted when the peer is gone or late, for whoever waits for something else meanwhile. */
  readonly gone: AbortSignal;
  private readonly goneController = new AbortController();
  private readonly framer: Framer;
  private readonly errors: ChannelErrors;
  private readonly timer: NodeJS.Timeout;
  private waiter: Waiter | null = null;
  private failure: LagwiseError | null = null;

  /**
   * @param options.deadlineMs time from now until every pending and later read fails
   * @param options.maxPacketBytes a longer packet is refused before it is buffered
   */
  constructor(
    stream: ByteStream,
    errors: ChannelErrors,
    options: { deadlineMs: number; maxPacketBytes: number },
  ) {
    this.stream = stream;
    this.errors = errors;
    this.gone = this.goneController.signal;
    this.deadlineAtMs = performance.now() + options.deadlineMs;
    this.framer = new Framer(options.maxPacketBytes);
    this.timer = setTimeout(() => {
      this.fail(
        new LagwiseError(
          errors.timeout,
          `${errors.peer} did not speak within ${options.deadlineMs} ms`,
        ),
      );
    }, options.deadlineMs);
    stream.setSink(this);
  }

  /** The next packet. @throws LagwiseError when the peer closes, lies about a length or is late */
  async read(): Promise<Packet> {
    const ready = this.take();
    if (ready !== null) return ready;
    if (this.failure !== null) throw this.failure;
    if (this.waiter !== null) throw new LagwiseError('internal', 'Two readers on one channel');
    return await new Promise<Packet>((resolve, reject) => {
      this.waiter = { resolve, reject };
    });
  }

  /** Sends framed bytes (header included). */
  send(framed: Buffer): void {
    this.stream.write(framed);
  }

  /** Bytes that were read too far, for the layer that takes the stream over. */
  takeUnread(): Buffer {
    return this.framer.takeRest();
  }

  /** Goes on over another stream: the same connection after a TLS handshake. */
  moveTo(stream: ByteStream): void {
    this.stream = stream;
    stream.setSink(this);
  }

  /** Ends the dialogue: the caller sets its own sink next. Returns bytes read too far. */
  detach(): Buffer {
    clearTimeout(this.timer);
    return this.framer.takeRest();
  }

  onBytes(chunk: Buffer): void {
    try {
      this.framer.push(chunk);
      const waiter = this.waiter;
      if (waiter === null) return;
      const packet = this.take();
      if (packet === null) return;
      this.waiter = null;
      waiter.resolve(packet);
    } catch (error) {
      this.fail(this.translate(error));
    }
  }

  onDrain(): void {}

  onClose(error: Error | null): void {
    this.fail(
      new LagwiseError(
        this.errors.network,
        `${this.errors.peer} closed the connection during login${error === null ? '' : `: ${error.message}`}`,
        { cause: error },
      ),
    );
  }

  private take(): Packet | null {
    try {
      const packet = this.framer.next();
      if (packet !== null) this.nextSeq = (packet.seq + 1) & 0xff;
      return packet;
    } catch (error) {
      throw this.translate(error);
    }
  }

  private translate(error: unknown): LagwiseError {
    if (error instanceof LagwiseError) return error;
    if (error instanceof MalformedPacketError) {
      return new LagwiseError(
        this.errors.protocol,
        `${this.errors.peer} sent a malformed packet: ${error.message}`,
        { cause: error },
      );
    }
    throw error;
  }

  private fail(error: LagwiseError): void {
    this.failure ??= error;
    this.goneController.abort(error);
    clearTimeout(this.timer);
    const waiter = this.waiter;
    this.waiter = null;
    waiter?.reject(this.failure);
  }
}
