import { describe, expect, it } from 'vitest';
import { FAULTS, type Round, schedule, SWITCH_EVERY } from '../../consistency/schedule.ts';
import { seeded } from '../../support/crowd.ts';

function rounds(seed: number, count: number, switchEvery = SWITCH_EVERY): Round[] {
  const random = seeded(seed);
  return schedule({ faults: FAULTS, replicas: 2, random, switchEvery }).take(count).toArray();
}

describe('a schedule of faults', () => {
  it('is the same for the same seed, and another for another', () => {
    expect(rounds(1, 20)).toEqual(rounds(1, 20));
    expect(rounds(1, 20)).not.toEqual(rounds(2, 20));
  });

  it('has every kind of fault and a change of the primary within three rounds', () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const first = rounds(seed, 3);
      const kinds = first.flatMap(({ faults }) => faults.map(({ fault }) => fault));
      expect(kinds.toSorted()).toEqual(FAULTS.toSorted());
      expect(first.map(({ promote }) => promote !== null)).toEqual([false, false, true]);
    }
  });

  it('never has two faults of one replica at a time', () => {
    for (const { faults } of rounds(3, 100)) {
      expect(new Set(faults.map(({ replica }) => replica)).size).toBe(faults.length);
    }
  });

  it('leaves the primary alone where that was asked for', () => {
    expect(rounds(1, 30, 0).every(({ promote }) => promote === null)).toBe(true);
  });

  it('loses the primary in every so many of its changes, and else never', () => {
    const options = { faults: FAULTS, replicas: 2, switchEvery: 3, random: seeded(1) };
    const lost = schedule({ ...options, loseEvery: 2 })
      .take(12)
      .toArray();
    expect(lost.flatMap(({ loss }, at) => (loss ? [at + 1] : []))).toEqual([6, 12]);
    expect(rounds(1, 30).some(({ loss }) => loss)).toBe(false);
  });

  it('may have no faults at all', () => {
    const calm = schedule({ faults: [], replicas: 2, random: seeded(1), switchEvery: 0 });
    expect(calm.next().value.faults).toEqual([]);
  });
});
