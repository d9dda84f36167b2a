import { describe, expect, test } from 'vitest';
import { LearnedStatements } from '../../../src/routing/learned-statements.ts';

describe('learned statements', () => {
  test('one that a replica refused as a write is learned, its neighbours are not', () => {
    const learned = new LearnedStatements();
    expect(learned.isLearned(7, 8)).toBe(false);
    learned.learn(7, 8, 'read-only', 10, 'SELECT f ( ? )');
    expect(learned.isLearned(7, 8)).toBe(true);
    expect(learned.isLearned(8, 7)).toBe(false);
    expect(learned.size).toBe(1);
    expect(learned.list()).toEqual([
      {
        digest: '0000000700000008',
        why: 'read-only',
        count: { 'read-only': 1, 'missing-object': 0 },
        firstMs: 10,
        lastMs: 10,
        sample: 'SELECT f ( ? )',
      },
    ]);
  });

  test('one that a replica does not know yet is only counted', () => {
    const learned = new LearnedStatements();
    learned.learn(1, 1, 'missing-object', 10, 'SELECT * FROM t');
    learned.learn(1, 1, 'missing-object', 20, 'SELECT * FROM t');
    expect(learned.isLearned(1, 1)).toBe(false);
    expect(learned.size).toBe(0);
    expect(learned.list()[0]).toMatchObject({
      why: 'missing-object',
      count: { 'missing-object': 2 },
      firstMs: 10,
      lastMs: 20,
    });
    learned.learn(1, 1, 'read-only', 30, 'SELECT * FROM t');
    learned.learn(1, 1, 'missing-object', 40, 'SELECT * FROM t');
    expect(learned.isLearned(1, 1)).toBe(true);
    expect(learned.list()[0]).toMatchObject({
      why: 'read-only',
      count: { 'read-only': 1, 'missing-object': 3 },
    });
  });

  test('a full set gives up what is only counted, then the oldest', () => {
    const learned = new LearnedStatements(3);
    learned.learn(1, 0, 'read-only', 1, '');
    learned.learn(2, 0, 'missing-object', 2, '');
    learned.learn(3, 0, 'read-only', 3, '');
    learned.learn(4, 0, 'read-only', 4, '');
    expect([1, 3, 4].every((hi) => learned.isLearned(hi, 0))).toBe(true);
    expect(learned.list()).toHaveLength(3);
    learned.learn(5, 0, 'read-only', 5, '');
    expect(learned.isLearned(1, 0)).toBe(false);
    expect([3, 4, 5].every((hi) => learned.isLearned(hi, 0))).toBe(true);
    expect(learned).toMatchObject({ size: 3, evicted: 2 });
    for (let n = 0; n < 1000; n += 1) learned.learn(n, 9, 'read-only', n, '');
    expect(learned).toMatchObject({ size: 3, evicted: 1002 });
    expect(learned.list()).toHaveLength(3);
  });

  test('one or all can be forgotten, and learned again', () => {
    const learned = new LearnedStatements();
    for (const hi of [1, 2, 3]) learned.learn(hi, hi, 'read-only', hi, '');
    learned.learn(4, 4, 'missing-object', 4, '');
    expect(learned.forget('0000000100000001')).toBe(true);
    expect(learned.forget('0000000100000001')).toBe(false);
    expect(learned.forget('nonsense')).toBe(false);
    expect(learned.isLearned(1, 1)).toBe(false);
    expect(learned.isLearned(2, 2)).toBe(true);
    expect(learned.clear()).toBe(3);
    expect(learned.isLearned(2, 2)).toBe(false);
    expect(learned).toMatchObject({ size: 0 });
    expect(learned.list()).toEqual([]);
    learned.learn(1, 1, 'read-only', 9, '');
    expect(learned.isLearned(1, 1)).toBe(true);
    expect(learned.size).toBe(1);
  });

  test('a sample is bounded', () => {
    const learned = new LearnedStatements();
    learned.learn(1, 1, 'read-only', 9, 'x'.repeat(100_000));
    expect(learned.list()[0]?.sample).toHaveLength(1024);
  });
});
