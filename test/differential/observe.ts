import { CAP, has } from '../../src/wire/capability.ts';
import { ByteCursor, LENENC_NULL } from '../../src/wire/cursor.ts';
import { decodeEof, EOF } from '../../src/wire/packets/eof.ts';
import { decodeErr, ERR } from '../../src/wire/packets/err.ts';
import { decodeOk, OK } from '../../src/wire/packets/ok.ts';
import { decodeSessionState } from '../../src/wire/packets/session-state.ts';
import { decodeStmtPrepareOk } from '../../src/wire/packets/stmt-prepare-ok.ts';
import { STATUS } from '../../src/wire/status.ts';
import { MAX_FRAME_BYTES } from '../../src/wire/writer.ts';
import type { PacketPipe } from '../support/packet-pipe.ts';

/**
 * A reply in words, a line for each packet: what two systems are compared by, and what a person
 * reads when they differ.
 */
export type Observation = readonly string[];

/** How a server's reply is read. */
export type ReplyKind = 'result' | 'binary' | 'prepare' | 'rows' | 'fields';

/** What reading one reply found. */
export interface SeenReply {
  readonly lines: string[];
  /** Status flags of the last OK or EOF; -1 where there was none. */
  status: number;
  /** Of a statement that was prepared. */
  statement: { readonly id: number; readonly parameters: number } | null;
}

/**
 * Depend on the clock, or on a server's statistics and so on its choice of indexes: not on what was
 * asked.
 */
const MASKED = STATUS.QUERY_WAS_SLOW | STATUS.QUERY_NO_INDEX_USED | STATUS.QUERY_NO_GOOD_INDEX_USED;
const FILE_REQUEST = 0xfb;

/** Reads one whole reply. */
export class ReplyReader {
  readonly #pipe: PacketPipe;
  readonly #caps: number;
  readonly #sendFile: (seq: number) => number;
  readonly #seen: SeenReply = { lines: [], status: -1, statement: null };
  #seq = 0;

  /**
   * @param sendFile called when the server asks for a file: sends its content and the end of it
   *   from this sequence id on, and returns how many packets that took
   */
  constructor(pipe: PacketPipe, caps: number, sendFile: (seq: number) => number) {
    this.#pipe = pipe;
    this.#caps = caps;
    this.#sendFile = sendFile;
  }

  async read(kind: ReplyKind): Promise<SeenReply> {
    if (kind === 'prepare') await this.#prepared();
    else if (kind === 'rows') await this.#rows('binary');
    else if (kind === 'fields') await this.#fields();
    else {
      do await this.#result(kind);
      while (this.#seen.status !== -1 && has(this.#seen.status, STATUS.MORE_RESULTS_EXISTS));
    }
    return this.#seen;
  }

  async #next(): Promise<Buffer> {
    const { payload, seq } = await this.#pipe.read();
    this.#seq = (this.#seq + 1) & 0xff;
    if (seq !== this.#seq) {
      this.#say(`sequence id ${seq} where ${this.#seq} is due`);
      this.#seq = seq;
    }
    return payload;
  }

