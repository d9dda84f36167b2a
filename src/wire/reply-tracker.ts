import { CAP, has } from './capability.ts';
import { MalformedPacketError } from './malformed.ts';
import { EOF, EOF_BELOW_BYTES } from './packets/eof.ts';
import { ERR } from './packets/err.ts';
import { LOCAL_INFILE } from './packets/local-infile-request.ts';
import { OK } from './packets/ok.ts';
import { columnCount, frameLength, ReplyFacts } from './reply-fields.ts';
import { REPLY, STEP, type ReplyKind, type Step } from './reply-kinds.ts';
import { PHASE, type Phase } from './reply-phase.ts';
import { STATUS } from './status.ts';
import { HEADER_BYTES, MAX_FRAME_BYTES } from './writer.ts';

/** Header and first payload byte: enough to tell a row from an end. */
const HEAD_BYTES = 5;
/** No server sends an OK packet longer than this: its session state is a few variables. */
const MAX_HELD_BYTES = 1 << 20;

const EMPTY = Buffer.alloc(0);

/**
 * Follows the server's answer to one command without decoding rows: it reads packet headers and
 * first bytes, and the few fields of OK, EOF and ERR packets. It does no I/O and copies nothing of
 * what passes, except a packet head or an OK/EOF/ERR packet that a chunk's end cuts.
 *
 * Use: `begin` for a command, then `advance(chunk, from)` until it says MORE, DONE or FILE. After
 * each call the bytes of the chunk in `[from, forwardTo)` may be sent on; with HELD, `held` follows
 * them, and the next call starts `from` the new `position`.
 *
 * The packet that ends a result is told from a row by its length: 0xFE is an EOF below 9 bytes, an
 * OK (with DEPRECATE_EOF) below 0xFFFFFF, else a row.
 * Sources: MySQL internals manual, "Text Resultset", "COM_STMT_PREPARE Response", "OK_Packet".
 */
export class ReplyTracker {
  /** Where `advance` stopped in the chunk. */
  position = 0;
  /** Bytes of the chunk before this may be sent on. */
  forwardTo = 0;
  /** With HELD: the bytes to send next. */
  held: Buffer = EMPTY;
  /** With HELD: `held` is a whole OK packet with session state, else it is just bytes. */
  heldHasState = false;
  /** With HELD: with `held` a result has ended well. */
  heldEndsResult = false;
  /**
   * Stop at each packet that ends a result well, with session state or without, so that the caller
   * can keep it back. Set it before `begin`.
   */
  holdsEnds = false;

  /** What the OK, EOF and ERR packets of this reply said. */
  readonly facts = new ReplyFacts();

  /** Of a PREPARE reply: the server's id, and where it stands (`statementIdIn` at `…At`, or -1). */
  statementId = 0;
  statementIdIn: Buffer = EMPTY;
  statementIdAt = -1;
  parameterCount = 0;
  /** With FILE: the sequence id that the file's first packet has to have. */
  fileSeq = 0;

  private kind: ReplyKind = REPLY.SIMPLE;
  private phase: Phase = PHASE.END;
  private deprecateEof = false;
  private holdState = false;
  /** The packet that was read last ended a result well. */
  private endsResult = false;
  /** Bytes of the current frame still to be skipped. */
  private skip = 0;
  /** The frame before was full: this one continues its packet. */
  private continues = false;
  private definitionsLeft = 0;
  private columnsAfterParams = 0;
  /** A packet or its head that a chunk's end cut: what is there, and how much is wanted. */
  private cut: Buffer = EMPTY;
  private cutBytes = 0;
  private cutWanted = 0;

  /**
   * Expects the answer to a command that was sent under the capabilities `caps`.
   * @param holdState stop at OK packets that carry session state (status flag 0x4000), so that
   *   the caller can read and remove it
   */
  begin(kind: ReplyKind, caps: number, holdState: boolean): void {
    this.kind = kind;
    this.phase = kind === REPLY.ROWS || kind === REPLY.FIELDS ? PHASE.ROWS : PHASE.FIRST;
    this.deprecateEof = has(caps, CAP.DEPRECATE_EOF);
    this.holdState = holdState;
    this.facts.reset();
    if (kind === REPLY.ROWS) this.facts.rows = 0;
    this.statementIdAt = -1;
    this.skip = 0;
    this.continues = false;
    this.cutWanted = 0;
    this.cutBytes = 0;
  }

  /** Nothing is owed. */
  get ended(): boolean {
    return this.phase === PHASE.END;
  }

  /** The client sent its file: the server owes an OK or ERR for it. */
  fileSent(): void {
    this.phase = PHASE.FIRST;
  }

