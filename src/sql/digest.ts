import { MINUS, PLUS } from './bytes.ts';
import type { ClassifyContext } from './classification.ts';
import { MARIADB_SELECT_OPTIONS, PAREN_KEYWORDS, SELECT_OPTIONS } from './functions.ts';
import { Lexer } from './lexer.ts';
import { TOKEN } from './token.ts';
import { DIGEST_CODE_OF, FOLDS_CASE, FUNCTION_KIND_OF, KW, wordText } from './word-table.ts';

/** Codes of folded tokens; single characters push their own token kind. */
const CODE = { VALUE: 0x40, MORE: 0x41, BYTE: 0x100 } as const;

const HI_SEED = 0x6c61_6777;
const LO_SEED = 0x6973_6521;

/** Where inside a list of values the last token stood. */
const LIST = { NONE: 0, VALUE: 1, COMMA: 2 } as const;

/** What a token hands to the folder, so that text and hash are folded by the same rules. */
export interface DigestSink {
  /** Called with the two halves of what is to be added. */
  push(a: number, b: number): void;
  /** Remembers the present state. */
  save(): void;
  /** Forgets what was pushed since `save`. */
  restore(): void;
}

/**
 * The 64 bits over the folded tokens. Made for statistics and for learning about statements, not
 * against an adversary: never take a class from it alone.
 */
export class HashSink implements DigestSink {
  hi = 0;
  lo = 0;
  #savedHi = 0;
  #savedLo = 0;

  reset(): void {
    this.hi = HI_SEED;
    this.lo = LO_SEED;
  }

  push(a: number, b: number): void {
    let lo = Math.imul(this.lo ^ a, 0x9e37_79b1);
    lo ^= lo >>> 15;
    this.lo = lo;
    const hi = Math.imul((this.hi ^ b) + lo, 0x85eb_ca6b);
    this.hi = hi ^ (hi >>> 13);
  }

  save(): void {
    this.#savedHi = this.hi;
    this.#savedLo = this.lo;
  }

  restore(): void {
    this.hi = this.#savedHi;
    this.lo = this.#savedLo;
  }
}

/**
 * Folds a stream of tokens: literals become one value, `1, 2, 3` one list (an IN list of one is
 * the same as of many), `(1, 2), (3, 4)` one row, signs vanish, keywords lose their case. Needs
 * no second pass: what turns out to repeat is taken back.
 */
export class DigestFolder<Sink extends DigestSink> {
  readonly sink: Sink;
  #list: number = LIST.NONE;
  /** The open parenthesis holds nothing but values so far. */
  #pureRow = false;
  /** A row has just ended (1), or a row and a comma (2). */
  #afterRow = 0;
  /** The open parenthesis follows a row and a comma. */
  #repeatsRow = false;
  #listMarked = false;
  /** Code of a sign that vanishes if a number follows, or 0. */
  #pendingSign = 0;

  constructor(sink: Sink) {
    this.sink = sink;
  }

  reset(): void {
    this.#list = LIST.NONE;
    this.#pureRow = false;
    this.#afterRow = 0;
    this.#repeatsRow = false;
    this.#pendingSign = 0;
  }

  /** Takes the lexer's current token. */
  push(lexer: Lexer): void {
    const kind = lexer.kind;
    if (kind <= TOKEN.SEMICOLON) return;
    if (this.#pendingSign !== 0) {
      const sign = this.#pendingSign;
      this.#pendingSign = 0;
      if (kind !== TOKEN.NUMBER) this.#plain(sign, sign);
    }
    switch (kind) {
      case TOKEN.WORD:
        if (lexer.word === KW.NULL && !lexer.afterDot && this.#isNullValue(lexer))
          this.#value(lexer);
        else if (FOLDS_CASE[lexer.word] === 1 && !lexer.afterDot)
          this.#plain(lexer.folded, DIGEST_CODE_OF[lexer.word] ?? 0);
        else this.#plain(lexer.exact, lexer.folded);
        break;
      case TOKEN.NAME:
      case TOKEN.USER_VARIABLE:
        this.#plain(lexer.exact ^ (kind - TOKEN.NAME), lexer.folded);
        break;
      case TOKEN.STRING:
      case TOKEN.NUMBER:
      case TOKEN.PARAMETER:
        this.#value(lexer);
        break;
      case TOKEN.COMMA:
        this.#comma();
        break;
      case TOKEN.OPEN:
        this.#open(lexer);
        break;
      case TOKEN.CLOSE:
        this.#close();
        break;
      default:
        this.#other(lexer);
    }
  }

  #isNullValue(lexer: Lexer): boolean {
    return lexer.prevWord !== KW.IS && lexer.prevWord !== KW.NOT;
  }

