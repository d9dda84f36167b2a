import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Connection } from 'mysql2/promise';
import type { Lab } from '../../src/lab/lab.ts';
import { FLAVORS } from '../support/flavors.ts';
import { PROTOCOLS, readValue, untilKnown } from '../support/ladder.ts';
import { Cluster, direct } from '../support/proxy.ts';
import { until } from '../support/until.ts';

const READ = 'SELECT n FROM t WHERE id = 1';
const ADD = 'UPDATE t SET n = n + 1 WHERE id = 1';
const LOST = 'lagwise_session_positions_lost_total';

describe.skipIf(direct).each(FLAVORS)('on %s, when another server is the primary,', (flavor) => {
  let cluster = new Cluster();

  beforeEach(async () => {
    cluster = new Cluster();
    await cluster.start({
      lab: { flavor, replicas: 2 },
      config: { routing: { waitMs: 300 }, pool: { maxPerServer: 6, minIdle: 1 } },
    });
    await cluster.root('db1', 'CREATE TABLE app.t (id INT PRIMARY KEY, n INT NOT NULL)');
    await cluster.root('db1', 'INSERT INTO app.t VALUES (1, 0)');
    await untilKnown(cluster.lab, cluster.proxy);
  });
  afterEach(async () => {
    await cluster.stop();
  });

  const untilPrimary = (id: string) =>
    until(`${id} is the primary`, () => cluster.proxy.app.snapshot().primary?.id === id, 30_000);
  const readBoth = async (connection: Connection) =>
    await Promise.all(PROTOCOLS.map((protocol) => readValue(connection, protocol, READ)));

  it('a session still reads what it wrote before the switch', async () => {
    const connection = await cluster.connect();
    await connection.query(ADD);
    await cluster.lab.promote('db2');
    await untilPrimary('db2');
    expect(await readBoth(connection)).toEqual([1, 1]);
    await connection.query(ADD);
    expect(await readBoth(connection)).toEqual([2, 2]);
    expect(await cluster.proxy.metric(LOST)).toBe(0);
  });

  it('acknowledged writes that it lacks are counted, and reads go on without them', async () => {
    const { lab } = cluster;
    const [loser, other] = [await cluster.connect(), await cluster.connect()];
    await loser.query(ADD);
    await lab.waitReplicated();
    await stopReceivers(lab);
    await loser.query(ADD);
    await lab.kill('db1');
    await lab.promote('db2');
    await untilPrimary('db2');
    // Reads may fail while there is no primary; they must not for longer.
    await until('reads go on', async () => (await readBoth(loser).catch(() => null)) !== null);
    expect(await readBoth(loser)).toEqual([1, 1]);
    expect(await readBoth(other)).toEqual([1, 1]);
    expect(await cluster.proxy.metric(LOST)).toBe(1);
    await loser.query(ADD);
    expect(await readBoth(loser)).toEqual([2, 2]);
  });
});

/** From here on nobody but the primary has what it acknowledges. */
async function stopReceivers(lab: Lab): Promise<void> {
  const thread = lab.flavor === 'mysql' ? 'REPLICA' : 'SLAVE';
  for (const { id, role } of lab.servers) {
    if (role === 'replica') await lab.rootQuery(id, `STOP ${thread} IO_THREAD`);
  }
}
