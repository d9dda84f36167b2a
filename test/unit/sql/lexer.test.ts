import { describe, expect, test } from 'vitest';
import type { ClassifyContext } from '../../../src/sql/classification.ts';
import { Lexer } from '../../../src/sql/lexer.ts';
import { TOKEN } from '../../../src/sql/token.ts';
import { MARIADB, MYSQL } from './helpers.ts';

/** Kinds and texts of a statement's tokens: `WORD:SELECT NUMBER:1`. */
function tokens(text: string | Buffer, ctx: ClassifyContext = MYSQL): string {
  const bytes = typeof text === 'string' ? Buffer.from(text) : text;
  const lexer = new Lexer();
  lexer.reset(bytes, 0, bytes.length, ctx);
  const names = new Map<number, string>(Object.entries(TOKEN).map(([name, kind]) => [kind, name]));
  const found: string[] = [];
  while (lexer.next() > TOKEN.BAD) {
    found.push(`${names.get(lexer.kind)}:${bytes.toString('latin1', lexer.start, lexer.end)}`);
  }
  if (lexer.kind === TOKEN.BAD) found.push('BAD');
  return found.join(' ');
}

describe('numbers end where the server ends them', () => {
  test.each([
    ['1', 'NUMBER:1'],
    ['1e5x', 'NUMBER:1e5 WORD:x'],
    ['1e+5x', 'NUMBER:1e+5 WORD:x'],
    ['1e', 'WORD:1e'],
    ['1ex', 'WORD:1ex'],
    ['1x', 'WORD:1x'],
    ['1.', 'NUMBER:1.'],
    ['1.x', 'NUMBER:1. WORD:x'],
    ['1.5e3x', 'NUMBER:1.5e3 WORD:x'],
    ['.5x', 'NUMBER:.5 WORD:x'],
    ['0x1F', 'NUMBER:0x1F'],
    ['0x1Fg', 'WORD:0x1Fg'],
    ['0X1F', 'WORD:0X1F'],
    ['0x', 'WORD:0x'],
    ['0b01', 'NUMBER:0b01'],
    ['0b012', 'WORD:0b012'],
    ['t.1e5x', 'WORD:t DOT:. WORD:1e5x'],
    ['t .5', 'WORD:t NUMBER:.5'],
    ['1..2', 'NUMBER:1. NUMBER:.2'],
    ['1-2', 'NUMBER:1 OTHER:- NUMBER:2'],
    // MySQL forgets such a number, and goes on in the middle of what follows.
    ['1.e', 'BAD'],
    ['1.5E-(2)', 'BAD'],
    ['f .5e+(1)', 'WORD:f BAD'],
    ['1.e-- 1', 'BAD'],
    ['t.1e+', 'WORD:t DOT:. WORD:1e OTHER:+'],
    // MariaDB's NULL ends behind its letter.
    ['\\NINTO', 'NUMBER:\\N WORD:INTO'],
    ['\\n', 'OTHER:\\ WORD:n'],
  ])('%s', (text, expected) => {
    expect(tokens(text)).toBe(expected);
  });
});

describe('quotes', () => {
  test.each([
    ["'a''b'", "STRING:'a''b'"],
    ["'a\\'b'", "STRING:'a\\'b'"],
    ["'a\\\\'b", "STRING:'a\\\\' WORD:b"],
    ["'a'b'c'", "STRING:'a' STRING:b'c'"],
    ["''", "STRING:''"],
    ["'''", 'BAD'],
    ["'\\", 'BAD'],
    ['"a""b"', 'STRING:"a""b"'],
    ['`a``b`', 'NAME:`a``b`'],
    ['`a\\`', 'NAME:`a\\`'],
    ["x'41'", "STRING:x'41'"],
    ["N'a'", "STRING:N'a'"],
    ["xx'41'", "WORD:xx STRING:'41'"],
    ["x '41'", "WORD:x STRING:'41'"],
    ['n"a"', 'WORD:n STRING:"a"'],
    ["@'a b'", "USER_VARIABLE:@'a b'"],
    ['@`a``b`x', 'USER_VARIABLE:@`a``b` WORD:x'],
    ['@a.b$c_1:=2', 'USER_VARIABLE:@a.b$c_1 ASSIGN::= NUMBER:2'],
    ['@ a', 'USER_VARIABLE:@ WORD:a'],
    ['@@global.a', 'SYSTEM:@@ WORD:global DOT:. WORD:a'],
  ])('%s', (text, expected) => {
    expect(tokens(text)).toBe(expected);
  });

  test('names under ANSI_QUOTES', () => {
    expect(tokens('"a""b" "c\\"', { ...MYSQL, ansiQuotes: true })).toBe('NAME:"a""b" NAME:"c\\"');
  });
});

