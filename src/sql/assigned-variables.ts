import type { ClassifyContext } from './classification.ts';
import { TOKEN } from './token.ts';
import { isNameToken, TokenCursor, tokenList } from './token-list.ts';

/** They begin an item of a SET that assigns several variables at once, all of them known. */
const SEVERAL: ReadonlySet<string> = new Set(['NAMES', 'CHARSET', 'CHARACTER']);
const SESSION_SCOPES: ReadonlySet<string> = new Set(['SESSION', 'LOCAL']);
const GLOBAL_SCOPES: ReadonlySet<string> = new Set(['GLOBAL', 'PERSIST', 'PERSIST_ONLY']);

/**
 * Names of the session's system variables that the SETs of a packet assign, in lower case; `null`
 * where they cannot be told. Off the hot path.
 */
export function assignedVariables(
  buf: Buffer,
  start: number,
  end: number,
  ctx: ClassifyContext,
): readonly string[] | null {
  const tokens = tokenList(buf, start, end, ctx);
  if (tokens === null) return null;
  const cursor = new TokenCursor(tokens);
  const names: string[] = [];
  while (cursor.peek() !== undefined) {
    if (cursor.take('SET')) takeItems(cursor, names);
    skipTo(cursor, TOKEN.SEMICOLON);
    cursor.takeKind(TOKEN.SEMICOLON);
  }
  return names;
}

function takeItems(cursor: TokenCursor, names: string[]): void {
  // A scope word holds for the bare names behind it, too.
  let isGlobal = false;
  do {
    const isSystem = cursor.takeKind(TOKEN.SYSTEM);
    const scope = cursor.peek()?.text.toUpperCase() ?? '';
    const isScope = SESSION_SCOPES.has(scope) || GLOBAL_SCOPES.has(scope);
    if (isScope) cursor.at++;
    const isGlobalHere: boolean = isScope ? GLOBAL_SCOPES.has(scope) : isGlobal && !isSystem;
    if (!isSystem && isScope) isGlobal = isGlobalHere;
    if (isSystem) cursor.takeKind(TOKEN.DOT);
    // Nothing else stands in such a statement.
    if (cursor.isWord('TRANSACTION')) return;
    const name = takeLastName(cursor);
    if (name !== null && !isGlobalHere && !SEVERAL.has(name.toUpperCase())) names.push(name);
    skipTo(cursor, TOKEN.COMMA);
  } while (cursor.takeKind(TOKEN.COMMA));
}

/** `name`, or the last one of `cache.name`; `null` for a user variable. */
function takeLastName(cursor: TokenCursor): string | null {
  let name: string | null = null;
  while (isNameToken(cursor.peek()) || cursor.peek()?.kind === TOKEN.DOT) {
    const token = cursor.peek();
    if (token !== undefined && token.kind !== TOKEN.DOT) name = token.text.toLowerCase();
    // `NAMES utf8mb4`: what follows is no name.
    if (name !== null && SEVERAL.has(name.toUpperCase())) return name;
    cursor.at++;
  }
  return name;
}

/** To the next such token outside of parentheses, or to the end of the statement. */
function skipTo(cursor: TokenCursor, kind: number): void {
  let depth = 0;
  for (;;) {
    const token = cursor.peek();
    if (token === undefined || token.kind === TOKEN.SEMICOLON) return;
    if (token.kind === kind && depth === 0) return;
    if (token.kind === TOKEN.OPEN) depth++;
    else if (token.kind === TOKEN.CLOSE) depth--;
    cursor.at++;
  }
}
