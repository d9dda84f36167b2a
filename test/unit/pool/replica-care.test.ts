import { beforeEach, describe, expect, it } from 'vitest';
import { parseConfig } from '../../../src/config/load.ts';
import { type ServerId, serverId } from '../../../src/lib/ids.ts';
import type { Logger } from '../../../src/lib/logger.ts';
import { ReplicaCare } from '../../../src/pool/replica-care.ts';
import { ServerLoad } from '../../../src/pool/server-load.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';
import type { ServerView } from '../../../src/topology/snapshot.ts';
import { aServer, aSnapshot } from '../../support/snapshots.ts';

let nowMs: number;
let care: ReplicaCare;
let resting: Map<ServerId, string>;
let loads: Map<string, ServerLoad>;
let logged: string[];
let scrape: () => Promise<string>;
let views: Map<string, Partial<ServerView>>;

function make(routing: Readonly<Record<string, unknown>> = {}): void {
  nowMs = 1_000_000;
  resting = new Map();
  loads = new Map();
  logged = [];
  views = new Map(['db2', 'db3', 'db4'].map((id) => [id, {}]));
  const config = parseConfig(
    {
      servers: [...views.keys()].map((id) => ({ id, host: id })),
      monitor: { user: 'm', password: 'x' },
      routing: { rampMs: 10_000, ...routing },
    },
    { env: {} },
  );
  const { metrics, registry } = createMetrics({ version: '0', droppedLogLines: () => 0 });
  scrape = () => registry.metrics();
  const log = (fields: object, message: string) =>
    logged.push(`${message} ${JSON.stringify(fields)}`);
  const logger: Logger = { debug: log, info: log, warn: log, error: log, child: () => logger };
  care = new ReplicaCare({
    config,
    loadOf: (id) => load(id),
    resting,
    metrics: metrics.replicas,
    logger,
    nowMs: () => nowMs,
  });
}
beforeEach(() => make());

function load(id: string): ServerLoad {
  const found = loads.get(id) ?? new ServerLoad(serverId(id));
  loads.set(id, found);
  return found;
}

function publish(changes: Readonly<Record<string, Partial<ServerView>>> = {}): void {
  for (const [id, change] of Object.entries(changes)) views.set(id, change);
  const servers = [...views].map(([id, given]) => aServer({ id: serverId(id), ...given }));
  care.noteSnapshot(aSnapshot({ servers }));
}

/** Time goes by in ticks; `each` runs before each. */
function pass(ms: number, each: () => void = () => {}): void {
  for (const endMs = nowMs + ms; nowMs < endMs; ) {
    nowMs += 250;
    each();
    care.tick();
  }
}

const ramp = (id: string) => care.standingOf(serverId(id)).ramp;
const stopped = { ineligible: 'Its applier is stopped' };
const lagging = { lag: { t: 'known', lagMs: 20_000, method: 'gtid' } } as const;

/** Every replica answers reads in `usualMs`, but one. */
function reads(odd: string, { ms = 1, usualMs = 1, faults = 0 }): () => void {
  return () => {
    for (const id of views.keys()) {
      for (let count = 0; count < 10; count += 1) {
        if (id === odd && count < faults) load(id).faults += 1;
        else load(id).noteRead(id === odd ? ms : usualMs, nowMs);
      }
    }
  };
}

describe('a replica that comes back', () => {
  it.each([
    ['was ineligible', stopped],
    ['lagged too much', lagging],
    ['was down', { role: 'down', ineligible: 'It does not answer' } as const],
  ])('gets its share step by step after it %s', (_, away) => {
    publish();
    pass(5000);
    expect(ramp('db2')).toBe(1);
    publish({ db2: away });
    pass(1000);
    publish({ db2: {} });
    expect([ramp('db2'), ramp('db3')]).toEqual([expect.closeTo(0.1), 1]);
    pass(5000);
    expect(ramp('db2')).toBeCloseTo(0.55);
    pass(5000);
    expect(ramp('db2')).toBe(1);
  });

  it('has come back from nowhere while the proxy starts', () => {
    publish({ db2: { ...stopped, seenAtMs: -1 } });
    publish({ db2: stopped });
    publish({ db2: {} });
    expect(ramp('db2')).toBe(1);
  });

  it('shows it in its weight', async () => {
    publish({ db2: stopped, db3: { weight: 4 } });
    expect(await scrape()).toContain('lagwise_replica_effective_weight{server="db2"} 0\n');
    pass(5000);
    publish({ db2: { weight: 5 } });
    const text = await scrape();
    expect(text).toContain('lagwise_replica_effective_weight{server="db2"} 0.5\n');
    expect(text).toContain('lagwise_replica_effective_weight{server="db3"} 4\n');
  });

  it('lets its sessions leave others in small numbers', () => {
    publish();
    load('db3').readers = 101;
    pass(250);
    expect(load('db3').movable).toBe(6);
  });
});

