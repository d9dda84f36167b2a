import { serverId } from '../../src/lib/ids.ts';
import { NO_FIGURES, type ReplicaFigures } from '../../src/routing/replica-figures.ts';
import type { ServerView, Snapshot } from '../../src/topology/snapshot.ts';

/** A healthy replica, but for what is given. */
export function aServer(given: Partial<ServerView> = {}): ServerView {
  return {
    id: serverId('db1'),
    host: '127.0.0.1',
    port: 3306,
    tags: [],
    zone: null,
    reserved: false,
    weight: 1,
    role: 'replica',
    flavor: 'mysql',
    version: '9.7.4',
    readOnly: true,
    lag: { t: 'known', lagMs: 0, method: 'gtid' },
    replication: null,
    replicating: true,
    caughtUpToMs: 0,
    gtidSet: null,
    position: null,
    positionAtMs: 0,
    grownSinceMs: 0,
    seenAtMs: 0,
    filters: null,
    ineligible: null,
    ...given,
  };
}

/** A snapshot without servers, but for what is given. */
export function aSnapshot(given: Partial<Snapshot> = {}): Snapshot {
  return { version: 1, epoch: 1, servers: [], primary: null, noPrimary: null, ...given };
}

/** The figures of a server that nothing is known of, but for what is given. */
export function figures(given: Partial<ReplicaFigures> = {}): ReplicaFigures {
  return { ...NO_FIGURES, ...given };
}

/** mulberry32: a small generator with a seed, good enough to count shares. */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
