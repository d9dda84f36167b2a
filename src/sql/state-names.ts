import type { ClassifyContext } from './classification.ts';
import { TOKEN } from './token.ts';
import {
  isNameToken,
  type QualifiedName,
  type Token,
  TokenCursor,
  tokenList,
} from './token-list.ts';

/** What kind of thing a statement takes or gives back. */
export const STATE_KINDS = [
  'temporary-table',
  'prepared-statement',
  'handler',
  'user-lock',
  'table-lock',
  'xa',
  'none',
] as const;
export type StateKind = (typeof STATE_KINDS)[number];

/**
 * What a statement takes and gives back of the state that lives on one connection, by name.
 * `null` means that names could not be told from the text: take it for any.
 *
 * Names can be compared as they are: those of temporary tables and XA transactions as written,
 * in one way of quoting (`` `db`.`t` ``, or `` `t` `` where the statement says no schema: it is
 * the session's at that moment), all others in lower case because servers ignore their case.
 * Locks of tables are named by what gives them back, since each ends with its own UNLOCK only.
 */
export interface StateNames {
  readonly kind: StateKind;
  readonly taken: readonly string[] | null;
  /** May name what was never taken: a plain DROP TABLE may drop a temporary table, or not. */
  readonly released: readonly string[] | null;
  /** All of this kind are given back. A user lock else has to be released as often as taken. */
  readonly releasedAll: boolean;
}

const NOTHING: StateNames = { kind: 'none', taken: [], released: [], releasedAll: false };

function takes(kind: StateKind, taken: readonly string[] | null): StateNames {
  return { kind, taken, released: [], releasedAll: false };
}

function releases(kind: StateKind, released: readonly string[] | null): StateNames {
  return { kind, taken: [], released, releasedAll: false };
}

function unknown(kind: StateKind): StateNames {
  return { kind, taken: null, released: null, releasedAll: false };
}

/**
 * Names what each of the statements in `buf[start, end)` takes or gives back, in their order; none
 * where they cannot be lexed. Off the hot path: asked only where the statement's effects say that
 * there is something to name, and for DROP TABLE.
 */
export function stateNames(
  buf: Buffer,
  start: number,
  end: number,
  ctx: ClassifyContext,
): readonly StateNames[] {
  const all: StateNames[] = [];
  const tokens = tokenList(buf, start, end, ctx) ?? [];
  for (let from = 0; from < tokens.length; ) {
    const at = tokens.findIndex(({ kind }, i) => i >= from && kind === TOKEN.SEMICOLON);
    const to = at === -1 ? tokens.length : at;
    if (to > from) all.push(ofStatement(new TokenCursor(tokens.slice(from, to))));
    from = to + 1;
  }
  return all;
}

function ofStatement(cursor: TokenCursor): StateNames {
  if (cursor.take('CREATE')) return ofCreate(cursor);
  if (cursor.take('DROP')) return ofDrop(cursor);
  if (cursor.take('PREPARE')) return ofPrepare(cursor);
  if (cursor.take('DEALLOCATE', 'PREPARE')) return ofDeallocate(cursor);
  if (cursor.take('HANDLER')) return ofHandler(cursor);
  if (cursor.take('XA')) return ofXa(cursor);
  if (cursor.take('LOCK')) return takes('table-lock', [lockedBy(cursor)]);
  if (cursor.take('UNLOCK')) return releases('table-lock', [lockedBy(cursor)]);
  if (cursor.take('FLUSH')) return ofFlush(cursor);
  if (cursor.take('BACKUP')) return ofBackup(cursor);
  return ofLockCall(cursor);
}

/** One way of quoting for all ways of writing. */
function canonical({ schema, name }: QualifiedName): string {
  const quoted = (text: string) => `\`${text.replaceAll('`', '``')}\``;
  return schema === null ? quoted(name) : `${quoted(schema)}.${quoted(name)}`;
}

