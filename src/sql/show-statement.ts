import { TOKEN } from './token.ts';
import type { Scanner } from './scanner.ts';
import { judgeLocking } from './query-statement.ts';
import { VARIABLE_KIND } from './system-variables.ts';
import { KW, VARIABLE_KIND_OF, WORD_COUNT } from './word-table.ts';

/** What SHOW may list from any server: metadata, which replication carries. */
const METADATA = new Uint8Array(WORD_COUNT);
for (const word of [
  KW.CHARACTER,
  KW.CHARSET,
  KW.COLLATION,
  KW.COLUMNS,
  KW.CREATE,
  KW.DATABASES,
  KW.ENGINES,
  KW.FIELDS,
  KW.FUNCTION,
  KW.GRANTS,
  KW.INDEX,
  KW.INDEXES,
  KW.KEYS,
  KW.LIBRARY,
  KW.PACKAGE,
  KW.PRIVILEGES,
  KW.PROCEDURE,
  KW.SCHEMAS,
  KW.STORAGE,
  KW.TABLE,
  KW.TABLES,
  KW.TRIGGERS,
]) {
  METADATA[word] = 1;
}

/**
 * SHOW. What tells of one server (PROCESSLIST, STATUS, ENGINE, BINARY LOGS, REPLICA STATUS, most
 * variables) comes from the primary, like everything that is not listed above. So do events: a
 * replica shows each of them as disabled, and a dump made of that would be wrong.
 */
export function parseShow(s: Scanner): void {
  s.become('read', 'show');
  s.next();
  let isGlobal = false;
  while (
    s.at(KW.FULL) ||
    s.at(KW.EXTENDED) ||
    s.at(KW.SESSION) ||
    s.at(KW.LOCAL) ||
    s.at(KW.GLOBAL)
  ) {
    isGlobal ||= s.at(KW.GLOBAL);
    s.next();
  }
  if (s.at(KW.COUNT)) skipCount(s);
  if (s.at(KW.WARNINGS) || s.at(KW.ERRORS)) s.become('same-server', 'diagnostics');
  else if (s.take(KW.VARIABLES)) judgeVariables(s, isGlobal);
  else if (!s.is(TOKEN.WORD) || METADATA[s.lexer.word] !== 1) {
    s.asksServer('server-show');
  } else if (s.take(KW.CREATE)) {
    if (s.at(KW.EVENT)) s.asksServer('server-show');
    s.skipStatement();
  } else s.next();
  judgeLocking(s);
}

/** `COUNT(*)` in front of WARNINGS or ERRORS. */
function skipCount(s: Scanner): void {
  for (let i = 0; i < 4 && !s.atEnd(); i++) s.next();
}

/** The same rule as for `SELECT @@name`: only LIKE with one well-known name may leave. */
function judgeVariables(s: Scanner, isGlobal: boolean): void {
  const named = s.take(KW.LIKE) && s.is(TOKEN.STRING);
  const kind = named ? VARIABLE_KIND_OF[s.lexer.quotedWord()] : VARIABLE_KIND.SERVER;
  if (kind === VARIABLE_KIND.DIAGNOSTIC) s.become('same-server', 'diagnostics');
  else if (isGlobal || kind !== VARIABLE_KIND.PORTABLE) s.asksServer('server-variable');
}
