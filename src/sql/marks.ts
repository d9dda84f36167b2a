import type { StatementClass } from './classification.ts';
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
