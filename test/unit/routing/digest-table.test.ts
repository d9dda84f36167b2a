import { describe, expect, test } from 'vitest';
import { DigestTable, RUN } from '../../../src/routing/digest-table.ts';

const read = (digestHi: number, digestLo = 0) =>
  ({ cls: 'read', reason: 'select', digestHi, digestLo }) as const;

function filled(capacity: number): DigestTable {
  const table = new DigestTable(capacity);
  for (let hi = 0; hi < capacity; hi += 1) table.admit(read(hi), `S${hi}`, 0);
  return table;
}

describe('the table of digests', () => {
  test('sums up the runs of a digest by outcome and place', () => {
    const table = new DigestTable();
    expect(table.wants(1, 2, 5)).toBe(true);
    table.admit(read(1, 2), 'SELECT ?', 5);
    expect(table.wants(1, 2, 5)).toBe(false);
    table.note(1, 2, 100, RUN.ON_REPLICA, 6);
    table.note(1, 2, 300, RUN.ON_REPLICA | RUN.FAILED, 7);
    table.note(1, 2, 50, RUN.MISROUTED, 8);
    table.note(1, 2, -5, 0, 9);
    expect(table.list('total', 10)).toEqual([
      {
        digest: '0000000100000002',
        class: 'read',
        reason: 'select',
        count: 4,
        errors: 1,
        misroutes: 1,
        totalUs: 450,
        maxUs: 300,
        onPrimary: 2,
        onReplica: 2,
        firstMs: 5,
        lastMs: 9,
        text: 'SELECT ?',
      },
    ]);
  });

  test('orders by what was asked for, and cuts', () => {
    const table = new DigestTable();
    for (const hi of [1, 2, 3]) table.admit(read(hi), `S${hi}`, 0);
    table.note(1, 0, 900, RUN.FAILED, 3);
    table.note(2, 0, 100, RUN.MISROUTED, 2);
    table.note(2, 0, 100, RUN.MISROUTED, 2);
    for (let n = 0; n < 10; n += 1) table.note(3, 0, 95, 0, 1);
    const first = (order: Parameters<DigestTable['list']>[0]) => table.list(order, 1)[0]?.text;
    expect(first('total')).toBe('S3');
    expect(first('mean')).toBe('S1');
    expect(first('max')).toBe('S1');
    expect(first('count')).toBe('S3');
    expect(first('errors')).toBe('S1');
    expect(first('misroutes')).toBe('S2');
    expect(first('last')).toBe('S1');
    expect(table.list('count', 2)).toHaveLength(2);
  });

  test('a full table gives up what was not seen for long before what runs often', () => {
    const table = filled(4);
    for (let n = 0; n < 9; n += 1) table.note(1, 0, 1, 0, 0);
    table.note(0, 0, 1, 0, 100_000);
    table.note(2, 0, 1, 0, 100_000);
    table.note(3, 0, 1, 0, 100_000);
    // Number 1 ran most often, but long ago.
    table.admit(read(50), 'new', 100_000);
    expect(table.list('count', 10).map(({ text }) => text)).not.toContain('S1');
    expect(table).toMatchObject({ size: 4, evicted: 1, othersCount: 9 });
    table.note(50, 0, 1, 0, 100_000);
    table.note(50, 0, 1, 0, 100_000);
    table.note(0, 0, 1, 0, 100_000);
    table.note(3, 0, 1, 0, 100_000);
    // All are recent: the one that ran least often.
    table.admit(read(51), 'newer', 100_001);
    expect(table.list('count', 10).map(({ text }) => text)).not.toContain('S2');
    table.note(2, 0, 1, 0, 100_002);
    expect(table).toMatchObject({ size: 4, evicted: 2, othersCount: 11 });
  });

  test('every run is in a row or among the others, whatever was given up', () => {
    const table = new DigestTable(64);
    let runs = 0;
    for (let n = 0; n < 5000; n += 1) {
      const hi = (n * 7919) % 311;
      const nowMs = n * 10;
      if (table.wants(hi, 1, nowMs)) table.admit(read(hi, 1), `S${hi}`, nowMs);
      table.note(hi, 1, 5, 0, nowMs);
      runs += 1;
    }
    const rows = table.list('count', 1000);
    expect(rows).toHaveLength(64);
    expect(new Set(rows.map(({ digest }) => digest)).size).toBe(64);
    expect(rows.reduce((sum, { count }) => sum + count, 0) + table.othersCount).toBe(runs);
    for (const { digest, text } of rows) {
      expect(text).toBe(`S${Number.parseInt(digest.slice(0, 8), 16)}`);
    }
  });

  test('one that never says the same twice cannot make it write texts without end', () => {
    const table = filled(16);
    let texts = 0;
    for (let n = 0; n < 10_000; n += 1) {
      if (!table.wants(1000 + n, 0, 5000)) continue;
      texts += 1;
      table.admit(read(1000 + n), 'x', 5000);
    }
    expect(texts).toBe(100);
    expect(table.wants(999, 0, 5999)).toBe(false);
    expect(table.wants(999, 0, 6000)).toBe(true);
  });

  test('a text is bounded', () => {
    const table = new DigestTable();
    table.admit(read(1), 'x'.repeat(100_000), 0);
    expect(table.list('last', 1)[0]?.text).toHaveLength(1024);
  });
});
