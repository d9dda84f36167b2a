import type { Connection } from 'mysql2/promise';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { FLAVORS } from '../support/flavors.ts';
import {
  type HeldReplica,
  holdReplica,
  type Protocol,
  PROTOCOLS,
  readValue,
  stopApplier,
  untilKnown,
  untilOut,
} from '../support/ladder.ts';
import { direct, useCluster, valueOf } from '../support/proxy.ts';
import { until } from '../support/until.ts';

const READ = 'SELECT n FROM t WHERE id = 1';
const SESSIONS = 8;

/** What becomes of the replica that showed the newest, and how it is undone. */
const LOSSES = ['is stopped', 'is known to be stopped', 'is killed', 'is shut down'] as const;

interface Reader {
  readonly session: Connection;
  readonly seen: number;
}

describe.skipIf(direct).each(FLAVORS)('on %s a session', (flavor) => {
  const cluster = useCluster({
    lab: { flavor, replicas: 2 },
    config: {
      routing: { waitMs: 300, maxLagMs: 60_000, rampMs: 0 },
      pool: { maxPerServer: 6, minIdle: 1 },
    },
  });
  let held: HeldReplica | null = null;
  let heal: (() => Promise<void>) | null = null;

  beforeAll(async () => {
    await cluster.root('db1', 'CREATE TABLE app.t (id INT PRIMARY KEY, n INT NOT NULL)');
    await cluster.root('db1', 'INSERT INTO app.t VALUES (1, 0)');
    await untilKnown(cluster.lab, cluster.proxy);
  });
  afterEach(async () => {
    await held?.release();
    await heal?.();
    held = null;
    heal = null;
    await cluster.proxy.untilServing(['db2', 'db3']);
    await untilKnown(cluster.lab, cluster.proxy);
  });

  /** Somebody writes; db2 has it, db3 is held before it. */
  async function writeWhileHeld(): Promise<number> {
    held = await holdReplica(cluster.lab, 'db3');
    await cluster.root('db1', 'UPDATE app.t SET n = n + 1');
    const on = async (id: string) => {
      const [row] = await cluster.root(id, 'SELECT n FROM app.t');
      return Number(row?.['n']);
    };
    const newest = await on('db1');
    await until('db2 has it', async () => (await on('db2')) === newest);
    return newest;
  }

  async function lose(loss: (typeof LOSSES)[number]): Promise<void> {
    const { lab, proxy } = cluster;
    if (loss === 'is killed' || loss === 'is shut down') {
      await (loss === 'is killed' ? lab.kill('db2') : lab.stop('db2'));
      heal = () => lab.start('db2');
      return;
    }
    heal = await stopApplier(lab, 'db2');
    if (loss === 'is known to be stopped') await untilOut(proxy, 'db2');
  }

  /**
   * Sessions that have read: those on db2 have seen the newest, which db3 does not have. Which one a
   * session takes is chance and the load's matter, so more of them come until both kinds are there.
   */
  async function readers(protocol: Protocol, newest: number): Promise<Reader[]> {
    const all: Reader[] = [];
    await until('sessions have read from both replicas', async () => {
      const sessions = await Promise.all(Array.from({ length: SESSIONS }, () => cluster.connect()));
      const read = async (session: Connection) => ({
        session,
        seen: Number(await readValue(session, protocol, READ)),
      });
      all.push(...(await Promise.all(sessions.map(read))));
      return all.some(({ seen }) => seen === newest) && all.some(({ seen }) => seen !== newest);
    });
    return all;
  }

  const cases = LOSSES.flatMap((loss) => PROTOCOLS.map((protocol) => ({ loss, protocol })));
  it.each(cases)(
    'reads nothing older when the replica that it read from $loss ($protocol)',
    async ({ loss, protocol }) => {
      const newest = await writeWhileHeld();
      const before = await readers(protocol, newest);
      const saw = before.filter(({ seen }) => seen === newest);
      await lose(loss);
      const after = await Promise.all(
        saw.map(({ session }) => readValue(session, protocol, READ).then(Number)),
      );
      expect(after).toEqual(saw.map(() => newest));
    },
  );

  // A variable of the server beside it has a read run on the primary.
  it.each(PROTOCOLS)(
    'reads nothing older than the primary showed beside its own variables (%s)',
    async (protocol) => {
      const holds = await Promise.all(['db2', 'db3'].map((id) => holdReplica(cluster.lab, id)));
      try {
        await cluster.root('db1', 'UPDATE app.t SET n = n + 1');
        const session = await cluster.connect();
        const seen = Number(
          await readValue(session, protocol, 'SELECT n, @@server_id FROM t WHERE id = 1'),
        );
        expect(Number(await readValue(session, protocol, READ))).toBe(seen);
      } finally {
        for (const hold of holds) await hold.release();
      }
    },
  );

  it('of level eventual does see older ones, which is what the promise is worth', async () => {
    const newest = await writeWhileHeld();
    const eventual = `/* lagwise: consistency=eventual */ ${READ}`;
    const before = await readers('text', newest);
    const { session } = before.find(({ seen }) => seen === newest) ?? expect.fail('None on db2');
    await lose('is known to be stopped');
    expect(await valueOf(session, eventual)).toBe(newest - 1);
    // Its own level does not.
    expect(await valueOf(session, READ)).toBe(newest);
  });
});
