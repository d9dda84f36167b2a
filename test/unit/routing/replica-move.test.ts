import { describe, expect, it } from 'vitest';
import { serverId } from '../../../src/lib/ids.ts';
import type { ReplicaFigures } from '../../../src/routing/replica-figures.ts';
import { betterReplica } from '../../../src/routing/replica-move.ts';
import type { ServerView } from '../../../src/topology/snapshot.ts';
import { aServer, aSnapshot, figures } from '../../support/snapshots.ts';

const any = { maxLagMs: 1000, requirements: [] };
const replica = (id: string, given: Partial<ServerView> = {}) =>
  aServer({ id: serverId(id), ...given });

/** Where a session on the first server should go. */
function moved(
  servers: readonly ServerView[],
  known: Readonly<Record<string, Partial<ReplicaFigures>>>,
  zone: string | null = null,
): string {
  const [reader] = servers;
  if (reader === undefined) throw new Error('No server');
  const figuresOf = (id: string) => figures({ work: (known[id]?.readers ?? 0) / 2, ...known[id] });
  const better = betterReplica(aSnapshot({ servers }), { ...any, zone }, reader, figuresOf);
  return better?.id ?? 'stays';
}

describe('a session moves', () => {
  const two = [replica('db2'), replica('db3')];

  it.each([
    [5, 2, 'db3'],
    [4, 2, 'stays'],
    [3, 1, 'db3'],
    [2, 1, 'stays'],
    [2, 0, 'db3'],
    [1, 0, 'stays'],
  ])('from %i sessions to %i: %s', (own, others, expected) => {
    expect(moved(two, { db2: { readers: own }, db3: { readers: others } })).toBe(expected);
  });

  it('and does not come back by the same figures, whatever the weights', () => {
    for (const weight of [1, 2, 3, 7]) {
      const servers = [replica('db2'), replica('db3', { weight })];
      for (let own = 1; own <= 12; own += 1) {
        for (let others = 0; others <= 12; others += 1) {
          const known = { db2: { readers: own }, db3: { readers: others } };
          const there = { db2: { readers: own - 1 }, db3: { readers: others + 1 } };
          if (moved(servers, known) === 'db3') {
            expect(moved(servers.toReversed(), there), `${own}, ${others}`).toBe('stays');
          }
          if (moved(servers.toReversed(), there) === 'db2') {
            expect(moved(servers, known), `${own}, ${others}`).toBe('stays');
          }
        }
      }
    }
  });

  it('by weight: three times the sessions are right for three times the weight', () => {
    const servers = [replica('db2', { weight: 3 }), replica('db3')];
    expect(moved(servers, { db2: { readers: 30 }, db3: { readers: 10 } })).toBe('stays');
    expect(moved(servers, { db2: { readers: 60 }, db3: { readers: 10 } })).toBe('db3');
  });

  it('to one that comes back, but no more than its part', () => {
    const at = (readers: number, ramp: number) =>
      moved(two, { db2: { readers: 100 }, db3: { readers, ramp } });
    expect([at(0, 0.1), at(5, 0.1), at(6, 0.1)]).toEqual(['db3', 'db3', 'stays']);
    expect([at(5, 0.5), at(33, 0.5)]).toEqual(['db3', 'stays']);
  });

  it('not to where it would wait for longer', () => {
    const known = { db2: { readers: 40, latencyMs: 2 }, db3: { readers: 10, latencyMs: 9 } };
    expect(moved(two, known)).toBe('stays');
  });

  it('not while as many as may have left', () => {
    const known = (movable: number) => ({ db2: { readers: 40, movable } });
    expect([moved(two, known(1)), moved(two, known(0))]).toEqual(['db3', 'stays']);
  });

  it('to the best of several, and never to one that may not take its reads', () => {
    const servers = [replica('db2'), replica('db3'), replica('db4'), replica('db5', { weight: 0 })];
    expect(moved(servers, { db2: { readers: 40 }, db3: { readers: 2 } })).toBe('db4');
  });
});

describe('between zones a session', () => {
  const away = [replica('a2', { zone: 'a' }), replica('b2', { zone: 'b' })];
  const home = away.toReversed();

  it('comes home, as the ramp lets it', () => {
    expect(moved(away, { a2: { readers: 10 } }, 'b')).toBe('b2');
    expect(moved(away, { a2: { readers: 1 }, b2: { readers: 50 } }, 'b')).toBe('b2');
    const at = (readers: number) =>
      moved(away, { a2: { readers: 100 - readers }, b2: { readers, ramp: 0.1 } }, 'b');
    expect([at(9), at(10)]).toEqual(['b2', 'stays']);
  });

  it('leaves where the others have clearly less to do for a while, and does not flap', () => {
    const at = (busy: number) => moved(home, { b2: { busy, readers: 9 }, a2: {} }, 'b');
    expect([at(8), at(9)]).toEqual(['stays', 'a2']);
    const back = (busy: number) => moved(away, { b2: { busy }, a2: { readers: 9 } }, 'b');
    expect([back(5), back(4)]).toEqual(['stays', 'b2']);
  });

  it('does not leave for fewer sessions elsewhere', () => {
    expect(moved(home, { b2: { readers: 500 } }, 'b')).toBe('stays');
  });
});
