import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../../src/config/load.ts';
import { serverId } from '../../../src/lib/ids.ts';
import {
  type Contender,
  findOutliers,
  type OutlierLimits,
  type ReadCounts,
} from '../../../src/routing/outliers.ts';
import { replicaGroups } from '../../../src/routing/replica-groups.ts';
import { LATENCY_BUCKETS, latencyBucket, medianMs } from '../../../src/routing/replica-latency.ts';
import { rampAfter } from '../../../src/routing/replica-ramp.ts';

const LIMITS: OutlierLimits = {
  minErrors: 5,
  errorPercent: 10,
  latencyFactor: 5,
  minLatencyMs: 20,
  minReads: 100,
};

function slot(reads: number, ms: number, faults = 0): ReadCounts {
  const latencies = new Uint32Array(LATENCY_BUCKETS);
  latencies[latencyBucket(ms)] = reads;
  return { reads, faults, latencies };
}
const contender = (id: string, slots: ReadCounts[], group = 'open'): Contender => ({
  id: serverId(id),
  group,
  slots,
});
const calm = (id: string, group?: string) => contender(id, [slot(100, 1), slot(100, 1)], group);
const found = (...contenders: Contender[]) =>
  findOutliers(contenders, LIMITS).map(({ id, reason }) => `${id} ${reason}`);

describe('by errors a replica stands out', () => {
  const failing = (first: number, second: number) =>
    contender('db2', [slot(20, 1, first), slot(20, 1, second)]);

  it('if they are many, a share of its reads, and more than one accident', () => {
    expect(found(failing(3, 3), calm('db3'))).toEqual(['db2 errors']);
    expect(found(failing(2, 2), calm('db3'))).toEqual([]);
    expect(found(failing(50, 0), calm('db3'))).toEqual([]);
    const busy = contender('db2', [slot(500, 1, 10), slot(500, 1, 10)]);
    expect(found(busy, calm('db3'))).toEqual([]);
  });

  it('not if the others fail as often, or there are none', () => {
    const other = contender('db3', [slot(20, 1, 3), slot(20, 1, 3)]);
    expect(found(failing(3, 3), other)).toEqual([]);
    expect(found(failing(3, 3))).toEqual([]);
    expect(found(failing(3, 3), calm('db3', 'reserved a'))).toEqual([]);
  });
});

describe('by time a replica stands out', () => {
  const taking = (...ms: number[]) =>
    contender(
      'db2',
      ms.map((each) => slot(100, each)),
    );

  it('if it is slow in the whole window, by factor and in itself', () => {
    expect(found(taking(50, 50), calm('db3'), calm('db4'))).toEqual(['db2 latency']);
    expect(found(taking(15, 15), calm('db3'))).toEqual([]);
    expect(found(taking(50, 50, 1), calm('db3'))).toEqual([]);
    expect(found(taking(100, 100), contender('db3', [slot(200, 40)]))).toEqual([]);
  });

  it('not for a few reads, nor beside others that have had few', () => {
    expect(found(contender('db2', [slot(99, 50)]), calm('db3'))).toEqual([]);
    expect(found(taking(50, 50), contender('db3', [slot(99, 1)]))).toEqual([]);
  });

  it('not for long reports among many short reads', () => {
    const mixed = slot(100, 1);
    const latencies = Uint32Array.from(mixed.latencies);
    latencies[latencyBucket(2000)] = 90;
    expect(found(contender('db2', [{ reads: 190, faults: 0, latencies }]), calm('db3'))).toEqual(
      [],
    );
  });
});

it('medians are within half of the true time', () => {
  for (const ms of [0.07, 0.2, 1, 3.3, 47, 1000, 2800]) {
    const shown = medianMs(slot(10, ms).latencies);
    expect(shown).toBeGreaterThanOrEqual(ms * 0.999);
    expect(shown).toBeLessThan(ms * 1.5);
  }
  expect([latencyBucket(Number.NaN), latencyBucket(-1), latencyBucket(1e12)]).toEqual([
    0,
    0,
    LATENCY_BUCKETS - 1,
  ]);
  expect(medianMs([])).toBe(0);
});

it('a ramp goes from a tenth to all of it, evenly', () => {
  expect([0, 5000, 9999, 10_000].map((forMs) => rampAfter(forMs, 10_000))).toEqual([
    0.1,
    0.55,
    expect.closeTo(1, 3),
    1,
  ]);
  expect(rampAfter(0, 0)).toBe(1);
});

it('replicas are compared with those that the same reads go to; other tags make no difference', () => {
  const config = parseConfig(
    {
      servers: [
        { id: 'a', host: 'a', tags: ['rack1', 'bi'] },
        { id: 'b', host: 'b', tags: ['rack2'] },
        { id: 'c', host: 'c' },
        { id: 'd', host: 'd', tags: ['rack1', 'reports'], reserved: true },
      ],
      rules: [{ match: { user: 'bi' }, replicaTags: ['bi'] }],
      monitor: { user: 'm', password: 'x' },
    },
    { env: {} },
  );
  expect([...replicaGroups(config).values()]).toEqual([
    'open rack1 bi'.replace('rack1 ', 'bi rack1 ').replace(' bi rack1 bi', ' bi rack1'),
    'open',
    'open',
    'reserved rack1 reports',
  ]);
});
