import type { ByteSink, ByteStream } from '../../net/byte-stream.ts';
import { CompressedStream } from '../../net/compressed-stream.ts';
import { ByteQueue } from '../../wire/byte-queue.ts';
import { COM } from '../../wire/command.ts';
import { frameLength } from '../../wire/reply-fields.ts';
import { HEADER_BYTES, MAX_FRAME_BYTES } from '../../wire/writer.ts';
import { FrameWalker, UNTIL } from './frame-walker.ts';

/** What {@link ClientInput} finds in a client's bytes. */
export interface CommandHandler {
  /** A whole command, header included. */
  onCommand(packet: Buffer): void;
  /**
   * The first bytes (header and at least `LONG_HEAD_BYTES` of payload) of a command that is too
   * long to be held. More follows by `onLongPart` as soon as the handler calls `streamLong`.
   */
  onLongCommand(head: Buffer): void;
  /** More of a long command, or of a file; `last` with its end. False: wait for `resume`. */
  onPart(part: Buffer, last: boolean): boolean;
  /** Bytes in raw mode. */
  onRaw(chunk: Buffer): void;
  onClientDrain(): void;
  onClientClose(error: Error | null): void;
  /** The client broke the protocol. */
  onClientMalformed(why: string): void;
}

const MODE = { READY: 0, BLOCKED: 1, LONG: 2, FILE: 3, RAW: 4, CLOSED: 5 } as const;
type Mode = (typeof MODE)[keyof typeof MODE];

/** Header and command byte. */
const MIN_COMMAND_BYTES = 5;
/** Of a long command so much is there at least: enough for a statement id. */
const LONG_HEAD_BYTES = 16;
/** What a client may send ahead of answers before its socket is paused. */
const MAX_AHEAD_BYTES = 1 << 20;

const EMPTY = Buffer.alloc(0);

/**
 * Cuts a client's bytes into commands and hands them over one at a time. It holds at most one
 * gathered command and what arrived before the socket could be paused; commands over `gatherMax`,
 * and files, pass through in pieces.
 */
export class ClientInput implements ByteSink {
  private readonly stream: ByteStream;
  private readonly handler: CommandHandler;
  private readonly gatherMaxBytes: number;
  private readonly walker = new FrameWalker();
  private mode: Mode = MODE.BLOCKED;
  /** Bytes not handed over yet. */
  private rest: Buffer = EMPTY;
  /** What came while a command was running; joined to `rest` once. */
  private readonly ahead = new ByteQueue();
  /** A command that comes in pieces, and how much of it is there. */
  private gathered: Buffer = EMPTY;
  private gatheredBytes = 0;
  private consuming = false;
  /** When the last bytes of a command that is not whole yet came (monotonic ms). */
  private lastPartMs = 0;
  /** The server cannot take more now: it is not the client that is waited for. */
  private heldUp = false;
  /**
   * Whether packets get their sequence ids here. In the compressed protocol servers look only at
   * those of the compressed frames, and MariaDB Connector/J 2 numbers some commands from 1; the
   * servers' connections are not compressed.
   */
  private readonly isNumberedHere: boolean;

  constructor(stream: ByteStream, handler: CommandHandler, gatherMaxBytes: number) {
    this.stream = stream;
    this.handler = handler;
    this.gatherMaxBytes = gatherMaxBytes;
    this.isNumberedHere = stream instanceof CompressedStream;
  }

  /** Sequence id that the server's answer to a long command or a file begins with. */
  get seqAfterParts(): number {
    return (this.walker.lastSeq + 1) & 0xff;
  }

  /** The client has not sent all of a long command or of a file yet. */
  get isMidway(): boolean {
    return this.mode === MODE.LONG || this.mode === MODE.FILE;
  }

  /**
   * Since when (monotonic ms) the client owes more of a command or file that it has begun; null
   * while it owes nothing. A command may be held here meanwhile, or a server's connection.
   */
  get owedSinceMs(): number | null {
    const owes = this.gatheredBytes > 0 || (this.isMidway && !this.heldUp);
    return owes ? this.lastPartMs : null;
  }

  /** The command before is done: hands over the next one, now or when it comes. */
  ready(): void {
    if (this.mode === MODE.CLOSED) return;
    this.mode = MODE.READY;
    if (this.consuming) return;
    this.consume();
    this.stream.resume();
  }

  /** The long command's place is ready: hands over the rest of it. */
  streamLong(head: Buffer): void {
    this.walker.begin(UNTIL.SHORT_FRAME, this.isNumberedHere ? 0 : null);
    this.mode = MODE.LONG;
    // The head itself was handed over already: the walker only has to count it.
    this.walker.walk(head, 0);
    this.resume();
  }

  /** The server asked for a file, from this sequence id on: hands it over until its end. */
  streamFile(firstSeq: number): void {
    this.walker.begin(UNTIL.EMPTY_FRAME, this.isNumberedHere ? firstSeq : null);
    this.mode = MODE.FILE;
    this.resume();
  }

  /** From now on bytes are the handler's as they come. */
  streamRaw(): void {
    this.mode = MODE.RAW;
    this.resume();
  }

