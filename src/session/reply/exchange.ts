import type { ByteStream } from '../../net/byte-stream.ts';
import { LentChunks } from '../../net/read-chunks.ts';
import type { BackendConnection, BackendUser } from '../../pool/backend-connection.ts';
import type { Traffic } from '../../telemetry/plain-counters.ts';
import { CAP, has } from '../../wire/capability.ts';
import { decodeOk, encodeOk, OK_AFTER_ROWS } from '../../wire/packets/ok.ts';
import { MalformedPacketError } from '../../wire/malformed.ts';
import { REPLY, type ReplyKind, STEP } from '../../wire/reply-kinds.ts';
import { ReplyTracker } from '../../wire/reply-tracker.ts';
import { HEADER_BYTES } from '../../wire/writer.ts';
import type { Command } from '../command/command.ts';
import type { ReplyTap } from './reply-tap.ts';
import { shownState } from '../state/shown-state.ts';

/** What an {@link Exchange} reports. */
export interface ExchangeOwner {
  /** An OK packet carries this session state. */
  onSessionState(connection: BackendConnection, sessionState: Buffer): void;
  /**
   * An OK is about to reach the client. A promise holds it back, and all that follows it, until it
   * resolves, which it must; null: at once.
   */
  beforeOk(connection: BackendConnection): Promise<void> | null;
  /**
   * The reply is an error, wholly in hand, and the client has had nothing: true to keep it from
   * the client because the command will be run elsewhere.
   */
  onErrorReply(connection: BackendConnection, error: Buffer): boolean;
  /** The server has prepared the command's statement and calls it so. */
  onPrepared(connection: BackendConnection, statementId: number): void;
  /** The server asks for a file, whose packets count from `firstSeq` on. */
  onFileRequest(firstSeq: number): void;
  /** The reply has ended and was sent on (or, after `onErrorReply` said so, dropped). */
  onReplyEnd(connection: BackendConnection, dropped: boolean): void;
  /** The connection ended before the reply did, or sent what is no reply. */
  onExchangeLost(connection: BackendConnection, why: string): void;
  /** A connection of the session ended while nothing was asked of it. */
  onIdleLost(connection: BackendConnection): void;
  /** The server refused the state that was sent in front of the command; its reply was dropped. */
  onRestoreRefused(connection: BackendConnection, error: Buffer): void;
  /** A server can take more of what the client sends. */
  onServerDrain(): void;
}

/**
 * One command's way to a server and its reply's way back: forwards bytes as they come, follows the
 * reply, keeps a slow client from filling memory. The hot path: one call for each chunk.
 */
export class Exchange implements BackendUser {
  readonly tracker = new ReplyTracker();
  private readonly client: ByteStream;
  private readonly command: Command;
  private readonly owner: ExchangeOwner;
  private readonly traffic: Traffic;
  /** The client asked for session state. */
  private readonly showsState: boolean;
  /** It may have set trackers of its own: then it gets all that they tell. */
  private readonly tracksItself: () => boolean;
  private readonly clientCaps: number;
  /** Of the reply that is awaited; null for none, which is nearly always. */
  tap: ReplyTap | null = null;
  private connection: BackendConnection | null = null;
  /** Replies still to come to what was sent in front of the command, and of what kind they are. */
  private prefaces = 0;
  private prefaceKind: ReplyKind = REPLY.SIMPLE;
  /** The first error among them. */
  private refusal: Buffer | null = null;
  /** What has come behind an OK that is held back, null while none is. */
  private parked: Buffer[] | null = null;
  private readonly toClient = new LentChunks();
  /** Made for the first long command. */
  private toServer: LentChunks | null = null;

  constructor(
    owner: ExchangeOwner,
    command: Command,
    client: { stream: ByteStream; caps: number; tracksItself?: () => boolean },
    traffic: Traffic,
  ) {
    this.owner = owner;
    this.command = command;
    this.client = client.stream;
    this.clientCaps = client.caps;
    this.showsState = has(client.caps, CAP.SESSION_TRACK);
    this.tracksItself = client.tracksItself ?? (() => false);
    this.traffic = traffic;
    this.tracker.facts.hidesState = !this.showsState;
  }

  /** The connection whose reply is awaited, null when none is. */
  get current(): BackendConnection | null {
    return this.connection;
  }

