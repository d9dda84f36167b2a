import { EFFECT, type ReasonCode } from './classification.ts';
import { TOKEN } from './token.ts';
import type { Scanner } from './scanner.ts';
import { KW } from './word-table.ts';

/** DO and its expressions. */
export function parseDo(s: Scanner): void {
  s.become('read', 'do');
  s.next();
  judgeLocking(s);
}

/**
 * The rest of DO and SHOW: on MySQL, unlike a SELECT, they lock the rows that their subqueries
 * read, and those that stored functions read for them (seen on 9.7).
 */
export function judgeLocking(s: Scanner): void {
  s.locksRows = !s.isMariadb;
  for (; !s.atEnd(); s.step()) {
    if (s.locksRows && atQuery(s)) s.raise('write', 'for-share');
  }
  s.settle();
}

/** SELECT, WITH, VALUES, TABLE, HELP, CHECKSUM: reads unless the rest says otherwise. */
export function parseQuery(s: Scanner): void {
  s.become('read', queryReason(s));
}

function queryReason(s: Scanner): ReasonCode {
  const { word } = s.lexer;
  if (word === KW.VALUES) return 'values';
  if (word === KW.TABLE) return 'table';
  if (word === KW.HELP) return 'help';
  return word === KW.CHECKSUM ? 'checksum' : 'select';
}

function atQuery(s: Scanner): boolean {
  return s.at(KW.SELECT) || s.at(KW.WITH) || s.at(KW.VALUES) || s.at(KW.TABLE);
}

/** `(SELECT …) UNION (SELECT …)`. */
export function parseParenthesis(s: Scanner): void {
  while (s.is(TOKEN.OPEN)) s.next();
  if (atQuery(s)) parseQuery(s);
  else {
    s.become('unknown', 'unknown-statement');
    s.effects |= EFFECT.OPAQUE;
  }
}

/** EXPLAIN, DESCRIBE, DESC: of a statement, of a table, or of another connection. */
export function parseExplain(s: Scanner): void {
  s.become('read', 'explain');
  s.next();
  let runs = false;
  for (let options = 0; options < 16; options++) {
    if (s.take(KW.ANALYZE)) runs = true;
    else if (s.at(KW.FORMAT)) skipFormat(s);
    else if (!s.take(KW.EXTENDED) && !s.take(KW.PARTITIONS)) break;
  }
  if (s.at(KW.INTO)) skipInto(s);
  if (s.take(KW.FOR)) {
    if (s.at(KW.CONNECTION)) {
      s.asksServer('server-show');
      return;
    }
    // FOR SCHEMA name, FOR DATABASE name
    s.next();
    s.next();
  }
  judgeExplained(s, runs);
}

/** EXPLAIN INTO @v keeps the plan in a user variable. */
function skipInto(s: Scanner): void {
  s.raise('write', 'into');
  s.effects |= EFFECT.SETS_USER_VARIABLE;
  s.next();
  s.next();
}

/** `FORMAT = JSON` */
function skipFormat(s: Scanner): void {
  s.next();
  if (s.is(TOKEN.EQUALS)) {
    s.next();
    s.next();
  }
}

function judgeExplained(s: Scanner, runs: boolean): void {
  while (s.is(TOKEN.OPEN)) s.next();
  if (atQuery(s)) return;
  const isDml =
    s.at(KW.INSERT) || s.at(KW.REPLACE) || s.at(KW.UPDATE) || s.at(KW.DELETE) || s.at(KW.LOAD);
  if (isDml) s.raise('write', runs ? 'explain-analyze' : 'explain-dml');
  else if (s.is(TOKEN.WORD) || s.is(TOKEN.NAME)) {
    if (runs) s.raise('unknown', 'unknown-statement');
    else {
      s.become('read', 'describe');
      s.skipStatement();
    }
  } else s.raise('unknown', 'unknown-statement');
}

/** ANALYZE TABLE is administration; MariaDB's ANALYZE SELECT runs the statement. */
export function parseAnalyze(s: Scanner): void {
  s.become('read', 'explain');
  s.next();
  if (s.at(KW.TABLE) || s.at(KW.LOCAL) || s.at(KW.NO_WRITE_TO_BINLOG)) {
    s.become('write', 'admin');
    s.effects |= EFFECT.IMPLICIT_COMMIT;
    return;
  }
  if (s.at(KW.FORMAT)) skipFormat(s);
  judgeExplained(s, true);
}
