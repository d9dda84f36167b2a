import { type Connection, createConnection } from 'mysql2/promise';
import type { Consistency } from '../../src/config/rule-schema.ts';
import type { Lab } from '../../src/lab/lab.ts';
import { READ_RUNGS, type ReadRung } from '../../src/telemetry/labels.ts';
import type { TestProxy } from './proxy.ts';
import { until } from './until.ts';

/** How many reads of a level ended on each rung. */
export type Rungs = Readonly<Record<ReadRung, number>>;

/** A replica that runs and answers, and whose applier commits nothing. */
export interface HeldReplica {
  /** Reads wait there for a position now. */
  isAwaited(): Promise<boolean>;
  /** Lets it go on. Does nothing the second time. */
  release(): Promise<void>;
}

/**
 * Keeps a replica's applier from committing until it is released. Both threads go on running, so
 * that the replica stays eligible and only lags: what a read does then depends on no luck.
 */
export async function holdReplica(lab: Lab, id: string): Promise<HeldReplica> {
  const socketPath = lab.server(id).socketPath;
  if (socketPath === null) throw new Error(`${id} does not run as a process of this machine`);
  const lock = await createConnection({ socketPath, user: 'root' });
  lock.on('error', () => undefined);
  await lock.query('FLUSH TABLES WITH READ LOCK');
  let isHeld = true;
  return {
    isAwaited: async () => (await waitersOn(lab, id)) > 0,
    release: async () => {
      if (!isHeld) return;
      isHeld = false;
      try {
        await lock.query('UNLOCK TABLES');
      } finally {
        await lock.end();
      }
    },
  };
}

/** How many sessions of a server wait there for a position. */
export async function waitersOn(lab: Lab, id: string): Promise<number> {
  const [row] = await lab.rootQuery(
    id,
    `SELECT COUNT(*) AS n FROM information_schema.PROCESSLIST
     WHERE INFO LIKE '%GTID%' AND INFO LIKE '%WAIT%' AND INFO NOT LIKE '%PROCESSLIST%'`,
  );
  return Number(row?.['n']);
}

/** Stops the thread that executes on a replica. @returns what starts it again */
export async function stopApplier(lab: Lab, id: string): Promise<() => Promise<void>> {
  const thread = lab.flavor === 'mysql' ? 'REPLICA' : 'SLAVE';
  await lab.rootQuery(id, `STOP ${thread} SQL_THREAD`);
  return async () => {
    await lab.rootQuery(id, `START ${thread} SQL_THREAD`);
  };
}

/** Waits until a proxy knows that a server takes no reads. */
export async function untilOut({ app }: TestProxy, id: string): Promise<void> {
  await until(`${id} takes no reads`, () =>
    app
      .snapshot()
      .servers.some((each) => each.id === id && (each.role === 'down' || each.ineligible !== null)),
  );
}

/** Waits until a proxy knows that its replicas have all that was committed until now. */
export async function untilKnown(lab: Lab, { app }: TestProxy): Promise<void> {
  await lab.waitReplicated();
  const nowMs = performance.now();
  await until('replicas are known to have all', () =>
    app
      .snapshot()
      .servers.every(
        ({ role, ineligible, caughtUpToMs }) =>
          role !== 'replica' || (ineligible === null && caughtUpToMs >= nowMs),
      ),
  );
}

/** The reads of a level so far, by rung. */
async function rungsOf(proxy: TestProxy, level: Consistency): Promise<Rungs> {
  const text = await proxy.app.metrics();
  const count = (rung: ReadRung) => {
    const sample = `lagwise_reads_total{consistency="${level}",rung="${rung}"} `;
    const line = text.split('\n').find((each) => each.startsWith(sample));
    return Number(line?.slice(sample.length) ?? 0);
  };
  return { known: count('known'), waited: count('waited'), primary: count('primary') };
}

/** What `work` gives, and the rungs that its reads of a level ended on. */
export async function climb<T>(
  proxy: TestProxy,
  level: Consistency,
  work: () => Promise<T>,
): Promise<{ value: T; rungs: Rungs }> {
  const before = await rungsOf(proxy, level);
  const value = await work();
  const after = await rungsOf(proxy, level);
  const rungs = { known: 0, waited: 0, primary: 0 };
  for (const rung of READ_RUNGS) rungs[rung] = after[rung] - before[rung];
  return { value, rungs };
}

/** The protocols that a statement can be sent by. */
export const PROTOCOLS = ['text', 'binary'] as const;
export type Protocol = (typeof PROTOCOLS)[number];

/** The only value of the only row, by the protocol that is asked for. */
export async function readValue(
  connection: Connection,
  protocol: Protocol,
  sql: string,
): Promise<unknown> {
  const [rows] = protocol === 'text' ? await connection.query(sql) : await connection.execute(sql);
  const row: unknown = Array.isArray(rows) ? rows[0] : undefined;
  return typeof row === 'object' && row !== null ? Object.values(row)[0] : undefined;
}
