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
  const asked = ROW_COUNT.exec(statement);
  if (asked === null) return null;
  const title = asked[2] ?? asked[1] ?? 'ROW_COUNT()';
  const result = { columns: [{ signed: title }], rows: [[String(rowCount)]] };
  return encodeTextResultset(result, { seq: 1, ...options });
}

/** SHOW ERRORS: of SHOW WARNINGS the rows of one level, numbered anew. */
function onlyErrors(warnings: Buffer, caps: number): Buffer {
  const kept: Buffer[] = [];
  // Column count, three definitions, EOF where it is not deprecated; then rows, then the end.
  const rowsFrom = has(caps, CAP.DEPRECATE_EOF) ? 4 : 5;
  let index = 0;
  for (let at = 0; at < warnings.length; index += 1) {
    const end = at + HEADER_BYTES + frameLength(warnings, at);
    const isRow = index >= rowsFrom && end < warnings.length;
    if (!isRow || levelOf(warnings, at) === ERROR_LEVEL) {
      const packet = Buffer.from(warnings.subarray(at, end));
      packet[3] = kept.length + 1;
      kept.push(packet);
    }
    at = end;
  }
  return Buffer.concat(kept);
}

function levelOf(warnings: Buffer, at: number): string {
  const textAt = at + HEADER_BYTES + 1;
  return warnings.toString('latin1', textAt, textAt + (warnings[textAt - 1] ?? 0));
}
