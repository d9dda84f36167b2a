import { BLANK_START, Blanks } from './blanks.ts';
import {
  AT,
  BACKSLASH,
  BACKTICK,
  DOUBLE_QUOTE,
  EQUAL,
  isDigit,
  PERIOD,
  SINGLE_QUOTE,
  ZERO,
} from './bytes.ts';
import { CHARSET_KIND, type CharsetKind, highBytesAreLetters, isWide } from './charset-kind.ts';
import type { ClassifyContext } from './classification.ts';
import { fractionEnd, NOT_A_NUMBER, numberEnd, TORN_NUMBER } from './numbers.ts';
import { KIND_OF_BYTE, TOKEN } from './token.ts';
import { WideReader } from './wide-reader.ts';
import { findWord, HASH_FACTOR, HASH_SEED, NAME_BYTE } from './word-table.ts';

/**
 * Splits a statement's bytes into tokens as the server's own lexer does (its rules, oddities
 * included, are what a disguised statement plays with). One object is used for all statements of
 * a thread; nothing is allocated per token or per statement.
 */
export class Lexer {
  /** Kind of the current token; a value of `TOKEN`. */
  kind = 0;
  /** Byte range of the current token. */
  start = 0;
  end = 0;
  /** Word-table index of a WORD or NAME, 0 for a word that is not known or qualifies another. */
  word = 0;
  /** The same, but of a qualifier too: `performance_schema` in front of its dot. */
  name = 0;
  /** Case-folded and exact hash of a WORD, NAME or USER_VARIABLE. */
  folded = 0;
  exact = 0;
  /** A blank or comment stands in front of the current token. */
  gap = false;
  /** The current token follows a dot, so it is a name, never a keyword. */
  afterDot = false;
  /** The same of the tokens before. */
  prevKind = 0;
  prevWord = 0;
  prevAfterDot = false;
  prev2Kind = 0;
  prev2Word = 0;

  /** Where the token before ends. */
  #prevEnd = 0;
  readonly #blanks = new Blanks();
  readonly #wideReader = new WideReader();
  #buf: Uint8Array = new Uint8Array(0);
  #limit = 0;
  #noBackslash = false;
  #ansiQuotes = false;
  #charset: CharsetKind = CHARSET_KIND.UTF8;
  /** The charset has characters to be stepped over whole. */
  #wide = false;

