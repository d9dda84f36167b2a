import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection, RowDataPacket } from 'mysql2/promise';
import { beforeAll, describe, expect, it } from 'vitest';
import { FLAVORS } from '../support/flavors.ts';
import { rowsOf, useCluster } from '../support/proxy.ts';
import { until } from '../support/until.ts';

const REPLICA = 'db2';
const ROWS = 20;
/** Longer than any test: what is written meanwhile the replica does not show. */
const LAG_MS = 120_000;
const OUTCOMES = ['fresh', 'stale', 'unstable', 'failed', 'skipped', 'dropped'] as const;
type Outcomes = Readonly<Record<(typeof OUTCOMES)[number], number>>;
const NONE: Outcomes = { fresh: 0, stale: 0, unstable: 0, failed: 0, skipped: 0, dropped: 0 };

describe.each(FLAVORS)('reads that are run again, on %s', (flavor) => {
  const cluster = useCluster({
    lab: { flavor, replicas: 1 },
    config: {
      routing: {
        consistency: 'eventual',
        maxLagMs: 10 * LAG_MS,
        stalenessSample: 1,
        stalenessSamplesPerSecond: 1000,
        stalenessSampleTimeoutMs: 10_000,
      },
    },
  });

  beforeAll(async () => {
    const values = Array.from({ length: ROWS }, (_, id) => `(${id}, 0)`).join();
    await cluster.root('db1', 'CREATE TABLE app.stock (id INT PRIMARY KEY, n INT)');
    await cluster.root('db1', `INSERT INTO app.stock VALUES ${values}`);
    await cluster.root('db1', 'CREATE VIEW app.chance AS SELECT id, RAND() AS r FROM app.stock');
    await cluster.lab.waitReplicated();
  });

  const outcomes = async (level = 'eventual'): Promise<Outcomes> => {
    const counts = await Promise.all(
      OUTCOMES.map(async (outcome) => [
        outcome,
        await cluster.proxy.metric(
          `lagwise_sampled_reads_total{server="${REPLICA}",consistency="${level}",outcome="${outcome}"}`,
        ),
      ]),
    );
    return Object.fromEntries(counts) as Outcomes;
  };
  const total = (counts: Outcomes) => Object.values(counts).reduce((sum, count) => sum + count, 0);
  const less = (counts: Outcomes, before: Outcomes): Outcomes =>
    Object.fromEntries(OUTCOMES.map((each) => [each, counts[each] - before[each]])) as Outcomes;

  /** What came of `reads`, each of which is looked at before the next one begins. */
  async function sampled(reads: readonly (() => Promise<unknown>)[]): Promise<Outcomes> {
    const before = await outcomes();
    for (const [index, read] of reads.entries()) {
      await read();
      await until('it was looked at', async () => total(await outcomes()) > total(before) + index);
    }
    return less(await outcomes(), before);
  }

  const untilServing = () =>
    until('it serves again', () =>
      cluster.proxy.app.snapshot().servers.some(({ id, ineligible, role }) => {
        return id === REPLICA && role === 'replica' && ineligible === null;
      }),
    );
  const byText = (client: Connection, id: number) => async () =>
    await client.query<RowDataPacket[]>(`SELECT n FROM stock WHERE id = ${id}`);
  const prepared = (client: Connection, id: number) => async () =>
    await client.execute<RowDataPacket[]>('SELECT n FROM stock WHERE id = ?', [id]);

  it('are all fresh on a replica that has caught up, while other rows are written', async () => {
    const [reader, writer] = [await cluster.connect(), await cluster.connect()];
    const over = new AbortController();
    const writing = async (): Promise<number> => {
      let writes = 0;
      for (; !over.signal.aborted; writes += 1) {
        await writer.query(`UPDATE stock SET n = n + 1 WHERE id >= ${ROWS / 2}`);
      }
      return writes;
    };
    const written = writing();
    const reads = Array.from({ length: ROWS }, (_, at) => {
      const id = at % (ROWS / 2);
      return at % 2 === 0 ? byText(reader, id) : prepared(reader, id);
    });
    const found = await sampled(reads).finally(() => over.abort());
    expect(await written).toBeGreaterThan(ROWS);
    expect(found).toEqual({ ...NONE, fresh: ROWS });
  });

  it('say nothing where two runs differ, or where the text tells that they may', async () => {
    const client = await cluster.connect();
    const texts = [
      'SELECT r FROM chance WHERE id = 1',
      'SELECT n FROM stock LIMIT 2',
      'SELECT n, NOW() FROM stock',
      'SELECT n FROM stock WHERE CURRENT_TIMESTAMP > 0',
    ];
    const found = await sampled(texts.map((text) => () => client.query(text)));
    expect(found).toEqual({ ...NONE, unstable: 1, skipped: 3 });
  });

  it('are none where nothing is read from tables, or within a transaction', async () => {
    const client = await cluster.connect();
    const before = await outcomes();
    await client.query('START TRANSACTION READ ONLY');
    await client.query('SELECT n FROM stock');
    await client.query('COMMIT');
    await client.query('INSERT INTO stock VALUES (100, 1)');
    await client.query('DELETE FROM stock WHERE id = 100');
    expect(less(await outcomes(), before)).toEqual(NONE);
    expect(await sampled([() => client.query('SELECT 1')])).toEqual({ ...NONE, skipped: 1 });
  });

  it('are never called fresh where the replica lacks what was acknowledged before', async () => {
    await cluster.lab.setLag(REPLICA, 200);
    await untilServing();
    const [reader, writer] = [await cluster.connect(), await cluster.connect()];
    await writer.query('UPDATE stock SET n = 0 WHERE id = 0');
    const over = new AbortController();
    let [begun, acknowledged] = [0, 0];
    const writing = async (): Promise<void> => {
      while (!over.signal.aborted) {
        begun += 1;
        await writer.query('UPDATE stock SET n = n + 1 WHERE id = 0');
        acknowledged += 1;
        await sleep(10);
      }
    };
    const written = writing();
    // What was begun and not acknowledged the primary may show or not.
    let [lacking, mayLack] = [0, 0];
    const read = async (): Promise<void> => {
      const [shown, possible] = [acknowledged, begun];
      const [row] = await rowsOf(reader, 'SELECT n FROM stock WHERE id = 0');
      if (Number(row?.['n']) < shown) lacking += 1;
      if (Number(row?.['n']) < possible) mayLack += 1;
    };
    await until('the replica lacks something', async () => {
      await sampled([read]);
      return lacking > 0;
    });
    [lacking, mayLack] = [0, 0];
    const reads = Array.from({ length: 2 * ROWS }, () => read);
    const found = await sampled(reads).finally(() => over.abort());
    await written;
    console.log(`${flavor}: ${lacking} to ${mayLack} of ${reads.length} were stale`, found);
    expect(lacking).toBeGreaterThan(0);
    expect(found.stale).toBeGreaterThanOrEqual(lacking);
    expect(found.stale + found.fresh).toBe(reads.length);
    await cluster.lab.setLag(REPLICA, 0);
  });

  it('show the share of a replica that lags, in both protocols and in any state', async () => {
    await cluster.lab.waitReplicated();
    await cluster.lab.setLag(REPLICA, LAG_MS);
    await untilServing();
    const client = await cluster.connect();
    await client.query("SET SESSION sql_mode = 'ANSI_QUOTES', time_zone = '+03:00'");
    await client.query('UPDATE stock SET n = n + 1000 WHERE id < 5');
    await client.query('DELETE FROM stock WHERE id = 19');
    const { stale: former } = await outcomes();
    const seen = await rowsOf(client, 'SELECT n FROM "stock" WHERE "id" = 19');
    expect(seen).toHaveLength(1);
    await until('that one was looked at', async () => (await outcomes()).stale === former + 1);
    const before = await cluster.proxy.served();
    const ids = Array.from({ length: ROWS }, (_, id) => id);
    const found = await sampled([
      ...ids.map((id) => byText(client, id)),
      ...ids.map((id) => prepared(client, id)),
    ]);
    expect(found).toEqual({ ...NONE, stale: 12, fresh: 28 });
    const served = (await cluster.proxy.served()).since(before);
    expect(served.count({ server: REPLICA, class: 'read' })).toBe(2 * ROWS);
    expect(served.count({ server: 'db1' })).toBe(0);
    const labels = `{server="${REPLICA}",consistency="eventual"}`;
    const share = await cluster.proxy.metric(`lagwise_stale_read_share${labels}`);
    const { stale, fresh } = await outcomes();
    expect(share).toBeCloseTo(stale / (stale + fresh), 6);
    await cluster.lab.setLag(REPLICA, 0);
  });
});