/** `[OR REPLACE] TEMPORARY TABLE|SEQUENCE [IF NOT EXISTS] name` */
function ofCreate(cursor: TokenCursor): StateNames {
  cursor.take('OR', 'REPLACE');
  if (!cursor.take('TEMPORARY')) return NOTHING;
  if (!cursor.take('TABLE') && !cursor.take('SEQUENCE')) return unknown('temporary-table');
  cursor.take('IF', 'NOT', 'EXISTS');
  const name = cursor.takeName();
  return name === null ? unknown('temporary-table') : takes('temporary-table', [canonical(name)]);
}

/** `[TEMPORARY] TABLE|TABLES|SEQUENCE [IF EXISTS] name, …`, and `PREPARE name`. */
function ofDrop(cursor: TokenCursor): StateNames {
  if (cursor.take('PREPARE')) return ofDeallocate(cursor);
  const isTemporary = cursor.take('TEMPORARY');
  if (!cursor.take('TABLE') && !cursor.take('TABLES') && !cursor.take('SEQUENCE')) {
    return isTemporary ? unknown('temporary-table') : NOTHING;
  }
  cursor.take('IF', 'EXISTS');
  // MariaDB: `DROP TABLE /*COMMENT TO SAVE*/ t WAIT 5`
  const released: string[] = [];
  do {
    const name = cursor.takeName();
    if (name === null) return unknown('temporary-table');
    released.push(canonical(name));
  } while (cursor.takeKind(TOKEN.COMMA));
  return releases('temporary-table', released);
}

/** `name FROM …`; an earlier statement of that name is gone, whatever happens. */
function ofPrepare(cursor: TokenCursor): StateNames {
  const name = cursor.takeName();
  return name === null || name.schema !== null
    ? unknown('prepared-statement')
    : takes('prepared-statement', [name.name.toLowerCase()]);
}

function ofDeallocate(cursor: TokenCursor): StateNames {
  const name = cursor.takeName();
  return name === null || name.schema !== null || !cursor.atEnd()
    ? unknown('prepared-statement')
    : releases('prepared-statement', [name.name.toLowerCase()]);
}

/** `t OPEN [[AS] alias]`, `t CLOSE`; reading takes nothing. */
function ofHandler(cursor: TokenCursor): StateNames {
  const name = cursor.takeName();
  if (name === null) return unknown('handler');
  if (cursor.take('OPEN')) {
    cursor.take('AS');
    const alias = cursor.takeName();
    return takes('handler', [(alias ?? name).name.toLowerCase()]);
  }
  return cursor.take('CLOSE') ? releases('handler', [name.name.toLowerCase()]) : NOTHING;
}

/** `START|BEGIN xid`, `COMMIT|ROLLBACK xid`; END and PREPARE leave it open. */
function ofXa(cursor: TokenCursor): StateNames {
  const starts = cursor.take('START') || cursor.take('BEGIN');
  if (!starts && !cursor.take('COMMIT') && !cursor.take('ROLLBACK')) {
    return { ...NOTHING, kind: 'xa' };
  }
  const xid = takeXid(cursor);
  if (xid === null) return unknown('xa');
  return starts ? takes('xa', [xid]) : releases('xa', [xid]);
}

/** `gtrid [, bqual [, formatID]]` with what is left out filled in. */
function takeXid(cursor: TokenCursor): string | null {
  const parts: string[] = [];
  do {
    const token = cursor.peek();
    if (token === undefined || token.escaped) return null;
    if (token.kind !== TOKEN.STRING && token.kind !== TOKEN.NUMBER) return null;
    parts.push(token.text);
    cursor.at++;
  } while (cursor.takeKind(TOKEN.COMMA));
  const [gtrid, bqual = '', format = '1', ...rest] = parts;
  const isPlain = gtrid !== undefined && rest.length === 0 && /^\d+$/u.test(format);
  return isPlain ? JSON.stringify([gtrid, bqual, format]) : null;
}

