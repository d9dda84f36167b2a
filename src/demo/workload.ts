import type { Doing, Verdict } from './client-error.ts';
import { DemoClient, type Endpoint } from './client.ts';
import { messageOf } from '../lib/errors.ts';
import type { Ledger } from './ledger.ts';
import { runReader } from './reader.ts';
import type { SessionParts, Tally } from './session.ts';
import { runTransfers } from './transfers.ts';
import { runWriter } from './writer.ts';

/** How many sessions of each kind run. */
const SESSIONS = { writers: 4, transfers: 2, readers: 16 } as const;

/** A running workload. */
export interface Workload {
  readonly tally: Tally;
  readonly sessionCount: number;
  /** Lets every session finish its statement, then ends them all. */
  stop(): Promise<void>;
}

/** Starts all sessions against one endpoint. */
export function startWorkload(endpoint: Endpoint, ledger: Ledger): Workload {
  const tally: Tally = { staleOwnReads: 0, wrongAnswers: 0, errors: {}, lastError: null };
  const stopping = new AbortController();
  const onError = (doing: Doing, { kind }: Verdict, thrown: unknown) => {
    tally.lastError = messageOf(thrown);
    const key = `${doing}/${kind}`;
    tally.errors[key] = (tally.errors[key] ?? 0) + 1;
  };
  const start = (count: number, run: (parts: SessionParts) => Promise<void>) =>
    Array.from({ length: count }, async (_, index) => {
      const client = new DemoClient(endpoint, stopping.signal, onError);
      await run({ client, ledger, tally, number: index + 1, stop: stopping.signal });
      await client.close();
    });
  const sessions = [
    ...start(SESSIONS.writers, runWriter),
    ...start(SESSIONS.transfers, runTransfers),
    ...start(SESSIONS.readers, runReader),
  ];
  const all = Promise.all(sessions);
  // Awaited in stop(); until then a defect in a session must not count as unhandled.
  all.catch(() => undefined);
  return {
    tally,
    sessionCount: sessions.length,
    stop: async () => {
      stopping.abort();
      await all;
    },
  };
}
