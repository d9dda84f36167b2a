import type { BackendConnection } from '../pool/backend-connection.ts';
import { runSwallowed } from '../pool/swallow.ts';
import { frameLength } from '../wire/reply-fields.ts';
import { encodeQuery } from '../wire/packets/query.ts';
import { REPLY } from '../wire/reply-kinds.ts';
import { encodeTextResultset } from '../wire/text-resultset.ts';
import { CAP, has } from '../wire/capability.ts';
import { HEADER_BYTES } from '../wire/writer.ts';

/** What the statement before left, where the connection that knew it has gone to another client. */
export interface Remembered {
  /** The whole reply to SHOW WARNINGS, null where it was not asked for in time. */
  readonly warnings: Buffer | null;
  /** ROW_COUNT(). */
  readonly rowCount: number;
}

const SHOW_WARNINGS = /^\s*show\s+warnings\s*;?\s*$/i;
const SHOW_ERRORS = /^\s*show\s+errors\s*;?\s*$/i;
const COUNT =
  /^\s*(?:show\s+count\s*\(\s*\*\s*\)\s+(warning|error)s|select\s+@@(?:session\.|local\.)?(warning|error)_count)\s*;?\s*$/i;
const ROW_COUNT = /^\s*select\s+(row_count\s*\(\s*\))(?:\s+(?:as\s+)?([a-z_]\w*))?\s*;?\s*$/i;
/** Longer statements are not one of these. */
const MAX_TEXT_BYTES = 200;
const ERROR_LEVEL = 'Error';

/** SHOW WARNINGS on a connection that is about to go to somebody else; changes nothing there. */
export async function saveWarnings(
  connection: BackendConnection,
  timeoutMs: number,
): Promise<Buffer | null> {
  const query = encodeQuery('SHOW WARNINGS', connection.caps);
  const [told] = await runSwallowed(connection, query, [REPLY.RESULT], timeoutMs);
  return told?.error === null ? told.result : null;
}

/** The answer to the statement from what is remembered; null where that does not tell it. */
export function answerAfterwards(
  text: Buffer,
  known: Remembered,
  options: { caps: number; status: number },
): Buffer | null {
  if (text.length > MAX_TEXT_BYTES) return null;
  const statement = text.toString('latin1');
  const { warnings, rowCount } = known;
  if (warnings !== null && SHOW_WARNINGS.test(statement)) return warnings;
  if (warnings !== null && SHOW_ERRORS.test(statement)) return onlyErrors(warnings, options.caps);
  const counted = COUNT.exec(statement);
  if (warnings !== null && counted !== null) {
    const what = (counted[1] ?? counted[2] ?? '').toLowerCase();
    const listed = what === 'error' ? onlyErrors(warnings, options.caps) : warnings;
    const title = counted[1] === undefined ? `@@${what}_count` : `@@session.${what}_count`;
    return number(title, rowCountOf(listed, options.caps), options);
  }
  const asked = ROW_COUNT.exec(statement);
  return asked === null ? null : number(asked[2] ?? asked[1] ?? 'ROW_COUNT()', rowCount, options);
}

function number(title: string, value: number, options: { caps: number; status: number }): Buffer {
  const result = { columns: [{ signed: title }], rows: [[String(value)]] };
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

function levelOf(row: Buffer): string {
  const textAt = HEADER_BYTES + 1;
  return row.toString('latin1', textAt, textAt + (row[HEADER_BYTES] ?? 0));
}

/** SHOW ERRORS: of SHOW WARNINGS the rows of one level, numbered anew. */
function onlyErrors(warnings: Buffer, caps: number): Buffer {
  const packets = packetsOf(warnings);
  const rowsFrom = firstRow(caps);
  const kept = packets
    .filter((packet, index) => {
      const isRow = index >= rowsFrom && index < packets.length - 1;
      return !isRow || levelOf(packet) === ERROR_LEVEL;
    })
    .map((packet) => Buffer.from(packet));
  for (const [index, packet] of kept.entries()) packet[3] = index + 1;
  return Buffer.concat(kept);
}
