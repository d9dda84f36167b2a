import { ByteCursor } from '../cursor.ts';
import { MalformedPacketError } from '../malformed.ts';
import { PacketWriter } from '../writer.ts';

/** First byte of an ERR packet. */
export const ERR = 0xff;

/** A command's (or login's) failure. */
export interface ErrPacket {
  readonly code: number;
  /** Five letters or digits; `HY000` where the server sent none (errors before the greeting). */
  readonly sqlState: string;
  readonly message: string;
}

const STATE_MARK = 0x23; // '#'
const STATE_BYTES = 5;
const GENERAL_STATE = 'HY000';

/** @see https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_err_packet.html */
export function decodeErr(payload: Buffer): ErrPacket {
  const cursor = new ByteCursor(payload);
  if (cursor.u8() !== ERR) throw new MalformedPacketError('Not an ERR packet');
  const code = cursor.u16();
  let sqlState = GENERAL_STATE;
  if (cursor.remaining > 0 && cursor.peek() === STATE_MARK) {
    cursor.skip(1);
    sqlState = cursor.bytes(STATE_BYTES).toString('latin1');
  }
  return { code, sqlState, message: cursor.rest().toString('utf8') };
}

/**
 * The packet as a server sends it.
 * @param options `withState: false` for an error in place of the greeting, when the client's
 *   capabilities are not known yet and servers leave the SQL state out
 */
export function encodeErr(
  error: ErrPacket,
  seq: number,
  options: { readonly withState?: boolean } = {},
): Buffer {
  const writer = new PacketWriter().u8(ERR).u16(error.code);
  if (options.withState !== false) {
    const state = error.sqlState.length === STATE_BYTES ? error.sqlState : GENERAL_STATE;
    writer.u8(STATE_MARK).string(state, 'latin1');
  }
  return writer.string(error.message).finish(seq);
}
