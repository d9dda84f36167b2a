import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { parseConfig } from '../../../../src/config/load.ts';
import { parsePosition } from '../../../../src/gtid/position.ts';
import { serverId } from '../../../../src/lib/ids.ts';
import { Command } from '../../../../src/session/command/command.ts';
import { Horizon } from '../../../../src/session/reads/horizon.ts';
import { ReplicaChoice } from '../../../../src/session/reads/replica-choice.ts';
import type { SessionDeps } from '../../../../src/session/session-deps.ts';
import type { SessionState } from '../../../../src/session/state/session-state.ts';
import type { ServerView, Snapshot } from '../../../../src/topology/snapshot.ts';
import { COM } from '../../../../src/wire/command.ts';
import { encodeSessionState } from '../../../../src/wire/packets/session-state.ts';
import { FakePool } from '../../../support/fake-pool.ts';
import { aSessionState } from '../../../support/fake-session.ts';
import { aServer, aSnapshot } from '../../../support/snapshots.ts';

let pool: FakePool;
let state: SessionState;
let choice: ReplicaChoice;
let horizon: Horizon;
let random: number;

function make(part: Readonly<Record<string, unknown>> = {}): void {
  pool = new FakePool();
  state = aSessionState();
  random = 0;
  const config = parseConfig(
    { servers: [{ host: 'x' }], monitor: { user: 'm', password: 'x' }, ...part },
    { env: {} },
  );
  const deps = { config, pool: pool.asPool, random: () => random, keepsPromises: true };
  horizon = new Horizon();
  choice = new ReplicaChoice(deps as unknown as SessionDeps, state, horizon);
}
beforeEach(() => {
  vi.useFakeTimers();
  make();
});
afterEach(() => {
  vi.useRealTimers();
});

const view = (id: string, given: Partial<ServerView> = {}) =>
  aServer({ id: serverId(id), ...given });
let version = 0;
function published(...servers: ServerView[]): Snapshot {
  version += 1;
  return aSnapshot({ version, servers });
}
const both = () => published(view('db2'), view('db3'));

function read(): Command {
  const command = new Command();
  command.begin(COM.QUERY, Buffer.alloc(0), 0);
  return command;
}
function wrote(atMs: number): void {
  horizon.noteWrite(atMs, null, 'mysql');
  choice.recheck();
}
const chosen = (snapshot: Snapshot, command = read()) => choice.choose(snapshot, command)?.id;
const readers = () => [pool.loadOf('db2').readers, pool.loadOf('db3').readers];

describe('a session', () => {
  test('is counted where it reads, once, until it leaves', () => {
    expect(chosen(both())).toBe('db2');
    expect(chosen(both())).toBe('db2');
    expect(readers()).toEqual([1, 0]);
    expect(chosen(published(view('db3')))).toBe('db3');
    expect(readers()).toEqual([0, 1]);
    choice.leave();
    choice.leave();
    expect(readers()).toEqual([0, 0]);
  });

  test('leaves a replica that rests', () => {
    expect(chosen(both())).toBe('db2');
    pool.resting.set(serverId('db2'), '9 failures');
    expect(chosen(both())).toBe('db3');
  });

  test('stays where it is, though chance would have it elsewhere', () => {
    expect(chosen(both())).toBe('db2');
    random = 0.99;
    expect(chosen(both())).toBe('db2');
  });

  test('is told at once where it reads, while the snapshot is the same', () => {
    const snapshot = both();
    expect(choice.ready(snapshot, read())).toBe('db2');
    random = 0.99;
    pool.loadOf('db2').inFlight = 50;
    expect(choice.ready(snapshot, read())).toBe('db2');
  });

  test('begins where less is to be done', () => {
    pool.loadOf('db2').inFlight = 5;
    expect(chosen(both())).toBe('db3');
  });

  test('moves where others have clearly fewer readers, by their number alone', () => {
    expect(chosen(both())).toBe('db2');
    pool.loadOf('db2').inFlight = 500;
    expect(chosen(both())).toBe('db2');
    pool.loadOf('db2').readers = 4;
    pool.loadOf('db3').readers = 2;
    expect(chosen(both())).toBe('db2');
    pool.loadOf('db2').readers = 5;
    pool.loadOf('db2').movable = 3;
    expect(chosen(both())).toBe('db3');
    expect(pool.loadOf('db2').movable).toBe(2);
    expect(readers()).toEqual([4, 3]);
  });

  test('does not move to where it may not read', () => {
    expect(chosen(both())).toBe('db2');
    pool.loadOf('db2').readers = 50;
    expect(chosen(published(view('db2'), view('db3', { ineligible: 'Stopped' })))).toBe('db2');
  });
});

describe('no replica', () => {
  test('is known for the whole snapshot, and asked again in the next', () => {
    const none = published(view('db2', { weight: 0 }));
    expect([choice.ready(none, read()), choice.isNone(none)]).toEqual([null, true]);
    expect(choice.whyNone).toBe('no-replica');
    const next = both();
    expect([choice.isNone(next), choice.ready(next, read())]).toEqual([false, 'db2']);
  });

  test('because one command has tried them all is that command’s own matter', () => {
    const snapshot = both();
    const command = read();
    command.excludeServer(serverId('db2'));
    expect(chosen(snapshot, command)).toBe('db3');
    command.excludeServer(serverId('db3'));
    expect([chosen(snapshot, command), choice.isNone(snapshot)]).toEqual([undefined, false]);
    expect(chosen(snapshot)).toBe('db3');
  });

  test.each([
    ['lag', [view('db2', { lag: { t: 'known', lagMs: 60_000, method: 'gtid' } })], -1],
    ['own-writes', [view('db2', { caughtUpToMs: 999 })], 1_000],
    ['no-replica', [view('db2', { ineligible: 'Stopped', caughtUpToMs: 999 })], 1_000],
    ['no-replica', [], -1],
  ] as const)('is because of %s', (why, servers, wroteAtMs) => {
    if (wroteAtMs !== -1) wrote(wroteAtMs);
    const snapshot = published(...servers);
    expect([choice.ready(snapshot, read()), choice.whyNone]).toEqual([null, why]);
  });
});

