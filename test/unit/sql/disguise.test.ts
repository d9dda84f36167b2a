import * as fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { CHARSET_KIND } from '../../../src/sql/charset-kind.ts';
import type { ClassifyContext } from '../../../src/sql/classification.ts';
import { Classifier } from '../../../src/sql/classify.ts';
import { digestText } from '../../../src/sql/digest.ts';
import { Lexer } from '../../../src/sql/lexer.ts';
import { TOKEN } from '../../../src/sql/token.ts';
import { judge, MARIADB, MYSQL } from './helpers.ts';
import { ON_MARIADB, OTHERS, WRITES } from './more-statements.ts';
import { PRIMARY_READS, READS } from './statements.ts';

// Thousands of cases a test: on a busy machine they take longer than the default allows.
vi.setConfig({ testTimeout: 60_000 });

const context = fc.record<ClassifyContext>({
  noBackslashEscapes: fc.boolean(),
  ansiQuotes: fc.boolean(),
  ignoreSpace: fc.boolean(),
  charsetKind: fc.constantFrom(...Object.values(CHARSET_KIND)),
  routines: fc.constant(null),
  flavor: fc.constantFrom('mysql', 'mariadb'),
  serverVersion: fc.constantFrom(0, 50744, 80046, 90704, 101119, 110808),
});

/** What may stand between two tokens without a change of meaning. */
const filler = fc.constantFrom(
  ' ',
  '\t',
  '\r\n',
  '/**/',
  '/* FOR */',
  "/* ' */",
  '/* */ /* " */',
  '-- x\n',
  "--\t'\n",
  '# `\n',
  '/*! */',
  '/*!50100 */',
  '/*!99999 DELETE */',
  '/*!999999 /* y */ INTO */',
);

interface Piece {
  readonly text: string;
  readonly gap: boolean;
}

function pieces(text: string, ctx: ClassifyContext): Piece[] {
  const bytes = Buffer.from(text);
  const lexer = new Lexer();
  lexer.reset(bytes, 0, bytes.length, ctx);
  const found: Piece[] = [];
  while (lexer.next() > TOKEN.BAD) {
    found.push({ text: bytes.toString('utf8', lexer.start, lexer.end), gap: lexer.gap });
  }
  return found;
}

