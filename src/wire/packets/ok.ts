import { CAP, has } from '../capability.ts';
import { ByteCursor } from '../cursor.ts';
import { MalformedPacketError } from '../malformed.ts';
import { STATUS } from '../status.ts';
import { MAX_FRAME_BYTES, PacketWriter } from '../writer.ts';

/** First byte of an OK packet. */
export const OK = 0x00;
/** First byte of an OK packet that ends rows where DEPRECATE_EOF is in force. */
export const OK_AFTER_ROWS = 0xfe;

/** A command's success. */
export interface OkPacket {
  readonly affectedRows: number | bigint;
  readonly lastInsertId: number | bigint;
  readonly status: number;
  readonly warnings: number;
  /** Text for people, e.g. `Rows matched: 1  Changed: 1  Warnings: 0`; may be empty. */
  readonly info: string;
  /** Session state as it came (see session-state.ts), or null where the packet has none. */
  readonly sessionState: Buffer | null;
}

/** @see https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_ok_packet.html */
export function decodeOk(payload: Buffer, caps: number): OkPacket {
  const cursor = new ByteCursor(payload);
  const first = cursor.u8();
  if (first !== OK && first !== OK_AFTER_ROWS) throw new MalformedPacketError('Not an OK packet');
  const affectedRows = cursor.lenencBig();
  const lastInsertId = cursor.lenencBig();
  const status = cursor.u16();
  const warnings = cursor.u16();
  const tail = has(caps, CAP.SESSION_TRACK)
    ? readTrackedTail(cursor, status)
    : { info: readPlainInfo(cursor), sessionState: null };
  return { affectedRows, lastInsertId, status, warnings, ...tail };
}

/** The packet as a server sends it; SESSION_STATE_CHANGED is set or cleared by `sessionState`. */
export function encodeOk(ok: Partial<OkPacket>, seq: number, options: OkOptions): Buffer {
  const tracked = has(options.caps, CAP.SESSION_TRACK);
  const state = tracked ? (ok.sessionState ?? null) : null;
  const info = ok.info ?? '';
  const status = (ok.status ?? 0) & ~STATUS.SESSION_STATE_CHANGED;
  const writer = new PacketWriter()
    .u8(options.afterRows === true ? OK_AFTER_ROWS : OK)
    .lenenc(ok.affectedRows ?? 0)
    .lenenc(ok.lastInsertId ?? 0)
    .u16(state === null ? status : status | STATUS.SESSION_STATE_CHANGED)
    .u16(ok.warnings ?? 0);
  if (info !== '' || state !== null) writer.lenencString(info);
  if (state !== null) writer.lenencBytes(state);
  return writer.finish(seq);
}

export interface OkOptions {
  /** Capabilities in force with the receiver. */
  readonly caps: number;
  /** Ends rows (DEPRECATE_EOF): the first byte is 0xFE. */
  readonly afterRows?: boolean;
}

/** An info of no bytes is left out altogether where no session state follows. */
function readTrackedTail(cursor: ByteCursor, status: number): Tail {
  const info = cursor.remaining > 0 ? cursor.lenencBytes(MAX_FRAME_BYTES).toString('utf8') : '';
  const changed = has(status, STATUS.SESSION_STATE_CHANGED);
  const sessionState = changed && cursor.remaining > 0 ? cursor.lenencBytes(MAX_FRAME_BYTES) : null;
  return { info, sessionState };
}

type Tail = Pick<OkPacket, 'info' | 'sessionState'>;

/**
 * Without SESSION_TRACK the manual calls the info "rest of packet", but servers put its length in
 * front here too. Both forms are taken.
 */
function readPlainInfo(cursor: ByteCursor): string {
  const plain = cursor.rest();
  if (plain.length === 0) return '';
  const length = new ByteCursor(plain);
  const first = length.peek();
  if (first < 0xfb && first === plain.length - 1) return plain.toString('utf8', 1);
  if (first === 0xfc && plain.length >= 3 && plain.readUInt16LE(1) === plain.length - 3) {
    return plain.toString('utf8', 3);
  }
  return plain.toString('utf8');
}
