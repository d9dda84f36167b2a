import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { digestName, parseDigestName } from '../../../src/routing/digest-id.ts';
import { DigestIndex } from '../../../src/routing/digest-index.ts';

const CAPACITY = 32;
/** Few different digests, so that they are added again, removed and in each other's way. */
const half = fc.constantFrom(0, 1, 2, 3, 0x8000_0000, 0xffff_fffe, 0xffff_ffff);
const step = fc.record({
  hi: half,
  lo: half,
  value: fc.nat({ max: 1000 }),
  op: fc.constantFrom('set', 'set', 'delete', 'clear-seldom'),
});

describe('the index of digests', () => {
  test('finds what a map of the same steps has', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const index = new DigestIndex(CAPACITY);
        const model = new Map<string, number>();
        for (const [n, { hi, lo, value, op }] of steps.entries()) {
          const name = digestName(hi, lo);
          if (op === 'set' && (model.size < CAPACITY || model.has(name))) {
            index.set(hi, lo, value);
            model.set(name, value);
          } else if (op === 'delete') {
            index.delete(hi, lo);
            model.delete(name);
          } else if (op === 'clear-seldom' && n % 50 === 49) {
            index.clear();
            model.clear();
          }
          for (const [known, wanted] of model) {
            const halves = parseDigestName(known);
            expect(index.get(halves?.hi ?? -1, halves?.lo ?? -1)).toBe(wanted);
          }
          expect(index.get(hi, lo)).toBe(model.get(name) ?? -1);
        }
      }),
      { numRuns: 200 },
    );
  });
});

describe('the name of a digest', () => {
  test('is 16 digits and reads back', () => {
    expect(digestName(0xdead_beef, 1)).toBe('deadbeef00000001');
    expect(parseDigestName('DEADBEEF00000001')).toEqual({ hi: 0xdead_beef, lo: 1 });
  });

  test.each(['', 'deadbeef', 'deadbeef0000000g', '0xdeadbeef000001', 'deadbeef00000001 '])(
    'is not %j',
    (text) => {
      expect(parseDigestName(text)).toBeNull();
    },
  );
});