  /**
   * Looks at `chunk` from `from` on.
   * @throws MalformedPacketError when the bytes are no reply
   */
  advance(chunk: Buffer, from: number): Step {
    if (this.cutWanted > 0) return this.fillCut(chunk, from, from);
    const end = chunk.length;
    let at = from;
    for (;;) {
      if (this.skip > 0) {
        if (end - at < this.skip) {
          this.skip -= end - at;
          return this.stop(STEP.MORE, end, end);
        }
        at += this.skip;
        this.skip = 0;
      }
      if (this.phase === PHASE.END) return this.stop(STEP.DONE, at, at);
      if (this.phase === PHASE.FILE) return this.stop(STEP.FILE, at, at);
      // A continuation may be empty: then there is no first byte to wait for.
      const headBytes = this.continues ? HEADER_BYTES : HEAD_BYTES;
      if (end - at < headBytes) {
        if (at < end) this.startCut(chunk, at, headBytes);
        return this.stop(STEP.MORE, end, at);
      }
      const length = frameLength(chunk, at);
      if (this.passes(length, chunk[at + HEADER_BYTES] ?? 0)) {
        this.skip = length + HEADER_BYTES;
        continue;
      }
      const size = length + HEADER_BYTES;
      if (size > MAX_HELD_BYTES) throw new MalformedPacketError('A reply packet is too long');
      if (end - at < size) {
        this.startCut(chunk, at, size);
        return this.stop(STEP.MORE, end, at);
      }
      const hasState = this.read(chunk, at, length) && this.holdState;
      if (hasState || (this.holdsEnds && this.endsResult)) {
        this.held = chunk.subarray(at, at + size);
        this.heldHasState = hasState;
        this.heldEndsResult = this.endsResult;
        return this.stop(STEP.HELD, at + size, at);
      }
      at += size;
    }
  }

  private stop(step: Step, position: number, forwardTo: number): Step {
    this.position = position;
    this.forwardTo = forwardTo;
    return step;
  }

  private startCut(chunk: Buffer, at: number, wanted: number): void {
    this.cut = Buffer.allocUnsafe(wanted);
    this.cutBytes = chunk.copy(this.cut, 0, at);
    this.cutWanted = wanted;
    this.refuseEmpty();
  }

  /** A packet without a first byte would be waited for without end. */
  private refuseEmpty(): void {
    if (this.cutBytes !== HEADER_BYTES || this.cutWanted !== HEAD_BYTES) return;
    if (frameLength(this.cut, 0) === 0) throw new MalformedPacketError('A reply packet is empty');
  }

  /** Goes on with what the chunk before cut: first the head, then, if it matters, the packet. */
  private fillCut(chunk: Buffer, from: number, start: number): Step {
    const taken = chunk.copy(
      this.cut,
      this.cutBytes,
      start,
      start + this.cutWanted - this.cutBytes,
    );
    const at = start + taken;
    this.cutBytes += taken;
    if (this.cutBytes < this.cutWanted) {
      this.refuseEmpty();
      return this.stop(STEP.MORE, at, from);
    }
    const length = frameLength(this.cut, 0);
    const size = length + HEADER_BYTES;
    if (this.cutWanted <= HEAD_BYTES) {
      if (this.passes(length, this.cut[HEADER_BYTES] ?? 0)) {
        this.skip = size - this.cutBytes;
        this.endsResult = false;
        return this.releaseCut(at, from, false);
      }
      if (size > MAX_HELD_BYTES) throw new MalformedPacketError('A reply packet is too long');
      if (size > this.cutBytes) {
        this.startCut(this.cut, 0, size);
        return this.fillCut(chunk, from, at);
      }
    }
    return this.releaseCut(at, from, this.read(this.cut, 0, length));
  }

  private releaseCut(at: number, from: number, hasState: boolean): Step {
    this.held = this.cut;
    this.heldHasState = hasState && this.holdState;
    this.heldEndsResult = this.endsResult;
    this.cut = EMPTY;
    this.cutWanted = 0;
    this.cutBytes = 0;
    return this.stop(STEP.HELD, at, from);
  }

  /**
   * Whether the frame with this length and first byte is a row, a definition or a continuation:
   * nothing to look at. Counts it.
   */
  private passes(length: number, first: number): boolean {
    if (this.continues) {
      this.continues = length === MAX_FRAME_BYTES;
      return true;
    }
    if (length === 0) throw new MalformedPacketError('A reply packet is empty');
    switch (this.phase) {
      case PHASE.ROWS:
        if (first === ERR) return false;
        if (first === EOF && length < (this.deprecateEof ? MAX_FRAME_BYTES : EOF_BELOW_BYTES))
          return false;
        this.continues = length === MAX_FRAME_BYTES;
        this.facts.rows += 1;
        return true;
      case PHASE.COLUMNS:
      case PHASE.PARAMS:
        if (first === ERR) return false;
        this.continues = length === MAX_FRAME_BYTES;
        this.definitionsLeft -= 1;
        if (this.definitionsLeft === 0) this.definitionsEnd();
        return true;
      case PHASE.FIRST:
      case PHASE.COLUMNS_EOF:
      case PHASE.PARAMS_EOF:
      case PHASE.FILE:
      case PHASE.END:
        return false;
    }
  }

