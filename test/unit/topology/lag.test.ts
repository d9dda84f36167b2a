import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parsePosition } from '../../../src/gtid/position.ts';
import { type LagEvidence, measureLag } from '../../../src/topology/lag.ts';
import type { ReplicaChannel } from '../../../src/topology/observation.ts';
import { addSample, type SampleRing, standingOf } from '../../../src/topology/sample-ring.ts';

const A = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const upTo = (last: number) => parsePosition('mysql', last === 0 ? '' : `${A}:1-${last}`);
const running: ReplicaChannel = {
  name: '',
  sourceHost: 'db1',
  sourcePort: 3306,
  sourceUuid: A,
  sourceServerId: 1,
  receiver: 'on',
  applier: true,
  receiverError: null,
  applierError: null,
  commitLagMs: null,
  isApplying: null,
  appliedAgeMs: null,
  receivedGtidSet: null,
  configuredDelayMs: 0,
  secondsBehind: null,
  filter: null,
};

/** A replica that was asked at a moment, in no time unless said otherwise. */
function evidence(atMs: number, given: Partial<LagEvidence> = {}): LagEvidence {
  return {
    channels: [running],
    foreign: [],
    standing: { held: null, missing: null },
    applied: null,
    startedAtMs: atMs,
    finishedAtMs: atMs,
    answeredAtMs: atMs,
    clockSkewMs: 0,
    beats: null,
    primaryGoneAtMs: null,
    sampleFreshMs: 3000,
    ...given,
  };
}

const asked = (startedAtMs: number, tookMs = 2) => ({
  startedAtMs,
  finishedAtMs: startedAtMs + tookMs,
});

