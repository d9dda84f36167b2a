import { EFFECT } from './classification.ts';
import { isScopeWord, TOKEN } from './token.ts';
import type { Scanner } from './scanner.ts';
import { KW } from './word-table.ts';

/** For how long, or for whom, an assignment holds. */
const SCOPE = { NEXT: 0, SESSION: 1, GLOBAL: 2 } as const;

/**
 * SET in all its forms. Returns true if the current token begins a statement of its own (SET
 * STATEMENT … FOR of MariaDB), which decides the class.
 */
export function parseSet(s: Scanner): boolean {
  s.become('session', 'set');
  s.next();
  if (s.at(KW.PASSWORD)) s.become('write', 'set-password');
  else if (s.take(KW.ROLE)) {
    s.become('session', 'set-role');
    s.effects |= EFFECT.OPAQUE;
  } else if (s.take(KW.DEFAULT)) s.become('write', 'acl');
  else if (s.take(KW.RESOURCE)) {
    s.become('write', 'admin');
    s.effects |= EFFECT.OPAQUE;
  } else if (s.isMariadb && s.take(KW.STATEMENT)) return skipToInner(s);
  else parseItems(s);
  return false;
}

/** `SET STATEMENT a = 1, b = 2 FOR`: the values hold for the one statement. */
function skipToInner(s: Scanner): boolean {
  while (!s.atEnd() && !s.at(KW.FOR)) s.step();
  return s.take(KW.FOR);
}

function parseItems(s: Scanner): void {
  let scope = parseItem(s, SCOPE.SESSION);
  while (s.is(TOKEN.COMMA)) {
    s.next();
    scope = parseItem(s, scope);
  }
}

/**
 * One assignment. A scope word holds for later bare names too: after `SET GLOBAL a = 1` the name in
 * `, autocommit = 1` is the global one. (Not so after `@@global.a`.)
 *
 * @param inherited the scope of a bare name
 * @returns the scope that the next bare name inherits
 */
function parseItem(s: Scanner, inherited: number): number {
  const { lexer } = s;
  if (s.is(TOKEN.USER_VARIABLE)) {
    s.effects |= EFFECT.SETS_USER_VARIABLE;
    s.noteVariable(true);
    s.next();
    parseValue(s);
    return inherited;
  }
  const isSystem = s.is(TOKEN.SYSTEM);
  if (isSystem) s.next();
  let scope: number = isSystem ? SCOPE.NEXT : inherited;
  let scoped = false;
  if (s.is(TOKEN.WORD) && isScopeWord(lexer.word)) {
    scope = lexer.word === KW.SESSION || lexer.word === KW.LOCAL ? SCOPE.SESSION : SCOPE.GLOBAL;
    scoped = true;
    s.next();
    if (isSystem && s.is(TOKEN.DOT)) s.next();
  }
  if (s.take(KW.TRANSACTION)) parseCharacteristics(s, scoped ? scope : SCOPE.NEXT);
  else if (s.at(KW.NAMES) || s.at(KW.CHARSET) || s.at(KW.CHARACTER)) {
    s.effects |= EFFECT.SETS_SESSION_VARIABLE;
    skipValue(s);
  } else parseAssignment(s, scope);
  return scoped && !isSystem ? scope : inherited;
}

/** `name = value` or `cache.name = value`; the last name counts. */
function parseAssignment(s: Scanner, scope: number): void {
  const { lexer } = s;
  let name = 0;
  while (s.is(TOKEN.WORD) || s.is(TOKEN.NAME) || s.is(TOKEN.DOT) || s.is(TOKEN.STRING)) {
    name = lexer.word;
    s.next();
  }
  if (scope === SCOPE.GLOBAL) {
    s.raise('write', 'set-global');
    s.effects |= EFFECT.SETS_GLOBAL;
    parseValue(s);
    return;
  }
  s.effects |= EFFECT.SETS_SESSION_VARIABLE;
  if (isPrimaryOnly(name)) {
    s.raise('write', 'set-primary-only');
    s.effects |= EFFECT.OPAQUE;
  }
  const value = parseValue(s);
  if (name === KW.AUTOCOMMIT) {
    s.effects &= ~(EFFECT.SETS_AUTOCOMMIT_ON | EFFECT.SETS_AUTOCOMMIT_OFF);
    s.effects |= value === VALUE.ON ? EFFECT.SETS_AUTOCOMMIT_ON : EFFECT.SETS_AUTOCOMMIT_OFF;
  } else if (name === KW.TRANSACTION_READ_ONLY || name === KW.TX_READ_ONLY) {
    setReadOnly(s, scope, value === VALUE.ON);
  } else if (name === KW.TRANSACTION_ISOLATION || name === KW.TX_ISOLATION) {
    setIsolation(s, value !== VALUE.WEAK_ISOLATION);
  }
}

