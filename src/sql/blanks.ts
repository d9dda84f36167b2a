import { CHARSET_KIND } from './charset-kind.ts';
import type { ClassifyContext } from './classification.ts';
import {
  BACKTICK,
  BANG,
  CARRIAGE_RETURN,
  DOUBLE_QUOTE,
  HASH,
  isDigit,
  LINE_FEED,
  MINUS,
  PLUS,
  SINGLE_QUOTE,
  SLASH,
  SPACE,
  STAR,
  TAB,
  ZERO,
} from './bytes.ts';

/** Bytes a blank or a comment can begin with; `*` ends a version comment. */
export const BLANK_START = new Uint8Array(256);
for (let c = TAB; c <= CARRIAGE_RETURN; c++) BLANK_START[c] = 1;
BLANK_START[SPACE] = 1;
for (const c of [SLASH, HASH, MINUS, STAR]) BLANK_START[c] = 2;

/** Steps over blanks, comments, hints and the marks of version comments. */
export class Blanks {
  /** The position is inside a version comment whose content counts as SQL. */
  inVersionComment = false;

  #buf: Uint8Array = new Uint8Array(0);
  #limit = 0;
  #mariadb = false;
  #utf8 = true;
  #serverVersion = 0;

  /** Starts over for a statement that ends before `limit`. */
  reset(buf: Uint8Array, limit: number, ctx: ClassifyContext): void {
    this.#buf = buf;
    this.#limit = limit;
    this.inVersionComment = false;
    this.#mariadb = ctx.flavor === 'mariadb';
    this.#utf8 = ctx.charsetKind === CHARSET_KIND.UTF8;
    this.#serverVersion = ctx.serverVersion;
  }

  #at(pos: number): number {
    return pos < this.#limit ? (this.#buf[pos] ?? 0) : 0;
  }

  /** Position of the next byte that is neither blank nor comment, -1 if a comment has no end. */
  skip(start: number): number {
    let pos = start;
    while (pos >= 0 && pos < this.#limit) {
      const c = this.#at(pos);
      const blank = BLANK_START[c] ?? 0;
      if (blank === 0) return pos;
      if (blank === 1) pos++;
      else if (c === SLASH && this.#at(pos + 1) === STAR) pos = this.#skipComment(pos + 2);
      else if (c === HASH) pos = this.#lineEnd(pos);
      else if (c === MINUS && this.#at(pos + 1) === MINUS) {
        const end = this.#dashCommentEnd(pos);
        if (end === pos) return pos;
        pos = end;
      } else if (c === STAR && this.inVersionComment && this.#at(pos + 1) === SLASH) {
        this.inVersionComment = false;
        pos += 2;
      } else return pos;
    }
    return pos;
  }

  /**
   * `--` is a comment only in front of a blank, a control character or the end; `pos` itself where
   * it is none. Of the bytes over 0x7F some are control characters to the servers, others in each
   * charset (asked of MySQL 9.7 and MariaDB 10.11: 6 of cp1250, 46 of hp8, …), but none in UTF-8.
   */
  #dashCommentEnd(pos: number): number {
    const third = this.#at(pos + 2);
    if (third <= SPACE || third === 0x7f) return this.#lineEnd(pos);
    return third >= 0x80 && !this.#utf8 ? -1 : pos;
  }

  #lineEnd(pos: number): number {
    let end = pos;
    while (end < this.#limit && this.#at(end) !== LINE_FEED) end++;
    return end;
  }

  /** `pos` is behind the opening; returns where lexing goes on, or -1. */
  #skipComment(pos: number): number {
    const c = this.#at(pos);
    if (c === BANG) return this.#enterVersionComment(pos + 1, false);
    if (c === 0x4d && this.#mariadb && this.#at(pos + 1) === BANG) {
      return this.#enterVersionComment(pos + 2, true);
    }
    if (c === PLUS) return this.#skipHint(pos + 1);
    return this.#commentEnd(pos, false);
  }

  #commentEnd(start: number, nested: boolean): number {
    for (let pos = start; pos + 1 < this.#limit; pos++) {
      const c = this.#at(pos);
      if (c === STAR && this.#at(pos + 1) === SLASH) return pos + 2;
      if (nested && c === SLASH && this.#at(pos + 1) === STAR) {
        pos = this.#commentEnd(pos + 2, false) - 1;
        if (pos < 0) return -1;
      }
    }
    return -1;
  }

  /**
   * Optimizer hints change nothing, but the server's hint scanner knows quotes: an end mark inside
   * quotes is not the hint's end there, and is the comment's end where no hint may stand.
   */
  #skipHint(start: number): number {
    let quote = 0;
    for (let pos = start; pos + 1 < this.#limit; pos++) {
      const c = this.#at(pos);
      if (c === STAR && this.#at(pos + 1) === SLASH) return quote === 0 ? pos + 2 : -1;
      if (quote !== 0) quote = c === quote ? 0 : quote;
      else if (c === SINGLE_QUOTE || c === DOUBLE_QUOTE || c === BACKTICK) quote = c;
    }
    return -1;
  }

  /** A version comment is SQL if the server's version has reached it; a comment otherwise. */
  #enterVersionComment(pos: number, mariadbOnly: boolean): number {
    let digits = 0;
    let version = 0;
    while (digits < 6 && isDigit(this.#at(pos + digits))) {
      version = version * 10 + this.#at(pos + digits) - ZERO;
      digits++;
    }
    if (digits === 6 && !this.#mariadb) {
      // MySQL takes the sixth digit only in front of a blank.
      const sixth = BLANK_START[this.#at(pos + 6)] === 1;
      if (!sixth) version = Math.trunc(version / 10);
      digits = sixth ? 6 : 5;
    }
    if (digits < 5) {
      this.inVersionComment = true;
      return pos;
    }
    if (this.#serverVersion === 0) return -1;
    // MariaDB leaves alone what was written for MySQL 5.7 and later.
    const foreign = this.#mariadb && !mariadbOnly && version >= 50700 && version <= 99999;
    if (version > this.#serverVersion || foreign) return this.#commentEnd(pos + digits, true);
    this.inVersionComment = true;
    return pos + digits;
  }
}
