import { ByteCursor } from '../cursor.ts';
import { MalformedPacketError } from '../malformed.ts';
import { PacketWriter } from '../writer.ts';

/** First byte of an EOF packet; a row may begin with it too, so the length decides. */
export const EOF = 0xfe;
/** A payload that begins with 0xFE is an EOF packet only if it is shorter than this. */
export const EOF_BELOW_BYTES = 9;

/** End of column definitions or rows where DEPRECATE_EOF is not in force. */
export interface EofPacket {
  readonly warnings: number;
  readonly status: number;
}

/** @see https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_eof_packet.html */
export function decodeEof(payload: Buffer): EofPacket {
  const cursor = new ByteCursor(payload);
  if (cursor.u8() !== EOF || payload.length >= EOF_BELOW_BYTES) {
    throw new MalformedPacketError('Not an EOF packet');
  }
  const warnings = cursor.u16();
  return { warnings, status: cursor.u16() };
}

/** The packet as a server sends it. */
export function encodeEof(eof: EofPacket, seq: number): Buffer {
  return new PacketWriter(5).u8(EOF).u16(eof.warnings).u16(eof.status).finish(seq);
}
