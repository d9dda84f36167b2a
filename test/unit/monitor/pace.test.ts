import { describe, expect, it } from 'vitest';
import { serverId } from '../../../src/lib/ids.ts';
import { Pace } from '../../../src/monitor/pace.ts';
import type { ServerView, Snapshot } from '../../../src/topology/snapshot.ts';
import { aServer, aSnapshot } from '../../support/snapshots.ts';

const primary = aServer({ role: 'primary', readOnly: false });
const replica = (given: Partial<ServerView> = {}) => aServer({ id: serverId('db2'), ...given });
const lagging = (lagMs: number) => replica({ lag: { t: 'known', lagMs, method: 'gtid' } });

function cluster(view: ServerView): Snapshot {
  return aSnapshot({ servers: [primary, view], primary });
}

function setUp() {
  let nowMs = 0;
  let activity = 0;
  const hurried: string[][] = [];
  const idle: boolean[] = [];
  const pace = new Pace({
    prober: {
      hurry: (ids) => hurried.push([...ids]),
      setIdle: (isIdle) => idle.push(isIdle),
    },
    nowMs: () => nowMs,
    activity: () => activity,
  });
  let before = cluster(replica());
  const see = (view: ServerView, afterMs = 250) => {
    nowMs += afterMs;
    const after = cluster(view);
    const result = { t: 'failed', why: '' } as const;
    const observation = { serverId: view.id, startedAtMs: nowMs, finishedAtMs: nowMs, result };
    pace.observed(observation, after, before);
    before = after;
  };
  return {
    pace,
    see,
    hurried,
    isIdle: () => idle.at(-1) ?? false,
    pass: (ms: number) => {
      nowMs += ms;
    },
    act: () => {
      activity += 1;
    },
  };
}

describe('the pace of the probes', () => {
  it('is fast for all replicas while a read waits, once for many reads', () => {
    const { pace, hurried, pass } = setUp();
    for (let read = 0; read < 100; read += 1) pace.wanted(cluster(replica()));
    expect(hurried).toEqual([['db2']]);
    pass(300);
    pace.wanted(cluster(replica()));
    expect(hurried).toHaveLength(2);
  });

  it('is fast for a replica whose lag changes, not for one that lags steadily', () => {
    const { see, hurried } = setUp();
    see(lagging(5000));
    expect(hurried).toEqual([['db2']]);
    see(lagging(5200));
    expect(hurried).toHaveLength(1);
    see(lagging(200));
    expect(hurried).toContainEqual(['db2']);
  });

  it('is fast for the primary while a replica lags by what its samples tell', () => {
    const { see, hurried } = setUp();
    see(lagging(40));
    see(lagging(45));
    expect(hurried).toEqual([['db1'], ['db1']]);
    see(lagging(20));
    expect(hurried).toHaveLength(2);
  });

  it('is not made fast by a replica that is far behind, stopped or no replica', () => {
    const { see, hurried } = setUp();
    see(lagging(600_000));
    see(lagging(900_000));
    see(replica({ lag: { t: 'unknown', why: 'Its applier is stopped' } }));
    see(replica({ role: 'unassigned', lag: { t: 'known', lagMs: 500, method: 'gtid' } }));
    expect(hurried).toEqual([]);
  });

  it('is slow after some seconds in which nothing happens, and not before', () => {
    const { see, isIdle } = setUp();
    for (let atMs = 0; atMs < 4750; atMs += 250) see(replica());
    expect(isIdle()).toBe(false);
    see(replica());
    see(replica());
    expect(isIdle()).toBe(true);
    see(replica({ gtidSet: 'another' }));
    expect(isIdle()).toBe(false);
  });

  it('is not slow while clients work, a read waits or a server is down', () => {
    const { pace, see, act, isIdle } = setUp();
    for (let round = 0; round < 30; round += 1) {
      act();
      see(replica());
    }
    expect(isIdle()).toBe(false);
    see(replica(), 6000);
    expect(isIdle()).toBe(true);
    pace.wanted(cluster(replica()));
    expect(isIdle()).toBe(false);
    see(replica({ role: 'down' }), 6000);
    see(replica({ role: 'down' }), 6000);
    expect(isIdle()).toBe(false);
  });
});
