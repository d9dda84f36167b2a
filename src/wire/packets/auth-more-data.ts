import { ByteCursor } from '../cursor.ts';
import { MalformedPacketError } from '../malformed.ts';
import { PacketWriter } from '../writer.ts';

/** First byte of a packet with a plugin's own data from the server. */
export const AUTH_MORE_DATA = 0x01;

/**
 * The plugin's data, e.g. the public key or one of `caching_sha2_password`'s one-byte answers.
 * @see https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_auth_more_data.html
 */
export function decodeAuthMoreData(payload: Buffer): Buffer {
  const cursor = new ByteCursor(payload);
  if (cursor.u8() !== AUTH_MORE_DATA) throw new MalformedPacketError('Not an auth data packet');
  return cursor.rest();
}

/** The packet as a server sends it. */
export function encodeAuthMoreData(data: Buffer, seq: number): Buffer {
  return new PacketWriter(1 + data.length).u8(AUTH_MORE_DATA).bytes(data).finish(seq);
}
