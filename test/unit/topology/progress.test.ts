import { describe, expect, it } from 'vitest';
import { parsePosition } from '../../../src/gtid/position.ts';
import { catchUpMs, countBeyond, nextRate } from '../../../src/topology/progress.ts';

const A = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const B = '4350f323-7565-4e59-8763-4b1b83a0ce0e';
const mysql = (text: string) => parsePosition('mysql', text);
const mariadb = (text: string) => parsePosition('mariadb', text);

describe('counting transactions', () => {
  it.each([
    [`${A}:1-10`, `${A}:1-10`, 0],
    [`${A}:1-10`, `${A}:1-4:6`, 5],
    [`${A}:1-10,${B}:1-3`, `${A}:1-12`, 3],
    [`${A}:1-10:tag:1-2`, `${A}:1-10`, 2],
    [`${A}:1-10`, '', 10],
  ])('MySQL: %s beyond %s is %i', (whole, held, count) => {
    expect(countBeyond(mysql(whole), mysql(held))).toBe(count);
  });

  it.each([
    ['0-1-10', '0-2-10', 0],
    ['0-1-10,1-1-5', '0-1-7,1-1-9', 3],
    ['0-1-10,2-1-5', '0-1-10', 5],
  ])('MariaDB: %s beyond %s is %i', (whole, held, count) => {
    expect(countBeyond(mariadb(whole), mariadb(held))).toBe(count);
  });

  it('cannot be done without a position, or across flavors', () => {
    expect(countBeyond(null, mysql(''))).toBeNull();
    expect(countBeyond(mysql(''), null)).toBeNull();
    expect(countBeyond(mysql(`${A}:1`), mariadb('0-1-1'))).toBeNull();
  });
});

describe('a rate', () => {
  it('comes near a new pace within seconds and does not depend on how often it is looked at', () => {
    for (const stepMs of [25, 250, 1000]) {
      let rate = nextRate({ rate: null, atMs: 0 }, 0, stepMs);
      expect(rate?.perSecond).toBe(0);
      for (let atMs = stepMs; atMs < 10_000; atMs += stepMs) {
        rate = nextRate({ rate, atMs }, stepMs / 10, atMs + stepMs);
      }
      expect(rate?.perSecond).toBeGreaterThan(98);
      expect(rate?.perSecond).toBeLessThanOrEqual(100);
    }
  });

  it('begins anew after a history was lost', () => {
    expect(nextRate({ rate: { perSecond: 7, atMs: 0 }, atMs: 0 }, null, 100)).toBeNull();
    expect(nextRate({ rate: null, atMs: -1 }, 5, 100)).toBeNull();
  });

  it('is as it was when no time has passed', () => {
    const rate = { perSecond: 7, atMs: 100 };
    expect(nextRate({ rate, atMs: 100 }, 3, 100)).toBe(rate);
  });
});

describe('the time to catch up', () => {
  const rate = (perSecond: number) => ({ perSecond, atMs: 0 });

  it.each([
    ['caught up', 0, 5, 5, 0],
    ['gaining 50 a second on 1000', 1000, 150, 100, 20_000],
    ['nothing comes any more', 300, 100, null, 3000],
    ['as fast as the primary: a configured delay', 300, 100, 99, null],
    ['falling back', 300, 80, 100, null],
    ['a stopped primary and a stalled applier', 300, 0, 0, null],
  ])('%s', (_, behind, applied, arriving, expected) => {
    expect(catchUpMs(behind, rate(applied), arriving === null ? null : rate(arriving))).toBe(
      expected,
    );
  });

  it('is not known without counts or rates', () => {
    expect(catchUpMs(null, rate(10), rate(1))).toBeNull();
    expect(catchUpMs(5, null, rate(1))).toBeNull();
  });
});
