import { describe, expect, test } from 'vitest';
import { CHARSET_KIND, charsetKind } from '../../../src/sql/charset-kind.ts';
import { judge, MYSQL } from './helpers.ts';

const { UTF8, SINGLE_BYTE, EUC, BIG5, SJIS, GBK, GB18030, UNSURE } = CHARSET_KIND;

/** `\xNN` stands for that byte. */
function bytes(text: string): Buffer {
  return Buffer.from(
    text.replaceAll(/\\x([0-9a-f]{2})/gu, (_, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    ),
    'latin1',
  );
}

const READ = 'read/select';
const LOCKS = 'write/for-update';
const BAD = 'unknown/not-lexed';
/** Ends the string in front of FOR UPDATE if the bytes hold no escape, behind it otherwise. */
const PROBE = (inside: string) => `SELECT '${inside}' FOR UPDATE -- '`;

describe('a backslash that ends a character escapes nothing', () => {
  test.each([
    ['gbk', GBK, '\\xbf\\x5c', LOCKS],
    ['gbk, lead bytes have an end', GBK, '\\x80\\x5c', READ],
    ['gbk, two characters', GBK, '\\xbf\\xbf\\x5c', READ],
    ['gbk, a first byte without a second', GBK, '\\xbf\\x20\\x5c', READ],
    ['big5', BIG5, '\\xa5\\x5c', LOCKS],
    ['big5 begins at A1', BIG5, '\\xa0\\x5c', READ],
    ['sjis', SJIS, '\\x83\\x5c', LOCKS],
    ['sjis has letters of one byte', SJIS, '\\xb1\\x5c', READ],
    ['gb18030, two bytes', GB18030, '\\x81\\x5c', LOCKS],
    ['gb18030, four bytes', GB18030, '\\x81\\x30\\x81\\x30\\x5c', READ],
    [
      'gb18030, four bytes and a character of two',
      GB18030,
      '\\x81\\x30\\x81\\x30\\x81\\x5c',
      LOCKS,
    ],
    ['utf8', UTF8, '\\xc3\\xa9\\x5c', READ],
    ['latin1', SINGLE_BYTE, '\\xe9\\x5c', READ],
    ['euckr', EUC, '\\xb0\\xa1\\x5c', READ],
    ['a set that is not known', UNSURE, '\\xe9\\x5c', BAD],
    ['a set that is not known, without a backslash', UNSURE, '\\xe9x', LOCKS],
    ['what a backslash escapes is one byte', GBK, '\\x5c\\xbf\\x5c', READ],
    ['an escaped backslash', GBK, '\\x5c\\x5c', LOCKS],
  ])('%s', (_, kind, inside, verdict) => {
    expect(judge(bytes(PROBE(inside)), { ...MYSQL, charsetKind: kind })).toBe(verdict);
  });

  test('without escapes characters still are stepped over whole', () => {
    const ctx = { ...MYSQL, charsetKind: GBK, noBackslashEscapes: true };
    expect(judge(bytes(PROBE('\\xbf\\x5c')), ctx)).toBe(LOCKS);
    expect(judge(bytes(PROBE('a\\x5c')), ctx)).toBe(LOCKS);
  });
});

describe('a backtick or a sign that ends a character is part of a name', () => {
  test.each([
    ['SELECT `\\x81\\x60` FROM t', GBK, READ],
    ['SELECT `\\x81\\x60` FROM t FOR UPDATE', GBK, LOCKS],
    ['SELECT `\\x81\\x60` FROM t', UNSURE, BAD],
    ['SELECT `a\\x81`, 1', GBK, BAD],
    ['SELECT \\x83\\x5c FROM t FOR UPDATE', SJIS, LOCKS],
    ['SELECT \\x83\\x5c, a FROM \\x83\\x60', SJIS, READ],
    ['SELECT \\x83\\x7b(1)', SJIS, 'unknown/unknown-function'],
    ['SELECT t.\\x81\\x40 FROM t', GBK, READ],
    ['SELECT \\x81\\x30\\x81\\x30 FROM t', GB18030, READ],
    ['SELECT \\xb1 FROM t', SJIS, BAD],
    ['SELECT 1 1\\xc0\\xa0\\x60 INTO @a -- `', GB18030, BAD],
    ['SELECT \\x81', GBK, BAD],
    ['SELECT @`\\x81\\x60` := 1', GBK, 'write/user-variable-assignment'],
    ["SELECT @'\\x81\\x5c' := 1", GBK, 'write/user-variable-assignment'],
  ])('%s', (text, kind, verdict) => {
    expect(judge(bytes(text), { ...MYSQL, charsetKind: kind })).toBe(verdict);
  });
});

describe('a byte that may be a blank is not taken for a letter', () => {
  test.each([
    ['SELECT 1 FOR\\xa0UPDATE', UTF8, BAD],
    ['SELECT 1 FOR\\xa0UPDATE', SINGLE_BYTE, BAD],
    ['SELECT 1 \\xc0\\xa0INTO @a', SINGLE_BYTE, BAD],
    ['SELECT \\xe9t\\xe9 FROM stra\\xdfe', SINGLE_BYTE, READ],
    ['SELECT \\xe9t\\xe9 FROM stra\\xdfe', UNSURE, BAD],
    ['SELECT \\xb0\\xa1 FROM t', EUC, READ],
    ["SELECT '\\xa0' FROM t", SINGLE_BYTE, READ],
    ['SELECT ~abs(1)', UTF8, READ],
    ['SELECT ~abs(1)', UNSURE, BAD],
  ])('%s', (text, kind, verdict) => {
    expect(judge(bytes(text), { ...MYSQL, charsetKind: kind })).toBe(verdict);
  });
});

test('character sets are known by the names that servers give them', () => {
  const kinds = ['utf8mb4', 'utf8mb3', 'latin1', 'ujis', 'cp932', 'gb18030', 'swe7', 'x', null];
  expect(kinds.map((name) => charsetKind(name))).toEqual([
    UTF8,
    UTF8,
    SINGLE_BYTE,
    EUC,
    SJIS,
    GB18030,
    UNSURE,
    UNSURE,
    UNSURE,
  ]);
});
