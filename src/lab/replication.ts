import { setTimeout as sleep } from 'node:timers/promises';
import { LagwiseError } from '../lib/errors.ts';
import type { Flavor } from '../topology/snapshot.ts';
import type { ReplicationDialect } from './replication-dialect.ts';
import { mariadbReplication } from './replication-mariadb.ts';
import { mysqlReplication } from './replication-mysql.ts';
import { type Query, type RootAccess, withRoot } from './root-connection.ts';

const POLL_MS = 25;

/** The dialect of a flavor. */
export function replicationDialect(flavor: Flavor): ReplicationDialect {
  return flavor === 'mysql' ? mysqlReplication : mariadbReplication;
}

/** Waits until both threads of a replica run; throws what the server says when they do not. */
export async function waitThreadsRun(
  dialect: ReplicationDialect,
  query: Query,
  deadlineMs: number,
): Promise<void> {
  const deadline = Date.now() + deadlineMs;
  for (;;) {
    const threads = await dialect.threads(query);
    // The receiver says "Yes" when it has connected, some round trips before it receives.
    if (threads?.receiver === 'Yes' && threads.applier === 'Yes' && threads.streaming) return;
    // A receiver that is "Connecting" has a last error and may yet succeed; a dead applier will not.
    const dead = threads?.applier === 'No' && threads.error !== '';
    if (dead || Date.now() > deadline) {
      throw new LagwiseError(
        'lab',
        `Replication did not start: receiver ${threads?.receiver ?? 'missing'}, applier ${threads?.applier ?? 'missing'}${threads?.error ? `: ${threads.error}` : ''}`,
      );
    }
    await sleep(POLL_MS);
  }
}

/** Waits until a server answers a statement; `stillRuns` ends the wait early when it died. */
export async function waitAnswers(
  access: RootAccess,
  deadlineMs: number,
  stillRuns: () => Promise<boolean>,
): Promise<void> {
  const deadline = Date.now() + deadlineMs;
  for (;;) {
    try {
      await withRoot(access, (query) => query('SELECT 1'));
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
      if (!(await stillRuns())) {
        throw new LagwiseError('lab', 'The server ended while it was starting', { cause: error });
      }
    }
    await sleep(POLL_MS);
  }
}
