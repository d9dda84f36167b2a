import {
  ADJACENT_FUNCTIONS,
  COMMON_FUNCTIONS,
  FUNCTION_KIND,
  LATER_ADJACENT_FUNCTIONS,
  MARIADB_ADJACENT_FUNCTIONS,
  MARIADB_FUNCTIONS,
  MARIADB_SELECT_OPTIONS,
  MARIADB_SERVER_FUNCTIONS,
  MYSQL_FUNCTIONS,
  MYSQL_REMOVED,
  MYSQL_SERVER_FUNCTIONS,
  PAREN_KEYWORDS,
  SELECT_OPTIONS,
  SPECIAL_FUNCTIONS,
  STORED_TOO,
} from './functions.ts';
import { KEYWORD_LIST, type Keyword, PLAIN_KEYWORD_LIST } from './keywords.ts';
import {
  DIAGNOSTIC_VARIABLES,
  INSERT_ID_VARIABLES,
  MYSQL_SERVER_TABLES,
  PORTABLE_VARIABLES,
  SERVER_DATA,
  SERVER_SCHEMAS,
  SERVER_TABLES,
  VARIABLE_KIND,
} from './system-variables.ts';

/**
 * Every word the lexer knows has an index; what the word means is looked up by that index in
 * parallel arrays. Index 0 is "any other word". The table is open-addressed over the hash that
 * the lexer computes while it walks the word, and compares bytes: no string is made.
 */
const MAX_WORDS = 2048;
const SLOTS = 8192;
const NEVER = 0xffff_ffff;

/** Start value and factor (FNV-1a) of the hash of upper-cased bytes. */
export const HASH_SEED = 0x811c_9dc5 | 0;
export const HASH_FACTOR = 0x0100_0193;

const words: string[] = [''];
const indexByName = new Map<string, number>();
const slots = new Uint16Array(SLOTS);
const wordHash = new Int32Array(MAX_WORDS);
const wordOffset = new Uint16Array(MAX_WORDS + 1);
const wordBytes = new Uint8Array(MAX_WORDS * 16);

/** What a call `word(` means: a value of `FUNCTION_KIND`. */
export const FUNCTION_KIND_OF = new Uint8Array(MAX_WORDS);
/** First version of MySQL that has the function built in. */
const MYSQL_SINCE = new Uint32Array(MAX_WORDS).fill(NEVER);
/** First version of MySQL that no longer has it. */
const MYSQL_UNTIL = new Uint32Array(MAX_WORDS).fill(NEVER);
/** First version of MariaDB that has the function built in. */
const MARIADB_SINCE = new Uint32Array(MAX_WORDS).fill(NEVER);
/** A value of `SERVER_DATA`. */
export const SERVER_DATA_OF = new Uint8Array(MAX_WORDS);
/**
 * Second hash of each word, of its text alone: the index would give statements other digests in
 * every release that knows more words, and rules name statements by digest.
 */
export const DIGEST_CODE_OF = new Int32Array(MAX_WORDS);
/** 1 for words whose case the digest folds: keywords and functions, not likely names. */
export const FOLDS_CASE = new Uint8Array(MAX_WORDS);
/** How a read of the system variable of that name is routed: a value of `VARIABLE_KIND`. */
export const VARIABLE_KIND_OF = new Uint8Array(MAX_WORDS);

function hashOf(name: string): number {
  let hash = HASH_SEED;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), HASH_FACTOR);
  return hash;
}

function slotOf(hash: number): number {
  return (hash ^ (hash >>> 15)) & (SLOTS - 1);
}

