import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type RowsSum,
  sameRows,
  sumRows,
} from '../../../../src/session/staleness/staleness-checksum.ts';
import { MalformedPacketError } from '../../../../src/wire/malformed.ts';
import { encodeErr } from '../../../../src/wire/packets/err.ts';
import { encodeOk } from '../../../../src/wire/packets/ok.ts';
import { STATUS } from '../../../../src/wire/status.ts';
import { encodeTextResultset } from '../../../../src/wire/text-resultset.ts';
import { frame } from '../../../../src/wire/writer.ts';
import { NEW_CAPS, OLD_CAPS, resultSet } from '../../../support/replies.ts';

type Rows = readonly (readonly (string | null)[])[];

function reply(rows: Rows, caps = NEW_CAPS): Buffer {
  const status = STATUS.AUTOCOMMIT;
  return encodeTextResultset({ columns: ['a', 'b'], rows }, { seq: 1, caps, status });
}

function sum(rows: Rows, caps = NEW_CAPS): RowsSum {
  const found = sumRows(reply(rows, caps), caps);
  if (found === null) throw new Error('It has no sum');
  return found;
}

const cell = fc.oneof(fc.string({ maxLength: 8 }), fc.constant(null));
const someRows = fc.array(fc.tuple(cell, cell), { maxLength: 12 });

describe('the sum over the rows of a reply', () => {
  test('is equal for equal rows in any order, and only for those', () => {
    fc.assert(
      fc.property(someRows, someRows, (left, right) => {
        const canonical = (rows: Rows) =>
          JSON.stringify(rows.map((row) => JSON.stringify(row)).sort());
        expect(sameRows(sum(left), sum(left.toReversed()))).toBe(true);
        expect(sameRows(sum(left), sum(right))).toBe(canonical(left) === canonical(right));
      }),
      { numRuns: 500 },
    );
  });

  test.each<[string, Rows, Rows]>([
    ['a value', [['1', 'x']], [['1', 'y']]],
    ['values that changed places', [['1', '2']], [['2', '1']]],
    [
      'values that changed rows',
      [
        ['1', '2'],
        ['3', '4'],
      ],
      [
        ['1', '4'],
        ['3', '2'],
      ],
    ],
    ['where a value ends', [['1', '23']], [['12', '3']]],
    ['NULL', [['1', null]], [['1', '']]],
    [
      'one row more',
      [['1', '2']],
      [
        ['1', '2'],
        ['1', '2'],
      ],
    ],
    ['no rows', [['1', '2']], []],
    [
      'two equal ones in place of two others',
      [
        ['1', '1'],
        ['1', '1'],
      ],
      [
        ['2', '2'],
        ['2', '2'],
      ],
    ],
  ])('tells apart %s', (_, left, right) => {
    expect(sameRows(sum(left), sum(right))).toBe(false);
  });

  test('does not depend on what stands around the rows', () => {
    const rows = [['1', 'x']];
    const other = encodeTextResultset(
      { columns: ['other', 'names'], rows },
      { seq: 9, caps: NEW_CAPS, status: 0 },
    );
    expect(sumRows(other, NEW_CAPS)).toEqual(sum(rows));
    expect(sum(rows, OLD_CAPS)).toEqual(sum(rows));
  });

  test('is there for rows of the binary protocol, which begin like an OK', () => {
    const binary = (value: number) => resultSet(NEW_CAPS, [frame(Buffer.from([0, 0, value]), 5)]);
    expect(sumRows(binary(1), NEW_CAPS)).toMatchObject({ rows: 1 });
    expect(sumRows(binary(1), NEW_CAPS)).not.toEqual(sumRows(binary(2), NEW_CAPS));
  });

  test('is none where the reply is no result, ends with an error, or has several results', () => {
    const error = encodeErr({ code: 1317, sqlState: '70100', message: 'Interrupted' }, 9);
    expect(sumRows(encodeOk({ status: 2 }, 1, { caps: NEW_CAPS }), NEW_CAPS)).toBeNull();
    expect(sumRows(error, NEW_CAPS)).toBeNull();
    const whole = reply([['1', '2']]);
    const beforeEnd =
      whole.length - encodeOk({ status: 2 }, 1, { caps: NEW_CAPS, afterRows: true }).length;
    expect(sumRows(Buffer.concat([whole.subarray(0, beforeEnd), error]), NEW_CAPS)).toBeNull();
    expect(sumRows(Buffer.concat([whole, whole]), NEW_CAPS)).toBeNull();
  });

  test('of a reply that is cut anywhere is refused', () => {
    const whole = reply([
      ['1', '2'],
      ['3', '4'],
    ]);
    for (let end = 0; end < whole.length; end += 1) {
      expect(() => sumRows(whole.subarray(0, end), NEW_CAPS), `${end}`).toThrow(
        MalformedPacketError,
      );
    }
    expect(sumRows(whole, NEW_CAPS)).not.toBeNull();
  });
});
