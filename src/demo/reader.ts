import type { RowDataPacket } from 'mysql2/promise';
import type { Verdict } from './client-error.ts';
import { type DemoClient, failed } from './client.ts';
import { ITEM_COUNT, itemName } from './schema.ts';
import { type SessionParts, think } from './session.ts';

/**
 * Each session reads at this pace, whatever the servers can do: so the phases of the demo weigh as
 * much as they last, and the share that each replica had can be read off the totals.
 */
const READ_EVERY_MS = 16;

/** Returns whether the answer was right; a read without an answer is nobody's wrong answer. */
type Read = (client: DemoClient, id: number) => Promise<boolean>;

const POINT = 'SELECT id, name FROM demo_items WHERE id = ?';

/** Point reads by text and prepared, a range, an aggregate, and a read-only transaction. */
const READS: readonly Read[] = [
  async (client, id) => isItem(await client.query('read', POINT, [id]), id),
  async (client, id) => isItem(await client.execute('read', POINT, [id]), id),
  async (client, id) => isItem(await client.query('read', POINT, [id]), id),
  async (client, id) => {
    const sql = 'SELECT id FROM demo_items WHERE id >= ? ORDER BY id LIMIT 10';
    const rows = await client.query('read', sql, [id]);
    return failed(rows) || rows[0]?.['id'] === id;
  },
  async (client, id) => isItem(await client.execute('read', POINT, [id]), id),
  async (client, id) => {
    const sql = 'SELECT COUNT(*) AS count FROM demo_items WHERE category = ?';
    const rows = await client.execute('read', sql, [id % 20]);
    return failed(rows) || rows[0]?.['count'] === ITEM_COUNT / 20;
  },
  readOnlyTransaction,
];

/** Reads rows that never change, so that every answer can be checked. */
export async function runReader({ client, tally, number, stop }: SessionParts): Promise<void> {
  // Sessions begin one after another within one interval, not all at the same moment.
  let dueMs = performance.now() + Math.random() * READ_EVERY_MS;
  for (let turn = number; !stop.aborted; turn++) {
    // Behind by more than a turn it does not catch up: a stall must not be followed by a flood.
    dueMs = Math.max(dueMs + READ_EVERY_MS, performance.now());
    await think(Math.max(0, dueMs - performance.now()), stop);
    const read = READS[turn % READS.length];
    // 7919 is a prime: neighbouring turns look at distant rows.
    const right = await read?.(client, 1 + ((turn * 7_919) % ITEM_COUNT));
    if (right === false) tally.wrongAnswers += 1;
  }
}

async function readOnlyTransaction(client: DemoClient, id: number): Promise<boolean> {
  const begun = await client.query('transaction', 'START TRANSACTION READ ONLY');
  if (failed(begun)) return true;
  const first = await client.query('transaction', POINT, [id]);
  const second = await client.query('transaction', POINT, [1 + (id % ITEM_COUNT)]);
  await client.query('transaction', 'COMMIT');
  return isItem(first, id) && isItem(second, 1 + (id % ITEM_COUNT));
}

function isItem(rows: RowDataPacket[] | Verdict, id: number): boolean {
  if (failed(rows)) return true;
  return rows.length === 1 && rows[0]?.['id'] === id && rows[0]['name'] === itemName(id);
}
