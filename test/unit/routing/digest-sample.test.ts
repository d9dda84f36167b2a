import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { digestSample } from '../../../src/routing/digest-sample.ts';
import { CHARSET_KIND } from '../../../src/sql/charset-kind.ts';

const CONTEXT = {
  noBackslashEscapes: false,
  ansiQuotes: false,
  ignoreSpace: false,
  charsetKind: CHARSET_KIND.UTF8,
  routines: null,
  flavor: 'mysql',
  serverVersion: 90704,
} as const;

const sample = (sql: string) => {
  const buf = Buffer.from(`xx${sql}yy`);
  return digestSample(buf, 2, buf.length - 2, CONTEXT);
};

describe('the sample of a statement', () => {
  test('has no literals and no comments', () => {
    expect(sample("SELECT a FROM t WHERE b = 'x' AND c = 7 /* who */")).toBe(
      'SELECT a FROM t WHERE b = ? AND c = ?',
    );
  });

  test('shows nothing of a literal that is cut, wherever the cut is', () => {
    const secret = fc.constantFrom('s3cret', "it''s s3cret", "\\' s3cret", 's3cret;--');
    fc.assert(
      fc.property(secret, fc.nat({ max: 60 }), fc.constantFrom("'", '"'), (text, more, quote) => {
        const quoted = quote === '"' ? text.replaceAll("'", '') : text;
        const literal = `${quote}${quoted}${quote}`;
        // The cut, after 8192 bytes, falls before, into and behind the literal.
        const padding = `CREATE USER u /*${'x'.repeat(8192 - 60 + more)}*/ IDENTIFIED BY `;
        const shown = sample(padding + literal);
        expect(shown).not.toContain('s3c');
        expect(shown.startsWith('CREATE') || shown === '').toBe(true);
      }),
    );
  });

  test('is bounded, and so is what is read for it', () => {
    const columns = Array.from({ length: 2000 }, (_, n) => `c${n}`).join(', ');
    expect(sample(`SELECT ${columns}`)).toHaveLength(1024);
    expect(sample(`SELECT a /*${'x'.repeat(8000)}*/, b`)).toBe('SELECT a, b');
    expect(sample(`SELECT a /*${'x'.repeat(9000)}*/, b`)).toBe('SELECT a');
  });
});
