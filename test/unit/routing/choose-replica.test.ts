import { describe, expect, it } from 'vitest';
import * as fc from 'fast-check';
import { serverId } from '../../../src/lib/ids.ts';
import {
  chooseReplica,
  explainReplicas,
  type ReplicaDemand,
} from '../../../src/routing/choose-replica.ts';
import type { Lag, ServerView } from '../../../src/topology/snapshot.ts';
import { aServer, aSnapshot } from '../../support/snapshots.ts';

const any: ReplicaDemand = { maxLagMs: 1000, minCaughtUpToMs: -1 };
const lagging = (lagMs: number): Lag => ({ t: 'known', lagMs, method: 'gtid' });
const replica = (id: string, given: Partial<ServerView> = {}) =>
  aServer({ id: serverId(id), ...given });
const idle = () => 0;

/** mulberry32: a small generator with a seed, good enough to count shares. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function share(
  servers: ServerView[],
  rounds = 20_000,
  loadOf: (id: string) => number = idle,
): Map<string, number> {
  const random = seeded(42);
  const snapshot = aSnapshot({ servers });
  const counts = new Map<string, number>();
  for (let round = 0; round < rounds; round += 1) {
    const choice = chooseReplica(snapshot, any, loadOf, random);
    const id = choice.t === 'chosen' ? choice.server.id : 'none';
    counts.set(id, (counts.get(id) ?? 0) + 1 / rounds);
  }
  return counts;
}

describe('chooseReplica', () => {
  it.each<[string, Partial<ServerView>, Partial<ReplicaDemand>, string]>([
    ['a primary', { role: 'primary' }, {}, 'It is primary, not a replica'],
    ['a server that is down', { role: 'down', ineligible: 'refused' }, {}, 'refused'],
    ['an ineligible replica', { ineligible: 'Its applier is stopped' }, {}, 'applier is stopped'],
    ['a weight of 0', { weight: 0 }, {}, 'weight is 0'],
    ['an unknown lag', { lag: { t: 'unknown', why: 'none' } }, {}, 'lag is unknown: none'],
    ['a lag over the limit', { lag: lagging(1001) }, {}, 'lags 1001 ms, the limit is 1000 ms'],
    ['a proof that is too old', { caughtUpToMs: 9 }, { minCaughtUpToMs: 10 }, 'not proved'],
    ['no proof', { caughtUpToMs: -1 }, { minCaughtUpToMs: 0 }, 'not proved'],
    ['an excluded one', {}, { exclude: new Set([serverId('db2')]) }, 'tried already'],
  ])('takes no replica with %s, and explains it', (_, view, demand, why) => {
    const snapshot = aSnapshot({ servers: [replica('db2', view)] });
    const wanted = { ...any, ...demand };
    expect(chooseReplica(snapshot, wanted, idle, Math.random)).toEqual({ t: 'none' });
    const [explained] = explainReplicas(snapshot, wanted);
    expect(explained).toEqual({ id: 'db2', eligible: false, why: expect.stringContaining(why) });
  });

  it('takes one exactly at the limits', () => {
    const only = replica('db2', { lag: lagging(1000), caughtUpToMs: 10 });
    const snapshot = aSnapshot({ servers: [only] });
    const wanted = { ...any, minCaughtUpToMs: 10 };
    expect(chooseReplica(snapshot, wanted, idle, Math.random)).toEqual({
      t: 'chosen',
      server: only,
    });
    expect(explainReplicas(snapshot, wanted)).toEqual([
      { id: 'db2', eligible: true, why: 'It lags 1000 ms' },
    ]);
  });

  it('shares evenly between equals', () => {
    const shares = share([replica('db2'), replica('db3'), replica('db4')]);
    for (const id of ['db2', 'db3', 'db4']) {
      expect(shares.get(id)).toBeGreaterThan(0.31);
      expect(shares.get(id)).toBeLessThan(0.36);
    }
  });

  it('shares evenly what it keeps from a busy one', () => {
    const busy = (id: string) => (id === 'db2' ? 10 : 0);
    const shares = share([replica('db2'), replica('db3'), replica('db4')], 20_000, busy);
    expect(shares.get('db2')).toBeUndefined();
    expect(shares.get('db3')).toBeGreaterThan(0.48);
    expect(shares.get('db4')).toBeGreaterThan(0.48);
  });

  it('prefers the one with less in flight', () => {
    const loads = new Map([
      ['db2', 5],
      ['db3', 4],
    ]);
    const random = seeded(1);
    const snapshot = aSnapshot({ servers: [replica('db2'), replica('db3')] });
    for (let round = 0; round < 50; round += 1) {
      const choice = chooseReplica(snapshot, any, (id) => loads.get(id) ?? 0, random);
      expect(choice).toMatchObject({ server: { id: 'db3' } });
    }
  });

  it('prefers the fresher of two equally loaded ones, and lets load outweigh a small lag', () => {
    const servers = [replica('db2', { lag: lagging(300) }), replica('db3')];
    const snapshot = aSnapshot({ servers });
    const busy = (id: string) => (id === 'db3' ? 3 : 0);
    const random = seeded(2);
    expect(chooseReplica(snapshot, any, idle, random)).toMatchObject({ server: { id: 'db3' } });
    expect(chooseReplica(snapshot, any, busy, random)).toMatchObject({ server: { id: 'db2' } });
  });

  it('gives a weight of 3 about three times the work when work queues up', () => {
    const inFlight = new Map<string, number>();
    const counts = new Map<string, number>();
    const random = seeded(3);
    const snapshot = aSnapshot({ servers: [replica('db2', { weight: 3 }), replica('db3')] });
    const queue: string[] = [];
    for (let round = 0; round < 8000; round += 1) {
      const choice = chooseReplica(snapshot, any, (id) => inFlight.get(id) ?? 0, random);
      if (choice.t === 'none') throw new Error('none');
      const { id } = choice.server;
      counts.set(id, (counts.get(id) ?? 0) + 1);
      inFlight.set(id, (inFlight.get(id) ?? 0) + 1);
      queue.push(id);
      if (queue.length > 40) {
        const done = queue.shift() ?? '';
        inFlight.set(done, (inFlight.get(done) ?? 0) - 1);
      }
    }
    const ratio = (counts.get('db2') ?? 0) / (counts.get('db3') ?? 1);
    expect(ratio).toBeGreaterThan(2.5);
    expect(ratio).toBeLessThan(3.5);
  });

  it('chooses the same for the same random numbers, and always an eligible one if there is any', () => {
    const server = fc.record({
      weight: fc.integer({ min: 0, max: 3 }),
      lag: fc.constantFrom(lagging(0), lagging(2000), { t: 'unknown', why: 'x' } as const),
      ineligible: fc.constantFrom(null, 'no'),
    });
    fc.assert(
      fc.property(fc.array(server, { maxLength: 6 }), fc.integer(), (views, seed) => {
        const servers = views.map((view, index) => replica(`db${index}`, view));
        const snapshot = aSnapshot({ servers });
        const choice = chooseReplica(snapshot, any, idle, seeded(seed));
        expect(chooseReplica(snapshot, any, idle, seeded(seed))).toEqual(choice);
        const eligible = explainReplicas(snapshot, any).filter((each) => each.eligible);
        if (choice.t === 'none') expect(eligible).toEqual([]);
        else expect(eligible.map((each) => each.id)).toContain(choice.server.id);
      }),
    );
  });
});
