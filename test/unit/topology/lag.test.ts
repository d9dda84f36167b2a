import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parsePosition } from '../../../src/gtid/position.ts';
import { measureLag } from '../../../src/topology/lag.ts';
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
  secondsBehind: null,
};
const fresh = { primaryGoneAtMs: null, sampleFreshMs: 3000 };

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
        : addSample([], upTo(1), 0, 1);
    const lag = measureLag([{ ...running, ...channel }], standingOf(ring, upTo(1)), {
      ...fresh,
      startedAtMs: 100,
      finishedAtMs: 101,
    });
    expect(lag).toEqual({ t: 'unknown', why: expect.stringContaining(why) });
  });

  it('does not know the lag of a server without channels', () => {
    const context = { ...fresh, startedAtMs: 0, finishedAtMs: 1 };
    expect(measureLag([], standingOf([], null), context).t).toBe('unknown');
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
          ring = addSample(ring, upTo(at), at, at + probeTookMs);
        }
        const applied = upTo(nowMs - trueLagMs);
        const lag = measureLag([running], standingOf(ring, applied), {
          ...fresh,
          startedAtMs: nowMs,
          finishedAtMs: nowMs,
        });
        if (lag.t !== 'known') throw new Error(lag.why);
        const error = lag.lagMs - trueLagMs;
        expect(error).toBeGreaterThanOrEqual(-(intervalMs + probeTookMs + 1));
        expect(error).toBeLessThanOrEqual(intervalMs + probeTookMs + 1);
        if (lag.lagMs > 0) expect(error).toBeGreaterThanOrEqual(-1);
      }),
      { numRuns: 500 },
    );
  });

  it('keeps commit timestamps within what the samples prove, however wrong the clocks are', () => {
    const ring = addSample(addSample([], upTo(10), 1000, 1002), upTo(20), 2000, 2002);
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1e9, noNaN: true }), (commitLagMs) => {
        const lag = measureLag([{ ...running, commitLagMs }], standingOf(ring, upTo(15)), {
          ...fresh,
          startedAtMs: 2500,
          finishedAtMs: 2501,
        });
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
    const context = { ...fresh, startedAtMs: 0, finishedAtMs: 1 };
    expect(measureLag(channels, standingOf([], null), context)).toEqual({
      t: 'known',
      lagMs: 7000,
      method: 'seconds-behind',
    });
    const unknown = [...channels, { ...running, name: 'third' }];
    expect(measureLag(unknown, standingOf([], null), context).t).toBe('unknown');
  });
});
