import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ClosedCounter, Log2Histogram } from '../../../src/telemetry/plain-counters.ts';

describe('ClosedCounter', () => {
  test('counts each word apart, by name or by position', () => {
    const counter = new ClosedCounter(['a', 'b', 'c']);
    counter.inc('b');
    counter.inc('b');
    counter.incAt(2);
    expect(counter.words.map((word) => counter.get(word))).toEqual([0, 2, 1]);
    expect(counter.total).toBe(3);
  });
});

describe('Log2Histogram', () => {
  test('puts a value into the first bucket whose bound holds it', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1e9, noNaN: true }), (us) => {
        const histogram = new Log2Histogram();
        histogram.observeUs(us);
        for (const { boundSeconds, count } of histogram.cumulative()) {
          expect(count).toBe(us <= Math.round(boundSeconds * 1e6) ? 1 : 0);
        }
        expect(histogram.count).toBe(1);
      }),
      { numRuns: 2000 },
    );
  });

  test('a value on a bound belongs to it, the next above does not', () => {
    const histogram = new Log2Histogram();
    histogram.observeUs(1024);
    histogram.observeUs(1025);
    const at = (us: number) =>
      histogram.cumulative().find(({ boundSeconds }) => Math.round(boundSeconds * 1e6) === us);
    expect(at(512)?.count).toBe(0);
    expect(at(1024)?.count).toBe(1);
    expect(at(2048)?.count).toBe(2);
  });

  test('what is slower than every bound is counted, though in no bucket', () => {
    const histogram = new Log2Histogram();
    // 2^32 µs and more would wrap a 32-bit operation into the first bucket.
    for (const us of [2 ** 27, 2 ** 32, 2 ** 32 + 5, 1e15]) histogram.observeUs(us);
    expect(histogram.cumulative().at(-1)?.count).toBe(0);
    expect(histogram.count).toBe(4);
  });

  test('a clock that stepped back counts as no time at all', () => {
    const histogram = new Log2Histogram();
    histogram.observeUs(-5);
    histogram.observeUs(Number.NaN);
    expect(histogram.cumulative()[0]?.count).toBe(2);
    expect(histogram.sumSeconds).toBe(0);
  });
});
