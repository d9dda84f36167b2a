import {
  AT,
  BACKTICK,
  COLON,
  DOUBLE_QUOTE,
  EQUAL,
  NINE,
  PERIOD,
  SINGLE_QUOTE,
  ZERO,
} from './bytes.ts';
import { KW, NAME_BYTE } from './word-table.ts';

/** What a token is. Single characters that nothing here cares about are `OTHER`. */
export const TOKEN = {
  END: 0,
  /** The bytes cannot be lexed: unclosed quote or comment, or ambiguous in this charset. */
  BAD: 1,
  SEMICOLON: 2,
  WORD: 3,
  /** A quoted name. */
  NAME: 4,
  STRING: 5,
  NUMBER: 6,
  /** `?` of a prepared statement. */
  PARAMETER: 7,
  /** `@name`, one token with its name. */
  USER_VARIABLE: 8,
  /** `@@` alone; its name follows as words and dots. */
  SYSTEM: 9,
  OPEN: 10,
  CLOSE: 11,
  COMMA: 12,
  DOT: 13,
  EQUALS: 14,
  /** `:=` */
  ASSIGN: 15,
  OTHER: 16,
} as const;

/** Kind of the token that a byte begins. */
export const KIND_OF_BYTE = new Uint8Array(256).fill(TOKEN.OTHER);
for (let c = 0; c < 256; c++) if (NAME_BYTE[c] !== 0) KIND_OF_BYTE[c] = TOKEN.WORD;
for (let c = ZERO; c <= NINE; c++) KIND_OF_BYTE[c] = TOKEN.NUMBER;
KIND_OF_BYTE[SINGLE_QUOTE] = TOKEN.STRING;
KIND_OF_BYTE[DOUBLE_QUOTE] = TOKEN.STRING;
KIND_OF_BYTE[BACKTICK] = TOKEN.NAME;
KIND_OF_BYTE[AT] = TOKEN.USER_VARIABLE;
KIND_OF_BYTE[PERIOD] = TOKEN.DOT;
KIND_OF_BYTE[0x28] = TOKEN.OPEN;
KIND_OF_BYTE[0x29] = TOKEN.CLOSE;
KIND_OF_BYTE[0x2c] = TOKEN.COMMA;
KIND_OF_BYTE[0x3b] = TOKEN.SEMICOLON;
KIND_OF_BYTE[EQUAL] = TOKEN.EQUALS;
KIND_OF_BYTE[0x3f] = TOKEN.PARAMETER;
KIND_OF_BYTE[COLON] = TOKEN.ASSIGN;

/** Whether a token ends a statement. */
export function isEnd(kind: number): boolean {
  return kind <= TOKEN.SEMICOLON;
}

/** Whether the current token is one of the words that say where a variable lives. */
export function isScopeWord(word: number): boolean {
  return (
    word === KW.GLOBAL ||
    word === KW.SESSION ||
    word === KW.LOCAL ||
    word === KW.PERSIST ||
    word === KW.PERSIST_ONLY
  );
}
