import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ClockOffset, nextClockOffset } from '../../../src/topology/clock-offset.ts';

const answer = (startedAtMs: number, tookMs: number, clockMs: number) => ({
  startedAtMs,
  finishedAtMs: startedAtMs + tookMs,
  clockMs,
});

describe("a server's clock", () => {
  it('is known to half of the quickest round trip, wherever in it the clock was read', () => {
    const probes = fc.array(
      fc.record({
        tookMs: fc.integer({ min: 1, max: 400 }),
        readAt: fc.double({ min: 0, max: 1, noNaN: true }),
      }),
      { minLength: 1, maxLength: 40 },
    );
    fc.assert(
      fc.property(probes, fc.integer({ min: -1e12, max: 1e12 }), (list, trueOffset) => {
        let clock: ClockOffset | null = null;
        list.forEach(({ tookMs, readAt }, index) => {
          const startedAtMs = 1000 * index;
          const clockMs = startedAtMs + tookMs * readAt + trueOffset;
          clock = nextClockOffset(clock, answer(startedAtMs, tookMs, clockMs));
          const error = Math.abs(clock.offsetMs - trueOffset);
          expect(error).toBeLessThanOrEqual(clock.uncertaintyMs + 1e-3);
        });
      }),
    );
  });

  it('keeps a quick answer rather than a slow one, until drift has made it worse', () => {
    const quick = nextClockOffset(null, answer(0, 2, 5001));
    expect(quick).toEqual({ offsetMs: 5000, uncertaintyMs: 1, atMs: 2 });
    expect(nextClockOffset(quick, answer(1000, 40, 6015))).toBe(quick);
    expect(nextClockOffset(quick, answer(100_000, 40, 105_015)).atMs).toBe(100_040);
  });

  it('follows a clock that was set', () => {
    const before = nextClockOffset(null, answer(0, 2, 5001));
    expect(nextClockOffset(before, answer(1000, 40, 3_601_020)).offsetMs).toBe(3_600_000);
  });
});