/** Variables that speak to the binary log or to one statement's replay: never on a replica. */
function isPrimaryOnly(name: number): boolean {
  return (
    name === KW.GTID_NEXT ||
    name === KW.GTID_SEQ_NO ||
    name === KW.SQL_LOG_BIN ||
    name === KW.PSEUDO_THREAD_ID ||
    name === KW.PSEUDO_SLAVE_MODE ||
    name === KW.PSEUDO_REPLICA_MODE ||
    name === KW.INSERT_ID ||
    name === KW.LAST_INSERT_ID ||
    name === KW.IDENTITY ||
    name === KW.RAND_SEED1 ||
    name === KW.RAND_SEED2
  );
}

function setReadOnly(s: Scanner, scope: number, readOnly: boolean): void {
  const both =
    scope === SCOPE.NEXT
      ? EFFECT.SETS_NEXT_TRANSACTION_READ_ONLY | EFFECT.SETS_NEXT_TRANSACTION_READ_WRITE
      : EFFECT.SETS_SESSION_READ_ONLY | EFFECT.SETS_SESSION_READ_WRITE;
  const writes = EFFECT.SETS_NEXT_TRANSACTION_READ_WRITE | EFFECT.SETS_SESSION_READ_WRITE;
  s.effects &= ~both;
  s.effects |= readOnly ? both & ~writes : both & writes;
}

function setIsolation(s: Scanner, maySerialize: boolean): void {
  s.effects &= ~EFFECT.SETS_SERIALIZABLE;
  s.effects |= EFFECT.SETS_ISOLATION | (maySerialize ? EFFECT.SETS_SERIALIZABLE : 0);
}

/** `ISOLATION LEVEL …, READ ONLY`; without a scope word they hold for the next transaction. */
function parseCharacteristics(s: Scanner, scope: number): void {
  if (scope === SCOPE.GLOBAL) {
    s.raise('write', 'set-global');
    s.effects |= EFFECT.SETS_GLOBAL;
    return;
  }
  s.become('session', 'set-transaction');
  for (; !s.atEnd(); s.next()) {
    if (s.at(KW.ISOLATION)) setIsolation(s, false);
    else if (s.at(KW.SERIALIZABLE)) setIsolation(s, true);
    else if (s.at(KW.ONLY)) setReadOnly(s, scope, true);
    else if (s.at(KW.WRITE)) setReadOnly(s, scope, false);
  }
}

/** What a value says where it is one plain token. */
const VALUE = { UNKNOWN: 0, ON: 1, OFF: 2, WEAK_ISOLATION: 3 } as const;

/** The current token is `=` or `:=`; reads the value behind it. */
function parseValue(s: Scanner): number {
  if (!s.is(TOKEN.EQUALS) && !s.is(TOKEN.ASSIGN)) {
    s.raise('unknown', 'unknown-statement');
    skipValue(s);
    return VALUE.UNKNOWN;
  }
  s.next();
  const value = literalValue(s);
  const isPlain =
    s.is(TOKEN.STRING) || s.is(TOKEN.NUMBER) || s.is(TOKEN.WORD) || s.is(TOKEN.PARAMETER);
  if (skipValue(s) === 1 && isPlain) return value;
  if (s.reason === 'set') s.become('session', 'set-expression');
  return VALUE.UNKNOWN;
}

function literalValue(s: Scanner): number {
  const { lexer } = s;
  const number = lexer.plainNumber();
  if (number !== null) return number === 1 ? VALUE.ON : number === 0 ? VALUE.OFF : VALUE.UNKNOWN;
  const isString = s.is(TOKEN.STRING);
  const word = isString ? lexer.quotedWord() : lexer.word;
  if (word === KW.ON || word === KW.TRUE) return VALUE.ON;
  if (word === KW.OFF || word === KW.FALSE) return VALUE.OFF;
  // READ-UNCOMMITTED, READ-COMMITTED, REPEATABLE-READ: all but SERIALIZABLE begin with an R.
  const first = isString ? lexer.secondByte() : 0;
  return first === 0x52 || first === 0x72 ? VALUE.WEAK_ISOLATION : VALUE.UNKNOWN;
}

/** Judges the tokens up to the next comma outside parentheses; returns how many there were. */
function skipValue(s: Scanner): number {
  let depth = 0;
  let count = 0;
  while (!s.atEnd()) {
    const { kind } = s.lexer;
    if (kind === TOKEN.COMMA && depth === 0) break;
    if (kind === TOKEN.OPEN) depth++;
    else if (kind === TOKEN.CLOSE) depth--;
    s.step();
    count++;
  }
  s.settle();
  return count;
}
