import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { Interned } from '../../../src/lib/interned.ts';
import { until } from '../../support/until.ts';

interface Thing {
  readonly name: string;
}

test('the same key is the same object, and it is made once', () => {
  const things = new Interned<Thing>();
  let made = 0;
  const make = () => {
    made += 1;
    return { name: 'a' };
  };
  const first = things.get('a', make);
  expect(things.get('a', make)).toBe(first);
  expect([made, things.size]).toEqual([1, 1]);
  expect(things.get('b', () => ({ name: 'b' }))).not.toBe(first);
  expect(things.size).toBe(2);
});

test('a key whose making fails is not remembered', () => {
  const things = new Interned<Thing>();
  const fail = () => {
    throw new Error('no');
  };
  expect(() => things.get('a', fail)).toThrow('no');
  expect(things.size).toBe(0);
  expect(things.get('a', () => ({ name: 'a' })).name).toBe('a');
});

test('what nobody refers to any more is forgotten; what somebody does is not', async () => {
  const things = new Interned<Thing>();
  const kept = things.get('kept', () => ({ name: 'kept' }));
  const many = 1_000;
  for (let index = 0; index < many; index += 1) things.get(`${index}`, () => ({ name: 'x' }));
  expect(things.size).toBe(many + 1);
  // The flag is on for this process from now on, which only shows `gc` to new contexts.
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  if (typeof collect !== 'function') throw new Error('There is no gc to be had');
  await until('all but one are gone', () => {
    collect();
    return things.size === 1;
  });
  expect(things.get('kept', () => ({ name: 'another' }))).toBe(kept);
  // A key that comes again after its object went is as good as new.
  const again = things.get('7', () => ({ name: 'again' }));
  expect([things.get('7', () => ({ name: 'x' })), things.size]).toEqual([again, 2]);
});
