import { setTimeout as sleep } from 'node:timers/promises';
import type { Query } from './root-connection.ts';

/**
 * "Run STOP REPLICA first": 1198 of MariaDB; of MySQL 3081, 3021 where it is the receiver that runs,
 * and 3085 where it is the applier.
 */
const MUST_STOP = new Set<unknown>([1198, 3021, 3081, 3085]);
const DEADLINE_MS = 20_000;
const POLL_MS = 25;

/**
 * Does `work` that needs both replication threads stopped. A server that starts does not wait for
 * the threads that it starts: it may take the statement that stops them before they run, find
 * nothing to stop, and refuse the next one because they do. Then both are tried again.
 * @param stop the statement that stops both threads
 * @param work is repeated from its beginning
 * @throws the server's error when threads still run after twenty seconds, or any other at once
 */
export async function withThreadsStopped(
  query: Query,
  stop: string,
  work: () => Promise<void>,
): Promise<void> {
  const deadline = Date.now() + DEADLINE_MS;
  for (;;) {
    await query(stop);
    try {
      await work();
      return;
    } catch (error) {
      const mustStop = error instanceof Error && 'errno' in error && MUST_STOP.has(error.errno);
      if (!mustStop || Date.now() > deadline) throw error;
    }
    await sleep(POLL_MS);
  }
}
