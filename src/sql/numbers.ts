import { isDigit, isHexDigit, MINUS, PERIOD, PLUS, ZERO } from './bytes.ts';
import { NAME_BYTE } from './word-table.ts';

/** What begins with the digits is a name. */
export const NOT_A_NUMBER = -1;
/**
 * `1.e` without an exponent. MySQL throws such a number away, with it the sign behind, and goes on
 * in the middle of what follows (seen on 9.7): `GET_LOCK 1.e-('a', 0)` is a call there, and
 * `1.e-- 1` no comment. MariaDB refuses it.
 */
export const TORN_NUMBER = -2;

/** Position behind the number at `start`, or NOT_A_NUMBER, or TORN_NUMBER. */
export function numberEnd(buf: Uint8Array, start: number, limit: number): number {
  const letter = byteAt(buf, start, limit) === ZERO ? byteAt(buf, start + 1, limit) : 0;
  if (letter === 0x78 || letter === 0x62) return radixEnd(buf, start, limit, letter === 0x78);
  let pos = start;
  while (isDigit(byteAt(buf, pos, limit))) pos++;
  if (byteAt(buf, pos, limit) === PERIOD) return fractionEnd(buf, pos, limit);
  if (NAME_BYTE[byteAt(buf, pos, limit)] === 0) return pos;
  const end = exponentEnd(buf, pos, limit);
  return end > pos ? end : NOT_A_NUMBER;
}

/** Position behind the digits and the exponent that follow the dot at `dot`, or TORN_NUMBER. */
export function fractionEnd(buf: Uint8Array, dot: number, limit: number): number {
  let pos = dot + 1;
  while (isDigit(byteAt(buf, pos, limit))) pos++;
  const end = exponentEnd(buf, pos, limit);
  const isTorn = end === pos && NAME_BYTE[byteAt(buf, pos, limit)] === 0x45;
  return isTorn ? TORN_NUMBER : end;
}

function byteAt(buf: Uint8Array, pos: number, limit: number): number {
  return pos < limit ? (buf[pos] ?? 0) : 0;
}

/** `0x1F` and `0b01`; the prefix is in lower case, or it is a name. */
function radixEnd(buf: Uint8Array, start: number, limit: number, isHex: boolean): number {
  let pos = start + 2;
  if (isHex) while (isHexDigit(byteAt(buf, pos, limit))) pos++;
  else while (byteAt(buf, pos, limit) === ZERO || byteAt(buf, pos, limit) === ZERO + 1) pos++;
  return pos - start >= 3 && NAME_BYTE[byteAt(buf, pos, limit)] === 0 ? pos : NOT_A_NUMBER;
}

/** Position behind `e10`, `e+10`; `pos` itself where no exponent stands there. */
function exponentEnd(buf: Uint8Array, pos: number, limit: number): number {
  if (NAME_BYTE[byteAt(buf, pos, limit)] !== 0x45) return pos;
  const sign = byteAt(buf, pos + 1, limit);
  let end = sign === PLUS || sign === MINUS ? pos + 2 : pos + 1;
  if (!isDigit(byteAt(buf, end, limit))) return pos;
  while (isDigit(byteAt(buf, end, limit))) end++;
  return end;
}
