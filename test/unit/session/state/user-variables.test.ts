import { describe, expect, test } from 'vitest';
import { UserVariableNames } from '../../../../src/session/state/user-variables.ts';
import { encodeTextResultset } from '../../../../src/wire/text-resultset.ts';
import { STATUS } from '../../../../src/wire/status.ts';
import { NEW_CAPS, OLD_CAPS } from '../../../support/replies.ts';

const named = (...texts: string[]): UserVariableNames => {
  const names = new UserVariableNames();
  for (const text of texts) names.note(text);
  return names;
};

/** Of a number, a string, one that is NULL, one that is empty, and a number without a sign: value, hex, charset, collation. */
const VALUES = [
  '-5',
  'FF',
  'binary',
  'binary',
  "7'",
  '3727',
  'latin1',
  'latin1_bin',
  null,
  null,
  'binary',
  'binary',
  '',
  '',
  'utf8mb4',
  'utf8mb4_bin',
  '7',
  '37',
  'binary',
  'binary',
];

describe('user variables', () => {
  test.each([
    ['GET DIAGNOSTICS @n = NUMBER, @N = ROW_COUNT', ['n']],
    ['GET DIAGNOSTICS CONDITION @@error_count @`a b` = MYSQL_ERRNO', ['`a b`']],
    [
      "GET DIAGNOSTICS CONDITION 1 @'x''y' = MESSAGE_TEXT, @a.b$c=CLASS_ORIGIN",
      ["'x''y'", 'a.b$c'],
    ],
  ])('are named by %s', (text, wanted) => {
    const question = named(text).question();
    for (const name of wanted) expect(question).toContain(`@${name}, HEX(@${name})`);
    expect(question.match(/HEX/g)).toHaveLength(wanted.length);
  });

  test('that are too many, or of other letters, cannot be carried', () => {
    expect(() => named('SET @`é` = 1').question()).toThrow('other letters');
    const many = named(...Array.from({ length: 65 }, (_, at) => `@v${at}`));
    expect(() => many.question()).toThrow('more than 64');
    many.clear();
    expect(many.any).toBe(false);
  });

  test.each([
    ['with DEPRECATE_EOF', NEW_CAPS],
    ['with EOF packets', OLD_CAPS],
  ])('are set as they are, %s', (_, caps) => {
    const names = named('@i = 1, @s = 2, @none = 3, @empty = 4, @u = 5');
    const four = (first: string | { signed: string } | { integer: string }) => [
      first,
      'h',
      'cs',
      'co',
    ];
    const result = encodeTextResultset(
      {
        columns: [
          ...four({ signed: '@i' }),
          ...four('@s'),
          ...four('@none'),
          ...four('@empty'),
          ...four({ integer: '@u' }),
        ],
        rows: [VALUES],
      },
      { seq: 1, caps, status: STATUS.AUTOCOMMIT },
    );
    expect(names.assignments(result, caps)).toBe(
      "SET @i=-5, @s=_latin1 0x3727 COLLATE latin1_bin, @none=NULL, @empty=_utf8mb4 '' COLLATE utf8mb4_bin, @u=CAST(7 AS UNSIGNED)",
    );
  });

  test('are not taken from what is no such answer', () => {
    expect(() => named('@a').assignments(Buffer.alloc(0), NEW_CAPS)).toThrow(
      'row of user variables',
    );
  });
});
