import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseJsonText } from '../../../src/config/json-text.ts';

describe('JSON text', () => {
  test('reads what JSON.parse reads, to the same value', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), fc.nat(4), (value, indent) => {
        const text = JSON.stringify(value, null, indent);
        expect(parseJsonText(text)).toEqual(JSON.parse(text));
      }),
      { numRuns: 500 },
    );
  });

  test('refuses whatever JSON.parse refuses, and never hangs', () => {
    const piece = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      '"',
      ',',
      ':',
      '1',
      '-',
      '.',
      'e',
      'true',
      'null',
      '\\',
      'a',
      ' ',
      '\n',
      '/',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const text = pieces.join('');
        if (accepts(() => parseJsonText(text))) expect(accepts(() => JSON.parse(text))).toBe(true);
      }),
      { numRuns: 5000 },
    );
  });

  test.each([
    ['', 'line 1, column 1: the file ends too early'],
    ['{"a": 1,}', 'line 1, column 8: the comma before "}" is one too many'],
    ['[1, 2\n 3]', 'line 2, column 2: expected "," or "]"'],
    ['{"a" 1}', 'line 1, column 6: expected ":" after key "a"'],
    ['{a: 1}', 'line 1, column 2: expected a key in double quotes'],
    ['{\n  // note\n}', 'line 2, column 3: comments are not part of JSON'],
    ['{"a": 1, "a": 2}', 'line 1, column 10: key "a" occurs twice'],
    ['{"a": "x\n"}', 'line 1, column 7: this string has no closing quote'],
    ['{"a": "\\q"}', 'line 1, column 7: this string holds a wrong escape or a control character'],
    ['{"a": nope}', 'line 1, column 7: expected a value'],
    ['1 2', 'line 1, column 3: expected the end of the file'],
    ['['.repeat(100), 'line 1, column 34: nested deeper than 32 levels'],
  ])('%j is refused with its place', (text, message) => {
    expect(() => parseJsonText(text)).toThrow(message);
  });

  test('a byte order mark is not part of the text', () => {
    expect(parseJsonText('\uFEFF{"a": 1}')).toEqual({ a: 1 });
  });

  test('a key __proto__ is a key', () => {
    expect(Object.keys(parseJsonText('{"__proto__": {"x": 1}}') as object)).toEqual(['__proto__']);
  });
});

function accepts(run: () => unknown): boolean {
  try {
    run();
    return true;
  } catch {
    return false;
  }
}
