import { expect, test } from 'vitest';
import { snapshotJson } from '../../../src/admin/snapshot-json.ts';
import { serverId } from '../../../src/lib/ids.ts';
import { aServer, aSnapshot } from '../../support/snapshots.ts';

test('a snapshot becomes JSON with ages instead of moments, and null for what is not known', () => {
  const primary = aServer({
    role: 'primary',
    caughtUpToMs: Number.POSITIVE_INFINITY,
    seenAtMs: 900,
  });
  const replica = aServer({
    id: serverId('db2'),
    lag: { t: 'unknown', why: 'The SQL thread is stopped' },
    caughtUpToMs: 400,
    seenAtMs: 950,
  });
  const never = aServer({ id: serverId('db3'), role: 'down', caughtUpToMs: -1, seenAtMs: -1 });
  const snapshot = aSnapshot({ servers: [primary, replica, never], primary, epoch: 3 });
  const json = JSON.parse(JSON.stringify(snapshotJson(snapshot, 1000)));
  expect(json).toMatchObject({ primary: 'db1', noPrimary: null, epoch: 3 });
  expect(json.servers).toMatchObject([
    { id: 'db1', role: 'primary', lagMs: 0, caughtUpAgeMs: null, seenAgeMs: 100 },
    {
      id: 'db2',
      lagMs: null,
      lagUnknownBecause: 'The SQL thread is stopped',
      caughtUpAgeMs: 600,
      seenAgeMs: 50,
    },
    { id: 'db3', role: 'down', caughtUpAgeMs: null, seenAgeMs: null },
  ]);
});