  #plain(a: number, b: number): void {
    this.#settleComma();
    this.#list = LIST.NONE;
    this.#pureRow = false;
    this.#afterRow = 0;
    this.sink.push(a, b);
  }

  /** A comma after a value was held back; it stays unless a value follows. */
  #settleComma(): void {
    if (this.#list === LIST.COMMA) this.sink.push(TOKEN.COMMA, TOKEN.COMMA);
  }

  #value(lexer: Lexer): void {
    if (this.#list === LIST.COMMA) {
      if (!this.#listMarked) this.sink.push(CODE.MORE, CODE.MORE);
      this.#listMarked = true;
    } else {
      this.#listMarked = lexer.prevKind === TOKEN.OPEN && lexer.prev2Word === KW.IN;
      this.sink.push(CODE.VALUE, CODE.VALUE);
      if (lexer.prevKind !== TOKEN.OPEN && lexer.prevKind !== TOKEN.OTHER) this.#pureRow = false;
    }
    this.#list = LIST.VALUE;
    this.#afterRow = 0;
  }

  #comma(): void {
    if (this.#list === LIST.VALUE) {
      this.#list = LIST.COMMA;
      return;
    }
    this.#settleComma();
    this.#list = LIST.NONE;
    this.#pureRow = false;
    this.#afterRow = this.#afterRow === 1 ? 2 : 0;
    this.sink.push(TOKEN.COMMA, TOKEN.COMMA);
  }

  #open(lexer: Lexer): void {
    this.#settleComma();
    this.#list = LIST.NONE;
    this.#repeatsRow = this.#afterRow === 2;
    const word = lexer.prevWord;
    this.#pureRow =
      this.#repeatsRow || word === KW.VALUES || word === KW.VALUE || lexer.prevKind === TOKEN.OPEN;
    this.#afterRow = 0;
    this.sink.push(TOKEN.OPEN, TOKEN.OPEN);
  }

  #close(): void {
    const isRow = this.#pureRow && this.#list === LIST.VALUE;
    this.#settleComma();
    this.#list = LIST.NONE;
    this.#pureRow = false;
    if (isRow && this.#repeatsRow) this.sink.restore();
    else {
      this.sink.push(TOKEN.CLOSE, TOKEN.CLOSE);
      if (isRow) this.sink.save();
    }
    this.#afterRow = isRow ? 1 : 0;
  }

  #other(lexer: Lexer): void {
    if (lexer.kind !== TOKEN.OTHER) {
      this.#plain(lexer.kind, lexer.kind);
      return;
    }
    const byte = lexer.firstByte();
    const code = CODE.BYTE + byte;
    const isSign = byte === PLUS || byte === MINUS;
    if (isSign && this.#expectsValue(lexer)) this.#pendingSign = code;
    else this.#plain(code, code);
  }

  /** Whether a sign here belongs to a number rather than being a subtraction. */
  #expectsValue(lexer: Lexer): boolean {
    const before = lexer.prevKind;
    // Behind words that are likely to be columns, such as `id`, it is a subtraction.
    if (before === TOKEN.WORD) return FOLDS_CASE[lexer.prevWord] === 1 && !lexer.prevAfterDot;
    return (
      before === TOKEN.OPEN ||
      before === TOKEN.COMMA ||
      before === TOKEN.EQUALS ||
      before === TOKEN.ASSIGN ||
      before === TOKEN.OTHER
    );
  }
}

