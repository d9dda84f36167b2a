import { describe, expect, it } from 'vitest';
import { type DemoFacts, summarize } from '../../../src/demo/summary.ts';
import { summaryText } from '../../../src/demo/summary-text.ts';

const counts = (reads: number, writes: number, misroutes = 0) => ({
  reads,
  writes,
  statements: reads + writes,
  misroutes,
});

const KEPT: DemoFacts = {
  flavor: 'mysql',
  version: '9.7.4',
  killed: 'db1',
  promoted: 'db2',
  replicas: ['db2', 'db3'],
  wallMs: 31_234.5,
  workloadMs: 22_000,
  balance: {
    rowsAcknowledged: 900,
    rowsFound: 901,
    lostWrites: 0,
    rowsOfUnknownOutcome: 2,
    rowsOfUnknownOutcomeFound: 1,
    rowsNobodyWrote: 0,
  },
  gaps: { timeWithoutWritesMs: 640.4, afterPromotionMs: 120.2 },
  rowsAcknowledgedBeforeKill: 700,
  balanceDrift: 0,
  tally: {
    staleOwnReads: 0,
    wrongAnswers: 0,
    errors: { 'write/outcome-unknown': 2 },
    lastError: null,
  },
  proxy: { db1: counts(100, 700), db2: counts(400, 200), db3: counts(500, 0) },
  proxyBeforeKill: { db1: counts(100, 700), db2: counts(450, 0), db3: counts(450, 0) },
  evidence: {},
  writesAsReplica: { db1: 0, db2: 0, db3: 0 },
};

describe('the verdict of a run', () => {
  it('is good when every promise was kept, with shares of all reads', () => {
    const summary = summarize(KEPT);
    expect(summary).toMatchObject({
      ok: true,
      failures: [],
      misroutedWrites: 0,
      lostWrites: 0,
      readShare: { db2: 0.4, db3: 0.5 },
      readShareBeforeKill: { db2: 0.45, db3: 0.45 },
      timeWithoutWritesAfterPromotionMs: 120,
      rowsAcknowledgedAfterPromotion: 200,
    });
    expect(summaryText(summary)).toContain('Every promise was kept');
  });

  it.each<[string, Partial<DemoFacts>]>([
    ['an acknowledged row is lost', { balance: { ...KEPT.balance, lostWrites: 1 } }],
    ['a refused row was written', { balance: { ...KEPT.balance, rowsNobodyWrote: 1 } }],
    ['the proxy counted a misroute', { proxy: { ...KEPT.proxy, db3: counts(500, 0, 1) } }],
    ['a replica saw a write', { writesAsReplica: { db1: 0, db2: 1, db3: 0 } }],
    ['a transaction was torn', { balanceDrift: -1 }],
    ['a session missed its own write', { tally: { ...KEPT.tally, staleOwnReads: 1 } }],
    ['a read had a wrong answer', { tally: { ...KEPT.tally, wrongAnswers: 1 } }],
    ['a replica had no reads', { proxy: { ...KEPT.proxy, db3: counts(0, 0) } }],
    ['nothing was written before the kill', { rowsAcknowledgedBeforeKill: 0 }],
    ['nothing was written after it', { rowsAcknowledgedBeforeKill: 900 }],
  ])('is bad when %s', (_, facts) => {
    const summary = summarize({ ...KEPT, ...facts });
    expect(summary.ok).toBe(false);
    expect(summary.failures).toHaveLength(1);
    expect(summaryText(summary)).toContain(`BROKEN: ${summary.failures[0]}`);
  });

  it('believes the larger of the two counts of misroutes', () => {
    const proxy = { ...KEPT.proxy, db3: counts(500, 0, 2) };
    const writesAsReplica = { db1: 0, db2: 1, db3: 4 };
    expect(summarize({ ...KEPT, proxy }).misroutedWrites).toBe(2);
    expect(summarize({ ...KEPT, proxy, writesAsReplica }).misroutedWrites).toBe(5);
  });
});
