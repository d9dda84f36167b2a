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

test('of replicas is told what their share follows from, where that is known', () => {
  const primary = aServer({ role: 'primary' });
  const servers = [primary, aServer({ id: serverId('db2') }), aServer({ id: serverId('db3') })];
  const standing = (id: string) =>
    id === 'db2'
      ? { ramp: 0.12345, rest: null, restUntilMs: -1, latencyMs: 0.98765 }
      : { ramp: 1, rest: '9 failures', restUntilMs: 1500, latencyMs: 3 };
  const json = JSON.parse(JSON.stringify(snapshotJson(aSnapshot({ servers }), 1000, standing)));
  expect(json.servers[0]).not.toHaveProperty('ramp');
  expect(json.servers).toMatchObject([
    { id: 'db1' },
    { ramp: 0.123, restsBecause: null, restsForMs: null, latencyMs: 0.988 },
    { ramp: 1, restsBecause: '9 failures', restsForMs: 500, latencyMs: 3 },
  ]);
});

test('the details of replication tell for how long it has been stopped, and how old the lag is', () => {
  const replication = {
    channels: [],
    queued: 3,
    behind: 7,
    isApplying: false,
    appliedPerSecond: 2.5,
    catchUpMs: null,
    configuredDelayMs: 0,
    stoppedSinceMs: 400,
  };
  const replica = aServer({ replication, seenAtMs: 990 });
  const json = JSON.parse(JSON.stringify(snapshotJson(aSnapshot({ servers: [replica] }), 1000)));
  expect(json.servers[0]).toMatchObject({
    lagMs: 0,
    lagMethod: 'gtid',
    lagSampleAgeMs: 10,
    replication: { queued: 3, behind: 7, catchUpMs: null, stoppedForMs: 600 },
  });
  expect(json.servers[0].replication).not.toHaveProperty('stoppedSinceMs');
});
