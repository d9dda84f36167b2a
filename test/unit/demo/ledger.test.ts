import { describe, expect, it } from 'vitest';
import { Ledger } from '../../../src/demo/ledger.ts';

describe('the ledger of rows', () => {
  it('calls a row lost only when it was acknowledged', () => {
    const ledger = new Ledger();
    for (const id of [1, 2, 3]) ledger.note(id, 'acknowledged', id);
    ledger.note(4, 'unknown', 4);
    ledger.note(5, 'unknown', 5);
    ledger.note(6, 'refused', 6);
    expect(ledger.compare(new Set([1, 3, 5]))).toEqual({
      rowsAcknowledged: 3,
      rowsFound: 3,
      lostWrites: 1,
      rowsOfUnknownOutcome: 2,
      rowsOfUnknownOutcomeFound: 1,
      rowsNobodyWrote: 0,
    });
  });

  it('finds rows that were refused and written all the same', () => {
    const ledger = new Ledger();
    ledger.note(1, 'acknowledged', 1);
    ledger.note(2, 'refused', 2);
    expect(ledger.compare(new Set([1, 2, 99])).rowsNobodyWrote).toBe(2);
  });
});

describe('the time without writes', () => {
  it('is the longest gap that ended after the kill, and the part of it after the promotion', () => {
    const ledger = new Ledger();
    ledger.note(1, 'acknowledged', 0);
    ledger.note(2, 'acknowledged', 5_000); // a gap of its own, before the kill
    ledger.killed(6_000);
    ledger.note(3, 'acknowledged', 6_001); // was on its way
    ledger.promoted(6_900);
    expect(ledger.writesAgain).toBe(false);
    ledger.note(4, 'acknowledged', 7_050);
    ledger.note(5, 'acknowledged', 7_060);
    expect(ledger.writesAgain).toBe(true);
    expect(ledger.gaps()).toEqual({ timeWithoutWritesMs: 1_049, afterPromotionMs: 150 });
  });

  it('counts a write that was acknowledged before the news of the promotion came', () => {
    const ledger = new Ledger();
    ledger.note(1, 'acknowledged', 0);
    ledger.killed(10);
    ledger.note(2, 'acknowledged', 12); // the old primary's last word
    ledger.note(3, 'acknowledged', 120);
    ledger.promoted(100);
    ledger.note(4, 'acknowledged', 130);
    expect(ledger.gaps()).toEqual({ timeWithoutWritesMs: 108, afterPromotionMs: 20 });
  });

  it('is not known when nothing was written again', () => {
    const ledger = new Ledger();
    ledger.note(1, 'acknowledged', 0);
    ledger.killed(10);
    ledger.promoted(20);
    expect(ledger.gaps()).toEqual({ timeWithoutWritesMs: null, afterPromotionMs: null });
  });
});