/** `LOCK TABLES t READ`, `LOCK INSTANCE FOR BACKUP`, and the same with UNLOCK. */
const lockedBy = (cursor: TokenCursor): string => (cursor.take('INSTANCE') ? 'instance' : 'tables');

/** `FLUSH TABLES … WITH READ LOCK`, `FLUSH TABLES t FOR EXPORT`: until UNLOCK TABLES. */
function ofFlush(cursor: TokenCursor): StateNames {
  const locks = cursor.tokens.some(
    (_, i) => cursor.isWord('LOCK', i) || cursor.isWord('EXPORT', i),
  );
  return locks ? takes('table-lock', ['tables']) : NOTHING;
}

/** MariaDB's `BACKUP LOCK t`, `BACKUP UNLOCK`, `BACKUP STAGE START`, `… END`. */
function ofBackup(cursor: TokenCursor): StateNames {
  if (cursor.take('UNLOCK')) return releases('table-lock', ['backup']);
  if (!cursor.take('STAGE')) return takes('table-lock', ['backup']);
  return cursor.take('END') ? releases('table-lock', ['stage']) : takes('table-lock', ['stage']);
}

const LOCK_FUNCTIONS = new Set(['GET_LOCK', 'RELEASE_LOCK', 'RELEASE_ALL_LOCKS']);

/** `SELECT GET_LOCK('name', 5)`, also with DO: nothing but the one call, with a literal. */
function ofLockCall(cursor: TokenCursor): StateNames {
  const names = cursor.tokens.filter(
    (token, i) =>
      LOCK_FUNCTIONS.has(token.text.toUpperCase()) &&
      token.kind === TOKEN.WORD &&
      cursor.tokens[i + 1]?.kind === TOKEN.OPEN,
  );
  if (names.length === 0) return NOTHING;
  if (names.length > 1 || (!cursor.take('SELECT') && !cursor.take('DO'))) {
    return unknown('user-lock');
  }
  const call = takeCall(cursor);
  if (call === null) return unknown('user-lock');
  const { name, args } = call;
  if (name === 'RELEASE_ALL_LOCKS') {
    return { kind: 'user-lock', taken: [], released: [], releasedAll: args.length === 0 };
  }
  const lock = lockName(args[0]);
  if (name === 'GET_LOCK') return takes('user-lock', lock === null ? null : [lock]);
  return releases('user-lock', lock === null ? null : [lock]);
}

function lockName(token: Token | undefined): string | null {
  return token?.kind === TOKEN.STRING && !token.escaped ? token.text.toLowerCase() : null;
}

/** One call of plain literals up to the end, but for an alias. `null` for anything else. */
function takeCall(cursor: TokenCursor): { name: string; args: Token[] } | null {
  const name = cursor.peek()?.text.toUpperCase();
  cursor.at++;
  if (name === undefined || !cursor.takeKind(TOKEN.OPEN)) return null;
  const args: Token[] = [];
  while (!cursor.takeKind(TOKEN.CLOSE)) {
    const token = cursor.peek();
    if (token === undefined || (args.length > 0 && !cursor.takeKind(TOKEN.COMMA))) return null;
    const argument = takeArgument(cursor);
    if (argument === null) return null;
    args.push(argument);
  }
  if (cursor.take('AS') || isNameToken(cursor.peek())) cursor.at++;
  return cursor.atEnd() ? { name, args } : null;
}

/** A string, or a number that may have a sign: a time-out of -1 waits for ever. */
function takeArgument(cursor: TokenCursor): Token | null {
  if (cursor.peek()?.text === '-') cursor.at++;
  const token = cursor.peek();
  const isLiteral = token?.kind === TOKEN.STRING || token?.kind === TOKEN.NUMBER;
  // `'a' 'b'` is one string, and what follows must be a comma or the end.
  const next = cursor.peek(1)?.kind;
  if (!isLiteral || (next !== TOKEN.COMMA && next !== TOKEN.CLOSE)) return null;
  cursor.at++;
  return token;
}
