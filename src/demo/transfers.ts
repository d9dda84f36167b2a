import type { Verdict } from './client-error.ts';
import { failed } from './client.ts';
import { ACCOUNT_COUNT } from './schema.ts';
import { rowIds, type SessionParts, think } from './session.ts';

const PAUSE_MS = 40;

/**
 * Moves money between accounts in transactions of five statements. A transaction that is lost in
 * its middle must leave no trace, or the sum of all balances changes.
 */
export async function runTransfers(parts: SessionParts): Promise<void> {
  const { ledger, number, stop } = parts;
  for (const id of rowIds('transfers', number)) {
    if (stop.aborted) return;
    const verdict = await transfer(parts, id);
    ledger.note(id, verdict === null ? 'acknowledged' : verdict.outcome, performance.now());
    await think(PAUSE_MS, stop);
  }
}

/** @returns null when it is committed */
async function transfer({ client, number }: SessionParts, id: number): Promise<Verdict | null> {
  // Always the lower account first: transfers wait for each other, and never in a circle.
  const low = 1 + (id % (ACCOUNT_COUNT - 1));
  const high = low + 1;
  const steps: readonly [sql: string, values: readonly (string | number)[]][] = [
    ['SELECT balance FROM demo_accounts WHERE id = ?', [low]],
    ['UPDATE demo_accounts SET balance = balance - 1 WHERE id = ?', [low]],
    ['UPDATE demo_accounts SET balance = balance + 1 WHERE id = ?', [high]],
    [
      'INSERT INTO demo_rows (id, writer, note) VALUES (?, ?, ?)',
      [id, -number, `transfer from ${low} to ${high}`],
    ],
  ];
  const begun = await client.query('transaction', 'BEGIN');
  if (failed(begun)) return begun;
  for (const [sql, values] of steps) {
    const done = await client.query('transaction', sql, values);
    if (!failed(done)) continue;
    // After most errors the transaction is open still; an error here changes nothing.
    if (!done.reconnect) await client.query('transaction', 'ROLLBACK');
    return done;
  }
  const committed = await client.query('commit', 'COMMIT');
  return failed(committed) ? committed : null;
}
