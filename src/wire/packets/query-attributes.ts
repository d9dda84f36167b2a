import { ByteCursor } from '../cursor.ts';
import { MalformedPacketError } from '../malformed.ts';
import { MAX_FRAME_BYTES } from '../writer.ts';

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

/** Types whose length-encoded value is text: VARCHAR, VAR_STRING, STRING, and the BLOBs. */
const isText = (type: number): boolean => type === 0x0f || (type >= 0xf9 && type <= 0xfe);

/** Integers by type, and the bytes they have. */
const INTEGER_BYTES: ReadonlyMap<number, 1 | 2 | 4> = new Map([
  [0x01, 1],
  [0x02, 2],
  [0x03, 4],
  [0x09, 4],
]);
const LONGLONG = 0x08;
const UNSIGNED_FLAG = 0x80;

/** Longest value that is worth decoding; what is meant for the proxy is a word. */
const MAX_VALUE_BYTES = 1024;

/** One attribute as its client named it. */
export interface QueryAttribute {
  readonly name: string;
  /** Text, or an integer's digits; null for NULL and for values of any other kind. */
  readonly value: string | null;
}

/**
 * Steps over the attributes of a COM_QUERY: what stands between its command byte and its text.
 * @param cursor behind the command byte; afterwards at the first byte of the text
 * @throws MalformedPacketError
 * @see https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query.html
 */
export function skipQueryAttributes(cursor: ByteCursor): void {
  walkAttributes(cursor, null);
}

/**
 * The attributes of a COM_QUERY whose names begin with `prefix`, in the order sent. The others are
 * stepped over without a copy.
 * @param start index of the command byte
 * @param end index behind the last byte at hand
 * @param prefix in lower case; names are compared without regard to case
 * @throws MalformedPacketError as `queryTextOffset` does
 */
export function queryAttributes(
  payload: Buffer,
  start: number,
  end: number,
  prefix: string,
): readonly QueryAttribute[] {
  const found: QueryAttribute[] = [];
  walkAttributes(new ByteCursor(payload, start + 1, end), { prefix, found });
  return found;
}

interface Search {
  readonly prefix: string;
  readonly found: QueryAttribute[];
}

function walkAttributes(cursor: ByteCursor, search: Search | null): void {
  const count = cursor.lenenc();
  const sets = cursor.lenenc();
  if (sets !== 1) throw new MalformedPacketError(`Query has ${sets} parameter sets, not 1`);
  if (count === 0) return;
  if (count > MAX_PARAMETERS) throw new MalformedPacketError(`Query has ${count} attributes`);
  const nulls = cursor.bytes(Math.ceil(count / 8));
  if (cursor.u8() !== 1) throw new MalformedPacketError('Query attributes come without types');
  const types: number[] = [];
  /** Type with its flags, by position, of those that are asked for. */
  const wanted = new Map<number, string>();
  for (let index = 0; index < count; index += 1) {
    types.push(cursor.u16());
    const name = cursor.lenencBytes(MAX_FRAME_BYTES);
    if (search !== null && hasPrefix(name, search.prefix)) {
      wanted.set(index, name.toString('utf8').slice(0, MAX_VALUE_BYTES));
    }
  }
  for (const [index, typeAndFlags] of types.entries()) {
    const isNull = (((nulls[index >> 3] ?? 0) >> (index & 7)) & 1) === 1;
    const name = wanted.get(index);
    const from = cursor.pos;
    if (!isNull) skipValue(cursor, typeAndFlags & 0xff);
    if (name === undefined || search === null) continue;
    const value = isNull ? null : readValue(cursor, from, typeAndFlags);
    search.found.push({ name, value });
  }
}

function hasPrefix(name: Buffer, prefix: string): boolean {
  if (name.length < prefix.length) return false;
  return name.toString('latin1', 0, prefix.length).toLowerCase() === prefix;
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

/** Reads again the value that lies between `from` and where the cursor is. */
function readValue(behind: ByteCursor, from: number, typeAndFlags: number): string | null {
  const type = typeAndFlags & 0xff;
  const isUnsigned = typeAndFlags >> 8 === UNSIGNED_FLAG;
  const cursor = new ByteCursor(behind.buffer, from, behind.pos);
  if (isText(type)) {
    const bytes = cursor.lenencBytes(MAX_FRAME_BYTES);
    return bytes.length <= MAX_VALUE_BYTES ? bytes.toString('utf8') : null;
  }
  if (type === LONGLONG) {
    const value = cursor.u64();
    return String(isUnsigned ? value : BigInt.asIntN(64, value));
  }
  const width = INTEGER_BYTES.get(type);
  if (width === undefined) return null;
  const bytes = cursor.bytes(width);
  return String(isUnsigned ? bytes.readUIntLE(0, width) : bytes.readIntLE(0, width));
}