const TEXT_OF_CODE = new Map<number, string>([
  [CODE.VALUE, '?'],
  [CODE.MORE, ', ...'],
  [TOKEN.OPEN, '('],
  [TOKEN.CLOSE, ')'],
  [TOKEN.COMMA, ','],
  [TOKEN.DOT, '.'],
  [TOKEN.EQUALS, '='],
  [TOKEN.ASSIGN, ':='],
  [TOKEN.SYSTEM, '@@'],
]);

/** Keeps the folded tokens as text. */
class TextSink implements DigestSink {
  /** Text of the token that is being pushed. */
  current = '';
  /** What is pushed next belongs to the piece before: `<=`, or the parenthesis of a call. */
  glue = false;
  readonly pieces: string[] = [];
  #saved = 0;

  push(a: number, b: number): void {
    const isCode = a === b && a >= 0;
    const isByte = isCode && a >= CODE.BYTE && a < CODE.BYTE + 0x100;
    const text = isByte
      ? String.fromCharCode(a - CODE.BYTE)
      : ((isCode ? TEXT_OF_CODE.get(a) : undefined) ?? this.current);
    const last = this.pieces.length - 1;
    if (this.glue && last >= 0) this.pieces[last] += text;
    else this.pieces.push(text);
    this.glue = false;
  }

  save(): void {
    this.#saved = this.pieces.length;
  }

  restore(): void {
    this.pieces.length = this.#saved;
  }
}

/** Longest digest text, in characters; what is longer is cut. */
const MAX_TEXT_LENGTH = 4096;

/** Pieces that have no blank in front of, or behind, them. */
const TIGHT_BEFORE = new Set([',', ', ...', ')', '.']);
const TIGHT_AFTER = new Set(['(', '.', '@@', '']);

const PAREN_WORDS = new Set<string>([
  ...PAREN_KEYWORDS,
  ...SELECT_OPTIONS,
  ...MARIADB_SELECT_OPTIONS,
]);

/** Whether the current token is written without a blank in front of it. */
function isGlued(lexer: Lexer): boolean {
  const { kind, prevKind } = lexer;
  if (kind === TOKEN.OPEN) {
    const isFunction = prevKind === TOKEN.WORD && FUNCTION_KIND_OF[lexer.prevWord] !== 0;
    return isFunction && !PAREN_WORDS.has(wordText(lexer.prevWord));
  }
  const isOperator = kind === TOKEN.OTHER || kind === TOKEN.EQUALS;
  const continues = prevKind === TOKEN.OTHER || prevKind === TOKEN.EQUALS;
  return isOperator && continues && !lexer.gap && lexer.firstByte() !== MINUS;
}

/**
 * The statement as people read it in statistics: literals as `?`, keywords in upper case, no
 * comments. Two statements with the same digest have the same text. Off the hot path: it makes
 * strings. Holds no literal, so it may be logged.
 */
export function digestText(buf: Buffer, start: number, end: number, ctx: ClassifyContext): string {
  const lexer = new Lexer();
  const folder = new DigestFolder(new TextSink());
  const { sink } = folder;
  lexer.reset(buf, start, end, ctx);
  folder.reset();
  let previous = '';
  let text = '';
  while (lexer.next() > TOKEN.BAD && sink.pieces.length < MAX_TEXT_LENGTH) {
    const isKeyword = lexer.kind === TOKEN.WORD && FOLDS_CASE[lexer.word] === 1 && !lexer.afterDot;
    sink.current = isKeyword ? wordText(lexer.word) : buf.toString('utf8', lexer.start, lexer.end);
    sink.glue = isGlued(lexer);
    folder.push(lexer);
  }
  for (const piece of sink.pieces) {
    const tight =
      TIGHT_AFTER.has(previous.slice(-1)) || TIGHT_BEFORE.has(piece) || previous === '@@';
    text += tight ? piece : ` ${piece}`;
    previous = piece;
  }
  return text.slice(0, MAX_TEXT_LENGTH);
}
