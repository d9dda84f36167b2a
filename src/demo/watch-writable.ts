import { setTimeout as sleep } from 'node:timers/promises';
import { createConnection, type RowDataPacket } from 'mysql2/promise';
import type { Lab } from '../lab/lab.ts';

const POLL_MS = 2;
const CONNECT_DEADLINE_MS = 5_000;

/** Asks a server, over and over, whether it takes writes. */
export interface WritableWatch {
  /**
   * Ends the watch.
   * @returns when (monotonic ms) the last look began that found it read-only: it cannot have taken a
   * write before. Null where no look did.
   */
  end(): Promise<number | null>;
}

/**
 * Watches for the moment of a promotion from outside of both the lab and the proxy, so that neither
 * has a say in how long the proxy took to follow.
 */
export async function watchWritable(lab: Lab, id: string): Promise<WritableWatch> {
  const { host, port } = lab.server(id);
  const connection = await createConnection({
    host,
    port,
    ...lab.accounts.monitor,
    connectTimeout: CONNECT_DEADLINE_MS,
  });
  connection.on('error', () => undefined);
  const ending = new AbortController();
  let lastReadOnlyMs: number | null = null;
  const watching = (async () => {
    while (!ending.signal.aborted) {
      const startedMs = performance.now();
      const [rows] = await connection.query<RowDataPacket[]>('SELECT @@global.read_only AS ro');
      if (Number(rows[0]?.['ro']) === 0) return;
      lastReadOnlyMs = startedMs;
      await sleep(POLL_MS);
    }
  })();
  // Awaited in end(); until then a failure must not count as unhandled.
  watching.catch(() => undefined);
  return {
    end: async () => {
      ending.abort();
      await watching.finally(() => connection.destroy());
      return lastReadOnlyMs;
    },
  };
}
