import { CAP, has } from './capability.ts';
import { ByteCursor, LENENC_NULL } from './cursor.ts';
import { encodeEof } from './packets/eof.ts';
import { encodeOk } from './packets/ok.ts';
import { MalformedPacketError } from './malformed.ts';
import { frameLength } from './reply-fields.ts';
import { HEADER_BYTES, PacketWriter } from './writer.ts';

/** A text column by its name; integers that are never NULL by theirs; any other with its shape. */
type Column =
  | string
  | { readonly integer: string }
  | { readonly signed: string }
  | { readonly name: string; readonly shape: ColumnShape };

/** How a column is described: the protocol's type, collation, width, flags and decimals. */
export interface ColumnShape {
  readonly type: number;
  readonly collation: number;
  readonly displayBytes: number;
  readonly flags: number;
  readonly decimals: number;
}

/** A small result that the proxy itself answers with. */
export interface TextResultset {
  readonly columns: readonly Column[];
  readonly rows: readonly (readonly (string | null)[])[];
}

export interface IntegerResultset {
  readonly columns: readonly { readonly integer: string }[];
  readonly rows: readonly (readonly bigint[])[];
}

export interface ResultsetOptions {
  /** Sequence id of the first packet: 1 after a command. */
  readonly seq: number;
  /** Capabilities in force with the client. */
  readonly caps: number;
  readonly status: number;
}

/** VAR_STRING of utf8mb4_general_ci, which every server and client of either flavour knows. */
const TEXT_SHAPE = { type: 0xfd, collation: 45, displayBytes: 1024, flags: 0, decimals: 0x1f };
/** LONGLONG, binary; NOT NULL, UNSIGNED, BINARY: as servers describe their own ids. */
const INTEGER_SHAPE = { type: 0x08, collation: 63, displayBytes: 21, flags: 0xa1, decimals: 0 };
/** As servers describe what ROW_COUNT() gives. */
const SIGNED_SHAPE = { type: 0x08, collation: 63, displayBytes: 21, flags: 0x81, decimals: 0 };
/** Of the fixed part of a column definition: always 12. */
const FIXED_PART_BYTES = 0x0c;

/**
 * A text result set, all of its packets in one buffer: column count, definitions, rows, end, in the
 * form with EOF packets or without (DEPRECATE_EOF).
 * @see https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset.html
 */
export function encodeTextResultset(result: TextResultset, options: ResultsetOptions): Buffer {
  return encodeResultset(result, encodeTextRow, options);
}

/**
 * The same in the binary form, the answer to an EXECUTE: of integers that are never NULL.
 * @see https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_binary_resultset.html
 */
export function encodeIntegerResultset(
  result: IntegerResultset,
  options: ResultsetOptions,
): Buffer {
  return encodeResultset(result, encodeIntegerRow, options);
}

function encodeResultset<Row>(
  result: { readonly columns: readonly Column[]; readonly rows: readonly Row[] },
  encodeRow: (row: Row, seq: number) => Buffer,
  options: ResultsetOptions,
): Buffer {
  const packets: Buffer[] = [];
  const { caps, status } = options;
  const nextSeq = (): number => options.seq + packets.length;
  packets.push(encodeColumnCount(result.columns.length, nextSeq(), caps));
  for (const column of result.columns) packets.push(encodeColumn(column, nextSeq()));
  if (!has(caps, CAP.DEPRECATE_EOF)) packets.push(encodeEof({ warnings: 0, status }, nextSeq()));
  for (const row of result.rows) packets.push(encodeRow(row, nextSeq()));
  packets.push(
    has(caps, CAP.DEPRECATE_EOF)
      ? encodeOk({ status }, nextSeq(), { caps, afterRows: true })
      : encodeEof({ warnings: 0, status }, nextSeq()),
  );
  return Buffer.concat(packets);
}

/**
 * The flag "definitions follow" stands behind the count, whatever some editions of the manual say:
 * in front of it, a result without definitions would begin like an OK packet.
 */
function encodeColumnCount(count: number, seq: number, caps: number): Buffer {
  const writer = new PacketWriter().lenenc(count);
  if (has(caps, CAP.OPTIONAL_RESULTSET_METADATA)) writer.u8(1);
  return writer.finish(seq);
}

/** @see https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset_column_definition.html */
function encodeColumn(column: Column, seq: number): Buffer {
  const { name, shape } = describeColumn(column);
  return new PacketWriter()
    .lenencString('def')
    .lenencString('') // schema
    .lenencString('') // table, as named in the statement
    .lenencString('') // table
    .lenencString(name)
    .lenencString('') // column of the table
    .lenenc(FIXED_PART_BYTES)
    .u16(shape.collation)
    .u32(shape.displayBytes)
    .u8(shape.type)
    .u16(shape.flags)
    .u8(shape.decimals)
    .zeros(2)
    .finish(seq);
}

function encodeTextRow(row: readonly (string | null)[], seq: number): Buffer {
  const writer = new PacketWriter();
  for (const value of row) {
    if (value === null) writer.u8(LENENC_NULL);
    else writer.lenencString(value);
  }
  return writer.finish(seq);
}

function encodeIntegerRow(row: readonly bigint[], seq: number): Buffer {
  // A zero byte, then a bit for each column that is NULL, behind two bits that are not used.
  const writer = new PacketWriter().u8(0).zeros((row.length + 9) >> 3);
  for (const value of row) writer.u64(value);
  return writer.finish(seq);
}

function describeColumn(column: Column) {
  if (typeof column === 'string') return { name: column, shape: TEXT_SHAPE };
  if ('shape' in column) return column;
  return 'integer' in column
    ? { name: column.integer, shape: INTEGER_SHAPE }
    : { name: column.signed, shape: SIGNED_SHAPE };
}

const MAX_VALUE_BYTES = 1024;

/**
 * The value of a result of one column and one row, null where that is NULL; for the proxy's own
 * questions.
 * @throws MalformedPacketError when it is something else, or longer than `maxBytes`
 */
export function decodeOnlyValue(
  result: Buffer,
  caps: number,
  maxBytes = MAX_VALUE_BYTES,
): string | null {
  const packets: Buffer[] = [];
  for (let at = 0; at + HEADER_BYTES <= result.length; ) {
    const end = at + HEADER_BYTES + frameLength(result, at);
    packets.push(result.subarray(at + HEADER_BYTES, end));
    at = end;
  }
  // Column count, definition, EOF where it is not deprecated, row, end.
  const row = packets[has(caps, CAP.DEPRECATE_EOF) ? 2 : 3];
  if (row === undefined || packets[0]?.[0] !== 1) {
    throw new MalformedPacketError('A result of one value was expected');
  }
  if (row[0] === LENENC_NULL) return null;
  return new ByteCursor(row).lenencBytes(maxBytes).toString('utf8');
}