  /** Starts over on `buf[start, end)`; the bytes must not change until the last token is read. */
  reset(buf: Uint8Array, start: number, end: number, ctx: ClassifyContext): void {
    this.#buf = buf;
    this.#limit = end;
    this.#blanks.reset(buf, end, ctx);
    this.#noBackslash = ctx.noBackslashEscapes;
    this.#ansiQuotes = ctx.ansiQuotes;
    this.#charset = ctx.charsetKind;
    this.#wide = isWide(ctx.charsetKind);
    if (this.#wide) this.#wideReader.reset(buf, end, ctx);
    this.kind = TOKEN.SEMICOLON;
    this.start = start;
    this.end = start;
    this.word = 0;
    this.afterDot = false;
    this.prevKind = TOKEN.SEMICOLON;
    this.prevWord = 0;
  }

  /** Moves to the next token and returns its kind. END and BAD repeat for ever. */
  next(): number {
    if (this.kind <= TOKEN.BAD) return this.kind;
    this.prev2Kind = this.prevKind;
    this.prev2Word = this.prevWord;
    this.prevKind = this.kind;
    this.prevWord = this.word;
    this.prevAfterDot = this.afterDot;
    this.word = 0;
    // A dot keeps the name that it follows.
    if (this.prevKind === TOKEN.DOT) this.name = 0;
    this.afterDot = this.kind === TOKEN.DOT;
    const from = this.end;
    this.#prevEnd = from;
    let pos = from;
    if (pos < this.#limit && BLANK_START[this.#at(pos)] !== 0) {
      pos = this.#blanks.skip(pos);
      if (pos < 0) return this.#bad();
    }
    this.gap = pos !== from;
    this.start = pos;
    this.kind = this.#read(pos);
    return this.kind;
  }

  /** Whether nothing but blanks, and no comment, stands in front of the current token. */
  gapIsBlank(): boolean {
    for (let pos = this.#prevEnd; pos < this.start; pos++) {
      if (BLANK_START[this.#at(pos)] !== 1) return false;
    }
    return true;
  }

  /** First byte of the current token. */
  firstByte(): number {
    return this.#at(this.start);
  }

  /** Word-table index of the text inside the current STRING's quotes, 0 if not known. */
  quotedWord(): number {
    const hash = this.#hash(this.start + 1, this.end - 1);
    return findWord(this.#buf, this.start + 1, this.end - 1, hash);
  }

  /** Second byte of the current token: the first inside quotes. */
  secondByte(): number {
    return this.#at(this.start + 1);
  }

  /** Value of the current token if it is a plain decimal number that fits, otherwise `null`. */
  plainNumber(): number | null {
    if (this.kind !== TOKEN.NUMBER) return null;
    let value = 0;
    for (let pos = this.start; pos < this.end; pos++) {
      const c = this.#at(pos);
      if (!isDigit(c)) return null;
      value = value * 10 + c - ZERO;
    }
    return Number.isSafeInteger(value) ? value : null;
  }

  #at(pos: number): number {
    return pos < this.#limit ? (this.#buf[pos] ?? 0) : 0;
  }

  #bad(): number {
    this.end = this.#limit;
    this.kind = TOKEN.BAD;
    return TOKEN.BAD;
  }

  #read(pos: number): number {
    if (pos >= this.#limit)
      return this.#blanks.inVersionComment ? this.#bad() : this.#finish(TOKEN.END, pos);
    const c = this.#at(pos);
    const kind = KIND_OF_BYTE[c] ?? TOKEN.OTHER;
    switch (kind) {
      case TOKEN.WORD:
        return this.#readWord(pos);
      case TOKEN.NUMBER:
        return this.afterDot && !this.gap ? this.#readWord(pos) : this.#readNumber(pos);
      case TOKEN.STRING:
        return c === DOUBLE_QUOTE && this.#ansiQuotes
          ? this.#readName(pos, c, TOKEN.NAME)
          : this.#readString(pos, c, TOKEN.STRING);
      case TOKEN.NAME:
        return this.#readName(pos, c, TOKEN.NAME);
      case TOKEN.USER_VARIABLE:
        return this.#readVariable(pos);
      case TOKEN.DOT:
        return this.#readDot(pos);
      case TOKEN.ASSIGN:
        return this.#at(pos + 1) === EQUAL
          ? this.#finish(TOKEN.ASSIGN, pos + 2)
          : this.#finish(TOKEN.OTHER, pos + 1);
      case TOKEN.OTHER:
        // Letters in the national variants of ASCII: `~abs(1)` would be the call of one's own.
        if (this.#charset === CHARSET_KIND.UNSURE && c >= 0x5b) return this.#bad();
        // MariaDB's NULL; what follows at once is a token of its own: `\NINTO @x`.
        if (c === BACKSLASH && this.#at(pos + 1) === 0x4e) {
          return this.#finish(TOKEN.NUMBER, pos + 2);
        }
        return this.#finish(TOKEN.OTHER, pos + 1);
      default:
        return this.#finish(kind, pos + 1);
    }
  }

  #finish(kind: number, end: number): number {
    this.end = end;
    return kind;
  }

  #readWord(start: number): number {
    const buf = this.#buf;
    const limit = this.#limit;
    let folded = HASH_SEED;
    let exact = HASH_SEED;
    let high = 0;
    let pos = start;
    for (; pos < limit; pos++) {
      const c = buf[pos] ?? 0;
      const upper = NAME_BYTE[c] ?? 0;
      if (upper === 0) break;
      folded = Math.imul(folded ^ upper, HASH_FACTOR);
      exact = (Math.imul(exact, 31) + c) | 0;
      high |= c;
    }
    const follower = this.#at(pos);
    if (follower === SINGLE_QUOTE && pos - start === 1 && this.#isLiteralPrefix(start)) {
      return this.#readString(pos, SINGLE_QUOTE, TOKEN.STRING);
    }
    this.folded = folded;
    this.exact = exact;
    this.end = pos;
    if ((high & 0x80) !== 0) return this.#foreignWord(start, pos);
    // In front of `.name` a word is a qualifier, not a keyword; `@@global.` is the exception.
    const qualifies =
      follower === PERIOD && NAME_BYTE[this.#at(pos + 1)] !== 0 && this.prevKind !== TOKEN.SYSTEM;
    this.name = findWord(buf, start, pos, folded);
    this.word = qualifies ? 0 : this.name;
    return TOKEN.WORD;
  }

  /** `n'…'`, `x'…'` and `b'…'` are literals. */
  #isLiteralPrefix(pos: number): boolean {
    const letter = NAME_BYTE[this.#at(pos)];
    return letter === 0x4e || letter === 0x58 || letter === 0x42;
  }

  /** An unquoted name with bytes over 0x7F, never a keyword; `end` is where a letter ends it. */
  #foreignWord(start: number, end: number): number {
    this.name = 0;
    if (this.#wide) return this.#wideWord(start);
    return highBytesAreLetters(this.#charset, this.#buf, start, end) ? TOKEN.WORD : this.#bad();
  }

  /** The same in a charset whose characters may end in a byte that is no letter. */
  #wideWord(start: number): number {
    const end = this.#wideReader.wordEnd(start);
    if (end < 0) return this.#bad();
    this.folded = this.#hash(start, end);
    this.exact = this.folded;
    return this.#finish(TOKEN.WORD, end);
  }

  #wideName(open: number, quote: number, kind: number): number {
    const end = this.#wideReader.nameEnd(open, quote);
    if (end < 0) return this.#bad();
    this.folded = this.#hash(open + 1, end - 1);
    this.exact = this.folded;
    if (kind === TOKEN.NAME) this.word = findWord(this.#buf, open + 1, end - 1, this.folded);
    this.name = this.word;
    return this.#finish(kind, end);
  }

  #hash(start: number, end: number): number {
    let hash = HASH_SEED;
    for (let pos = start; pos < end; pos++) {
      const c = this.#buf[pos] ?? 0;
      hash = Math.imul(hash ^ (NAME_BYTE[c] || c), HASH_FACTOR);
    }
    return hash;
  }

  /** Numbers, and names that begin with digits: `1e5` is a number, `1e5x` is two, `1x` a name. */
  #readNumber(start: number): number {
    const end = numberEnd(this.#buf, start, this.#limit);
    return end === NOT_A_NUMBER ? this.#readWord(start) : this.#finishNumber(end);
  }

  #readDot(pos: number): number {
    const qualifies = !this.gap && this.prevKind === TOKEN.WORD;
    return isDigit(this.#at(pos + 1)) && !qualifies
      ? this.#finishNumber(fractionEnd(this.#buf, pos, this.#limit))
      : this.#finish(TOKEN.DOT, pos + 1);
  }

  #finishNumber(end: number): number {
    return end === TORN_NUMBER ? this.#bad() : this.#finish(TOKEN.NUMBER, end);
  }

