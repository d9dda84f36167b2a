import { describe, expect, it } from 'vitest';
import * as fc from 'fast-check';
import {
  containsMysql,
  countMysql,
  equalsMysql,
  subtractMysql,
  unionMysql,
  withoutSource,
} from '../../../src/gtid/mysql-algebra.ts';
import {
  formatMysqlGtidSet,
  MAX_GTID_TEXT_CHARS,
  type MysqlGtidSet,
  parseMysqlGtidSet,
} from '../../../src/gtid/mysql-set.ts';

const A = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const B = '4350f323-7565-4e59-8763-4b1b83a0ce0e';

/** The naive model: every transaction as a text of its own. */
function explode(set: MysqlGtidSet): Set<string> {
  const all = new Set<string>();
  for (const [source, intervals] of set) {
    for (let at = 0; at < intervals.length; at += 2) {
      for (let n = intervals[at] ?? 1; n <= (intervals[at + 1] ?? 0); n += 1)
        all.add(`${source}:${n}`);
    }
  }
  return all;
}

const isSubset = (part: Set<string>, whole: Set<string>) =>
  [...part].every((gtid) => whole.has(gtid));

const interval = fc
  .tuple(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 0, max: 6 }))
  .map(([first, more]) => (more === 0 ? `${first}` : `${first}-${first + more}`));
const tag = fc.constantFrom('', 'tag_1:', 'zz:');
const uuidSet = fc
  .tuple(fc.constantFrom(A, B), fc.array(fc.tuple(tag, interval), { minLength: 1, maxLength: 6 }))
  .map(([uuid, parts]) => `${uuid}:${parts.map(([name, range]) => `${name}${range}`).join(':')}`);
const anySet = fc.array(uuidSet, { maxLength: 4 }).map((sets) => parseMysqlGtidSet(sets.join(',')));

describe('a MySQL GTID set', () => {
  it.each([
    ['', ''],
    [`${A}:1`, `${A}:1`],
    [`${A}:1-5`, `${A}:1-5`],
    [`${A}:1-3:4-5:7`, `${A}:1-5:7`],
    [`${A}:7:1-5`, `${A}:1-5:7`],
    [`${A}:1-5:3-9`, `${A}:1-9`],
    [`${A.toUpperCase()}:1`, `${A}:1`],
    [`${B}:1-2,\n${A}:1-5`, `${A}:1-5,${B}:1-2`],
    [` ${A} : 1 - 5 , `, `${A}:1-5`],
    [`${A}:1-5,${A}:6`, `${A}:1-6`],
    [`${A}:1-5:tag:1-3`, `${A}:1-5:tag:1-3`],
    [`${A}:tag:1-3:other:2:tag:4`, `${A}:other:2:tag:1-3:tag:4`.replace('1-3:tag:4', '1-4')],
    [`${A}:Foo_1:9`, `${A}:foo_1:9`],
    [`${A}:1-9007199254740991`, `${A}:1-9007199254740991`],
  ])('reads %j as %j', (text, normal) => {
    expect(formatMysqlGtidSet(parseMysqlGtidSet(text))).toBe(normal);
  });

  it.each([
    ['rubbish'],
    [A],
    [`${A}:`],
    [`${A}:0`],
    [`${A}:5-3`],
    [`${A}:1-`],
    [`${A}:-1`],
    [`${A}:tag`],
    [`${A}:1:tag:`],
    [`${A}:${'t'.repeat(33)}:1`],
    [`${A}:9-tag:1`],
    [`${A}:1-9223372036854775807`],
    [`${A.slice(1)}:1`],
    ['0-1-42'],
  ])('refuses %j', (text) => {
    expect(() => parseMysqlGtidSet(text)).toThrow(/^Malformed GTID set: /);
  });

  it('refuses a text beyond the limit without reading it', () => {
    expect(() => parseMysqlGtidSet(' '.repeat(MAX_GTID_TEXT_CHARS + 1))).toThrow(/the limit is/);
  });

  it('never quotes a long text whole', () => {
    expect(() => parseMysqlGtidSet('x'.repeat(1000))).toThrow(/^.{0,120}$/);
  });

  it('survives its own text form', () => {
    fc.assert(
      fc.property(anySet, (set) => {
        expect(parseMysqlGtidSet(formatMysqlGtidSet(set))).toEqual(set);
      }),
    );
  });

  it('agrees with the naive model in union, difference, containment, equality and count', () => {
    fc.assert(
      fc.property(anySet, anySet, (left, right) => {
        const [naiveLeft, naiveRight] = [explode(left), explode(right)];
        expect(explode(unionMysql(left, right))).toEqual(new Set([...naiveLeft, ...naiveRight]));
        expect(explode(subtractMysql(left, right))).toEqual(
          new Set([...naiveLeft].filter((gtid) => !naiveRight.has(gtid))),
        );
        expect(containsMysql(left, right)).toBe(isSubset(naiveRight, naiveLeft));
        expect(equalsMysql(left, right)).toBe(
          naiveLeft.size === naiveRight.size && isSubset(naiveRight, naiveLeft),
        );
        expect(countMysql(left)).toBe(naiveLeft.size);
      }),
      { numRuns: 2000 },
    );
  });

  it('stays normalised whatever is done with it', () => {
    fc.assert(
      fc.property(anySet, anySet, (left, right) => {
        for (const set of [unionMysql(left, right), subtractMysql(left, right)]) {
          for (const intervals of set.values()) {
            expect(intervals.length).toBeGreaterThan(0);
            for (let at = 1; at + 1 < intervals.length; at += 2) {
              expect(intervals[at + 1]).toBeGreaterThan((intervals[at] ?? 0) + 1);
            }
          }
        }
      }),
    );
  });

  it('contains what it was joined with, and nothing of what was taken from it', () => {
    fc.assert(
      fc.property(anySet, anySet, (left, right) => {
        expect(containsMysql(unionMysql(left, right), right)).toBe(true);
        expect(subtractMysql(left, unionMysql(right, left)).size).toBe(0);
      }),
    );
  });

  it('never throws anything but its own error, whatever it is given', () => {
    const text = fc.string({ unit: fc.constantFrom(...`${A}:-, \n1t`.split('')), maxLength: 60 });
    fc.assert(
      fc.property(text, (given) => {
        try {
          parseMysqlGtidSet(given);
        } catch (error) {
          expect(String(error)).toContain('Malformed GTID set');
        }
      }),
    );
  });

  it('drops one origin with all its tags', () => {
    const set = parseMysqlGtidSet(`${A}:1-5:tag:1,${B}:1`);
    expect(formatMysqlGtidSet(withoutSource(set, A.toUpperCase()))).toBe(`${B}:1`);
  });
});
