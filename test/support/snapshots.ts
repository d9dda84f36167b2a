import { serverId } from '../../src/lib/ids.ts';
import type { ServerView, Snapshot } from '../../src/topology/snapshot.ts';

/** A healthy replica, but for what is given. */
export function aServer(given: Partial<ServerView> = {}): ServerView {
  return {
    id: serverId('db1'),
    host: '127.0.0.1',
    port: 3306,
    tags: [],
    zone: null,
    weight: 1,
    role: 'replica',
    flavor: 'mysql',
    version: '9.7.4',
    readOnly: true,
    lag: { t: 'known', lagMs: 0, method: 'gtid' },
    replicating: true,
    caughtUpToMs: 0,
    gtidSet: null,
    seenAtMs: 0,
    ineligible: null,
    ...given,
  };
}

/** A snapshot without servers, but for what is given. */
export function aSnapshot(given: Partial<Snapshot> = {}): Snapshot {
  return { version: 1, epoch: 1, servers: [], primary: null, noPrimary: null, ...given };
}
