import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  missingFrom,
  parseJoined,
  type Position,
  parsePosition,
  positionContains,
  unitePositions,
} from '../../../src/gtid/position.ts';

type Flavor = Position['t'];

const UUIDS = ['1', '2'].map((digit) => `${digit.repeat(8)}-1111-1111-1111-111111111111`);
const interval = fc
  .tuple(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 0, max: 5 }))
  .map(([first, more]) => `${first}-${first + more}`);
const mysql = fc
  .array(fc.tuple(fc.constantFrom(...UUIDS), fc.array(interval, { minLength: 1, maxLength: 4 })), {
    maxLength: 3,
  })
  .map((parts) => parts.map(([uuid, intervals]) => `${uuid}:${intervals.join(':')}`).join(','))
  .map((text) => parsePosition('mysql', text));
const mariadb = fc
  .uniqueArray(fc.tuple(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 1, max: 9 })), {
    selector: ([domain]) => domain,
  })
  .map((gtids) => gtids.map(([domain, sequence]) => `${domain}-1-${sequence}`).join(','))
  .map((text) => parsePosition('mariadb', text));

test.each<[Flavor, string, string]>([
  ['mysql', `,${UUIDS[0]}:1-4,${UUIDS[0]}:5:9`, `${UUIDS[0]}:1-5:9`],
  ['mariadb', '0-1-11,0-1-12,1-1-3', '0-1-12,1-1-3'],
])('what a server of %s has joined is printed as one', (flavor, joined, printed) => {
  expect(parseJoined(flavor, joined).text).toBe(printed);
});

describe.each<[string, fc.Arbitrary<Position>]>([
  ['mysql', mysql],
  ['mariadb', mariadb],
])('positions of %s', (flavor, position) => {
  const parse = (text: string) => parsePosition(flavor === 'mysql' ? 'mysql' : 'mariadb', text);

  test('united hold both, and nothing else', () => {
    fc.assert(
      fc.property(position, position, position, (left, right, whole) => {
        const both = unitePositions(left, right);
        expect(positionContains(both, left) && positionContains(both, right)).toBe(true);
        expect(positionContains(whole, both)).toBe(
          positionContains(whole, left) && positionContains(whole, right),
        );
        expect(positionContains(parse(both.text), both)).toBe(true);
      }),
    );
  });

  test('lack what makes them whole, and that is nothing exactly where they are', () => {
    fc.assert(
      fc.property(position, position, (whole, part) => {
        const missing = missingFrom(whole, part);
        expect(missing === '').toBe(positionContains(whole, part));
        expect(positionContains(unitePositions(whole, parse(missing)), part)).toBe(true);
        expect(positionContains(part, parse(missing))).toBe(true);
      }),
    );
  });
});