  /**
   * Sends the command (or the head of a long one) and awaits its reply.
   * @param prefaces replies of `kind` that come before it, to what `bytes` begin with
   */
  start(
    connection: BackendConnection,
    bytes: Buffer,
    prefaces = 0,
    kind: ReplyKind = REPLY.SIMPLE,
  ): void {
    if (connection.isClosed) {
      this.owner.onExchangeLost(connection, 'closed the connection');
      return;
    }
    this.connection = connection;
    this.parked = null;
    connection.busy = true;
    connection.load.inFlight += 1;
    this.prefaces = prefaces;
    this.refusal = null;
    // Behind others of ours nobody sees when the server began with it.
    if (prefaces > 0) this.command.sentAtMs = -1;
    this.prefaceKind = kind;
    this.tracker.begin(prefaces > 0 ? kind : this.command.reply, connection.caps, true);
    this.traffic.serverOutBytes += bytes.length;
    connection.stream.write(bytes);
  }

  /**
   * More of a long command or a file. False: wait for `onServerDrain`.
   * @param isWhole all of what was read at once, and nobody else refers to it
   */
  sendMore(part: Buffer, isWhole: boolean): boolean {
    if (this.connection === null) return true;
    const { stream } = this.connection;
    this.traffic.serverOutBytes += part.length;
    const flushed = stream.write(part);
    if (isWhole) (this.toServer ??= new LentChunks()).lend(part, stream);
    return flushed;
  }

  /** The client has taken what was sent. */
  clientDrained(): void {
    this.toClient.takeBack();
    this.connection?.stream.resume();
  }

  /** Bytes of the client go to this connection from now on; its replies are not followed. */
  passThrough(connection: BackendConnection): void {
    this.connection = connection;
  }

  /** Gives the reply up: whoever calls has dealt with the connection. */
  abandon(): void {
    this.connection = null;
    this.parked = null;
  }

  onBackendBytes(connection: BackendConnection, chunk: Buffer): void {
    if (connection !== this.connection) {
      // A server that speaks unasked says that it closes.
      connection.destroy();
      this.owner.onIdleLost(connection);
      return;
    }
    this.traffic.serverInBytes += chunk.length;
    // A copy: the chunk's memory is used again for the next read.
    if (this.parked === null) this.followSafely(connection, chunk);
    else this.parked.push(Buffer.from(chunk));
    this.toClient.lend(chunk, this.client);
  }

  private followSafely(connection: BackendConnection, chunk: Buffer): void {
    try {
      this.follow(connection, chunk);
    } catch (error) {
      if (!(error instanceof MalformedPacketError)) throw error;
      connection.destroy();
      this.connection = null;
      this.owner.onExchangeLost(connection, `sent a malformed reply (${error.message})`);
    }
  }

  onBackendDrain(): void {
    this.toServer?.takeBack();
    this.owner.onServerDrain();
  }

  onBackendClose(connection: BackendConnection, error: Error | null): void {
    if (connection !== this.connection) {
      this.owner.onIdleLost(connection);
      return;
    }
    this.connection = null;
    const why = error === null ? 'closed the connection' : `was lost (${error.message})`;
    this.owner.onExchangeLost(connection, why);
  }

  private follow(connection: BackendConnection, chunk: Buffer): void {
    const tracker = this.tracker;
    let from = 0;
    for (;;) {
      const step = tracker.advance(chunk, from);
      if (this.prefaces > 0 || this.refusal !== null) {
        from = tracker.position;
        if (step === STEP.MORE) return;
        if (step === STEP.DONE && this.dropReply(connection, chunk)) return;
        if (from === chunk.length && step === STEP.DONE) return;
        continue;
      }
      if (tracker.statementIdAt !== -1) this.renameStatement(connection);
      const { error } = tracker.facts;
      if (error !== null && !this.command.answered && tracker.ended) {
        if (this.owner.onErrorReply(connection, error)) {
          requireEnd(chunk, tracker.position);
          this.end(connection, true);
          return;
        }
      }
      if (tracker.forwardTo > from) {
        const whole = from === 0 && tracker.forwardTo === chunk.length;
        this.forward(connection, whole ? chunk : chunk.subarray(from, tracker.forwardTo));
      }
      from = tracker.position;
      switch (step) {
        case STEP.MORE:
          if (this.command.firstPartAtMs === -1) this.command.firstPartAtMs = performance.now();
          return;
        case STEP.HELD:
          if (this.forwardHeld(connection, chunk)) break;
          return;
        case STEP.FILE:
          tracker.fileSent();
          this.owner.onFileRequest(tracker.fileSeq);
          return;
        case STEP.DONE:
          requireEnd(chunk, from);
          this.end(connection, false);
          return;
      }
    }
  }

