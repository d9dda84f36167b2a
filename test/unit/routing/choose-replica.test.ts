import { describe, expect, it } from 'vitest';
import * as fc from 'fast-check';
import { serverId } from '../../../src/lib/ids.ts';
import { chooseReplica, type FiguresOf } from '../../../src/routing/choose-replica.ts';
import { explainReplicas } from '../../../src/routing/explain-replicas.ts';
import type { ReplicaDemand } from '../../../src/routing/replica-demand.ts';
import type { Lag, ServerView } from '../../../src/topology/snapshot.ts';
import { aServer, aSnapshot, figures, seeded } from '../../support/snapshots.ts';

const any: ReplicaDemand = { maxLagMs: 1000, requirements: [] };
const committedBy = (byMs: number): Partial<ReplicaDemand> => ({
  requirements: [{ t: 'commits', byMs, position: null }],
});
const lagging = (lagMs: number): Lag => ({ t: 'known', lagMs, method: 'gtid' });
const replica = (id: string, given: Partial<ServerView> = {}) =>
  aServer({ id: serverId(id), ...given });
const idle: FiguresOf = () => figures();
const working =
  (workOf: (id: string) => number): FiguresOf =>
  (id) =>
    figures({ work: workOf(id) });

function share(
  servers: ServerView[],
  rounds = 20_000,
  figuresOf: FiguresOf = idle,
  demand = any,
): Map<string, number> {
  const random = seeded(42);
  const snapshot = aSnapshot({ servers });
  const counts = new Map<string, number>();
  for (let round = 0; round < rounds; round += 1) {
    const choice = chooseReplica(snapshot, demand, figuresOf, random);
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
    ['a proof that is too old', { caughtUpToMs: 9 }, committedBy(10), 'not known to have'],
    [
      'filters',
      { caughtUpToMs: -1, filters: 'It leaves out x' },
      committedBy(0),
      'read: It leaves out x',
    ],
    ['no proof', { caughtUpToMs: -1 }, committedBy(0), 'not known to have'],
    ['another tag', { tags: ['b'] }, { tags: ['a', 'b'] }, 'has not the tag "a"'],
    ['a reservation', { reserved: true, tags: ['a'] }, {}, 'reserved for reads that ask for "a"'],
    ['a rest', {}, { resting: new Map([[serverId('db2'), '9 failures']]) }, 'It rests: 9 failures'],
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
    const wanted = { ...any, ...committedBy(10) };
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
    const busy = working((id) => (id === 'db2' ? 10 : 0));
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
      const choice = chooseReplica(
        snapshot,
        any,
        working((id) => loads.get(id) ?? 0),
        random,
      );
      expect(choice).toMatchObject({ server: { id: 'db3' } });
    }
  });

  it('prefers the fresher of two equally loaded ones, and lets load outweigh a small lag', () => {
    const servers = [replica('db2', { lag: lagging(300) }), replica('db3')];
    const snapshot = aSnapshot({ servers });
    const busy = working((id) => (id === 'db3' ? 3 : 0));
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
      const choice = chooseReplica(
        snapshot,
        any,
        working((id) => inFlight.get(id) ?? 0),
        random,
      );
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

describe('latency', () => {
  const slow =
    (ms: number): FiguresOf =>
    (id) =>
      figures({ work: 3, latencyMs: id === 'db2' ? ms : 2 });
  const servers = [replica('db2'), replica('db3')];

  it('takes a replica of equal work with the quicker answers', () => {
    expect(share(servers, 200, slow(3)).get('db3')).toBeCloseTo(1);
  });

  it('below a millisecond is no reason', () => {
    const fast: FiguresOf = (id) => figures({ latencyMs: id === 'db2' ? 0.9 : 0.1 });
    expect(share(servers, 20_000, fast).get('db2')).toBeGreaterThan(0.45);
  });

  it('is bounded: one long report does not empty a replica', () => {
    const snapshot = aSnapshot({ servers });
    const after =
      (work: number): FiguresOf =>
      (id) =>
        id === 'db2' ? figures({ latencyMs: 60_000 }) : figures({ latencyMs: 2, work });
    expect(chooseReplica(snapshot, any, after(6), seeded(1))).toMatchObject({
      server: { id: 'db3' },
    });
    expect(chooseReplica(snapshot, any, after(8), seeded(1))).toMatchObject({
      server: { id: 'db2' },
    });
  });
});

describe('a replica that comes back', () => {
  it('gets the part of the work that its ramp says', () => {
    const inFlight = new Map([
      ['db2', 0],
      ['db3', 0],
    ]);
    const random = seeded(5);
    const snapshot = aSnapshot({ servers: [replica('db2'), replica('db3')] });
    const figuresOf: FiguresOf = (id) =>
      figures({ work: inFlight.get(id) ?? 0, ramp: id === 'db2' ? 0.1 : 1 });
    for (let round = 0; round < 110; round += 1) {
      const choice = chooseReplica(snapshot, any, figuresOf, random);
      if (choice.t === 'none') throw new Error('none');
      inFlight.set(choice.server.id, (inFlight.get(choice.server.id) ?? 0) + 1);
    }
    expect(inFlight.get('db2')).toBeGreaterThanOrEqual(8);
    expect(inFlight.get('db2')).toBeLessThanOrEqual(12);
  });
});

describe('tags', () => {
  const servers = [
    replica('db2', { tags: ['analytics', 'ssd'], reserved: true }),
    replica('db3', { tags: ['ssd'] }),
    replica('db4'),
  ];
  const ids = (tags?: string[]) =>
    [...share(servers, 400, idle, { ...any, tags }).keys()].sort().join(' ');

  it.each([
    [undefined, 'db3 db4'],
    [[], 'db3 db4'],
    [['analytics'], 'db2'],
    [['ssd'], 'db2 db3'],
    [['ssd', 'analytics'], 'db2'],
    [['gpu'], 'none'],
  ])('%j are answered by %s', (tags, expected) => {
    expect(ids(tags)).toBe(expected);
  });
});

describe('zones', () => {
  const servers = [
    replica('a2', { zone: 'a' }),
    replica('b2', { zone: 'b' }),
    replica('b3', { zone: 'b' }),
    replica('x2'),
  ];
  const inB = { ...any, zone: 'b' };
  const withActive =
    (counts: Readonly<Record<string, number>>): FiguresOf =>
    (id) =>
      figures({ active: counts[id] ?? 0, work: counts[id] ?? 0 });

  it('take all reads while they can', () => {
    const shares = share(servers, 2000, idle, inB);
    expect([...shares.keys()].sort()).toEqual(['b2', 'b3']);
    expect(share(servers, 2000, withActive({ b2: 8, b3: 8 }), inB).has('a2')).toBe(false);
  });

  it('give reads to others where they have clearly more to do by weight', () => {
    const full = share(servers, 2000, withActive({ b2: 9, b3: 9 }), inB);
    expect([...full.keys()].sort()).toEqual(['a2', 'x2']);
    const strong = servers.map((each) => (each.zone === 'b' ? { ...each, weight: 2 } : each));
    expect(share(strong, 2000, withActive({ b2: 16, b3: 16 }), inB).has('a2')).toBe(false);
    expect(share(strong, 2000, withActive({ b2: 17, b3: 17 }), inB).has('b2')).toBe(false);
  });

  it('give all to others where none is eligible, or where there is none', () => {
    const out = servers.map((each) => (each.zone === 'b' ? { ...each, ineligible: 'no' } : each));
    expect([...share(out, 2000, idle, inB).keys()].sort()).toEqual(['a2', 'x2']);
    expect(share(servers, 2000, idle, { ...any, zone: 'c' }).size).toBe(4);
  });

  it('come back with the part that their ramps say', () => {
    const back: FiguresOf = (id) => figures({ ramp: id.startsWith('b') ? 0.25 : 1 });
    const shares = share(servers, 20_000, back, inB);
    const near = (shares.get('b2') ?? 0) + (shares.get('b3') ?? 0);
    expect(near).toBeGreaterThan(0.23);
    expect(near).toBeLessThan(0.27);
  });

  it('keep all reads where the others come back just so', () => {
    const all: FiguresOf = () => figures({ ramp: 0.25 });
    expect([...share(servers, 2000, all, inB).keys()].sort()).toEqual(['b2', 'b3']);
  });

  it('are told of', () => {
    const explained = explainReplicas(aSnapshot({ servers }), inB, () => figures({ ramp: 0.25 }));
    expect(explained.map(({ why }) => why)).toEqual([
      'It lags 0 ms, comes back with 25 % of its share, in zone a: after those in b',
      'It lags 0 ms, comes back with 25 % of its share, in the zone of the proxy',
      'It lags 0 ms, comes back with 25 % of its share, in the zone of the proxy',
      'It lags 0 ms, comes back with 25 % of its share, in no zone: after those in b',
    ]);
  });
});
