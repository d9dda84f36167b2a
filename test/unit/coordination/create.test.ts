import { describe, expect, test } from 'vitest';
import { createCoordination } from '../../../src/coordination/create.ts';
import { parseConfig } from '../../../src/config/load.ts';
import { createTelemetry } from '../../../src/telemetry/telemetry.ts';
import { QUIET } from './world.ts';

const REDIS = { url: 'redis://127.0.0.1:1' };

function configOf(coordination: object) {
  const json = {
    servers: [{ host: 'db1' }],
    monitor: { user: 'monitor', password: '' },
    coordination,
  };
  return parseConfig(json, { env: { PW: 'hidden' } }).coordination;
}

describe('the configuration of a group', () => {
  test('is one proxy alone unless it names a Redis', async () => {
    const coordination = createCoordination(configOf({}), { ...QUIET, nowMs: () => 0 });
    expect(coordination.state()).toEqual({ t: 'memory' });
    await coordination.stop();
  });

  test.each([
    [{ redis: REDIS }, 'coordination.members: empty'],
    [{ redis: REDIS, members: ['a'], name: 'b' }, 'coordination.members: "b" is missing'],
    [{ members: ['a', 'b'] }, 'coordination.redis: missing'],
    [{ redis: REDIS, members: ['a', 'a'] }, 'coordination.members[1]: "a" is also'],
    [
      { redis: { ...REDIS, commandTimeoutMs: 1000 }, members: ['a'] },
      'coordination.redis.commandTimeoutMs: 1000 is not shorter',
    ],
    [{ redis: { url: 'redis://user:pw@host' }, members: ['a'] }, 'coordination.redis.url'],
    [{ redis: { url: 'http://host' }, members: ['a'] }, 'coordination.redis.url'],
  ])('%o is refused', (coordination, problem) => {
    expect(() => configOf(coordination)).toThrow(problem);
  });

  test('has this proxy among its members', () => {
    const config = configOf({ redis: REDIS, members: ['no-such-host'] });
    expect(() => createCoordination(config, { ...QUIET, nowMs: () => 0 })).toThrow(
      /^coordination\.members: ".*" \(the host's name\) is missing/,
    );
  });

  test('shows no password of an address that it refuses', () => {
    const config = () => configOf({ redis: { url: 'redis://user:hidden@host' }, members: ['a'] });
    expect(config).toThrow('coordination.redis.url: found a string (not shown), expected');
  });

  test('shows no password', () => {
    const config = configOf({ redis: { ...REDIS, password: { env: 'PW' } }, members: ['a'] });
    expect(JSON.stringify(config)).not.toContain('hidden');
  });
});

describe('metrics of a group', () => {
  test('say that all is well where there is no Redis, and which proxies are silent where there is', async () => {
    const { metrics, registry } = createTelemetry({
      logLevel: 'silent',
      version: '0',
      destination: { write: () => {} },
    });
    const { coordination } = metrics;
    coordination.bind(() => ({ t: 'memory' }));
    expect(await registry.metrics()).toContain('\nlagwise_coordination_up 1\n');
    const members = [{ isPublishing: true }, { isPublishing: false }];
    coordination.bind(() => ({ t: 'connected', isWanted: true, members }));
    coordination.answered('member-silent');
    coordination.lost(3);
    coordination.released();
    const text = await registry.metrics();
    for (const line of [
      'lagwise_coordination_up 1',
      'lagwise_coordination_members_silent 1',
      'lagwise_coordination_questions_total{outcome="member-silent"} 1',
      'lagwise_coordination_lost_transactions_total 3',
      'lagwise_coordination_releases_total 1',
    ]) {
      expect(text).toContain(`\n${line}\n`);
    }
    coordination.bind(() => ({ t: 'away', isWanted: false, members }));
    expect(await registry.metrics()).toContain('\nlagwise_coordination_up 0\n');
    expect(await registry.metrics()).toContain('\nlagwise_coordination_members_silent 0\n');
  });
});
