import type { ClassifyContext } from './classification.ts';
import { Lexer } from './lexer.ts';
import { TOKEN } from './token.ts';
import { wordText } from './word-table.ts';

/** One token of a statement, with its text. Off the hot path only. */
export interface Token {
  readonly kind: number;
  readonly start: number;
  readonly end: number;
  /** The keyword in upper case, '' for a token that is none. */
  readonly keyword: string;
  /** A name's or string's text without its quotes, of any other token as written. */
  readonly text: string;
  /** A string, or a quoted user variable, whose text has escapes that were left as they are. */
  readonly escaped: boolean;
  /** Nothing but blanks, if that, in front of it. */
  readonly blankBefore: boolean;
}

/** Most tokens that are looked at: a longer statement is taken for one that is not understood. */
const MAX_TOKENS = 20_000;

/**
 * The tokens of `buf[start, end)`, or `null` if they cannot be lexed or are too many. Semicolons
 * are tokens like any other. Off the hot path: it makes strings.
 */
export function tokenList(
  buf: Buffer,
  start: number,
  end: number,
  ctx: ClassifyContext,
): Token[] | null {
  const lexer = new Lexer();
  lexer.reset(buf, start, end, ctx);
  const tokens: Token[] = [];
  while (lexer.next() > TOKEN.BAD) {
    if (tokens.length === MAX_TOKENS) return null;
    tokens.push(tokenAt(lexer, buf, ctx));
  }
  return lexer.kind === TOKEN.BAD ? null : tokens;
}

function tokenAt(lexer: Lexer, buf: Buffer, ctx: ClassifyContext): Token {
  const { kind, start, end } = lexer;
  const isKeyword = kind === TOKEN.WORD && lexer.word !== 0 && !lexer.afterDot;
  const raw = buf.toString('utf8', start, end);
  const isVariable = kind === TOKEN.USER_VARIABLE;
  const body = isVariable ? raw.slice(1) : raw;
  const quote = /^['"`]/.test(body) ? body.charAt(0) : '';
  const isLiteral = kind === TOKEN.STRING && quote === '';
  const inner = quote === '' ? body : body.slice(1, -1).replaceAll(quote + quote, quote);
  const hasEscapes = quote !== '' && quote !== '`' && !ctx.noBackslashEscapes;
  return {
    kind,
    start,
    end,
    keyword: isKeyword ? wordText(lexer.word) : '',
    text: inner,
    // `N'x'` and `x'41'` have a prefix, which is no less in need of care.
    escaped: isLiteral || (hasEscapes && body.includes('\\')),
    blankBefore: lexer.gapIsBlank(),
  };
}

/** Whether a token is a name: an identifier with or without quotes, keywords included. */
export function isNameToken(token: Token | undefined): boolean {
  return token !== undefined && (token.kind === TOKEN.WORD || token.kind === TOKEN.NAME);
}

/** Walks a list of tokens. */
export class TokenCursor {
  readonly tokens: readonly Token[];
  at = 0;

  constructor(tokens: readonly Token[]) {
    this.tokens = tokens;
  }

  /** The current token, or one further on; `undefined` behind the end. */
  peek(ahead = 0): Token | undefined {
    return this.tokens[this.at + ahead];
  }

  /** Moves on if the current token is of that kind. */
  takeKind(kind: number): boolean {
    if (this.peek()?.kind !== kind) return false;
    this.at++;
    return true;
  }

  /** Moves on if the current tokens are these words (known keywords or not), in upper case. */
  take(...words: string[]): boolean {
    for (const [i, word] of words.entries()) if (!this.isWord(word, i)) return false;
    this.at += words.length;
    return true;
  }

  /** Whether a token is the bare word, which may be one that the word table does not have. */
  isWord(word: string, ahead = 0): boolean {
    const token = this.peek(ahead);
    return token?.kind === TOKEN.WORD && token.text.toUpperCase() === word;
  }

  /** At the end of the statement; semicolons behind it are no matter. */
  atEnd(): boolean {
    return this.tokens.slice(this.at).every(({ kind }) => kind === TOKEN.SEMICOLON);
  }

  /** Reads `name` or `schema.name`; `null`, and no move, if none stands here. */
  takeName(): QualifiedName | null {
    const first = this.peek();
    if (first === undefined || !isNameToken(first)) return null;
    this.at++;
    if (this.peek()?.kind !== TOKEN.DOT) return { schema: null, name: first.text };
    const second = this.peek(1);
    if (second === undefined || !isNameToken(second)) return null;
    this.at += 2;
    return { schema: first.text, name: second.text };
  }
}

/** A name as a statement has it: without quotes, and with its schema only where it says one. */
export interface QualifiedName {
  readonly schema: string | null;
  readonly name: string;
}
