import { CAP, has } from '../capability.ts';
import { COM } from '../command.ts';
import { ByteCursor } from '../cursor.ts';
import { MalformedPacketError } from '../malformed.ts';
import { PacketWriter } from '../writer.ts';
import { skipQueryAttributes } from './query-attributes.ts';

/**
 * Index in `payload` of the first byte of a COM_QUERY's statement; query attributes that stand
 * before it are stepped over. Allocates nothing where there are none.
 * @param start index of the command byte
 * @param end index behind the last byte at hand; attributes that reach beyond are malformed
 * @param caps capabilities in force with the client
 * @see https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query.html
 */
export function queryTextOffset(payload: Buffer, start: number, end: number, caps: number): number {
  if (start >= end || end > payload.length) throw new MalformedPacketError('Empty command packet');
  if (!has(caps, CAP.QUERY_ATTRIBUTES)) return start + 1;
  // No attributes, one set of them: what nearly every statement begins with.
  if (end - start >= 3 && payload[start + 1] === 0 && payload[start + 2] === 1) return start + 3;
  const cursor = new ByteCursor(payload, start + 1, end);
  skipQueryAttributes(cursor);
  return cursor.pos;
}

/** COM_QUERY as a client sends it, without attributes; sequence id 0. */
export function encodeQuery(statement: string, caps: number): Buffer {
  const writer = new PacketWriter(3 + statement.length).u8(COM.QUERY);
  if (has(caps, CAP.QUERY_ATTRIBUTES)) writer.u8(0).u8(1);
  return writer.string(statement).finish(0);
}