  #readString(open: number, quote: number, kind: number): number {
    if (this.#wide) {
      const end = this.#wideReader.stringEnd(open, quote);
      return end < 0 ? this.#bad() : this.#finish(kind, end);
    }
    const buf = this.#buf;
    const limit = this.#limit;
    let pos = open + 1;
    while (pos < limit) {
      const c = buf[pos] ?? 0;
      if (c === quote) {
        if (this.#at(pos + 1) !== quote) return this.#finish(kind, pos + 1);
        pos += 2;
      } else if (c === BACKSLASH && !this.#noBackslash) pos += 2;
      else pos++;
    }
    return this.#bad();
  }

  #readName(open: number, quote: number, kind: number): number {
    if (this.#wide) return this.#wideName(open, quote, kind);
    const buf = this.#buf;
    const limit = this.#limit;
    let folded = HASH_SEED;
    let exact = HASH_SEED;
    let pos = open + 1;
    for (; pos < limit; pos++) {
      const c = buf[pos] ?? 0;
      if (c === quote) {
        if (this.#at(pos + 1) !== quote) break;
        pos++;
      }
      folded = Math.imul(folded ^ (NAME_BYTE[c] || c), HASH_FACTOR);
      exact = (Math.imul(exact, 31) + c) | 0;
    }
    if (pos >= limit) return this.#bad();
    this.folded = folded;
    this.exact = exact;
    if (kind === TOKEN.NAME) this.word = findWord(buf, open + 1, pos, folded);
    this.name = this.word;
    return this.#finish(kind, pos + 1);
  }

  #readVariable(at: number): number {
    let pos = at + 1;
    const c = this.#at(pos);
    if (c === AT) return this.#finish(TOKEN.SYSTEM, pos + 1);
    if (c === BACKTICK || (c === DOUBLE_QUOTE && this.#ansiQuotes)) {
      return this.#readName(pos, c, TOKEN.USER_VARIABLE);
    }
    this.folded = HASH_SEED;
    this.exact = HASH_SEED;
    if (c === SINGLE_QUOTE || c === DOUBLE_QUOTE) {
      return this.#readString(pos, c, TOKEN.USER_VARIABLE);
    }
    for (; ; pos++) {
      const upper = NAME_BYTE[this.#at(pos)] ?? 0;
      // Bytes over 0x7F are left over: what they mean in a variable's name depends on the charset.
      if ((upper === 0 || upper >= 0x80) && this.#at(pos) !== PERIOD) break;
      this.folded = Math.imul(this.folded ^ upper, HASH_FACTOR);
    }
    this.exact = this.folded;
    return this.#finish(TOKEN.USER_VARIABLE, pos);
  }
}

/** Whether a token is a bare word of the given table index (never a quoted or dotted name). */
export function isWord(lexer: Lexer, index: number): boolean {
  return lexer.word === index && lexer.kind === TOKEN.WORD && !lexer.afterDot;
}
