import { LagwiseError } from '../lib/errors.ts';

/**
 * JSON as the standard has it, with two differences from `JSON.parse` that a config file needs: an
 * error says line and column and never quotes the text (which may be a password), and a key that
 * occurs twice is an error instead of a silent loss of the first.
 */

const MAX_DEPTH = 32;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const SPACE = /[ \t\r\n]*/y;
const WORDS: readonly (readonly [string, boolean | null])[] = [
  ['true', true],
  ['false', false],
  ['null', null],
];

interface Cursor {
  readonly source: string;
  at: number;
}

/**
 * @throws LagwiseError('config') whose message starts with `line L, column C: `
 */
export function parseJsonText(source: string): unknown {
  // Windows editors write a byte order mark; it is not part of the text.
  const cursor: Cursor = { source, at: source.startsWith('\uFEFF') ? 1 : 0 };
  skipSpace(cursor);
  const value = parseValue(cursor, 0);
  skipSpace(cursor);
  if (cursor.at < source.length) fail(cursor, 'expected the end of the file');
  return value;
}

function fail(cursor: Cursor, why: string): never {
  const before = cursor.source.slice(0, cursor.at);
  const line = before.split('\n').length;
  const column = cursor.at - before.lastIndexOf('\n');
  throw new LagwiseError('config', `line ${line}, column ${column}: ${why}`);
}

function skipSpace(cursor: Cursor): void {
  SPACE.lastIndex = cursor.at;
  SPACE.exec(cursor.source);
  cursor.at = SPACE.lastIndex;
  if (cursor.source[cursor.at] === '/') fail(cursor, 'comments are not part of JSON');
}

function parseValue(cursor: Cursor, depth: number): unknown {
  if (depth > MAX_DEPTH) fail(cursor, `nested deeper than ${MAX_DEPTH} levels`);
  const first = cursor.source[cursor.at];
  if (first === '{') return parseObject(cursor, depth);
  if (first === '[') return parseArray(cursor, depth);
  if (first === '"') return parseString(cursor);
  for (const [word, value] of WORDS) {
    if (cursor.source.startsWith(word, cursor.at)) {
      cursor.at += word.length;
      return value;
    }
  }
  NUMBER.lastIndex = cursor.at;
  const number = NUMBER.exec(cursor.source);
  if (number === null)
    return fail(cursor, first === undefined ? 'the file ends too early' : 'expected a value');
  cursor.at = NUMBER.lastIndex;
  return Number(number[0]);
}

function parseString(cursor: Cursor): string {
  const { source, at: start } = cursor;
  let end = start + 1;
  while (source[end] !== '"') {
    const char = source[end];
    if (char === undefined || char === '\n') fail(cursor, 'this string has no closing quote');
    end += char === '\\' ? 2 : 1;
  }
  cursor.at = end + 1;
  try {
    const value: unknown = JSON.parse(source.slice(start, end + 1));
    if (typeof value === 'string') return value;
  } catch {
    // Fall through: the parser's own message would quote the string, which may be a password.
  }
  cursor.at = start;
  return fail(cursor, 'this string holds a wrong escape or a control character');
}

function parseArray(cursor: Cursor, depth: number): unknown[] {
  const items: unknown[] = [];
  cursor.at += 1;
  skipSpace(cursor);
  if (cursor.source[cursor.at] === ']') {
    cursor.at += 1;
    return items;
  }
  for (;;) {
    skipSpace(cursor);
    items.push(parseValue(cursor, depth + 1));
    if (atEndAfterItem(cursor, ']')) return items;
  }
}

function parseObject(cursor: Cursor, depth: number): Record<string, unknown> {
  const object: Record<string, unknown> = {};
  cursor.at += 1;
  skipSpace(cursor);
  if (cursor.source[cursor.at] === '}') {
    cursor.at += 1;
    return object;
  }
  for (;;) {
    skipSpace(cursor);
    if (cursor.source[cursor.at] !== '"') fail(cursor, 'expected a key in double quotes');
    const keyAt = cursor.at;
    const key = parseString(cursor);
    if (Object.hasOwn(object, key)) {
      cursor.at = keyAt;
      fail(cursor, `key "${key}" occurs twice`);
    }
    skipSpace(cursor);
    if (cursor.source[cursor.at] !== ':') fail(cursor, `expected ":" after key "${key}"`);
    cursor.at += 1;
    skipSpace(cursor);
    const value = parseValue(cursor, depth + 1);
    // Plain assignment would take a key `__proto__` for the prototype.
    Object.defineProperty(object, key, { value, enumerable: true, writable: true });
    if (atEndAfterItem(cursor, '}')) return object;
  }
}

/** Passes a comma or the closing bracket. */
function atEndAfterItem(cursor: Cursor, closing: ']' | '}'): boolean {
  skipSpace(cursor);
  const char = cursor.source[cursor.at];
  if (char !== ',' && char !== closing) fail(cursor, `expected "," or "${closing}"`);
  const at = cursor.at;
  cursor.at += 1;
  if (char === closing) return true;
  skipSpace(cursor);
  if (cursor.source[cursor.at] === closing) {
    cursor.at = at;
    fail(cursor, `the comma before "${closing}" is one too many`);
  }
  return false;
}
