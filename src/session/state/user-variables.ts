import { LagwiseError } from '../../lib/errors.ts';
import { CAP, has } from '../../wire/capability.ts';
import { ByteCursor } from '../../wire/cursor.ts';
import { MalformedPacketError } from '../../wire/malformed.ts';
import { frameLength } from '../../wire/reply-fields.ts';
import { HEADER_BYTES } from '../../wire/writer.ts';

/** As many as a session may have set on a replica; each costs a name, and three columns once. */
const MAX_NAMES = 64;
const MAX_VALUE_BYTES = 32 * 1024;
const VARIABLE = /(?<!@)@(?!@)(`(?:[^`]|``)+`|'(?:[^'\\]|'')+'|"(?:[^"\\]|"")+"|[\w.$]+)/g;
const ASCII = /^[ -~]+$/;
const PLAIN_WORD = /^\w+$/;
const NUMBER = /^-?\d+(?:\.\d+)?(?:e[+-]?\d+)?$/i;
const DOUBLE_TYPES: ReadonlySet<number> = new Set([0x04, 0x05]);
const EXACT_TYPES: ReadonlySet<number> = new Set([0x01, 0x02, 0x03, 0x08, 0x09, 0xf6]);
/** Value, the same in hexadecimal, character set, collation. */
const COLUMNS_EACH = 4;

/**
 * The names of user variables that a session has set on a replica, as they were written, so that
 * the session can go to the primary with them.
 */
export class UserVariableNames {
  private readonly names = new Set<string>();
  /** There are others, which are too many or have names that every character set writes its own way. */
  private unnamed = false;

  get any(): boolean {
    return this.names.size > 0;
  }

  /** The statement may have set whatever variable its text names. */
  note(text: string): void {
    for (const [, written = ''] of text.matchAll(VARIABLE)) {
      // Case does not tell variables apart.
      const name = written.toLowerCase();
      const fits = this.names.size < MAX_NAMES && ASCII.test(name);
      if (fits) this.names.add(name);
      else this.unnamed ||= !this.names.has(name);
    }
  }

  clear(): void {
    this.names.clear();
    this.unnamed = false;
  }

  /**
   * What to ask for their values; `assignments` reads the answer.
   * @throws LagwiseError `limit` when there are too many
   */
  question(): string {
    if (this.unnamed) {
      throw new LagwiseError(
        'limit',
        `This session has set user variables on a replica that cannot be carried to the primary (more than ${MAX_NAMES}, or with other letters than ASCII): run the statement before GET DIAGNOSTICS in a transaction`,
      );
    }
    const columns = [...this.names].map(
      (name) => `@${name}, HEX(@${name}), CHARSET(@${name}), COLLATION(@${name})`,
    );
    return `SELECT ${columns.join(', ')}`;
  }

  /**
   * The SET that gives them their values elsewhere.
   * @param result all packets of the answer to `question`
   * @throws MalformedPacketError when it is something else
   */
  assignments(result: Buffer, caps: number): string {
    const packets = packetsOf(result);
    const columns = this.names.size * COLUMNS_EACH;
    const row = packets[1 + columns + (has(caps, CAP.DEPRECATE_EOF) ? 0 : 1)];
    if (row === undefined) throw new MalformedPacketError('A row of user variables was expected');
    const cursor = new ByteCursor(row);
    const list = [...this.names].map((name, index) => {
      const definition = packets[1 + index * COLUMNS_EACH];
      const cells = Array.from({ length: COLUMNS_EACH }, () => cellOf(cursor));
      return `@${name}=${literalOf(typeOf(definition), cells)}`;
    });
    return `SET ${list.join(', ')}`;
  }
}

/** Of a column's flags. */
const UNSIGNED = 0x20;

function literalOf(column: ColumnType, cells: readonly (string | null)[]): string {
  const { type, flags } = column;
  const [value, hex, charset, collation] = cells;
  if (typeof value !== 'string' || typeof hex !== 'string') return 'NULL';
  const isNumber = NUMBER.test(value);
  if (isNumber && EXACT_TYPES.has(type)) {
    const isUnsigned = (flags & UNSIGNED) !== 0 && !value.includes('.');
    return isUnsigned ? `CAST(${value} AS UNSIGNED)` : value;
  }
  if (isNumber && DOUBLE_TYPES.has(type)) return /e/i.test(value) ? value : `${value}e0`;
  const bytes = hex === '' ? "''" : `0x${hex}`;
  if (!PLAIN_WORD.test(charset ?? '') || !PLAIN_WORD.test(collation ?? '')) return bytes;
  return `_${charset} ${bytes} COLLATE ${collation}`;
}

function cellOf(cursor: ByteCursor): string | null {
  if (cursor.peek() === NULL_CELL) {
    cursor.u8();
    return null;
  }
  return cursor.lenencBytes(MAX_VALUE_BYTES).toString('latin1');
}

const NULL_CELL = 0xfb;
/** Of a column definition: catalog, schema, two names of the table, two of the column. */
const STRINGS_BEFORE = 6;

interface ColumnType {
  readonly type: number;
  readonly flags: number;
}

/** Behind the strings stand a length, a charset (2 bytes), a width (4), the type, the flags. */
function typeOf(definition: Buffer | undefined): ColumnType {
  if (definition === undefined) throw new MalformedPacketError('A column is missing');
  const cursor = new ByteCursor(definition);
  for (let at = 0; at < STRINGS_BEFORE; at += 1) cursor.lenencBytes(definition.length);
  cursor.skip(1 + 2 + 4);
  return { type: cursor.u8(), flags: cursor.u16() };
}

function packetsOf(result: Buffer): Buffer[] {
  const packets: Buffer[] = [];
  for (let at = 0; at + HEADER_BYTES <= result.length; ) {
    const end = at + HEADER_BYTES + frameLength(result, at);
    packets.push(result.subarray(at + HEADER_BYTES, end));
    at = end;
  }
  return packets;
}
