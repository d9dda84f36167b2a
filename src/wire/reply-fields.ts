import { MalformedPacketError } from './malformed.ts';
import { EOF } from './packets/eof.ts';
import { STATUS } from './status.ts';

/** SESSION_STATE_CHANGED, in the upper byte of the status flags. */
const STATE_CHANGED_BIT = 0x40;

/** What the OK, EOF and ERR packets of one reply said; of several results the last one counts. */
export class ReplyFacts {
  /**
   * The client has not asked for session state, so that no EOF may tell it of any: MariaDB sets the
   * flag there too.
   */
  hidesState = false;
  /** Server status flags; -1 where no packet carried any. */
  status = -1;
  warnings = 0;
  /** Error number, 0 if the command has not failed. */
  errno = 0;
  /** Payload of the ERR packet, null if there was none. */
  error: Buffer | null = null;
  /** Rows affected, of a count that a number can hold. */
  affectedRows = 0;
  /** One of its results told an insert id. */
  hasInsertId = false;
  /** Rows of the last result set so far; -1 where the last result was none. */
  rows = -1;

  reset(): void {
    this.status = -1;
    this.warnings = 0;
    this.errno = 0;
    this.error = null;
    this.affectedRows = 0;
    this.hasInsertId = false;
    this.rows = -1;
  }

  readErr(buffer: Buffer, body: number, length: number): void {
    if (length < 3) throw new MalformedPacketError('An ERR packet is too short');
    this.errno = buffer.readUInt16LE(body + 1);
    this.error = buffer.subarray(body, body + length);
  }

  readEof(buffer: Buffer, body: number, length: number): void {
    if (length < 5 || buffer[body] !== EOF) {
      throw new MalformedPacketError('An EOF packet was expected');
    }
    this.warnings = buffer.readUInt16LE(body + 1);
    // In place: the packet goes on as it is otherwise.
    if (this.hidesState) buffer[body + 4] = (buffer[body + 4] as number) & ~STATE_CHANGED_BIT;
    const before = this.status;
    this.status = buffer.readUInt16LE(body + 3);
    // Of OUT parameters the EOF behind the columns alone says that an OK follows, in MySQL as in
    // MariaDB.
    if (before !== -1 && (before & STATUS.PS_OUT_PARAMS) !== 0) {
      this.status |= before & STATUS.MORE_RESULTS_EXISTS;
    }
  }

  /** Returns whether the packet carries session state. */
  readOk(buffer: Buffer, body: number, length: number): boolean {
    const end = body + length;
    const affectedAt = body + 1;
    const insertIdAt = affectedAt + lenencSize(buffer, affectedAt, end);
    const statusAt = insertIdAt + lenencSize(buffer, insertIdAt, end);
    if (statusAt + 4 > end) throw new MalformedPacketError('An OK packet is too short');
    this.affectedRows = lenencValue(buffer, affectedAt);
    this.hasInsertId ||= buffer[insertIdAt] !== 0;
    this.status = buffer.readUInt16LE(statusAt);
    this.warnings = buffer.readUInt16LE(statusAt + 2);
    return (this.status & STATUS.SESSION_STATE_CHANGED) !== 0;
  }
}

/** Payload length that the frame header at `at` declares. */
export function frameLength(buffer: Buffer, at: number): number {
  return (
    (buffer[at] as number) | ((buffer[at + 1] as number) << 8) | ((buffer[at + 2] as number) << 16)
  );
}

/** Bytes of the length-encoded integer at `at`, itself included. */
function lenencSize(buffer: Buffer, at: number, end: number): number {
  if (at >= end) throw new MalformedPacketError('An OK packet is too short');
  const first = buffer[at] as number;
  if (first < 0xfb) return 1;
  if (first === 0xfc) return 3;
  if (first === 0xfd) return 4;
  if (first === 0xfe) return 9;
  throw new MalformedPacketError('An OK packet has a malformed number');
}

/** The length-encoded integer at `at`, whose bytes are there. */
function lenencValue(buffer: Buffer, at: number): number {
  const first = buffer[at] as number;
  if (first < 0xfb) return first;
  if (first === 0xfc) return buffer.readUInt16LE(at + 1);
  if (first === 0xfd) return buffer.readUIntLE(at + 1, 3);
  return Number(buffer.readBigUInt64LE(at + 1));
}

/** Columns of the result set whose first packet has its payload at `body`. */
export function columnCount(buffer: Buffer, body: number, length: number): number {
  const first = buffer[body] as number;
  const count =
    first < 0xfb ? first : first === 0xfc && length >= 3 ? buffer.readUInt16LE(body + 1) : 0;
  if (count === 0) throw new MalformedPacketError('A result set has a malformed column count');
  return count;
}
