import { describe, expect, it } from 'vitest';
import { addBeat, type Beats, boundsByBeat } from '../../../src/topology/beats.ts';

/** Beat n was sent at n * 100 ms and acknowledged 4 ms later. */
function beatsTo(last: number): Beats {
  let beats: Beats = [];
  for (let beat = 1; beat <= last; beat += 1) {
    beats = addBeat(beats, { beat, sentAtMs: beat * 100, ackedAtMs: beat * 100 + 4 });
  }
  return beats;
}

const asked = { startedAtMs: 1050, finishedAtMs: 1052 };

describe('heartbeats', () => {
  it('say nothing before the first', () => {
    expect(boundsByBeat([], null, asked)).toBeNull();
  });

  it('bound the lag from both sides', () => {
    expect(boundsByBeat(beatsTo(10), 7, asked)).toEqual({ lowerMs: 246, upperMs: 352 });
  });

  it('do not bound it from below where the newest is shown', () => {
    expect(boundsByBeat(beatsTo(10), 10, asked)).toEqual({ lowerMs: 0, upperMs: 52 });
  });

  it('that are committed while the server is asked do not count as missing', () => {
    const beats = addBeat(beatsTo(10), { beat: 11, sentAtMs: 1049, ackedAtMs: 1051 });
    expect(boundsByBeat(beats, 10, asked)?.lowerMs).toBe(0);
  });

  it('of which none is shown bound it from below only', () => {
    const bounds = { lowerMs: 946, upperMs: Number.POSITIVE_INFINITY };
    expect(boundsByBeat(beatsTo(10), null, asked)).toEqual(bounds);
  });

  it('stay few, and reach back far', () => {
    const beats = beatsTo(20_000);
    expect(beats.length).toBeLessThanOrEqual(512);
    expect(beats[0]?.beat).toBe(1);
    expect(beats.at(-1)?.beat).toBe(20_000);
  });

  it('that come late or twice change nothing', () => {
    const beats = beatsTo(3);
    expect(addBeat(beats, { beat: 3, sentAtMs: 1, ackedAtMs: 2 })).toBe(beats);
  });
});
