import { CAP, has } from '../capability.ts';
import { COM } from '../command.ts';
import { ByteCursor } from '../cursor.ts';
import { MalformedPacketError } from '../malformed.ts';
import { MAX_FRAME_BYTES, PacketWriter } from '../writer.ts';

/** More would not fit a session's attributes; the server's own bound is 65535. */
const MAX_PARAMETERS = 0xffff;

/**
 * Length in bytes of a value in binary form by its type (enum_field_types).
 * @see https://dev.mysql.com/doc/dev/mysql-server/latest/field__types_8h.html
 */
const FIXED_BYTES: ReadonlyMap<number, number> = new Map([
  [0x01, 1], // TINY
  [0x02, 2], // SHORT
  [0x03, 4], // LONG
  [0x04, 4], // FLOAT
  [0x05, 8], // DOUBLE
  [0x06, 0], // NULL
  [0x08, 8], // LONGLONG
  [0x09, 4], // INT24
  [0x0d, 2], // YEAR
  [0xf4, 1], // BOOL
]);

/** TIMESTAMP, DATE, TIME, DATETIME, NEWDATE: a length of one byte in front. */
const TIME_TYPES: ReadonlySet<number> = new Set([0x07, 0x0a, 0x0b, 0x0c, 0x0e]);

/** DECIMAL, VARCHAR, BIT, VECTOR, JSON, NEWDECIMAL, ENUM, SET, BLOBs, STRINGs, GEOMETRY. */
const isLengthEncoded = (type: number): boolean =>
  type === 0x00 || type === 0x0f || type === 0x10 || type === 0xf2 || type >= 0xf5;

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
  return skipAttributes(new ByteCursor(payload, start + 1, end));
}

/** COM_QUERY as a client sends it, without attributes; sequence id 0. */
export function encodeQuery(statement: string, caps: number): Buffer {
  const writer = new PacketWriter(3 + statement.length).u8(COM.QUERY);
  if (has(caps, CAP.QUERY_ATTRIBUTES)) writer.u8(0).u8(1);
  return writer.string(statement).finish(0);
}

function skipAttributes(cursor: ByteCursor): number {
  const count = cursor.lenenc();
  const sets = cursor.lenenc();
  if (sets !== 1) throw new MalformedPacketError(`Query has ${sets} parameter sets, not 1`);
  if (count === 0) return cursor.pos;
  if (count > MAX_PARAMETERS) throw new MalformedPacketError(`Query has ${count} attributes`);
  const nulls = cursor.bytes(Math.ceil(count / 8));
  if (cursor.u8() !== 1) throw new MalformedPacketError('Query attributes come without types');
  const types: number[] = [];
  for (let index = 0; index < count; index += 1) {
    types.push(cursor.u8());
    cursor.skip(1); // unsigned or not
    cursor.lenencBytes(MAX_FRAME_BYTES); // name
  }
  for (const [index, type] of types.entries()) {
    const isNull = (((nulls[index >> 3] ?? 0) >> (index & 7)) & 1) === 1;
    if (!isNull) skipValue(cursor, type);
  }
  return cursor.pos;
}

function skipValue(cursor: ByteCursor, type: number): void {
  const fixed = FIXED_BYTES.get(type);
  if (fixed !== undefined) {
    cursor.skip(fixed);
  } else if (TIME_TYPES.has(type)) {
    cursor.skip(cursor.u8());
  } else if (isLengthEncoded(type)) {
    cursor.lenencBytes(MAX_FRAME_BYTES);
  } else {
    throw new MalformedPacketError(`Query attribute is of the unknown type ${type}`);
  }
}