describe('who reads without a pause', () => {
  const crowded = () => {
    pool.loadOf('db2').readers = 20;
    pool.loadOf('db2').movable = 1;
    return published(view('db2', { positionAtMs: 5 }), view('db3', { caughtUpToMs: 5 }));
  };

  test('stays, and is told once where to move, when nobody knows what the other has', () => {
    expect(chosen(both())).toBe('db2');
    horizon.noteRead(serverId('db2'), 10);
    expect(chosen(crowded())).toBe('db2');
    expect([choice.takeMove(), choice.takeMove()]).toEqual(['db3', null]);
  });

  test('moves at once to where all is known to be that it has seen', () => {
    expect(chosen(both())).toBe('db2');
    expect(chosen(crowded())).toBe('db3');
    expect(choice.takeMove()).toBeNull();
  });

  test('does not move behind a wait where waits are off', () => {
    make({ routing: { waitMs: 0 } });
    expect(chosen(both())).toBe('db2');
    horizon.noteRead(serverId('db2'), 10);
    expect(chosen(crowded())).toBe('db2');
    expect(choice.takeMove()).toBeNull();
  });
});

describe('own writes', () => {
  test('are waited for from the moment of the write, in the same snapshot too', () => {
    const snapshot = published(view('db2', { caughtUpToMs: 500 }));
    expect(choice.ready(snapshot, read())).toBe('db2');
    wrote(501);
    expect([choice.ready(snapshot, read()), choice.whyNone]).toEqual([null, 'own-writes']);
    expect(choice.ready(published(view('db2', { caughtUpToMs: 501 })), read())).toBe('db2');
  });

  test('are not waited for where consistency is eventual', () => {
    make({ routing: { consistency: 'eventual' } });
    wrote(501);
    expect(choice.ready(published(view('db2', { caughtUpToMs: 500 })), read())).toBe('db2');
  });
});

describe('waiting for a replica to catch up', () => {
  const wanted = parsePosition('mysql', 'aaaaaaaa-0000-4000-8000-000000000001:1-9');
  const behind = parsePosition('mysql', 'aaaaaaaa-0000-4000-8000-000000000001:1-8');

  test('is for those only whose position says something', () => {
    wrote(1);
    const mute = published(view('db2'), view('db3'));
    expect(choice.ready(mute, read())).toBeNull();
    expect(choice.mayWait(mute, read())).toBe(false);
    expect(choice.near(mute, choice.demand(mute, read()), wanted)).toBeNull();
    expect(
      choice.near(mute, choice.demand(mute, read()), wanted, serverId('db2')),
      'even if it is preferred',
    ).toBeNull();

    const one = published(view('db2'), view('db3', { position: behind }));
    expect(choice.ready(one, read())).toBeNull();
    expect(choice.mayWait(one, read())).toBe(true);
    for (const preferred of [null, serverId('db2')]) {
      expect(choice.near(one, choice.demand(one, read()), wanted, preferred)?.id).toBe('db3');
    }
  });

  test('does not bring back one that was tried', () => {
    wrote(1);
    const command = read();
    command.excludeServer(serverId('db3'));
    const one = published(view('db2'), view('db3', { position: behind }));
    expect(choice.near(one, choice.demand(one, command), wanted)).toBeNull();
  });

  test('what a replica said of itself counts for nothing once it is known to have filters', () => {
    wrote(1);
    horizon.confirm(serverId('db2'), 2);
    choice.recheck();
    expect(choice.ready(published(view('db2')), read())).toBe('db2');
    expect(
      choice.ready(published(view('db2', { filters: 'It leaves out data' })), read()),
    ).toBeNull();
  });
});

describe('state that a replica refused', () => {
  const setZone = (value: string) =>
    state.noteReported(encodeSessionState([{ t: 'system-variable', name: 'time_zone', value }]));

  test('keeps its session’s reads on the primary for a while, whatever is published', async () => {
    setZone('Mars');
    const snapshot = both();
    expect(choice.ready(snapshot, read())).toBe('db2');
    choice.refused();
    expect([choice.ready(snapshot, read()), choice.whyNone]).toEqual([null, 'refused']);
    expect(choice.ready(both(), read())).toBeNull();
    await vi.advanceTimersByTimeAsync(999);
    expect(choice.ready(both(), read())).toBeNull();
    await vi.advanceTimersByTimeAsync(1);
    // It may only have been behind.
    expect(choice.ready(both(), read())).toBe('db2');
  });

  test('is forgotten as soon as the session has another', () => {
    setZone('Mars');
    choice.refused();
    expect(choice.ready(both(), read())).toBeNull();
    setZone('UTC');
    expect(choice.ready(both(), read())).toBe('db2');
  });
});

test('reads that may not fall back fail with each server’s reason', () => {
  make({ routing: { fallback: 'error' } });
  const snapshot = published(view('db2', { ineligible: 'It is stopped' }));
  expect(choice.ready(snapshot, read())).toBeNull();
  expect(() => choice.leaveToPrimary(snapshot, read())).toThrow(
    /routing\.fallback is "error" \(db2: It is stopped\)/,
  );
});
