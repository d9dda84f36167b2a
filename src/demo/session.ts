import { setTimeout as sleep } from 'node:timers/promises';
import type { DemoClient } from './client.ts';
import type { Ledger } from './ledger.ts';

/** What the sessions have met so far. Plain numbers that they count up. */
export interface Tally {
  /** Reads that did not show a row or value which the same session knew to be committed. */
  staleOwnReads: number;
  /** Reads that answered with something that was never asked for. */
  wrongAnswers: number;
  /** By `doing/kind`: `write/outcome-unknown`. */
  readonly errors: Record<string, number>;
  /** The words of the last error that a client met, for people; null when there was none. */
  lastError: string | null;
}

/** What one session of the workload works with. */
export interface SessionParts {
  readonly client: DemoClient;
  readonly ledger: Ledger;
  readonly tally: Tally;
  /** 1, 2, …: unique among the sessions of a kind. */
  readonly number: number;
  readonly stop: AbortSignal;
}

/** Ids of rows: each session has a range of its own, so that no two ever write the same one. */
export function* rowIds(kind: 'writer' | 'transfers', number: number): Generator<number, never> {
  const first = (kind === 'writer' ? 0 : 1_000_000) + number * 10_000;
  for (let id = first * 10_000; ; id++) yield id;
}

/** Thinks for a moment, as applications do between statements. Returns at once when stopped. */
export async function think(ms: number, stop: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal: stop }).catch(() => undefined);
}
