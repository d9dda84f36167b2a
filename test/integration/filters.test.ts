import type { Connection } from 'mysql2/promise';
import { beforeAll, describe, expect, it } from 'vitest';
import type { ServerView } from '../../src/topology/snapshot.ts';
import { FLAVORS } from '../support/flavors.ts';
import { type Cluster, direct, startProxy, useCluster, valueOf } from '../support/proxy.ts';
import { until } from '../support/until.ts';

const ROUNDS = 50;

const viewIn = (cluster: Cluster, id: string): ServerView | undefined =>
  cluster.proxy.app.snapshot().servers.find((server) => server.id === id);

async function makeTables(cluster: Cluster): Promise<void> {
  await cluster.root('db1', 'CREATE DATABASE scratch');
  const { port } = cluster.lab.primary;
  for (const database of ['app', 'scratch']) {
    // Statements are left out by their default schema, whatever tables they are about.
    const connection = await cluster.connect({ port, database });
    await connection.query('CREATE TABLE t (id INT PRIMARY KEY, n INT NOT NULL)');
    await connection.query('INSERT INTO t VALUES (1, 0)');
  }
  await cluster.lab.waitReplicated();
}

/** Writes to both schemas, and reads back what was written, again and again. */
async function staleReads(connection: Connection): Promise<number> {
  let stale = 0;
  for (let n = 1; n <= ROUNDS; n += 1) {
    for (const table of ['scratch.t', 'app.t']) {
      await connection.query(`UPDATE ${table} SET n = ${n} WHERE id = 1`);
      const read = await valueOf(connection, `SELECT n FROM ${table} WHERE id = 1`);
      if (Number(read) !== n) stale += 1;
    }
  }
  return stale;
}

describe.skipIf(direct).each(FLAVORS)('a replica with filters, on %s', (flavor) => {
  const cluster = useCluster({ lab: { flavor, replicas: 2 } });

  async function setIgnored(id: string, schema: string): Promise<void> {
    const word = flavor === 'mysql' ? 'REPLICA' : 'SLAVE';
    await cluster.root(id, `STOP ${word} SQL_THREAD`);
    const list = schema === '' ? '()' : `(${schema})`;
    await cluster.root(
      id,
      flavor === 'mysql'
        ? `CHANGE REPLICATION FILTER REPLICATE_IGNORE_DB = ${list}`
        : `SET GLOBAL replicate_ignore_db = '${schema}'`,
    );
    await cluster.root(id, `START ${word} SQL_THREAD`);
  }
  const readsOn = (work: () => Promise<unknown>) =>
    cluster.proxy.servedBy(work).then((served) => ({
      db1: served.count({ server: 'db1', class: 'read' }),
      db2: served.count({ server: 'db2', class: 'read' }),
      db3: served.count({ server: 'db3', class: 'read' }),
    }));

  beforeAll(() => makeTables(cluster));

  it('is no worse for filters of system schemas', async () => {
    await setIgnored('db2', 'mysql');
    await until('db2 proves things again', () => {
      const view = viewIn(cluster, 'db2');
      return view?.ineligible === null && view.position !== null && view.caughtUpToMs >= 0;
    });
    expect(viewIn(cluster, 'db2')?.filters).toBeNull();
  });

  it('takes no read behind a write, though it has the GTIDs, and its lag is known', async () => {
    for (const id of ['db2', 'db3']) await setIgnored(id, 'scratch');
    await until('both are known to have filters', () =>
      ['db2', 'db3'].every((id) => {
        const view = viewIn(cluster, id);
        return view?.ineligible === null && view.filters !== null && view.lag.t === 'known';
      }),
    );
    for (const id of ['db2', 'db3']) {
      expect(viewIn(cluster, id)).toMatchObject({
        role: 'replica',
        position: null,
        caughtUpToMs: -1,
        filters: 'Its replication leaves out data (replicate-ignore-db=scratch)',
      });
    }
    const writer = await cluster.connect();
    const reads = await readsOn(async () => {
      expect(await staleReads(writer)).toBe(0);
    });
    expect(reads).toEqual({ db1: 2 * ROUNDS, db2: 0, db3: 0 });
    // What it says it has executed, it has left out: or the test shows nothing.
    await cluster.lab.waitReplicated();
    const [row] = await cluster.root('db2', 'SELECT n FROM scratch.t');
    expect(Number(row?.['n'])).toBe(0);
    await until('they have caught up all the same', () => {
      const lag = viewIn(cluster, 'db2')?.lag;
      return lag?.t === 'known' && lag.lagMs === 0;
    });
  });

  it('takes reads of sessions that have not written', async () => {
    const reader = await cluster.connect();
    const { db1, db2, db3 } = await readsOn(async () => {
      for (let n = 0; n < 10; n += 1) await reader.query('SELECT n FROM app.t');
    });
    expect(db1).toBe(0);
    expect(db2 + db3).toBe(10);
  });

  it('is told of once, in the log and where servers are shown', async () => {
    const lines = cluster.proxy.logs.filter(({ msg }) => msg.startsWith('A replica leaves out'));
    expect(lines).toHaveLength(2);
    expect(new Set(lines.map(({ server }) => server))).toEqual(new Set(['db2', 'db3']));
    expect(lines[0]).toMatchObject({
      level: 'warn',
      why: expect.stringContaining('replicate-ignore-db=scratch'),
    });
  });

  it('proves nothing either when the filter is gone: what was left out is still missing', async () => {
    await setIgnored('db2', '');
    await until('the filter is seen to be gone', () =>
      viewIn(cluster, 'db2')?.filters?.includes('has left out'),
    );
    expect(viewIn(cluster, 'db2')).toMatchObject({ position: null, caughtUpToMs: -1 });
  });
});

