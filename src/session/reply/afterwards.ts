import { type BackendConnection, LEFT } from '../../pool/backend-connection.ts';
import { LagwiseError } from '../../lib/errors.ts';
import { runSwallowed } from '../../pool/swallow.ts';
import { ByteCursor } from '../../wire/cursor.ts';
import { decodeEof } from '../../wire/packets/eof.ts';
import type { ErrPacket } from '../../wire/packets/err.ts';
import { decodeOk } from '../../wire/packets/ok.ts';
import { frameLength } from '../../wire/reply-fields.ts';
import { encodeQuery } from '../../wire/packets/query.ts';
import { REPLY } from '../../wire/reply-kinds.ts';
import {
  type ColumnShape,
  decodeOnlyValue,
  encodeTextResultset,
} from '../../wire/text-resultset.ts';
import { CAP, has } from '../../wire/capability.ts';
import { HEADER_BYTES, PacketWriter } from '../../wire/writer.ts';

/** What the statement before left, where the connection that knew it has gone to another client. */
export interface Remembered {
  /** The whole reply to SHOW WARNINGS, null where it was not asked for in time. */
  readonly warnings: Buffer | null;
  /** ROW_COUNT(). */
  readonly rowCount: number;
}

const LIST =
  /^\s*show\s+(warning|error)s(?:\s+limit\s+(\d{1,9})(?:\s*(,|\soffset\s)\s*(\d{1,9}))?)?\s*;?\s*$/i;
const COUNT =
  /^\s*(?:show\s+count\s*\(\s*\*\s*\)\s+(warning|error)s|select\s+@@(?:session\.|local\.)?(warning|error)_count)\s*;?\s*$/i;
