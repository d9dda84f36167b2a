import { failed } from './client.ts';
import { rowIds, type SessionParts, think } from './session.ts';

const PAUSE_MS = 20;
/** Of so many inserts one is followed by an update, whose value is read back too. */
const UPDATE_EVERY = 4;

/** Inserts rows, updates a counter, and reads each thing back at once: a session sees its own writes. */
export async function runWriter(parts: SessionParts): Promise<void> {
  const { client, number, stop } = parts;
  // A counter that only this session writes; of an update of unknown outcome the older value counts.
  let known = 0;
  for (const id of rowIds('writer', number)) {
    if (stop.aborted) return;
    await insertAndLook(parts, id);
    if (id % UPDATE_EVERY === 0) {
      const sql = 'UPDATE demo_counters SET n = ? WHERE writer = ?';
      const updated = await client.query('write', sql, [id, number]);
      if (!failed(updated)) known = id;
      await lookAtCounter(parts, known);
    }
    await think(PAUSE_MS, stop);
  }
}

async function insertAndLook({ client, ledger, tally, number }: SessionParts, id: number) {
  const inserted = await client.query(
    'write',
    'INSERT INTO demo_rows (id, writer, note) VALUES (?, ?, ?)',
    [id, number, `row ${id} of writer ${number}`],
  );
  if (failed(inserted)) {
    ledger.note(id, inserted.outcome, performance.now());
    return;
  }
  ledger.note(id, 'acknowledged', performance.now());
  const seen = await client.query('read', 'SELECT writer FROM demo_rows WHERE id = ?', [id]);
  if (failed(seen)) return;
  if (seen.length === 0) tally.staleOwnReads += 1;
  else if (seen[0]?.['writer'] !== number) tally.wrongAnswers += 1;
}

async function lookAtCounter({ client, tally, number }: SessionParts, known: number) {
  const seen = await client.query('read', 'SELECT n FROM demo_counters WHERE writer = ?', [number]);
  if (failed(seen)) return;
  if (Number(seen[0]?.['n']) < known) tally.staleOwnReads += 1;
}
