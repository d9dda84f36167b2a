import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TopologyService } from '../../src/monitor/topology-service.ts';
import type { ServerView } from '../../src/topology/snapshot.ts';
import { watchLab } from '../lag/cluster.ts';
import { measureRun } from '../lag/measure.ts';
import { summarise, tableOf } from '../lag/summary.ts';
import { Truth } from '../lag/truth.ts';
import { FLAVORS } from '../support/flavors.ts';
import { useLab } from '../support/lab.ts';
import { until } from '../support/until.ts';

const REPLICA = 'db2';
const WRITES_PER_SECOND = 75;
const SECONDS = 3;
/** What a machine that is busy with other tests may add; test/lag/accuracy.ts is the strict one. */
const slackMs = (truthMs: number) => truthMs * 0.5 + 250;

describe.each(FLAVORS)('lag on %s', (flavor) => {
  const cluster = useLab({ flavor, replicas: 1 });
  const watching: TopologyService[] = [];

  const watch = (options: Parameters<typeof watchLab>[1] = {}) => {
    const topology = watchLab(cluster.lab, options);
    watching.push(topology);
    return topology;
  };
  const viewOf = (topology: TopologyService): ServerView | undefined =>
    topology.current().servers.find(({ id }) => id === REPLICA);
  const lagOf = (topology: TopologyService): number | null => {
    const lag = viewOf(topology)?.lag;
    return lag?.t === 'known' ? lag.lagMs : null;
  };
  const word = flavor === 'mysql' ? 'REPLICA' : 'SLAVE';

  beforeAll(async () => {
    const { lab } = cluster;
    await lab.rootQuery('db1', 'CREATE TABLE app.seen (n INT PRIMARY KEY)');
    await lab.waitReplicated();
  });

  afterAll(async () => {
    await Promise.all(watching.map((topology) => topology.stop()));
  });

  it('is reported near the truth, wherever the replica is held back', async () => {
    const { lab } = cluster;
    const topology = watch();
    {
      await using truth = await Truth.start(lab, REPLICA, WRITES_PER_SECOND);
      const parts = { lab, topology, truth };
      for (const [where, lagMs] of [
        ['receiver', 0],
        ['receiver', 200],
        ['receiver', 1000],
        ['applier', 600],
      ] as const) {
        const injection = { where, lagMs };
        const run = await measureRun(parts, { injection, replica: REPLICA, seconds: SECONDS });
        const figures = summarise(run);
        console.log(tableOf([figures]).split('\n').at(-1));
        // A server that a busy machine kept from answering in time is not known to lag by anything.
        expect(figures.unknown).toBeLessThan(figures.samples / 2);
        expect(figures.samples).toBeGreaterThan(5);
        expect(figures.errorP50Ms).toBeLessThan(slackMs(figures.truthMeanMs));
        const { reportedMeanMs, truthMeanMs } = figures;
        expect(Math.abs(reportedMeanMs - truthMeanMs)).toBeLessThan(slackMs(truthMeanMs));
      }
    }
    await lab.setLag(REPLICA, 0);
    await until('no lag on an idle cluster', () => lagOf(topology) === 0);
    await topology.stop();
  });

  it('of a configured delay is real lag, and the details say that it is configured', async () => {
    const { lab } = cluster;
    const topology = watch();
    await lab.setLag(REPLICA, 3000);
    await lab.rootQuery('db1', 'INSERT INTO app.seen VALUES (1), (2)');
    await lab.rootQuery('db1', 'INSERT INTO app.seen VALUES (3)');
    const view = await until('two transactions wait', () => {
      const seen = viewOf(topology);
      return seen?.replication?.behind === 2 && seen.replication.queued === 2 ? seen : null;
    });
    expect(view.replication).toMatchObject({
      channels: [{ name: '', source: 'db1', receiver: 'on', applier: true, receiverError: null }],
      stoppedSinceMs: null,
      // Nothing was applied lately: nothing tells when they will be.
      catchUpMs: null,
    });
    expect(view.replication?.configuredDelayMs).toBeGreaterThanOrEqual(3000);
    await until('the lag grows to a second', () => (lagOf(topology) ?? 0) > 1000);
    await until('they are applied', () => viewOf(topology)?.replication?.behind === 0);
    expect(viewOf(topology)?.replication).toMatchObject({ queued: 0, catchUpMs: 0 });
    await lab.setLag(REPLICA, 0);
    await topology.stop();
  });

  it('of a stopped applier is unknown, never 0, and the time since then grows', async () => {
    const { lab } = cluster;
    const topology = watch();
    await until('a lag', () => lagOf(topology) === 0);
    const lags: (number | null)[] = [];
    await lab.rootQuery(REPLICA, `STOP ${word} SQL_THREAD`);
    await until('it is seen', () => viewOf(topology)?.replication?.stoppedSinceMs ?? null);
    const since = viewOf(topology)?.replication?.stoppedSinceMs ?? 0;
    topology.onChange(({ servers }) => {
      const lag = servers.find(({ id }) => id === REPLICA)?.lag;
      lags.push(lag?.t === 'known' ? lag.lagMs : null);
    });
    await lab.rootQuery('db1', 'INSERT INTO app.seen VALUES (10)');
    await until('what it lacks is counted', () => viewOf(topology)?.replication?.behind === 1);
    const view = viewOf(topology);
    expect(view?.lag).toEqual({ t: 'unknown', why: 'Its applier is stopped' });
    expect(view?.replication?.stoppedSinceMs).toBe(since);
    expect(performance.now() - since).toBeGreaterThan(0);
    expect(lags.every((lag) => lag === null)).toBe(true);
    await lab.rootQuery(REPLICA, `START ${word} SQL_THREAD`);
    await until('it goes on', () => viewOf(topology)?.replication?.stoppedSinceMs === null);
    await until('it has caught up', () => lagOf(topology) === 0);
    await topology.stop();
  });

  it('is asked for at the fast pace while a read waits, and slowly while nothing happens', async () => {
    const topology = watch({ fastIntervalMs: 20 });
    await until('a lag', () => lagOf(topology) === 0);
    const moments: number[] = [];
    const stop = topology.onChange(({ servers }) => {
      const at = servers.find(({ id }) => id === REPLICA)?.seenAtMs ?? 0;
      if (at !== moments.at(-1)) moments.push(at);
    });
    topology.wanted();
    const wantedAtMs = performance.now();
    await until('many looks', () => moments.length >= 8);
    // At the base pace these would have taken 2 s.
    expect(performance.now() - wantedAtMs).toBeLessThan(1500);
    await until(
      'two looks a second apart',
      () => moments.some((at, index) => at - (moments[index - 1] ?? at) > 800),
      15_000,
    );
    stop();
    await topology.stop();
  });

  it('is told by heartbeats, which go to the primary only', async () => {
    const { lab } = cluster;
    const user = lab.accounts.monitor.user;
    const problems: string[] = [];
    const onProblem = (why: object) => problems.push(JSON.stringify(why));
    const refused = watch({ heartbeatMs: 50, onProblem });
    await until('the missing right is named', () =>
      problems.some((why) => why.includes('grant it CREATE, SELECT, INSERT, UPDATE, DELETE')),
    );
    expect(lagOf(refused)).toBe(0);
    const schemas = await lab.rootQuery('db1', "SHOW DATABASES LIKE 'lagwise'");
    expect(schemas).toEqual([]);
    await refused.stop();

    await lab.rootQuery('db1', `GRANT ALL ON lagwise.* TO '${user}'@'%'`);
    await lab.waitReplicated();
    const topology = watch({ heartbeatMs: 50, onProblem });
    const beatOn = async (id: string): Promise<number> => {
      const rows = await lab
        .rootQuery(id, 'SELECT MAX(beat) AS beat, COUNT(*) AS held FROM lagwise.heartbeat')
        // Until the first heartbeat there is no table.
        .catch(() => []);
      expect(Number(rows[0]?.['held'] ?? 0)).toBeLessThanOrEqual(1);
      return Number(rows[0]?.['beat'] ?? 0);
    };
    const first = await until('heartbeats come', async () => (await beatOn('db1')) || null);
    await until('the replica shows a newer one', async () => (await beatOn(REPLICA)) > first);
    await until('a lag', () => (lagOf(topology) ?? 1000) < 500);
    await lab.setLag(REPLICA, 700);
    await until('the lag is seen', () => (lagOf(topology) ?? 0) > 350);
    await lab.setLag(REPLICA, 0);

    await lab.rootQuery('db1', 'SET GLOBAL read_only = 1');
    await until('there is no primary', () => topology.current().primary === null);
    const last = await beatOn('db1');
    await lab.rootQuery('db1', 'SET GLOBAL read_only = 0');
    await until('it goes on', async () => (await beatOn('db1')) > last);
    await topology.stop();
  });
});