describe('measureLag', () => {
  it.each<[string, Partial<ReplicaChannel>, string]>([
    [
      'a stopped applier',
      { applier: false, secondsBehind: 0, commitLagMs: 0 },
      'applier is stopped',
    ],
    [
      'a stopped receiver',
      { receiver: 'off', secondsBehind: 0, commitLagMs: 0 },
      'receiver is stopped',
    ],
    [
      'a lost source',
      { receiver: 'connecting', secondsBehind: 0, commitLagMs: 0 },
      'not connected',
    ],
    ['no figure at all', {}, 'no figure'],
  ])('does not know the lag with %s', (_, channel, why) => {
    const ring =
      channel.applier === undefined && channel.receiver === undefined
        ? []
        : addSample([], upTo(1), asked(0));
    const lag = measureLag(
      evidence(100, {
        channels: [{ ...running, ...channel }],
        standing: standingOf(ring, upTo(1)),
        applied: upTo(1),
      }),
    );
    expect(lag).toEqual({ t: 'unknown', why: expect.stringContaining(why) });
  });

  it('does not know the lag of a server without channels', () => {
    expect(measureLag(evidence(0, { channels: [] })).t).toBe('unknown');
  });

  it('never understates by more than the probes are apart, and never overstates by more either', () => {
    // A primary that commits transaction n at n ms and is probed at an interval; a replica that has
    // applied everything up to some moment. The true lag is the age of the next transaction.
    const scenario = fc.record({
      intervalMs: fc.integer({ min: 50, max: 500 }),
      probeTookMs: fc.integer({ min: 0, max: 20 }),
      nowMs: fc.integer({ min: 3000, max: 9000 }),
      trueLagMs: fc.integer({ min: 0, max: 2500 }),
    });
    fc.assert(
      fc.property(scenario, ({ intervalMs, probeTookMs, nowMs, trueLagMs }) => {
        let ring: SampleRing = [];
        for (let at = 1; at + probeTookMs < nowMs; at += intervalMs) {
          ring = addSample(ring, upTo(at), asked(at, probeTookMs));
        }
        const applied = upTo(nowMs - trueLagMs);
        const lag = measureLag(evidence(nowMs, { standing: standingOf(ring, applied), applied }));
        if (lag.t !== 'known') throw new Error(lag.why);
        const error = lag.lagMs - trueLagMs;
        expect(error).toBeGreaterThanOrEqual(-(intervalMs + probeTookMs + 1));
        expect(error).toBeLessThanOrEqual(intervalMs + probeTookMs + 1);
        // Commits come evenly here, so what was sampled tells even those between the samples.
        if (lag.lagMs > 0) expect(Math.abs(error)).toBeLessThanOrEqual(probeTookMs + 2);
      }),
      { numRuns: 500 },
    );
  });

  it('keeps commit timestamps within what the samples prove, however wrong the clocks are', () => {
    const ring = addSample(addSample([], upTo(10), asked(1000)), upTo(20), asked(2000));
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1e9, noNaN: true }), (commitLagMs) => {
        const lag = measureLag(
          evidence(2500, {
            channels: [{ ...running, commitLagMs }],
            standing: standingOf(ring, upTo(15)),
            applied: upTo(15),
          }),
        );
        if (lag.t !== 'known') throw new Error(lag.why);
        expect(lag.lagMs).toBeGreaterThanOrEqual(498);
        expect(lag.lagMs).toBeLessThanOrEqual(1501);
      }),
    );
  });

  it('takes the worst of several channels', () => {
    const channels = [
      { ...running, secondsBehind: 1 },
      { ...running, name: 'other', secondsBehind: 7 },
    ];
    expect(measureLag(evidence(0, { channels }))).toEqual({
      t: 'known',
      lagMs: 7000,
      method: 'seconds-behind',
    });
    const unknown = [...channels, { ...running, name: 'third' }];
    expect(measureLag(evidence(0, { channels: unknown })).t).toBe('unknown');
  });

  it.each([
    [{ commitLagMs: 800, secondsBehind: 4 }, 4000, 'seconds-behind'],
    [{ commitLagMs: 4200, secondsBehind: 4 }, 4200, 'commit-timestamps'],
    [{ commitLagMs: 0, secondsBehind: 0 }, 0, 'commit-timestamps'],
  ])('says what gave the figure behind a server that is not listed: %o', (said, lagMs, method) => {
    const foreign = [{ ...running, ...said }];
    const lag = measureLag(evidence(0, { channels: [], foreign }));
    expect(lag).toMatchObject(lagMs === 0 ? { lagMs } : { lagMs, method });
  });

  describe('of a MySQL replica, by commit times', () => {
    // Transactions 1 to 10 were there at 1000 ms, 11 to 20 were committed by 1240 ms.
    const ring = addSample(addSample([], upTo(10), asked(1000)), upTo(20), {
      ...asked(1250),
      newestCommitMs: 1240,
    });
    const at = (last: number) => ({ standing: standingOf(ring, upTo(last)), applied: upTo(last) });

    it('is exact while one is in work, whatever the clocks of the two machines say', () => {
      const channels = [
        { ...running, isApplying: true, commitLagMs: -49_800, appliedAgeMs: -49_790 },
      ];
      const lag = measureLag(evidence(1400, { ...at(12), channels, clockSkewMs: 50_000 }));
      expect(lag).toEqual({ t: 'known', lagMs: 200, method: 'commit-timestamps' });
    });

    it('is exact for the newest one, on its way or waiting for a configured delay', () => {
      const channels = [{ ...running, isApplying: false, commitLagMs: 0, appliedAgeMs: 300_000 }];
      const lag = measureLag(evidence(1400, { ...at(19), channels }));
      expect(lag).toEqual({ t: 'known', lagMs: 160, method: 'commit-timestamps' });
    });

    it('is told from the newest applied one and those that came after it', () => {
      // Applied: up to 15, committed 260 ms before. Five lie between 1140 and 1240.
      const channels = [{ ...running, isApplying: false, commitLagMs: 0, appliedAgeMs: 260 }];
      const lag = measureLag(evidence(1400, { ...at(15), channels }));
      expect(lag).toEqual({ t: 'known', lagMs: 240, method: 'commit-timestamps' });
    });

    it('is not told by transactions that were committed after the replica had answered', () => {
      const channels = [{ ...running, isApplying: false, commitLagMs: 0, appliedAgeMs: 30 }];
      expect(measureLag(evidence(1100, { ...at(10), channels }))).toMatchObject({ lagMs: 0 });
    });
  });

  describe('by heartbeats', () => {
    it('is told by them alone where there is nothing else', () => {
      const beats = { lowerMs: 200, upperMs: 300 };
      const lag = measureLag(evidence(0, { beats }));
      expect(lag).toEqual({ t: 'known', lagMs: 250, method: 'heartbeat' });
      const near = measureLag(evidence(0, { beats: { lowerMs: 0, upperMs: 90 } }));
      expect(near).toMatchObject({ lagMs: 0, method: 'heartbeat' });
    });

    it.each([
      ['outside of', 1, 300, 550, 425],
      ['within', 1, 950, 1200, 1075],
      ['that say nothing, within', 0, 0, 90, 0],
    ])('is told better than by whole seconds, %s their interval', (...values) => {
      const [, secondsBehind, lowerMs, upperMs, lagMs] = values;
      const channels = [{ ...running, secondsBehind }];
      const lag = measureLag(evidence(0, { channels, beats: { lowerMs, upperMs } }));
      expect(lag).toEqual({ t: 'known', lagMs, method: 'heartbeat' });
    });

    it('is told by whole seconds while none was seen', () => {
      const channels = [{ ...running, secondsBehind: 2 }];
      const beats = { lowerMs: 0, upperMs: Number.POSITIVE_INFINITY };
      const lag = measureLag(evidence(0, { channels, beats }));
      expect(lag).toEqual({ t: 'known', lagMs: 2000, method: 'seconds-behind' });
    });

    it('is not told by one that replication leaves out: sets are proof', () => {
      const ring = addSample([], upTo(10), asked(1000));
      const lag = measureLag(
        evidence(1100, {
          standing: standingOf(ring, upTo(10)),
          applied: upTo(10),
          beats: { lowerMs: 60_000, upperMs: 60_250 },
        }),
      );
      expect(lag).toEqual({ t: 'known', lagMs: 100, method: 'gtid' });
    });

    it('is unknown while none was seen', () => {
      const beats = { lowerMs: 500, upperMs: Number.POSITIVE_INFINITY };
      expect(measureLag(evidence(0, { beats })).t).toBe('unknown');
    });
  });

  it('counts a channel from elsewhere by what the server says of it', () => {
    const ring = addSample([], upTo(10), asked(1000));
    const near = { standing: standingOf(ring, upTo(10)), applied: upTo(10) };
    const foreign = [{ ...running, name: 'other', secondsBehind: 9 }];
    const lag = measureLag(evidence(1100, { ...near, foreign }));
    expect(lag).toEqual({ t: 'known', lagMs: 9000, method: 'seconds-behind' });
    const silent = [{ ...running, name: 'other' }];
    expect(measureLag(evidence(1100, { ...near, foreign: silent })).t).toBe('unknown');
  });
});
