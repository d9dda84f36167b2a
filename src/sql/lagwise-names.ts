import { BACKTICK, DOUBLE_QUOTE, SINGLE_QUOTE } from './bytes.ts';
import { NAME_BYTE } from './word-table.ts';

/** What the names of the proxy's own user variables begin with, in upper case. */
const PREFIX = Buffer.from('LAGWISE_');

/** Whether the user variable in `buf[start, end)`, with its `@`, is a setting of the proxy. */
export function isLagwiseName(buf: Uint8Array, start: number, end: number): boolean {
  const first = buf[start + 1] ?? 0;
  const isQuoted = first === BACKTICK || first === SINGLE_QUOTE || first === DOUBLE_QUOTE;
  const name = start + (isQuoted ? 2 : 1);
  if (end - name < PREFIX.length) return false;
  for (let i = 0; i < PREFIX.length; i++) {
    if (NAME_BYTE[buf[name + i] ?? 0] !== PREFIX[i]) return false;
  }
  return true;
}
