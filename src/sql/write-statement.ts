import { EFFECT, type ReasonCode } from './classification.ts';
import { TOKEN } from './token.ts';
import { ROUTINE_KIND } from './routine-facts.ts';
import type { Scanner } from './scanner.ts';
import { KW } from './word-table.ts';

/**
 * A statement of which the first word says all. The rest is names and options, among which a
 * table's name in front of its columns would look like a call.
 */
export function primary(reason: ReasonCode, effects = 0): (s: Scanner) => void {
  return (s) => {
    s.become('write', reason);
    s.effects |= effects;
    s.skipStatement();
  };
}

/**
 * CALL: the primary's; what the procedure may leave in the session is known or not. Its arguments
 * are expressions, and user variables among them may be set.
 */
export function parseCall(s: Scanner): void {
  s.become('write', 'call');
  s.next();
  while (s.is(TOKEN.WORD) || s.is(TOKEN.NAME) || s.is(TOKEN.DOT)) s.next();
  const kind = s.procedureKind();
  if (kind !== ROUTINE_KIND.READS && kind !== ROUTINE_KIND.WRITES) s.effects |= EFFECT.OPAQUE;
  // The parenthesis behind the name is no function's.
  if (s.is(TOKEN.OPEN)) s.next();
  for (; !s.atEnd(); s.step()) {
    if (s.is(TOKEN.USER_VARIABLE)) s.effects |= EFFECT.SETS_USER_VARIABLE;
  }
  s.settle();
}

/** UPDATE, DELETE: what they call matters to the session, so the rest is judged. */
export function parseDml(s: Scanner): void {
  s.become('write', 'dml');
  s.next();
}

/** INSERT and REPLACE: the same, but for the table's name and the columns behind it. */
export function parseInsert(s: Scanner): void {
  s.become('write', 'dml');
  for (s.next(); !s.atEnd(); s.next()) {
    if (s.at(KW.VALUES) || s.at(KW.VALUE) || s.at(KW.SELECT) || s.at(KW.SET)) return;
    if (s.is(TOKEN.OPEN)) {
      s.next();
      return;
    }
  }
}

/**
 * CREATE: temporary tables are the session's own; bodies of stored programs are not looked at, nor
 * are columns and options, but the query that fills a new table runs now.
 */
export function parseCreate(s: Scanner): void {
  s.become('write', 'ddl');
  s.next();
  while (!s.atEnd() && !isCreated(s)) {
    if (s.at(KW.TEMPORARY)) {
      s.become('write', 'temporary-table');
      s.effects |= EFFECT.CREATES_TEMPORARY_TABLE;
    }
    s.next();
  }
  if (s.reason === 'ddl') s.effects |= EFFECT.IMPLICIT_COMMIT;
  if (isStoredProgram(s)) s.skipAll();
  else if (s.at(KW.TABLE)) while (!s.atEnd() && !s.at(KW.SELECT)) s.next();
  else s.skipStatement();
}

/** The current token is what kind of object is created, as far as that makes a difference. */
function isCreated(s: Scanner): boolean {
  return s.at(KW.TABLE) || s.at(KW.VIEW) || s.at(KW.USER) || isStoredProgram(s);
}

function isStoredProgram(s: Scanner): boolean {
  return (
    s.at(KW.PROCEDURE) ||
    s.at(KW.FUNCTION) ||
    s.at(KW.TRIGGER) ||
    s.at(KW.EVENT) ||
    s.at(KW.PACKAGE)
  );
}

/** ALTER: ALTER EVENT has a body too. */
export function parseAlter(s: Scanner): void {
  s.become('write', 'ddl');
  s.effects |= EFFECT.IMPLICIT_COMMIT;
  for (s.next(); !s.atEnd(); s.next()) {
    if (s.at(KW.EVENT)) s.skipAll();
    else if (s.at(KW.TABLE)) break;
  }
  s.skipStatement();
}

