import { BACKSLASH, isDigit } from './bytes.ts';
import { characterBytes, CHARSET_KIND, type CharsetKind } from './charset-kind.ts';
import type { ClassifyContext } from './classification.ts';
import { NAME_BYTE } from './word-table.ts';

/** Finds ends of words and strings where characters must be stepped over whole. */
export class WideReader {
  #buf: Uint8Array = new Uint8Array(0);
  #limit = 0;
  #charset: CharsetKind = CHARSET_KIND.UTF8;
  #noBackslash = false;

  /** Starts over for a statement that ends before `limit`. */
  reset(buf: Uint8Array, limit: number, ctx: ClassifyContext): void {
    this.#buf = buf;
    this.#limit = limit;
    this.#charset = ctx.charsetKind;
    this.#noBackslash = ctx.noBackslashEscapes;
  }

  /** Position behind an unquoted name, or -1 if its bytes are ambiguous. */
  wordEnd(start: number): number {
    // Behind digits the servers have eaten the first byte before they look for characters.
    if (isDigit(this.#buf[start] ?? 0)) return -1;
    let pos = start;
    while (pos < this.#limit) {
      const c = this.#buf[pos] ?? 0;
      if (NAME_BYTE[c] === 0) break;
      const bytes = c < 0x80 ? 1 : this.#characterBytes(pos);
      // Of a lone byte only the server knows whether it is a letter, a blank or an error.
      if (c >= 0x80 && bytes < 2) return -1;
      pos += bytes;
    }
    return pos;
  }

  /** Position behind the string that opens at `open`, or -1 if it has no end that is sure. */
  stringEnd(open: number, quote: number): number {
    let pos = open + 1;
    while (pos < this.#limit) {
      const c = this.#buf[pos] ?? 0;
      if (c >= 0x80) {
        const bytes = this.#characterBytes(pos);
        if (bytes === 0 && this.#charset === CHARSET_KIND.UNSURE) return -1;
        // The server goes on behind a first byte without a second one.
        pos += bytes || 1;
      } else if (c === quote) {
        const isDoubled = pos + 1 < this.#limit && this.#buf[pos + 1] === quote;
        if (!isDoubled) return pos + 1;
        pos += 2;
        // What is escaped is one byte, even if that begins a longer character.
      } else if (c === BACKSLASH && !this.#noBackslash) pos += 2;
      else pos++;
    }
    return -1;
  }

  /** The same of a quoted name, which knows no escapes. */
  nameEnd(open: number, quote: number): number {
    let pos = open + 1;
    while (pos < this.#limit) {
      const c = this.#buf[pos] ?? 0;
      if (c >= 0x80) {
        const bytes = this.#characterBytes(pos);
        // Here sources differ in what a first byte without a second one takes along.
        if (bytes === 0) return -1;
        pos += bytes;
      } else if (c === quote) {
        const isDoubled = pos + 1 < this.#limit && this.#buf[pos + 1] === quote;
        if (!isDoubled) return pos + 1;
        pos += 2;
      } else pos++;
    }
    return -1;
  }

  #characterBytes(pos: number): number {
    return characterBytes(this.#charset, this.#buf, pos, this.#limit);
  }
}
