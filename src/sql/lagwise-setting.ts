import type { ClassifyContext } from './classification.ts';
import { isLagwiseName } from './lagwise-names.ts';
import { TOKEN } from './token.ts';
import { type Token, TokenCursor, tokenList } from './token-list.ts';

/** One assignment to a variable of the proxy. */
export interface LagwiseSetting {
  /** Name of the variable in lower case, without `@`. */
  readonly name: string;
  /** Its new value as text; `null` for NULL and DEFAULT: back to what the configuration says. */
  readonly value: string | null;
}

/** One column of a SELECT of variables of the proxy. */
export interface LagwiseColumn {
  /** Name of the variable in lower case, without `@`. */
  readonly name: string;
  /** The column's title: the alias, or the variable as written. */
  readonly title: string;
}

/**
 * Reads `SET @lagwise_a = 'x', @lagwise_b := 5`. `null` if the statement is anything else, if only
 * in part: another variable among them, a value that is no plain literal. Off the hot path.
 */
export function parseLagwiseSetting(
  buf: Buffer,
  start: number,
  end: number,
  ctx: ClassifyContext,
): LagwiseSetting[] | null {
  const cursor = cursorOver(buf, start, end, ctx);
  if (cursor === null || !cursor.take('SET')) return null;
  const settings: LagwiseSetting[] = [];
  do {
    const name = takeVariable(cursor, buf);
    if (name === null) return null;
    if (!cursor.takeKind(TOKEN.EQUALS) && !cursor.takeKind(TOKEN.ASSIGN)) return null;
    const value = literalText(cursor.peek());
    if (value === undefined) return null;
    cursor.at++;
    settings.push({ name: name.text.toLowerCase(), value });
  } while (cursor.takeKind(TOKEN.COMMA));
  return cursor.atEnd() ? settings : null;
}

/**
 * Reads `SELECT @lagwise_a, @lagwise_b AS b`. `null` if the statement is anything else, if only in
 * part. Off the hot path.
 */
export function parseLagwiseSelect(
  buf: Buffer,
  start: number,
  end: number,
  ctx: ClassifyContext,
): LagwiseColumn[] | null {
  const cursor = cursorOver(buf, start, end, ctx);
  if (cursor === null || !cursor.take('SELECT')) return null;
  const columns: LagwiseColumn[] = [];
  do {
    const name = takeVariable(cursor, buf);
    if (name === null) return null;
    const alias = takeAlias(cursor);
    if (alias === undefined) return null;
    const title = alias ?? buf.toString('utf8', name.start, name.end);
    columns.push({ name: name.text.toLowerCase(), title });
  } while (cursor.takeKind(TOKEN.COMMA));
  return cursor.atEnd() ? columns : null;
}

function cursorOver(
  buf: Buffer,
  start: number,
  end: number,
  ctx: ClassifyContext,
): TokenCursor | null {
  const tokens = tokenList(buf, start, end, ctx);
  return tokens === null ? null : new TokenCursor(tokens);
}

function takeVariable(cursor: TokenCursor, buf: Buffer): Token | null {
  const token = cursor.peek();
  if (token?.kind !== TOKEN.USER_VARIABLE || token.escaped) return null;
  if (!isLagwiseName(buf, token.start, token.end)) return null;
  cursor.at++;
  return token;
}

/** `AS b`, `b`, `'b'`: the alias; `null` without one, `undefined` for what is no alias. */
function takeAlias(cursor: TokenCursor): string | null | undefined {
  const mustFollow = cursor.take('AS');
  const token = cursor.peek();
  const isName = token?.kind === TOKEN.NAME || (token?.kind === TOKEN.STRING && !token.escaped);
  // A keyword would be a clause: FROM, INTO, LIMIT.
  const isPlainWord = token?.kind === TOKEN.WORD && token.keyword === '';
  if (isName || isPlainWord) {
    cursor.at++;
    return token.text;
  }
  return mustFollow ? undefined : null;
}

/** A literal's text, `null` for NULL and DEFAULT, `undefined` for anything else. */
function literalText(token: Token | undefined): string | null | undefined {
  if (token === undefined || token.escaped) return undefined;
  if (token.kind === TOKEN.STRING || token.kind === TOKEN.NUMBER) return token.text;
  if (token.kind !== TOKEN.WORD) return undefined;
  if (token.keyword === 'NULL' || token.keyword === 'DEFAULT') return null;
  // `SET @lagwise_consistency = strong` would be an error on the server; here it is clear.
  return token.keyword === '' || token.keyword === 'GLOBAL' || token.keyword === 'SESSION'
    ? token.text
    : undefined;
}