const ITEM = String.raw`(?:row_count|found_rows)\s*\(\s*\)(?:\s+(?:as\s+)?(?:[a-z_]\w*|${'`[^`]+`'}|'[^']+'))?`;
const COUNTS = new RegExp(String.raw`^\s*select\s+(${ITEM}(?:\s*,\s*${ITEM})*)\s*;?\s*$`, 'i');
/** Longer statements are not one of these. */
const MAX_TEXT_BYTES = 200;
const ERROR_LEVEL = 'Error';
const MAX_NUMBER_BYTES = 21;
/** As servers describe @@warning_count. */
const COUNT_SHAPE: ColumnShape = {
  type: 0x08,
  collation: 63,
  displayBytes: 21,
  flags: 0xa0,
  decimals: 0,
};

/**
 * Takes away the warnings of the statement before, and leaves a ROW_COUNT() of 0. It reads from a
 * table, of a kind: MariaDB keeps warnings until a statement does.
 */
export const CLEARING = 'DO (SELECT 0 FROM (SELECT 0) AS x)';
/** The same as a query: ROW_COUNT() is -1 then. */
export const CLEARING_QUERY = 'SELECT 0 FROM (SELECT 0) AS x';

/** SIGNAL takes no more characters. */
const MAX_MESSAGE = 128;

/** A statement that fails with this error, for a connection to have its diagnostics. */
export function signalOf({ code, sqlState, message }: ErrPacket): string {
  // A quote is doubled, which every sql_mode understands; what a backslash does depends on it.
  const text = message.slice(0, MAX_MESSAGE).replaceAll('\\', ' ').replaceAll("'", "''");
  return `SIGNAL SQLSTATE '${sqlState}' SET MYSQL_ERRNO=${code}, MESSAGE_TEXT='${text}'`;
}

/**
 * Takes the warnings off a connection that goes to somebody else.
 * @throws LagwiseError when the server is lost or late: then it is closed
 */
export async function clearWarnings(
  connection: BackendConnection,
  timeoutMs: number,
): Promise<void> {
  await runSwallowed(connection, encodeQuery(CLEARING, connection.caps), [REPLY.SIMPLE], timeoutMs);
  connection.leftovers &= ~LEFT.DIAGNOSTICS;
}

/**
 * SHOW WARNINGS on a connection that is about to go to somebody else; changes nothing there. Null
 * where there are too many to be kept.
 */
export async function saveWarnings(
  connection: BackendConnection,
  timeoutMs: number,
): Promise<Buffer | null> {
  const query = encodeQuery('SHOW WARNINGS', connection.caps);
  const [told] = await runSwallowed(connection, query, [REPLY.RESULT], timeoutMs);
  return told?.error === null && !told.tooLong ? told.result : null;
}

/** The answer to the statement from what is remembered; null where that does not tell it. */
export function answerAfterwards(
  text: Buffer,
  known: Remembered,
  options: { caps: number; status: number },
): Buffer | null {
  if (text.length > MAX_TEXT_BYTES) return null;
  const statement = text.toString('latin1');
  const { warnings } = known;
  if (warnings === null) return null;
  const list = LIST.exec(statement);
  if (list !== null) return listOf(warnings, list, options.caps);
  const counted = COUNT.exec(statement);
  if (counted === null) return null;
  const what = (counted[1] ?? counted[2] ?? '').toLowerCase();
  const listed = what === 'error' ? withRows(warnings, options.caps, isError) : warnings;
  const title = counted[1] === undefined ? `@@${what}_count` : `@@session.${what}_count`;
  return number(title, rowCountOf(listed, options.caps), options);
}

/**
 * What a SELECT asks for that asks for nothing but ROW_COUNT() and FOUND_ROWS(), in order; null for
 * any other statement.
 */
export function countsAsked(text: Buffer): readonly ('row-count' | 'found-rows')[] | null {
  if (text.length > MAX_TEXT_BYTES) return null;
  const list = COUNTS.exec(text.toString('latin1'))?.[1];
  if (list === undefined) return null;
  const found = list.matchAll(/(row_count|found_rows)\s*\(/gi);
  return Array.from(found, ([, name]) => (/^r/i.test(name ?? '') ? 'row-count' : 'found-rows'));
}

/**
 * A server's answer to such a SELECT with other numbers in it: names, types and warnings are the
 * server's, the numbers the session's.
 * @param numbers one a column; null leaves what the server said
 */
export function withNumbers(
  result: Buffer,
  numbers: readonly (number | null)[],
  caps: number,
): Buffer {
  const packets = packetsOf(result);
  const rowAt = 1 + numbers.length + (has(caps, CAP.DEPRECATE_EOF) ? 0 : 1);
  const row = packets[rowAt];
  if (row === undefined || packets.length !== rowAt + 2) {
    throw new LagwiseError('backend-protocol', 'A result of one row was expected');
  }
  const cursor = new ByteCursor(row.subarray(HEADER_BYTES));
  const writer = new PacketWriter();
  for (const value of numbers) {
    const told = cursor.lenencBytes(MAX_NUMBER_BYTES);
    if (value === null) writer.lenencBytes(told);
    else writer.lenencString(String(value));
  }
  packets[rowAt] = writer.finish(row[3] ?? 0);
  return Buffer.concat(packets);
}

/** How many warnings the last packet of a result set tells of. */
export function warningsIn(result: Buffer, caps: number): number {
  const last = packetsOf(result).at(-1)?.subarray(HEADER_BYTES);
  if (last === undefined) return 0;
  return has(caps, CAP.DEPRECATE_EOF) ? decodeOk(last, caps).warnings : decodeEof(last).warnings;
}

/** FOUND_ROWS() of a connection that is about to go to somebody else. */
export async function askFoundRows(
  connection: BackendConnection,
  timeoutMs: number,
): Promise<number> {
  const query = encodeQuery('SELECT FOUND_ROWS()', connection.caps);
  const [told] = await runSwallowed(connection, query, [REPLY.RESULT], timeoutMs);
  const value = told === undefined ? null : decodeOnlyValue(told.result, connection.caps);
  const rows = Number(value);
  if (value === null || !Number.isSafeInteger(rows)) {
    throw new LagwiseError('backend-protocol', 'FOUND_ROWS() is no number');
  }
  return rows;
}

function number(title: string, value: number, options: { caps: number; status: number }): Buffer {
  const result = { columns: [{ name: title, shape: COUNT_SHAPE }], rows: [[String(value)]] };
  return encodeTextResultset(result, { seq: 1, ...options });
}

/** Column count, three definitions, EOF where it is not deprecated: then rows, then the end. */
const firstRow = (caps: number): number => (has(caps, CAP.DEPRECATE_EOF) ? 4 : 5);

const rowCountOf = (result: Buffer, caps: number): number =>
  packetsOf(result).length - firstRow(caps) - 1;

/** Headers included. */
function packetsOf(result: Buffer): Buffer[] {
  const packets: Buffer[] = [];
  for (let at = 0; at + HEADER_BYTES <= result.length; ) {
    const end = at + HEADER_BYTES + frameLength(result, at);
    packets.push(result.subarray(at, end));
    at = end;
  }
  return packets;
}

/** Of the saved warnings those that `SHOW WARNINGS` or `SHOW ERRORS` asks for, as LIST took it apart. */
function listOf(warnings: Buffer, list: RegExpExecArray, caps: number): Buffer {
  const [, what = '', one, between, other] = list;
  const ofLevel = what.toLowerCase() === 'error' ? withRows(warnings, caps, isError) : warnings;
  if (one === undefined) return ofLevel;
  // LIMIT offset, count; or LIMIT count OFFSET offset.
  const [from, count] =
    between === ',' ? [Number(one), Number(other)] : [Number(other ?? 0), Number(one)];
  return withRows(ofLevel, caps, (_, row) => row >= from && row < from + count);
}

function isError(row: Buffer): boolean {
  const textAt = HEADER_BYTES + 1;
  return row.toString('latin1', textAt, textAt + (row[HEADER_BYTES] ?? 0)) === ERROR_LEVEL;
}

/** A result with some of its rows only, the packets numbered anew. */
function withRows(
  result: Buffer,
  caps: number,
  isWanted: (packet: Buffer, row: number) => boolean,
): Buffer {
  const packets = packetsOf(result);
  const rowsFrom = firstRow(caps);
  const kept = packets
    .filter((packet, index) => {
      const isRow = index >= rowsFrom && index < packets.length - 1;
      return !isRow || isWanted(packet, index - rowsFrom);
    })
    .map((packet) => Buffer.from(packet));
  for (const [index, packet] of kept.entries()) packet[3] = index + 1;
  return Buffer.concat(kept);
}
