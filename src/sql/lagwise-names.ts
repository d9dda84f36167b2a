import { BACKTICK, DOUBLE_QUOTE, SINGLE_QUOTE } from './bytes.ts';
import { NAME_BYTE } from './word-table.ts';

/** What the names of the proxy's own user variables begin with, in upper case. */
const PREFIX = Buffer.from('LAGWISE_');

/** The variable that holds what a session has to see: `SELECT @lagwise_gtid`, `SET @lagwise_gtid`. */
export const TOKEN_VARIABLE = 'lagwise_gtid';
const TOKEN_NAME = Buffer.from(TOKEN_VARIABLE.toUpperCase());

/** Whether the user variable in `buf[start, end)`, with its `@`, is a setting of the proxy. */
export function isLagwiseName(buf: Uint8Array, start: number, end: number): boolean {
  return beginsWith(buf, nameAt(buf, start), end, PREFIX);
}

/** Whether it is the token. */
export function isTokenName(buf: Uint8Array, start: number, end: number): boolean {
  const name = nameAt(buf, start);
  const quotes = name - start - 1;
  return end - name === TOKEN_NAME.length + quotes && beginsWith(buf, name, end, TOKEN_NAME);
}

/** Behind `@` and a quote. */
function nameAt(buf: Uint8Array, start: number): number {
  const first = buf[start + 1] ?? 0;
  const isQuoted = first === BACKTICK || first === SINGLE_QUOTE || first === DOUBLE_QUOTE;
  return start + (isQuoted ? 2 : 1);
}

function beginsWith(buf: Uint8Array, at: number, end: number, letters: Buffer): boolean {
  if (end - at < letters.length) return false;
  for (let i = 0; i < letters.length; i++) {
    if (NAME_BYTE[buf[at + i] ?? 0] !== letters[i]) return false;
  }
  return true;
}
