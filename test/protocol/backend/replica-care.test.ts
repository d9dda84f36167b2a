import { describe, expect, test } from 'vitest';
import { freshCluster, type ScriptedCluster } from '../../support/scripted-cluster.ts';
import { err, rows } from '../../support/scripted-replies.ts';
import { until } from '../../support/until.ts';

/** Small windows, so that a test need not wait for ten seconds; the code is the same. */
const routing = {
  consistency: 'eventual',
  rampMs: 300,
  ejection: { windowMs: 1000, minReads: 10, baseMs: 1500, minErrors: 3 },
};
const SLOW_MS = 40;

const rested = (cluster: ScriptedCluster, reason: string) =>
  cluster.metric(`lagwise_replica_ejections_total{server="db2",reason="${reason}"}`);
const weightOf = (cluster: ScriptedCluster, id: string) =>
  cluster.metric(`lagwise_replica_effective_weight{server="${id}"}`);

/** Clients that read all the time until the work is done. */
async function reading<T>(cluster: ScriptedCluster, work: () => Promise<T>): Promise<T> {
  const clients = await Promise.all(Array.from({ length: 6 }, () => cluster.connect()));
  const stop = new AbortController();
  const loops = clients.map(async (client) => {
    while (!stop.signal.aborted) {
      const { error } = await client.query('SELECT a FROM t');
      expect(error).toBeNull();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  });
  try {
    return await work();
  } finally {
    stop.abort();
    await Promise.all(loops);
  }
}

const both = async (cluster: ScriptedCluster): Promise<boolean> =>
  cluster.db(2).count(/SELECT a/) > 0 && cluster.db(3).count(/SELECT a/) > 0;

describe('a replica that stands out', () => {
  test('by time rests: reads go to the others, and it comes back', async () => {
    const cluster = await freshCluster(3, { routing });
    cluster.db(2).when(/SELECT a/, async (session) => {
      await new Promise((resolve) => setTimeout(resolve, SLOW_MS));
      session.pipe.write(rows(session, ['a'], [['1']]));
    });
    await reading(cluster, async () => {
      await until('both take reads', () => both(cluster));
      await until('db2 rests', async () => (await rested(cluster, 'latency')) === 1);
      expect(await weightOf(cluster, 'db2')).toBe(0);
      // A read may be on its way still.
      await until('db2 is left', () => isLeft(cluster), 5000);
      expect(await weightOf(cluster, 'db3')).toBe(1);
      await until('db2 is back', async () => (await weightOf(cluster, 'db2')) === 1);
    });
    expect(cluster.logs.filter((line) => line.includes('stands out and rests'))).toHaveLength(1);
  });

  test('by connections that it loses rests, and clients see no error', async () => {
    const cluster = await freshCluster(3, { routing });
    cluster.db(2).when(/SELECT a/, 'close');
    await reading(cluster, async () => {
      await until('db2 rests', async () => (await rested(cluster, 'errors')) >= 1);
    });
  });

  test.each([
    ['by errors of its own rests', 1030, true],
    ['by a damaged index of InnoDB rests', 1712, true],
    ['by a tablespace that it has lost rests', 1814, true],
    ['by errors of statements does not', 1064, false],
  ])('%s', async (_, code, rests) => {
    const cluster = await freshCluster(3, { routing });
    const clients = await Promise.all(Array.from({ length: 6 }, () => cluster.connect()));
    cluster.db(2).when(/SELECT a/, err(code));
    for (let round = 0; round < 40; round += 1) {
      await Promise.all(clients.map((client) => client.query('SELECT a FROM t')));
      await new Promise((resolve) => setTimeout(resolve, 40));
    }
    expect(await both(cluster)).toBe(true);
    expect((await rested(cluster, 'errors')) > 0).toBe(rests);
  });
});

test('the time of a read is that to its first byte, however long the rest takes', async () => {
  const cluster = await freshCluster(2, { routing });
  cluster.db(2).when(/SELECT a/, async (session) => {
    const reply = rows(session, ['a'], [['1'], ['2']]);
    session.pipe.write(reply.subarray(0, 12));
    await new Promise((resolve) => setTimeout(resolve, 400));
    session.pipe.write(reply.subarray(12));
  });
  const client = await cluster.connect();
  await client.query('SELECT a FROM t');
  const seconds = await cluster.metric('lagwise_replica_latency_ewma_seconds{server="db2"}');
  expect(seconds).toBeGreaterThan(0);
  expect(seconds).toBeLessThan(0.2);
});

/** No read has come to db2 for a while. */
async function isLeft(cluster: ScriptedCluster): Promise<boolean> {
  const before = cluster.db(2).count(/SELECT a/);
  await new Promise((resolve) => setTimeout(resolve, 200));
  return cluster.db(2).count(/SELECT a/) === before;
}
