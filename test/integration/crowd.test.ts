import { describe, expect, it, onTestFinished } from 'vitest';
import { Crowd, crowdSchema, seeded } from '../support/crowd.ts';
import { FLAVORS } from '../support/flavors.ts';
import { direct, useCluster } from '../support/proxy.ts';
import { connectionMeter } from '../support/crowd-meter.ts';
import { until } from '../support/until.ts';

const CLIENTS = 300;
const ACTIVE = 15;
const MAX_PER_SERVER = 8;
const RUN_MS = 5_000;

describe.each(FLAVORS)('on %s', (flavor) => {
  const cluster = useCluster({
    lab: { flavor, replicas: 2 },
    config: { pool: { maxPerServer: MAX_PER_SERVER } },
  });

  it('300 clients, 15 active at a time, share 8 connections a server and mix up nothing', async () => {
    for (const sql of crowdSchema(CLIENTS)) await cluster.root('db1', sql);
    await cluster.lab.waitReplicated();
    const { user } = cluster.lab.accounts.app;
    const meter = connectionMeter(cluster.lab, user);
    const crowd = new Crowd({
      login: cluster.login,
      first: 0,
      clients: CLIENTS,
      random: seeded(1),
    });
    onTestFinished(async () => {
      crowd.close();
      await meter.stop();
    });
    meter.start();
    await crowd.connect();
    await crowd.settle();
    const enough = async (): Promise<boolean> => {
      await crowd.run(ACTIVE, RUN_MS);
      const { statements, activeOnce } = crowd.result();
      return statements > CLIENTS && activeOnce > CLIENTS / 2;
    };
    // One round where the machine has nothing else to do.
    await until('half of the clients were active', enough, 6 * RUN_MS);
    expect(crowd.result().errors).toEqual({});
    if (direct) return;
    for (const [server, most] of Object.entries(await meter.stop())) {
      expect(most, `connections to ${server}`).toBeLessThanOrEqual(MAX_PER_SERVER);
    }
  });
});