/** Index of a word, which is entered if it is new. */
function indexOf(name: string): number {
  const known = indexByName.get(name);
  if (known !== undefined) return known;
  const index = words.length;
  const offset = wordOffset[index] ?? 0;
  let code = 0;
  for (let i = 0; i < name.length; i++) {
    wordBytes[offset + i] = name.charCodeAt(i);
    code = Math.imul(code, 31) + name.charCodeAt(i);
  }
  DIGEST_CODE_OF[index] = code;
  wordOffset[index + 1] = offset + name.length;
  const hash = hashOf(name);
  wordHash[index] = hash;
  let slot = slotOf(hash);
  while (slots[slot] !== 0) slot = (slot + 1) & (SLOTS - 1);
  slots[slot] = index;
  words.push(name);
  indexByName.set(name, index);
  return index;
}

function enterFunctions(names: readonly string[], kind: number, mysql: number, mariadb: number) {
  for (const name of names) {
    const index = indexOf(name);
    FUNCTION_KIND_OF[index] = kind;
    MYSQL_SINCE[index] = Math.min(MYSQL_SINCE[index] ?? NEVER, mysql);
    MARIADB_SINCE[index] = Math.min(MARIADB_SINCE[index] ?? NEVER, mariadb);
  }
}

/** What is more to be said of functions that are PURE by the lists that enter them. */
const REFINED_KINDS: readonly (readonly [kind: number, names: readonly string[]])[] = [
  [FUNCTION_KIND.PURE_OR_STORED, STORED_TOO],
  [FUNCTION_KIND.PURE_ADJACENT, LATER_ADJACENT_FUNCTIONS],
  [FUNCTION_KIND.PURE_ADJACENT_ON_MARIADB, MARIADB_ADJACENT_FUNCTIONS],
];

function enterAll(): void {
  const split = (names: string): string[] => names.trim().split(/\s+/);
  for (const name of PLAIN_KEYWORD_LIST) indexOf(name);
  enterFunctions(PAREN_KEYWORDS, FUNCTION_KIND.PURE, 0, 0);
  enterFunctions(COMMON_FUNCTIONS, FUNCTION_KIND.PURE, 0, 0);
  enterFunctions(ADJACENT_FUNCTIONS, FUNCTION_KIND.PURE_ADJACENT, 0, 0);
  for (const [since, names] of MYSQL_FUNCTIONS) {
    enterFunctions(split(names), FUNCTION_KIND.PURE, since, NEVER);
  }
  for (const [until, names] of MYSQL_REMOVED) {
    for (const name of split(names)) MYSQL_UNTIL[indexOf(name)] = until;
  }
  for (const [since, names] of MARIADB_FUNCTIONS) {
    enterFunctions(split(names), FUNCTION_KIND.PURE, NEVER, since);
  }
  for (const [kind, names] of REFINED_KINDS) {
    for (const name of names) FUNCTION_KIND_OF[indexOf(name)] = kind;
  }
  enterFunctions(SELECT_OPTIONS, FUNCTION_KIND.SELECT_OPTION, 0, 0);
  enterFunctions(MARIADB_SELECT_OPTIONS, FUNCTION_KIND.SELECT_OPTION, NEVER, 0);
  for (const [kind, names] of SPECIAL_FUNCTIONS) enterFunctions(split(names), kind, 0, 0);
  enterFunctions(MYSQL_SERVER_FUNCTIONS, FUNCTION_KIND.SERVER, 0, NEVER);
  enterFunctions(MARIADB_SERVER_FUNCTIONS, FUNCTION_KIND.SERVER, NEVER, 0);
  for (const name of PORTABLE_VARIABLES) VARIABLE_KIND_OF[indexOf(name)] = VARIABLE_KIND.PORTABLE;
  for (const name of SERVER_SCHEMAS) SERVER_DATA_OF[indexOf(name)] = SERVER_DATA.SCHEMA;
  for (const name of SERVER_TABLES) SERVER_DATA_OF[indexOf(name)] = SERVER_DATA.TABLE;
  for (const name of MYSQL_SERVER_TABLES) {
    SERVER_DATA_OF[indexOf(name)] = SERVER_DATA.MYSQL_TABLE;
  }
  for (const name of DIAGNOSTIC_VARIABLES) {
    VARIABLE_KIND_OF[indexOf(name)] = VARIABLE_KIND.DIAGNOSTIC;
  }
  for (const name of INSERT_ID_VARIABLES) {
    VARIABLE_KIND_OF[indexOf(name)] = VARIABLE_KIND.INSERT_ID;
  }
}

