import { BACKSLASH, BACKTICK, isDigit } from './bytes.ts';

/**
 * How bytes over 0x7F are read in a client's character set. `ucs2`, `utf16` and `utf32` are
 * missing because no server lets them be character_set_client (errno 1231).
 */
export const CHARSET_KIND = {
  /** Bytes over 0x7F only ever belong to letters. */
  UTF8: 0,
  /** One byte a character; 0xA0 may be a blank, no other byte over 0x7F is. */
  SINGLE_BYTE: 1,
  /** Several bytes a character, none of which can be taken for a quote, a backslash or a blank. */
  EUC: 2,
  /** Characters of two or four bytes, the last of which may look like a backslash or backtick. */
  BIG5: 3,
  SJIS: 4,
  GBK: 5,
  GB18030: 6,
  /** Not known, or known to put letters where others have signs: what is ambiguous is not lexed. */
  UNSURE: 7,
} as const;
export type CharsetKind = (typeof CHARSET_KIND)[keyof typeof CHARSET_KIND];

/**
 * Asked of MySQL 9.7 and MariaDB 10.11: `SELECT 1?AS?x` with each byte over 0x7F in place of the
 * question marks, in each character set. In cp852, cp866 and keybcs2 0xFF is a blank, too, and
 * swe7 has letters for `[]^{|}~` and the backslash: they are too rare for a kind of their own.
 */
const NAMES: readonly (readonly [kind: CharsetKind, names: string])[] = [
  [CHARSET_KIND.UTF8, 'utf8mb4 utf8mb3 utf8'],
  [
    CHARSET_KIND.SINGLE_BYTE,
    `latin1 latin2 latin5 latin7 ascii binary armscii8 cp1250 cp1251 cp1256 cp1257 cp850 dec8
    geostd8 greek hebrew hp8 koi8r koi8u macce macroman tis620`,
  ],
  [CHARSET_KIND.EUC, 'eucjpms euckr gb2312 ujis'],
  [CHARSET_KIND.BIG5, 'big5'],
  [CHARSET_KIND.SJIS, 'sjis cp932'],
  [CHARSET_KIND.GBK, 'gbk'],
  [CHARSET_KIND.GB18030, 'gb18030'],
];

const KIND_OF_NAME: ReadonlyMap<string, CharsetKind> = new Map(
  NAMES.flatMap(([kind, names]) =>
    names.split(/\s+/).map((name): [string, CharsetKind] => [name, kind]),
  ),
);

/** How to read a character set, by its name in lower case; UNSURE for one that is not known. */
export function charsetKind(name: string | null): CharsetKind {
  return (name === null ? undefined : KIND_OF_NAME.get(name)) ?? CHARSET_KIND.UNSURE;
}

/** Whether a character set has characters that must be stepped over whole. */
export function isWide(kind: CharsetKind): boolean {
  return kind >= CHARSET_KIND.BIG5;
}

/**
 * Length of the character at `pos`, which must be over 0x7F: 2 or 4 for one of several bytes, 1
 * for a byte that begins none, 0 where a second byte ought to follow and does not, or for an
 * UNSURE set where it matters. Ranges: `strings/ctype-*.cc` of the server.
 */
export function characterBytes(
  kind: CharsetKind,
  buf: Uint8Array,
  pos: number,
  limit: number,
): number {
  const lead = buf[pos] ?? 0;
  const next = pos + 1 < limit ? (buf[pos + 1] ?? 0) : 0;
  switch (kind) {
    case CHARSET_KIND.BIG5:
      if (lead < 0xa1 || lead > 0xf9) return 1;
      return isTrail(next) || (next >= 0xa1 && next <= 0xfe) ? 2 : 0;
    case CHARSET_KIND.SJIS:
      if (lead === 0x80 || (lead > 0x9f && lead < 0xe0) || lead > 0xfc) return 1;
      return isTrail(next) || (next >= 0x80 && next <= 0xfc) ? 2 : 0;
    case CHARSET_KIND.GBK:
    case CHARSET_KIND.GB18030:
      if (lead === 0x80 || lead === 0xff) return 1;
      if (isTrail(next) || (next >= 0x80 && next <= 0xfe)) return 2;
      return kind === CHARSET_KIND.GB18030 ? fourBytes(buf, pos, limit) : 0;
    case CHARSET_KIND.UNSURE:
      return next === BACKSLASH || next === BACKTICK ? 0 : 1;
    default:
      return 1;
  }
}

/** Second bytes below 0x80, the same in all these sets. */
function isTrail(byte: number): boolean {
  return byte >= 0x40 && byte <= 0x7e;
}

/** Characters of four bytes: high, digit, high, digit. */
function fourBytes(buf: Uint8Array, pos: number, limit: number): number {
  const third = buf[pos + 2] ?? 0;
  const isFour =
    pos + 4 <= limit &&
    isDigit(buf[pos + 1] ?? 0) &&
    third >= 0x81 &&
    third <= 0xfe &&
    isDigit(buf[pos + 3] ?? 0);
  return isFour ? 4 : 0;
}

/**
 * Whether bytes over 0x7F in an unquoted name can only be letters. Where 0xA0 is a blank,
 * `FOR\xA0UPDATE` is two words; in UTF-8 such a byte never follows ASCII.
 */
export function highBytesAreLetters(
  kind: CharsetKind,
  buf: Uint8Array,
  start: number,
  end: number,
): boolean {
  if (kind === CHARSET_KIND.EUC) return true;
  if (kind > CHARSET_KIND.EUC) return false;
  let before = 0;
  for (let pos = start; pos < end; pos++) {
    const c = buf[pos] ?? 0;
    const isStray = c >= 0x80 && c < 0xc0 && before < 0x80;
    if (kind === CHARSET_KIND.UTF8 ? isStray : c === 0xa0) return false;
    before = c;
  }
  return true;
}