/** DROP, DROP TEMPORARY TABLE, DROP PREPARE. */
export function parseDrop(s: Scanner): void {
  s.next();
  if (s.take(KW.TEMPORARY)) {
    s.become('write', 'temporary-table');
    s.effects |= EFFECT.DROPS_TEMPORARY_TABLE;
  } else if (s.take(KW.PREPARE)) {
    s.become('write', 'deallocate');
    s.effects |= EFFECT.DEALLOCATES_STATEMENT;
  } else {
    s.become('write', 'ddl');
    s.effects |= EFFECT.IMPLICIT_COMMIT;
  }
  s.skipStatement();
}

/** LOAD DATA, LOAD XML, LOAD INDEX INTO CACHE. */
export function parseLoad(s: Scanner): void {
  s.next();
  if (s.take(KW.INDEX)) {
    s.become('write', 'admin');
    s.effects |= EFFECT.IMPLICIT_COMMIT;
  } else s.become('write', 'load-data');
  for (; !s.atEnd(); s.next()) {
    if (s.is(TOKEN.USER_VARIABLE)) s.effects |= EFFECT.SETS_USER_VARIABLE;
  }
}

/** FLUSH; some of its forms lock tables until UNLOCK TABLES. */
export function parseFlush(s: Scanner): void {
  s.become('write', 'admin');
  s.effects |= EFFECT.IMPLICIT_COMMIT;
  for (s.next(); !s.atEnd(); s.next()) {
    const readLock = s.at(KW.LOCK) && s.lexer.prevWord === KW.READ;
    const forExport = s.at(KW.EXPORT) && s.lexer.prevWord === KW.FOR;
    if (readLock || forExport) {
      s.become('write', 'lock-tables');
      s.effects |= EFFECT.LOCKS_TABLES;
    }
  }
}

/** BACKUP STAGE and BACKUP LOCK of MariaDB. */
export function parseBackup(s: Scanner): void {
  s.next();
  const ends = s.at(KW.UNLOCK) || (s.take(KW.STAGE) && s.at(KW.END));
  s.become('write', ends ? 'unlock-tables' : 'lock-tables');
  s.effects |= ends ? EFFECT.UNLOCKS_TABLES : EFFECT.LOCKS_TABLES;
}

/** HANDLER t OPEN | READ | CLOSE. */
export function parseHandler(s: Scanner): void {
  s.become('write', 'handler');
  for (s.next(); !s.atEnd(); s.next()) {
    if (s.at(KW.OPEN)) s.effects |= EFFECT.OPENS_HANDLER;
  }
}

/** KILL [HARD|SOFT] [CONNECTION|QUERY [ID]] n: the number is one of ours, so we must act. */
export function parseKill(s: Scanner): void {
  s.become('local', 'kill');
  s.next();
  if (!s.take(KW.HARD)) s.take(KW.SOFT);
  if (s.take(KW.QUERY)) {
    s.killQueryOnly = true;
    s.take(KW.ID);
  } else s.take(KW.CONNECTION);
  const target = s.lexer.plainNumber();
  s.step();
  s.killTarget = s.atEnd() ? target : null;
}

/** USE schema. */
export function parseUse(s: Scanner): void {
  const kind = s.next();
  if (kind !== TOKEN.WORD && kind !== TOKEN.NAME) {
    s.become('unknown', 'unknown-statement');
    return;
  }
  s.become('session', 'use');
  s.effects |= EFFECT.CHANGES_SCHEMA;
  s.schemaStart = s.lexer.start;
  s.schemaEnd = s.lexer.end;
  s.next();
}

/** GET DIAGNOSTICS: about the statement before. */
export function parseGet(s: Scanner): void {
  s.become('same-server', 'diagnostics');
  s.effects |= EFFECT.SETS_USER_VARIABLE;
  s.next();
}

/** IF, CASE, WHILE … outside a stored program: MariaDB runs them; what they do is not looked at. */
export function parseCompound(s: Scanner): void {
  s.become('unknown', 'compound-statement');
  s.effects |= EFFECT.OPAQUE;
  s.skipAll();
}

/** A first word that is not known. */
export function parseUnknown(s: Scanner): void {
  s.become('unknown', 'unknown-statement');
  s.effects |= EFFECT.OPAQUE;
}