/** Whether a blank may stand between two tokens: not inside `a.b`, `@@a`, `f(`, `<=`; behind `-`. */
function separable(before: string, after: string): boolean {
  return !(/[.@-]$/.test(before) || /^[.(]/.test(after) || /^[<>=!|&-]$/.test(after));
}

function changeCase(text: string, upper: boolean): string {
  return /^[a-z_]+$/i.test(text) ? (upper ? text.toUpperCase() : text.toLowerCase()) : text;
}

/** The same statement with other fillers and other case: what the server would not tell apart. */
function disguised(statements: readonly string[], ctx: ClassifyContext) {
  return fc
    .tuple(
      fc.constantFrom(...statements),
      fc.array(fc.tuple(filler, fc.boolean()), { minLength: 120, maxLength: 120 }),
    )
    .map(([statement, choices]): [string, string] => {
      const found = pieces(statement, ctx);
      let made = '';
      for (const [i, { text, gap }] of found.entries()) {
        const [fill, upper] = choices[i % choices.length] ?? [' ', true];
        const before = found[i - 1]?.text;
        if (gap || before === undefined || separable(before, text)) made += fill;
        made += changeCase(text, upper);
      }
      return [statement, made];
    });
}

const all = [...READS, ...PRIMARY_READS, ...WRITES, ...OTHERS];
const lexable = (verdict: string): boolean => !verdict.endsWith('not-lexed');

describe('comments, blanks and case change nothing', () => {
  const statements = all.filter(([verdict]) => lexable(verdict)).flatMap(([, texts]) => texts);

  test('on MySQL', () => {
    fc.assert(
      fc.property(disguised(statements, MYSQL), ([statement, made]) => {
        expect(judge(made), made).toBe(judge(statement));
      }),
      { numRuns: 5000 },
    );
  });

  test('on MariaDB', () => {
    const texts = ON_MARIADB.flatMap(([, list]) => list);
    fc.assert(
      fc.property(disguised(texts, MARIADB), ([statement, made]) => {
        expect(judge(made, MARIADB), made).toBe(judge(statement, MARIADB));
      }),
      { numRuns: 2000 },
    );
  });
});

describe('no context makes a read of what must go to the primary', () => {
  const writes = WRITES.flatMap(([, texts]) => texts).filter((text) => !text.startsWith('/*!'));

  test('whatever sql_mode, charset, server and version', () => {
    fc.assert(
      fc.property(fc.constantFrom(...writes), context, (statement, ctx) => {
        expect(judge(statement, ctx)).not.toMatch(/^read/);
      }),
      { numRuns: 3000 },
    );
  });

  test('a second statement never passes as a read', () => {
    const reads = READS.flatMap(([, texts]) => texts).filter((text) => !/(--|#)[^\n]*$/.test(text));
    fc.assert(
      fc.property(fc.constantFrom(...reads), fc.constantFrom(...writes), (read, write) => {
        expect(judge(`${read};${write}`)).not.toMatch(/^read/);
      }),
      { numRuns: 3000 },
    );
  });
});

test('bytes beside the statement in its buffer change nothing', () => {
  const beside = fc.constantFrom(
    "'",
    '"',
    '`',
    '/*',
    '*/',
    '/',
    '*',
    '-',
    '--',
    '#',
    'x',
    '=',
    '(',
    '.',
    '0',
  );
  const statements = all.flatMap(([, texts]) => texts);
  const classifier = new Classifier();
  fc.assert(
    fc.property(beside, fc.constantFrom(...statements), beside, (before, statement, after) => {
      const bytes = Buffer.from(before + statement + after);
      const end = bytes.length - after.length;
      const { cls, reason } = classifier.classify(bytes, before.length, end, MYSQL);
      expect(`${cls}/${reason}`).toBe(judge(statement));
    }),
    { numRuns: 3000 },
  );
});

describe('any bytes end in an answer', () => {
  const classifier = new Classifier();
  const scraps = fc.constantFrom(
    'SELECT',
    'SET',
    '@',
    '@@',
    ':=',
    '=',
    '(',
    ')',
    ',',
    ';',
    '.',
    "'",
    '"',
    '`',
    '\\',
    '/*',
    '*/',
    '/*!',
    '/*!50100',
    '/*+',
    '--',
    '#',
    '\n',
    ' ',
    '0x',
    '1e',
    '1.',
    'FOR',
    'UPDATE',
    'INTO',
    'WITH',
    'AS',
    'f',
    'GLOBAL',
    'autocommit',
    'SHOW',
    'EXPLAIN',
    'KILL',
    'USE',
    '\0',
    'CREATE',
    'TEMPORARY',
    'PROCEDURE',
    'BEGIN',
    'INSERT',
    'COUNT',
    'STATEMENT',
    'é',
    '\u00a0',
  );

  test.each([
    ['random bytes', fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes))],
    [
      'random pieces of SQL',
      fc.array(scraps, { maxLength: 40 }).map((list) => Buffer.from(list.join(''))),
    ],
    [
      'random words of SQL',
      fc.array(scraps, { maxLength: 40 }).map((list) => Buffer.from(list.join(' '))),
    ],
  ])('%s', (_, bytes) => {
    fc.assert(
      fc.property(bytes, context, (buf, ctx) => {
        const first = { ...classifier.classify(buf, 0, buf.length, ctx) };
        const { cls, reason, digestHi, digestLo, effects } = classifier.classify(
          buf,
          0,
          buf.length,
          ctx,
        );
        expect({ cls, reason, digestHi, digestLo, effects }).toEqual({
          cls: first.cls,
          reason: first.reason,
          digestHi: first.digestHi,
          digestLo: first.digestLo,
          effects: first.effects,
        });
        digestText(buf, 0, buf.length, ctx);
      }),
      { numRuns: 5000 },
    );
  });

  test('a cut statement never becomes a read of something else', () => {
    const writes = WRITES.flatMap(([, texts]) => texts).filter((text) => /^[A-Z]/i.test(text));
    fc.assert(
      fc.property(fc.constantFrom(...writes), fc.nat(200), (statement, length) => {
        const cut = judge(statement.slice(0, Math.min(length, statement.length)));
        if (!/^(EXPLAIN|DESC|WITH|SELECT|SET|ANALYZE)/i.test(statement)) {
          expect(cut).not.toMatch(/^read/);
        }
      }),
    );
  });
});