describe('a replica that stands out', () => {
  it('by errors rests, is told of once, and comes back by the ramp', async () => {
    publish();
    // A series that began with its first rest would show Prometheus no increase.
    expect(await scrape()).toContain(
      'lagwise_replica_ejections_total{server="db2",reason="errors"} 0\n',
    );
    pass(3750, reads('db2', { faults: 3 }));
    expect(resting.size).toBe(0);
    pass(2250, reads('db2', { faults: 3 }));
    expect([...resting.keys()]).toEqual(['db2']);
    expect(care.standingOf(serverId('db2')).rest).toMatch(/failures, 30 % of its reads/);
    expect(logged).toHaveLength(1);
    expect(logged[0]).toMatch(/A replica stands out and rests .*"server":"db2","reason":"errors"/);
    const counted = 'lagwise_replica_ejections_total{server="db2",reason="errors"} 1';
    expect(await scrape()).toContain(counted);
    pass(10_000);
    expect([resting.size, ramp('db2')]).toEqual([0, expect.closeTo(0.1, 1)]);
    pass(10_000);
    expect(ramp('db2')).toBe(1);
    expect(logged).toHaveLength(2);
  });

  it('by time rests', () => {
    publish();
    pass(12_000, reads('db3', { ms: 80 }));
    expect([...resting]).toEqual([['db3', expect.stringMatching(/take 91 ms, .* others 1 ms/)]]);
  });

  it('rests for longer each time, up to a bound, until it was well for as long', () => {
    make({ ejection: { baseMs: 1000, maxMs: 2500, windowMs: 1000 } });
    publish();
    const restMs = () => {
      while (resting.size === 0) pass(250, reads('db2', { faults: 5 }));
      const began = nowMs;
      while (resting.size > 0) pass(250);
      return nowMs - began;
    };
    expect([restMs(), restMs(), restMs(), restMs()]).toEqual([1000, 2000, 2500, 2500]);
    pass(3000, reads('', {}));
    expect(restMs()).toBe(1000);
  });

  it('is one of three at most, though two stand out', () => {
    publish();
    const two = () => {
      reads('db2', { faults: 5 })();
      load('db3').faults += 5;
    };
    pass(9000, two);
    expect([...resting.keys()]).toEqual(['db2']);
  });

  it('keeps half of the replicas at work at least', () => {
    publish({ db4: stopped });
    const both = () => {
      reads('db2', { faults: 9 })();
      load('db3').faults += 1;
    };
    pass(30_000, both);
    expect([...resting.keys()]).toEqual(['db2']);
    // The other one is lost: it is needed.
    publish({ db3: stopped });
    expect(resting.size).toBe(0);
    pass(30_000, both);
    expect(resting.size).toBe(0);
  });

  it('is left alone where that is switched off', () => {
    make({ ejection: { enabled: false } });
    publish();
    pass(30_000, reads('db2', { faults: 9 }));
    expect(resting.size).toBe(0);
  });

  it('is not what it did before it went away', () => {
    publish();
    pass(8000, reads('db2', { faults: 9 }));
    publish({ db2: stopped });
    publish({ db2: {} });
    pass(10_000, reads('', {}));
    expect(resting.size).toBe(0);
  });
});

describe('the average of answering times', () => {
  it('jumps with a slow answer, sinks with quick ones, and fades without any', () => {
    const one = load('db2');
    one.noteRead(1, nowMs);
    one.noteRead(100, nowMs);
    expect(one.latencyMs).toBe(100);
    one.noteRead(1, nowMs + 3000);
    expect(one.latencyMs).toBeCloseTo(1 + 99 / Math.E);
    one.fade(nowMs + 30_000);
    expect(one.latencyMs).toBeLessThan(0.01);
  });
});