  #say(line: string): void {
    this.#seen.lines.push(line);
  }

  async #result(kind: 'result' | 'binary'): Promise<void> {
    const first = await this.#next();
    if (this.#end(first)) return;
    if (first[0] === FILE_REQUEST) {
      this.#say(`file ${first.toString('utf8', 1)}`);
      this.#seq += this.#sendFile(this.#seq + 1);
      this.#end(await this.#next());
      return;
    }
    const columns = new ByteCursor(first).lenenc();
    for (let left = columns; left > 0; left -= 1) this.#say(columnLine(await this.#next()));
    if (!has(this.#caps, CAP.DEPRECATE_EOF)) {
      const eof = await this.#next();
      this.#end(eof);
      if (has(decodeEof(eof).status, STATUS.CURSOR_EXISTS)) return;
    }
    await this.#rows(kind === 'binary' ? 'binary' : columns);
  }

  /** @param form columns of text rows, or binary rows */
  async #rows(form: number | 'binary'): Promise<void> {
    for (;;) {
      const payload = await this.#next();
      const ends =
        payload[0] === ERR ||
        (payload[0] === EOF &&
          payload.length < (has(this.#caps, CAP.DEPRECATE_EOF) ? MAX_FRAME_BYTES : 9));
      if (ends) {
        this.#end(payload);
        return;
      }
      this.#say(form === 'binary' ? `row ${payload.toString('hex')}` : textRow(payload, form));
    }
  }

  async #fields(): Promise<void> {
    for (;;) {
      const payload = await this.#next();
      if (payload[0] === ERR || payload[0] === EOF) {
        this.#end(payload);
        return;
      }
      this.#say(columnLine(payload));
    }
  }

  async #prepared(): Promise<void> {
    const first = await this.#next();
    if (first[0] === ERR) {
      this.#end(first);
      return;
    }
    const ok = decodeStmtPrepareOk(first, this.#caps);
    this.#say(
      `prepared columns=${ok.columnCount} parameters=${ok.parameterCount} warnings=${ok.warnings}`,
    );
    for (const count of [ok.parameterCount, ok.columnCount]) {
      for (let left = count; left > 0; left -= 1) this.#say(columnLine(await this.#next()));
      if (count > 0 && !has(this.#caps, CAP.DEPRECATE_EOF)) this.#end(await this.#next());
    }
    this.#seen.statement = { id: ok.statementId, parameters: ok.parameterCount };
  }

  /** Takes an OK, EOF or ERR packet; false if it is something else. */
  #end(payload: Buffer): boolean {
    const first = payload[0];
    if (first === ERR) {
      this.#seen.status = -1;
      this.#say(errorLine(payload));
      return true;
    }
    if (first === EOF && (!has(this.#caps, CAP.DEPRECATE_EOF) || payload.length === 5)) {
      const { warnings, status } = decodeEof(payload);
      this.#seen.status = status;
      this.#say(`eof warnings=${warnings} ${statusText(status)}`);
      return true;
    }
    if (first !== OK && first !== EOF) return false;
    const { line, status } = okLine(payload, this.#caps);
    this.#seen.status = status;
    this.#say(line);
    return true;
  }
}

/** An ERR packet in words. */
export function errorLine(payload: Buffer): string {
  const { code, sqlState, message } = decodeErr(payload);
  // Which number a server gave to a prepared statement is its own affair.
  const words = message.replace(/(?<=The statement \()\d+(?=\) has no open cursor)/, 'n');
  return `error ${code} ${sqlState} ${words}`;
}

/** An OK packet in words. */
export function okLine(payload: Buffer, caps: number): { line: string; status: number } {
  const ok = decodeOk(payload, caps);
  const state =
    ok.sessionState === null ? '' : ` state=${JSON.stringify(decodeSessionState(ok.sessionState))}`;
  const counts = `affected=${ok.affectedRows} insertId=${ok.lastInsertId} warnings=${ok.warnings}`;
  const kind = payload[0] === OK ? 'ok' : 'end';
  return {
    line: `${kind} ${counts} ${statusText(ok.status)} info='${ok.info}'${state}`,
    status: ok.status,
  };
}

function statusText(status: number): string {
  const names = Object.entries(STATUS)
    .filter(([, bit]) => (bit & MASKED) === 0 && has(status, bit))
    .map(([name]) => name);
  return `[${names.join(' ')}]`;
}

/** What SHOW DATABASES reads from, by the name that its columns have. */
const SCHEMATA = 'SCHEMATA';

function columnLine(payload: Buffer): string {
  const cursor = new ByteCursor(payload);
  const names = Array.from({ length: 6 }, () => readable(cursor.lenencBytes(MAX_FRAME_BYTES)));
  cursor.skip(1);
  const collation = cursor.u16();
  const length = cursor.u32();
  const type = cursor.u8();
  const flags = cursor.u16();
  const decimals = cursor.u8();
  cursor.skip(2);
  const rest = cursor.remaining > 0 ? ` default=${cursor.rest().toString('hex')}` : '';
  const [, , table, , name] = names;
  // MySQL tells a view's column or a temporary table's, as its optimizer chose to sort.
  const isSorted = table === SCHEMATA;
  const origin = isSorted ? `${table}/${name}` : names.join('/');
  const flagged = isSorted ? '' : ` flags=${flags}`;
  return `column ${origin} type=${type}${flagged} length=${length} decimals=${decimals} collation=${collation}${rest}`;
}

function textRow(payload: Buffer, columns: number): string {
  const cursor = new ByteCursor(payload);
  const values: string[] = [];
  for (let left = columns; left > 0; left -= 1) {
    if (cursor.peek() === LENENC_NULL) {
      cursor.skip(1);
      values.push('NULL');
    } else values.push(`'${readable(cursor.lenencBytes(MAX_FRAME_BYTES))}'`);
  }
  return `row ${values.join(', ')}`;
}

/** Text where it is UTF-8, else hexadecimal. */
function readable(bytes: Buffer): string {
  const text = bytes.toString('utf8');
  return Buffer.from(text, 'utf8').equals(bytes) ? text : `0x${bytes.toString('hex')}`;
}
