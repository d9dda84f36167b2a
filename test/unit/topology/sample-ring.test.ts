import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parsePosition } from '../../../src/gtid/position.ts';
import { addSample, type SampleRing, standingOf } from '../../../src/topology/sample-ring.ts';

const A = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const upTo = (last: number) => parsePosition('mysql', `${A}:1-${last}`);
const asked = (atMs: number) => ({ startedAtMs: atMs, finishedAtMs: atMs + 2 });

function ringOf(count: number): SampleRing {
  let ring: SampleRing = [];
  for (let n = 1; n <= count; n += 1) ring = addSample(ring, upTo(n), asked(n * 250));
  return ring;
}

describe('the samples of the primary', () => {
  it('keeps one sample for an idle primary, proved ever later', () => {
    let ring = addSample([], upTo(5), asked(0));
    ring = addSample(ring, upTo(5), asked(250));
    expect(ring).toMatchObject([{ firstSeenMs: 2, lastStartMs: 250 }]);
  });

  it('stays bounded and reaches back far under constant writes', () => {
    const ring = ringOf(10_000);
    expect(ring.length).toBeLessThanOrEqual(512);
    expect(ring.at(-1)?.lastStartMs).toBe(2_500_000);
    expect(ring[0]?.lastStartMs).toBe(250);
    const recent = ring.slice(-60).map((sample) => sample.lastStartMs);
    expect(recent).toEqual(Array.from({ length: 60 }, (_, at) => 2_500_000 - (59 - at) * 250));
  });

  it('says what a replica holds and what it lacks, whatever was thinned out', () => {
    const ring = ringOf(1000);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1100 }), (applied) => {
        const { held, missing } = standingOf(ring, upTo(applied));
        // Sample n has transactions 1 to n and was taken at n * 250.
        if (held !== null) expect(held.lastStartMs).toBeLessThanOrEqual(applied * 250);
        if (missing !== null) expect(missing.lastStartMs).toBeGreaterThan(applied * 250);
        const between = ring.filter(
          (sample) =>
            sample !== held &&
            sample !== missing &&
            held !== null &&
            missing !== null &&
            sample.lastStartMs > held.lastStartMs &&
            sample.lastStartMs < missing.lastStartMs,
        );
        expect(between).toEqual([]);
        expect(missing === null).toBe(applied >= 1000);
      }),
    );
  });

  it('says of an unknown position only that it lacks everything', () => {
    const ring = ringOf(3);
    expect(standingOf(ring, null)).toEqual({ held: null, missing: ring[0] });
    expect(standingOf([], upTo(1))).toEqual({ held: null, missing: null });
  });
});