  /** A reply that the client does not see has ended. Returns whether it was the last one. */
  private dropReply(connection: BackendConnection, chunk: Buffer): boolean {
    const { tracker } = this;
    if (this.prefaces === 0) {
      requireEnd(chunk, tracker.position);
      const { refusal } = this;
      this.refusal = null;
      this.release(connection);
      if (refusal !== null) this.owner.onRestoreRefused(connection, refusal);
      return true;
    }
    const { error } = tracker.facts;
    if (error !== null) this.refusal ??= Buffer.from(error);
    this.prefaces -= 1;
    const kind = this.prefaces > 0 ? this.prefaceKind : this.command.reply;
    tracker.begin(kind, connection.caps, true);
    return false;
  }

  private end(connection: BackendConnection, dropped: boolean): void {
    this.release(connection);
    if (this.tap !== null) this.endTap(dropped);
    this.owner.onReplyEnd(connection, dropped);
  }

  private endTap(dropped: boolean): void {
    this.tap?.end(!dropped && this.tracker.facts.errno === 0);
    this.tap = null;
  }

  private release(connection: BackendConnection): void {
    this.connection = null;
    connection.busy = false;
    connection.load.inFlight -= 1;
    this.toServer?.forget();
    // Nothing more is owed: a slow client must not keep the next answer from being read.
    connection.stream.resume();
  }

  private forward(connection: BackendConnection, bytes: Buffer): void {
    this.command.answered = true;
    this.traffic.clientOutBytes += bytes.length;
    if (this.tap !== null) this.tap.take(bytes);
    if (!this.client.write(bytes)) connection.stream.pause();
  }

  /** False: it is held back, and with it what is left of the chunk. */
  private forwardHeld(connection: BackendConnection, chunk: Buffer): boolean {
    const packet = this.heldForClient(connection);
    const gate = this.owner.beforeOk(connection);
    if (gate === null) {
      this.forward(connection, packet);
      return true;
    }
    this.parked = [Buffer.from(chunk.subarray(this.tracker.position))];
    connection.stream.pause();
    const ok = Buffer.from(packet);
    gate.then(
      () => this.unpark(connection, ok),
      () => this.unpark(connection, ok),
    );
    return false;
  }

  private unpark(connection: BackendConnection, ok: Buffer): void {
    const { parked } = this;
    this.parked = null;
    // The session has ended, or the server was lost, meanwhile.
    if (parked === null || this.connection !== connection) return;
    connection.stream.resume();
    this.forward(connection, ok);
    this.followSafely(connection, Buffer.concat(parked));
  }

  /** An OK as the client is to see it; the session has taken note of what it says. */
  private heldForClient(connection: BackendConnection): Buffer {
    const packet = this.tracker.held;
    if (!this.tracker.heldHasState) return packet;
    const payload = packet.subarray(HEADER_BYTES);
    const ok = decodeOk(payload, connection.caps);
    if (ok.sessionState !== null) this.owner.onSessionState(connection, ok.sessionState);
    if (this.showsState && this.tracksItself()) return packet;
    const isShown = this.showsState && ok.sessionState !== null;
    const sessionState = isShown ? shownState(ok.sessionState) : null;
    return encodeOk({ ...ok, sessionState }, packet[3] as number, {
      caps: this.clientCaps,
      afterRows: payload[0] === OK_AFTER_ROWS,
    });
  }

  /** The client knows a prepared statement by the proxy's id. */
  private renameStatement(connection: BackendConnection): void {
    const { statement } = this.command;
    if (statement !== null) {
      this.owner.onPrepared(connection, this.tracker.statementId);
      statement.parameterCount = this.tracker.parameterCount;
      this.tracker.statementIdIn.writeUInt32LE(statement.id, this.tracker.statementIdAt);
    }
    this.tracker.statementIdAt = -1;
  }
}

function requireEnd(chunk: Buffer, at: number): void {
  if (at < chunk.length) throw new MalformedPacketError('Bytes follow the reply');
}
