import { describe, expect, test } from 'vitest';
import { MalformedPacketError } from '../../../src/wire/malformed.ts';
import { encodeOk } from '../../../src/wire/packets/ok.ts';
import { ReplyFacts } from '../../../src/wire/reply-fields.ts';
import { STATUS } from '../../../src/wire/status.ts';
import { decodeOnlyValue, encodeTextResultset } from '../../../src/wire/text-resultset.ts';
import { NEW_CAPS, OLD_CAPS } from '../../support/replies.ts';

const status = STATUS.AUTOCOMMIT;

/** The facts of an OK packet. */
function factsOf(given: Parameters<typeof encodeOk>[0], facts = new ReplyFacts()): ReplyFacts {
  const packet = encodeOk({ status, ...given }, 1, { caps: NEW_CAPS });
  facts.readOk(packet, 4, packet.length - 4);
  return facts;
}

describe('an OK packet', () => {
  test.each([0, 1, 250, 251, 252, 65_535, 65_536, 16_777_215, 16_777_216, 2 ** 40])(
    'tells %d affected rows',
    (affectedRows) => {
      expect(factsOf({ affectedRows, warnings: 3 })).toMatchObject({ affectedRows, warnings: 3 });
    },
  );

  test.each([
    [0, false],
    [1, true],
    [250, true],
    [251, true],
    [65_536, true],
    [2n ** 60n, true],
  ])('with insert id %d has one: %s', (lastInsertId, expected) => {
    expect(factsOf({ lastInsertId }).hasInsertId).toBe(expected);
  });

  test('of several results: the last count, and an insert id of any', () => {
    const facts = factsOf({ affectedRows: 5, lastInsertId: 9 });
    factsOf({ affectedRows: 2 }, facts);
    expect([facts.affectedRows, facts.hasInsertId]).toEqual([2, true]);
    facts.reset();
    expect([facts.affectedRows, facts.hasInsertId, facts.status]).toEqual([0, false, -1]);
  });

  test('cut anywhere in front of its end is malformed, never a crash', () => {
    const whole = encodeOk({ status, affectedRows: 70_000, lastInsertId: 2n ** 60n }, 1, {
      caps: NEW_CAPS,
    });
    for (let length = 1; length < whole.length - 4; length += 1) {
      const cut = whole.subarray(0, 4 + length);
      expect(() => new ReplyFacts().readOk(cut, 4, length)).toThrow(MalformedPacketError);
    }
  });
});

describe.each([
  ['with DEPRECATE_EOF', NEW_CAPS],
  ['with EOF packets', OLD_CAPS],
])('the only value of a result, %s', (_, caps) => {
  const result = (columns: string[], rows: (string | null)[][]) =>
    encodeTextResultset({ columns, rows }, { seq: 1, caps, status });

  test.each(['7', '', 'größe', null])('%j', (value) => {
    expect(decodeOnlyValue(result(['n'], [[value]]), caps)).toBe(value);
  });

  test('of more columns, or of what is no result, is refused', () => {
    expect(() => decodeOnlyValue(result(['a', 'b'], [['1', '2']]), caps)).toThrow(
      MalformedPacketError,
    );
    expect(() => decodeOnlyValue(encodeOk({ status }, 1, { caps }), caps)).toThrow(
      MalformedPacketError,
    );
    expect(() => decodeOnlyValue(Buffer.alloc(0), caps)).toThrow(MalformedPacketError);
  });

  test('cut anywhere is refused or the value, never another', () => {
    const whole = result(['n'], [['12345']]);
    for (let length = 0; length < whole.length; length += 1) {
      let value: string | null = '12345';
      try {
        value = decodeOnlyValue(whole.subarray(0, length), caps);
      } catch (error) {
        expect(error).toBeInstanceOf(MalformedPacketError);
      }
      expect(value).toBe('12345');
    }
  });
});
