import type { Connection } from 'mysql2/promise';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { FLAVORS } from '../support/flavors.ts';
import { PROTOCOLS, readValue, untilKnown } from '../support/ladder.ts';
import { direct, useCluster } from '../support/proxy.ts';
import { until } from '../support/until.ts';

const READ = 'SELECT n FROM t WHERE id = 1';
/** Two replicas have to confirm a commit, and one of them receives nothing. */
const WAIT_FOR_BOTH = [
  'SET GLOBAL rpl_semi_sync_source_wait_no_replica = ON',
  'SET GLOBAL rpl_semi_sync_source_wait_for_replica_count = 2',
];

// MariaDB has nothing that a read could wait for; its default, AFTER_COMMIT, does not need it.
const isLeftOut = direct || !FLAVORS.includes('mysql');

describe.skipIf(isLeftOut)('while a MySQL primary waits for confirmation', () => {
  const cluster = useCluster({
    lab: { flavor: 'mysql', replicas: 2, semiSync: true },
    config: { routing: { waitMs: 300, maxLagMs: 60_000, rampMs: 0 } },
  });

  beforeAll(async () => {
    await cluster.root('db1', 'CREATE TABLE app.t (id INT PRIMARY KEY, n INT NOT NULL)');
    await cluster.root('db1', 'INSERT INTO app.t VALUES (1, 0)');
    await untilKnown(cluster.lab, cluster.proxy);
    for (const sql of WAIT_FOR_BOTH) await cluster.root('db1', sql);
  });
  afterEach(async () => {
    await cluster.root('db3', 'START REPLICA IO_THREAD');
    await untilKnown(cluster.lab, cluster.proxy);
  });

  async function valueOn(id: string): Promise<number> {
    const [row] = await cluster.root(id, 'SELECT n FROM app.t');
    return Number(row?.['n']);
  }

  /** Somebody writes; db2 shows it, and the primary does not. */
  async function beginWrite(): Promise<{ before: number; written: Promise<unknown> }> {
    const before = await valueOn('db1');
    await cluster.root('db3', 'STOP REPLICA IO_THREAD');
    const written = cluster.root('db1', 'UPDATE app.t SET n = n + 1');
    await until('db2 shows it', async () => (await valueOn('db2')) === before + 1);
    expect(await valueOn('db1')).toBe(before);
    return { before, written };
  }

  async function strongly(session: Connection): Promise<void> {
    await session.query("SET @lagwise_consistency = 'strong'");
  }

  it.each(PROTOCOLS)(
    'who was shown a commit by a replica is not shown less by the primary (%s)',
    async (protocol) => {
      const { before, written } = await beginWrite();
      const session = await cluster.connect();
      const read = async () => Number(await readValue(session, protocol, READ));
      await until('the session sees it', async () => (await read()) === before + 1);
      await strongly(session);
      const reading = read();
      const [row] = await (await cluster.connect()).query<never[]>(
        `/* lagwise: consistency=strong */ ${READ}`,
      );
      expect(row).toMatchObject([{ n: before }]);
      await cluster.root('db3', 'START REPLICA IO_THREAD');
      expect(await reading).toBe(before + 1);
      await written;
    },
  );

  it('a token of what a replica has shown holds on the primary, too', async () => {
    const { before, written } = await beginWrite();
    const shown = await cluster.connect();
    const read = async () => Number(await readValue(shown, 'text', READ));
    await until('the session sees it', async () => (await read()) === before + 1);
    const token = await readValue(shown, 'text', 'SELECT @lagwise_gtid');
    const other = await cluster.connect();
    await other.query(`SET @lagwise_gtid = '${String(token)}'`);
    await strongly(other);
    const reading = readValue(other, 'text', READ);
    await cluster.root('db3', 'START REPLICA IO_THREAD');
    expect(Number(await reading)).toBe(before + 1);
    await written;
  });
});