describe.skipIf(direct).each(FLAVORS)(
  'a primary with a filter of its binary log, on %s',
  (flavor) => {
    const cluster = useCluster({
      lab: { flavor, replicas: 1, serverOptions: ['--binlog-ignore-db=scratch'] },
    });

    beforeAll(() => makeTables(cluster));

    it('keeps the reads behind writes, of all schemas', async () => {
      await until('its filter is known', () => viewIn(cluster, 'db1')?.filters !== null);
      expect(viewIn(cluster, 'db1')).toMatchObject({
        role: 'primary',
        position: null,
        filters: 'Its binary log leaves out data (binlog-ignore-db=scratch)',
      });
      expect(viewIn(cluster, 'db2')).toMatchObject({ position: null, caughtUpToMs: -1 });
      // A wrong read of what never reaches the replica is an error: the table is not there.
      const writer = await cluster.connect();
      const served = await cluster.proxy.servedBy(async () => {
        expect(await staleReads(writer)).toBe(0);
      });
      expect(served.count({ server: 'db2', class: 'read' })).toBe(0);
      expect(viewIn(cluster, 'db2')?.lag).toMatchObject({ t: 'known', method: expect.any(String) });
    });

    it('lets reads behind no write go to replicas', async () => {
      const reader = await cluster.connect();
      const served = await cluster.proxy.servedBy(() => reader.query('SELECT n FROM app.t'));
      expect(served.count({ server: 'db2', class: 'read' })).toBe(1);
    });
  },
);

describe.skipIf(direct).each(FLAVORS)(
  'a primary whose log leaves out system schemas, on %s',
  (flavor) => {
    const cluster = useCluster({
      lab: { flavor, replicas: 1, serverOptions: ['--binlog-ignore-db=performance_schema'] },
    });

    it('is no worse for it', async () => {
      await until(
        'the replica proves things',
        () => (viewIn(cluster, 'db2')?.caughtUpToMs ?? -1) >= 0,
      );
      expect(viewIn(cluster, 'db1')).toMatchObject({ role: 'primary', filters: null });
      expect(viewIn(cluster, 'db1')?.position).not.toBeNull();
    });

    it('proves nothing while the account may not see what its log leaves out', async ({ skip }) => {
      if (flavor === 'mysql') skip('MySQL shows it to whoever may monitor replication');
      await cluster.root('db1', "CREATE USER 'half'@'%' IDENTIFIED BY 'half'");
      await cluster.root('db1', "GRANT REPLICA MONITOR ON *.* TO 'half'@'%'");
      await cluster.lab.waitReplicated();
      const proxy = await startProxy(cluster.lab, {
        monitor: { user: 'half', password: 'half' },
      });
      try {
        await proxy.untilServing(['db2']);
        const [primary, replica] = proxy.app.snapshot().servers;
        expect(primary?.filters).toContain('lacks the privilege BINLOG MONITOR');
        expect(primary?.position).toBeNull();
        expect(replica).toMatchObject({ position: null, caughtUpToMs: -1, ineligible: null });
      } finally {
        await proxy.app.stop();
      }
    });
  },
);