  /** After the last definition: what comes next depends on the reply and on DEPRECATE_EOF. */
  private definitionsEnd(): void {
    if (this.phase === PHASE.PARAMS) {
      this.phase = PHASE.PARAMS_EOF;
      if (this.deprecateEof) this.paramsEnd();
    } else {
      this.phase = PHASE.COLUMNS_EOF;
      if (this.deprecateEof) this.columnsEnd();
    }
  }

  private paramsEnd(): void {
    this.definitionsLeft = this.columnsAfterParams;
    this.phase = this.columnsAfterParams > 0 ? PHASE.COLUMNS : PHASE.END;
  }

  private columnsEnd(): void {
    const cursor = this.facts.status !== -1 && (this.facts.status & STATUS.CURSOR_EXISTS) !== 0;
    if (this.kind === REPLY.PREPARE) this.phase = PHASE.END;
    // Without DEPRECATE_EOF a cursor's reply ends with the EOF behind the columns.
    else if (cursor && !this.deprecateEof) this.endWell(PHASE.END);
    else this.phase = PHASE.ROWS;
  }

  /** Reads a whole packet that matters. Returns whether it is an OK packet with session state. */
  private read(buffer: Buffer, at: number, length: number): boolean {
    const body = at + HEADER_BYTES;
    const first = buffer[body] as number;
    this.endsResult = false;
    if (this.kind === REPLY.TEXT) {
      this.phase = PHASE.END;
      return false;
    }
    if (first === ERR) {
      this.facts.readErr(buffer, body, length);
      this.phase = PHASE.END;
      return false;
    }
    switch (this.phase) {
      case PHASE.FIRST:
        return this.readFirst(buffer, body, length, first);
      case PHASE.COLUMNS_EOF:
        this.facts.readEof(buffer, body, length);
        this.columnsEnd();
        return false;
      case PHASE.PARAMS_EOF:
        this.facts.readEof(buffer, body, length);
        this.paramsEnd();
        return false;
      case PHASE.ROWS:
        return this.readRowsEnd(buffer, body, length);
      case PHASE.COLUMNS:
      case PHASE.PARAMS:
      case PHASE.FILE:
      case PHASE.END:
        throw new MalformedPacketError('A reply packet came out of turn');
    }
  }

  private readFirst(buffer: Buffer, body: number, length: number, first: number): boolean {
    if (this.kind === REPLY.PREPARE) {
      this.readPrepareOk(buffer, body, length, first);
      return false;
    }
    if (first === OK) {
      const hasState = this.facts.readOk(buffer, body, length);
      this.facts.rows = -1;
      this.endResult();
      return hasState;
    }
    if (this.kind === REPLY.SIMPLE) {
      if (first !== EOF) throw new MalformedPacketError('A simple reply is no OK, EOF or ERR');
      if (length < EOF_BELOW_BYTES) this.facts.readEof(buffer, body, length);
      else this.facts.readOk(buffer, body, length);
      this.phase = PHASE.END;
      return false;
    }
    if (first === LOCAL_INFILE) {
      this.phase = PHASE.FILE;
      this.fileSeq = (buffer.readUInt8(body - 1) + 1) & 0xff;
      return false;
    }
    this.definitionsLeft = columnCount(buffer, body, length);
    this.facts.rows = 0;
    this.phase = PHASE.COLUMNS;
    return false;
  }

  private readPrepareOk(buffer: Buffer, body: number, length: number, first: number): void {
    if (first !== OK || length < 12) {
      throw new MalformedPacketError('The answer to PREPARE is malformed');
    }
    this.statementId = buffer.readUInt32LE(body + 1);
    this.statementIdIn = buffer;
    this.statementIdAt = body + 1;
    const columns = buffer.readUInt16LE(body + 5);
    this.parameterCount = buffer.readUInt16LE(body + 7);
    this.facts.warnings = buffer.readUInt16LE(body + 10);
    this.columnsAfterParams = columns;
    if (this.parameterCount > 0) {
      this.definitionsLeft = this.parameterCount;
      this.phase = PHASE.PARAMS;
    } else {
      this.paramsEnd();
    }
  }

  private readRowsEnd(buffer: Buffer, body: number, length: number): boolean {
    const isEof = length < EOF_BELOW_BYTES && !this.deprecateEof;
    const hasState = !isEof && this.facts.readOk(buffer, body, length);
    if (isEof) this.facts.readEof(buffer, body, length);
    if (this.kind === REPLY.RESULT) this.endResult();
    else this.endWell(PHASE.END);
    return hasState;
  }

  private endResult(): void {
    const isLast = (this.facts.status & STATUS.MORE_RESULTS_EXISTS) === 0;
    this.endWell(isLast ? PHASE.END : PHASE.FIRST);
  }

  private endWell(next: Phase): void {
    this.endsResult = true;
    this.phase = next;
  }
}
