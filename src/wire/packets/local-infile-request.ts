import { ByteCursor } from '../cursor.ts';
import { MalformedPacketError } from '../malformed.ts';
import { PacketWriter } from '../writer.ts';

/** First byte of the packet that asks the client for a file. */
export const LOCAL_INFILE = 0xfb;

/**
 * The file that the server asks the client for, as it wrote the name.
 * @see https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_local_infile_request.html
 */
export function decodeLocalInfileRequest(payload: Buffer): string {
  const cursor = new ByteCursor(payload);
  if (cursor.u8() !== LOCAL_INFILE) throw new MalformedPacketError('Not a LOCAL INFILE request');
  return cursor.rest().toString('utf8');
}

/** The request as a server sends it. */
export function encodeLocalInfileRequest(fileName: string, seq: number): Buffer {
  return new PacketWriter().u8(LOCAL_INFILE).string(fileName).finish(seq);
}
