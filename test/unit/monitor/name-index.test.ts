import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isPlainName, NameIndex } from '../../../src/monitor/name-index.ts';

const find = <Value>(index: NameIndex<Value>, name: string): Value | undefined => {
  const buf = Buffer.from(`xx${name}yy`);
  return index.get(buf, 2, buf.length - 2);
};

describe('the index of names', () => {
  test('finds a name in the midst of bytes, whatever its case', () => {
    const index = new NameIndex<number>();
    index.add('Fetch_Order', 1);
    index.add('fetch_orders', 2);
    index.add('$1', 3);
    expect(find(index, 'FETCH_ORDER')).toBe(1);
    expect(find(index, 'fetch_orders')).toBe(2);
    expect(find(index, '$1')).toBe(3);
    expect(find(index, 'fetch_orde')).toBeUndefined();
    expect(find(index, '')).toBeUndefined();
    // Letters differ by one bit; other bytes that do are not the same.
    index.add('a{', 4);
    expect(find(index, 'A{')).toBe(4);
    expect(find(index, 'a[')).toBeUndefined();
  });

  test('finds all of many and nothing else', () => {
    const names = fc.uniqueArray(fc.stringMatching(/^[a-z0-9_$]{1,12}$/), { maxLength: 200 });
    fc.assert(
      fc.property(names, names, (added, asked) => {
        const index = new NameIndex<string>();
        for (const name of added) index.add(name, name);
        for (const name of added) expect(find(index, name.toUpperCase())).toBe(name);
        for (const name of asked) {
          expect(find(index, name)).toBe(added.includes(name) ? name : undefined);
        }
      }),
    );
  });

  test('knows of names that are not ASCII only that there are some', () => {
    const index = new NameIndex<number>();
    index.add('plain', 1);
    expect(index.hasOthers).toBe(false);
    index.add('größe', 2);
    expect(index.hasOthers).toBe(true);
    expect(find(index, 'größe')).toBeUndefined();
    const long = Buffer.from('x'.repeat(65));
    expect(isPlainName(long, 0, 64)).toBe(true);
    expect(isPlainName(long, 0, 65)).toBe(false);
    expect(isPlainName(Buffer.from([0x61, 0xe4]), 0, 2)).toBe(false);
  });
});
