import { describe, expect, it } from 'vitest';
import { History, type Operation, worded } from '../../consistency/history.ts';
import { historyOf, read, wrote } from './histories.ts';

const OPERATION: Operation = {
  client: 300,
  session: 70_000,
  kind: 'read',
  key: 3,
  value: 2_000_000,
  level: 'strong',
  outcome: 'unknown',
  invokedMs: 1.25,
  completedMs: 2.5,
  server: 3,
  proxy: 7,
};

describe('a history', () => {
  it('gives back what was added', () => {
    const history = new History({ registers: 2, counters: 2 }, 2);
    expect(history.add(OPERATION)).toBe(0);
    history.add({ ...OPERATION, kind: 'write', level: 'eventual', outcome: 'void', proxy: 0 });
    expect(history.at(0)).toEqual(OPERATION);
    expect(history.at(1)).toMatchObject({
      kind: 'write',
      level: 'eventual',
      outcome: 'void',
      server: 3,
      proxy: 0,
    });
    expect(history.length).toBe(2);
  });

  it('never grows past its capacity', () => {
    const history = new History({ registers: 2, counters: 2 }, 1);
    history.add(OPERATION);
    expect(() => history.add(OPERATION)).toThrow('full');
    expect(() => history.at(1)).toThrow('no operation 1');
  });

  it('tells in which order operations were completed', () => {
    const history = historyOf([wrote(1, 5), read(1, 3), read(1, 4)]);
    expect([...history.byCompletion()]).toEqual([1, 2, 0]);
  });

  it('tells how long what was acknowledged took', () => {
    const slow = read(1, 5, { completedMs: 9 });
    const failed = read(1, 20, { outcome: 'failed', completedMs: 90 });
    const history = historyOf([slow, wrote(1, 10), read(1, 12), failed]);
    expect([...history.durationsMs('read')]).toEqual([1, 4]);
    expect([...history.durationsMs('write')]).toEqual([1]);
  });

  it('words an operation for people', () => {
    expect(worded(7, OPERATION)).toBe(
      '#7 read 3 = 2000000 (unknown, strong, client 300, session 70000, 1.250…2.500 ms from db3 by proxy 7)',
    );
  });
});