function enterKeywords(): Readonly<Record<Keyword, number>> {
  const entries = KEYWORD_LIST.map((name) => [name, indexOf(name)] as const);
  // Object.fromEntries forgets which keys went in; the list is the type's own source.
  return Object.freeze(Object.fromEntries(entries)) as Readonly<Record<Keyword, number>>;
}

/** Index of each word that code looks for. */
export const KW = enterKeywords();
enterAll();

/** Words that are more often the name of a column or a table than a keyword. */
const LIKELY_NAMES =
  'AREA BOUNDARY CHAIN CONNECTION DATA DIMENSION ENVELOPE EVENT EVENTS HANDLER ID ' +
  'INFORMATION_SCHEMA LEVEL LIBRARY MYSQL NAMES QUERY ROLE ROWCOUNT SERVER SESSION SQL STATUS ' +
  'STORAGE USER X Y';
FOLDS_CASE.fill(1);
const NAMES = [...PORTABLE_VARIABLES, ...SERVER_SCHEMAS, ...SERVER_TABLES, ...MYSQL_SERVER_TABLES];
for (const name of [...NAMES, ...LIKELY_NAMES.split(' ')]) FOLDS_CASE[indexOf(name)] = 0;
FOLDS_CASE[0] = 0;

/** How many indexes there are, 0 included: the length of a table by word. */
export const WORD_COUNT = words.length;
const MAX_WORD_LENGTH = Math.max(...words.map((word) => word.length));

/** Upper-case byte of each byte that may be part of an unquoted name; 0 for all others. */
export const NAME_BYTE = new Uint8Array(256);
for (let c = 0; c < 256; c++) {
  const lower = c >= 0x61 && c <= 0x7a;
  const upper = c >= 0x41 && c <= 0x5a;
  const digit = c >= 0x30 && c <= 0x39;
  if (lower) NAME_BYTE[c] = c - 0x20;
  else if (upper || digit || c === 0x5f || c === 0x24 || c >= 0x80) NAME_BYTE[c] = c;
}

/**
 * Index of the word in `buf[start, end)`, or 0.
 *
 * @param hash FNV-1a over the upper-cased bytes, from `HASH_SEED`
 */
export function findWord(buf: Uint8Array, start: number, end: number, hash: number): number {
  const length = end - start;
  if (length > MAX_WORD_LENGTH) return 0;
  for (let slot = slotOf(hash); ; slot = (slot + 1) & (SLOTS - 1)) {
    const index = slots[slot] ?? 0;
    if (index === 0) return 0;
    if (wordHash[index] !== hash) continue;
    const offset = wordOffset[index] ?? 0;
    if ((wordOffset[index + 1] ?? 0) - offset !== length) continue;
    let i = 0;
    while (i < length && NAME_BYTE[buf[start + i] ?? 0] === wordBytes[offset + i]) i++;
    if (i === length) return index;
  }
}

/** Whether a server of that version (see `ClassifyContext`) has the function built in. */
export function isBuiltIn(word: number, isMariadb: boolean, version: number): boolean {
  if (isMariadb) return version >= (MARIADB_SINCE[word] ?? 0);
  return version >= (MYSQL_SINCE[word] ?? 0) && version < (MYSQL_UNTIL[word] ?? 0);
}

/** Index of a word given as text, 0 if it is not known. Off the hot path. */
export function wordIndex(text: string): number {
  return indexByName.get(text.toUpperCase()) ?? 0;
}

/** The word of an index, in upper case. */
export function wordText(index: number): string {
  return words[index] ?? '';
}
