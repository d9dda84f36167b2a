import type { StatementClass } from './classification.ts';
import type { Lexer } from './lexer.ts';
import { TOKEN } from './token.ts';
import { KW, WORD_COUNT } from './word-table.ts';

/** Which class wins where a statement has marks of several: the more careful one. */
export const RANK: Readonly<Record<StatementClass, number>> = {
  read: 0,
  local: 1,
  session: 2,
  'same-server': 3,
  transaction: 4,
  unknown: 5,
  write: 6,
};

/** What a bare word does to the class, wherever in a statement it stands. */
export const MARK = {
  NONE: 0,
  DML: 1,
  INSERT: 2,
  SHARE: 3,
  INTO: 4,
  LOCK: 5,
  FOR: 6,
  FOUND: 7,
  PROCEDURE: 8,
  ROWCOUNT: 9,
} as const;

/** Something seen whose meaning the next tokens decide. */
export const PENDING = {
  NONE: 0,
  /** INSERT or REPLACE: the function if a parenthesis follows, a write otherwise. */
  INSERT: 1,
  /** `name (` after WITH: column names of a common table expression, or a call. */
  CTE_COLUMNS: 2,
  CTE_CLOSED: 3,
  CTE_AS: 4,
} as const;

/** The mark of each word of the word table. */
export const MARK_OF = new Uint8Array(WORD_COUNT);
MARK_OF[KW.UPDATE] = MARK.DML;
MARK_OF[KW.DELETE] = MARK.DML;
MARK_OF[KW.INSERT] = MARK.INSERT;
MARK_OF[KW.REPLACE] = MARK.INSERT;
MARK_OF[KW.SHARE] = MARK.SHARE;
MARK_OF[KW.INTO] = MARK.INTO;
MARK_OF[KW.LOCK] = MARK.LOCK;
MARK_OF[KW.FOR] = MARK.FOR;
MARK_OF[KW.SQL_CALC_FOUND_ROWS] = MARK.FOUND;
MARK_OF[KW.PROCEDURE] = MARK.PROCEDURE;
MARK_OF[KW.ROWCOUNT] = MARK.ROWCOUNT;

/** The current token is FOR: of `NEXT VALUE FOR` or `PREVIOUS VALUE FOR`. */
export function isSequenceValue(lexer: Lexer): boolean {
  const before = lexer.prev2Word;
  return lexer.prevWord === KW.VALUE && (before === KW.NEXT || before === KW.PREVIOUS);
}

/** The current token is ROWCOUNT: of `SQL%ROWCOUNT`, which is ROW_COUNT() in MariaDB's Oracle mode. */
export function isOracleRowCount(lexer: Lexer): boolean {
  return lexer.prevKind === TOKEN.OTHER && lexer.prev2Word === KW.SQL;
}