describe('comments', () => {
  test.each([
    ['a/**/b', 'WORD:a WORD:b'],
    ['a/* /* */b', 'WORD:a WORD:b'],
    ['a/*/b*/c', 'WORD:a WORD:c'],
    ['a/*', 'BAD_AFTER:a'],
    ['a--b', 'WORD:a OTHER:- OTHER:- WORD:b'],
    ['a-- b\nc', 'WORD:a WORD:c'],
    ['a--\tb\nc', 'WORD:a WORD:c'],
    ['a--', 'WORD:a'],
    ['a--\x01b', 'WORD:a'],
    ['a#b\nc', 'WORD:a WORD:c'],
    ['a#b\rc', 'WORD:a'],
    ['a*/b', 'WORD:a OTHER:* OTHER:/ WORD:b'],
    ['a/*!b*/c', 'WORD:a WORD:b WORD:c'],
    ['a/*!50100b*/c', 'WORD:a WORD:b WORD:c'],
    ['a/*!1234b*/c', 'WORD:a WORD:1234b WORD:c'],
    ['a/*!99999b*/c', 'WORD:a WORD:c'],
    ['a/*!99999b/*d*/e*/c', 'WORD:a WORD:c'],
    ['a/*!b/*d*/e*/c', 'WORD:a WORD:b WORD:e WORD:c'],
    ['a/*!b#*/\nc*/d', 'WORD:a WORD:b WORD:c WORD:d'],
    ["a/*!'*/'*/d", "WORD:a STRING:'*/' WORD:d"],
    ['a/*!090704 b*/', 'WORD:a WORD:b'],
    ['a/*!090705 b*/', 'WORD:a'],
    ['a/*!0907041*/', 'WORD:a NUMBER:41'],
    ['a/*M!b*/c', 'WORD:a WORD:c'],
    ["a/*+ x('*/') */b", 'BAD_AFTER:a'],
    ["a/*+ x('y') */b", 'WORD:a WORD:b'],
  ])('%s', (text, expected) => {
    const bad = expected.startsWith('BAD_AFTER:');
    expect(tokens(text)).toBe(bad ? `WORD:${expected.slice(10)} BAD` : expected);
  });

  test.each([
    ['a/*M!b*/c', 'WORD:a WORD:b WORD:c'],
    ['a/*M!110808b*/c', 'WORD:a WORD:b WORD:c'],
    ['a/*M!110809b*/c', 'WORD:a WORD:c'],
    ['a/*!50700b*/c', 'WORD:a WORD:c'],
    ['a/*M!50700b*/c', 'WORD:a WORD:b WORD:c'],
    ['a/*!50699b*/c', 'WORD:a WORD:b WORD:c'],
    ['a/*!100000b*/c', 'WORD:a WORD:b WORD:c'],
  ])('%s on MariaDB', (text, expected) => {
    expect(tokens(text, MARIADB)).toBe(expected);
  });
});

test('NUL and other control bytes are tokens, not ends', () => {
  expect(tokens('a\0b')).toBe('WORD:a OTHER:\0 WORD:b');
});

test('the last token repeats for ever', () => {
  const lexer = new Lexer();
  lexer.reset(Buffer.from("'"), 0, 1, MYSQL);
  expect([lexer.next(), lexer.next(), lexer.next()]).toEqual([TOKEN.BAD, TOKEN.BAD, TOKEN.BAD]);
});
