import { CAP, has } from '../capability.ts';
import type { ByteCursor } from '../cursor.ts';
import { MalformedPacketError } from '../malformed.ts';
import type { PacketWriter } from '../writer.ts';

/** The 32 bytes that SSL request and handshake response begin with. */
export interface LoginHeader {
  readonly caps: number;
  /** MariaDB's extended flags; 0 where the client sets `LONG_PASSWORD`. */
  readonly extendedCaps: number;
  /** Longest packet that the client will take; servers do not heed it. */
  readonly maxPacketBytes: number;
  /** The connection's collation, its low 8 bits; 0 = the server's default. */
  readonly collationId: number;
}

/** Reads the header; clients from before protocol 4.1 (2003) are refused. */
export function readLoginHeader(cursor: ByteCursor): LoginHeader {
  // Of the old form the flags are 16 bits; the bit that tells them apart is among them.
  if (cursor.remaining >= 2 && !has(cursor.buffer.readUInt16LE(cursor.pos), CAP.PROTOCOL_41)) {
    throw new MalformedPacketError('Client does not speak protocol 4.1, update the client');
  }
  const caps = cursor.u32();
  const maxPacketBytes = cursor.u32();
  const collationId = cursor.u8();
  cursor.skip(19);
  const reserved = cursor.u32();
  const extendedCaps = has(caps, CAP.LONG_PASSWORD) ? 0 : reserved;
  return { caps, extendedCaps, maxPacketBytes, collationId };
}

/** Writes the header. */
export function writeLoginHeader(writer: PacketWriter, header: LoginHeader): void {
  writer
    .u32(header.caps)
    .u32(header.maxPacketBytes)
    .u8(header.collationId & 0xff)
    .zeros(19)
    .u32(has(header.caps, CAP.LONG_PASSWORD) ? 0 : header.extendedCaps);
}