  /** The handler can take parts again. */
  resume(): void {
    this.heldUp = false;
    if (this.mode !== MODE.READY && this.mode !== MODE.BLOCKED) this.lastPartMs = performance.now();
    if (!this.consuming) this.consume();
    this.stream.resume();
  }

  /** Nothing more is wanted. */
  close(): void {
    this.mode = MODE.CLOSED;
    this.rest = EMPTY;
    this.ahead.clear();
    this.gathered = EMPTY;
    this.gatheredBytes = 0;
  }

  /** Gives back what was read too far, for another login on this connection. */
  takeRest(): Buffer {
    const rest = Buffer.concat([this.rest, this.ahead.take(this.ahead.length)]);
    this.rest = EMPTY;
    return rest;
  }

  onBytes(chunk: Buffer): void {
    if (this.mode === MODE.CLOSED) return;
    if (this.gatheredBytes > 0) this.gatherMore(chunk, 0);
    else if (this.mode === MODE.BLOCKED) this.ahead.push(chunk);
    else this.rest = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk]);
    if (this.mode === MODE.BLOCKED) {
      // Only a socket that is read tells that its client has left.
      if (this.rest.length + this.ahead.length >= MAX_AHEAD_BYTES) this.stream.pause();
      return;
    }
    if (!this.consuming) this.consume();
  }

  onDrain(): void {
    this.handler.onClientDrain();
  }

  onClose(error: Error | null): void {
    this.handler.onClientClose(error);
  }

  private consume(): void {
    if (this.ahead.length > 0) {
      const ahead = this.ahead.take(this.ahead.length);
      this.rest = this.rest.length === 0 ? ahead : Buffer.concat([this.rest, ahead]);
    }
    this.consuming = true;
    while (this.rest.length > 0 && this.step());
    this.consuming = false;
  }

  /** Hands over one thing from `rest`. Returns whether to go on. */
  private step(): boolean {
    switch (this.mode) {
      case MODE.READY:
        return this.command();
      case MODE.LONG:
      case MODE.FILE:
        return this.part();
      case MODE.RAW: {
        const chunk = this.rest;
        this.rest = EMPTY;
        this.handler.onRaw(chunk);
        return true;
      }
      case MODE.BLOCKED:
      case MODE.CLOSED:
        return false;
    }
  }

  private command(): boolean {
    const bytes = this.rest;
    if (bytes.length < HEADER_BYTES) return false;
    const total = frameLength(bytes, 0) + HEADER_BYTES;
    if (total < MIN_COMMAND_BYTES) {
      this.handler.onClientMalformed('it sent an empty command');
      return false;
    }
    if (bytes.length < MIN_COMMAND_BYTES) return false;
    if (this.isNumberedHere) {
      bytes[3] = 0;
    } else if (bytes[3] !== 0) {
      this.handler.onClientMalformed(`a command begins with sequence id ${bytes[3]}, not 0`);
      return false;
    }
    // A statement to be prepared is kept anyway: only one of several frames is too long.
    const isPrepare =
      bytes[HEADER_BYTES] === COM.STMT_PREPARE && total < MAX_FRAME_BYTES + HEADER_BYTES;
    if (total > this.gatherMaxBytes && !isPrepare) {
      if (bytes.length < LONG_HEAD_BYTES) return false;
      return this.longCommand(bytes, total);
    }
    if (bytes.length < total) {
      this.rest = EMPTY;
      this.gathered = Buffer.allocUnsafe(total);
      this.gatherMore(bytes, 0);
      return false;
    }
    const isAll = bytes.length === total;
    this.rest = isAll ? EMPTY : bytes.subarray(total);
    this.mode = MODE.BLOCKED;
    this.handler.onCommand(isAll ? bytes : bytes.subarray(0, total));
    return true;
  }

  private longCommand(bytes: Buffer, total: number): boolean {
    // Its end is always handed over as a part, which is what tells that it has come.
    const head = bytes.length >= total ? bytes.subarray(0, LONG_HEAD_BYTES) : bytes;
    this.rest = bytes.length === head.length ? EMPTY : bytes.subarray(head.length);
    this.mode = MODE.BLOCKED;
    this.handler.onLongCommand(head);
    return true;
  }

  private part(): boolean {
    const bytes = this.rest;
    const end = this.walker.walk(bytes, 0);
    this.rest = end === -1 || end === bytes.length ? EMPTY : bytes.subarray(end);
    if (end !== -1) this.mode = MODE.BLOCKED;
    const part = end === -1 || end === bytes.length ? bytes : bytes.subarray(0, end);
    this.lastPartMs = performance.now();
    if (this.handler.onPart(part, end !== -1)) return true;
    this.heldUp = true;
    this.stream.pause();
    return false;
  }

  private gatherMore(chunk: Buffer, from: number): void {
    const copied = chunk.copy(this.gathered, this.gatheredBytes, from);
    this.gatheredBytes += copied;
    this.lastPartMs = performance.now();
    if (this.gatheredBytes < this.gathered.length) return;
    const whole = this.gathered;
    this.gathered = EMPTY;
    this.gatheredBytes = 0;
    // What follows in the chunk is behind the command: both together would have to be copied.
    const behind = chunk.subarray(from + copied);
    this.mode = MODE.BLOCKED;
    this.rest = behind;
    this.handler.onCommand(whole);
  }
}
