import type { Lab } from '../lab/lab.ts';

/** Rows of the catalogue that reader sessions look at. */
export const ITEM_COUNT = 2_000;
/** Accounts that transfers move money between; their sum must never change. */
export const ACCOUNT_COUNT = 50;
const OPENING_BALANCE = 1_000;
/** Writer sessions with a counter row each. */
const MAX_WRITERS = 64;

const numbers = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

/** The name of an item follows from its id, so that a reader knows a wrong answer when it sees one. */
export const itemName = (id: number): string => `item ${id}`;

/** Lays down the demo's tables on the primary and waits until the replicas have them. */
export async function createSchema(lab: Lab): Promise<void> {
  const items = numbers(ITEM_COUNT).map((id) => `(${id}, ${id % 20}, '${itemName(id)}', ${id})`);
  const accounts = numbers(ACCOUNT_COUNT).map((id) => `(${id}, ${OPENING_BALANCE})`);
  const counters = numbers(MAX_WRITERS).map((id) => `(${id}, 0)`);
  for (const sql of [
    'CREATE TABLE app.demo_rows (id BIGINT PRIMARY KEY, writer INT NOT NULL, note VARCHAR(64) NOT NULL)',
    'CREATE TABLE app.demo_counters (writer INT PRIMARY KEY, n BIGINT NOT NULL)',
    'CREATE TABLE app.demo_accounts (id INT PRIMARY KEY, balance BIGINT NOT NULL)',
    'CREATE TABLE app.demo_items (id INT PRIMARY KEY, category INT NOT NULL, name VARCHAR(32) NOT NULL, price INT NOT NULL, KEY (category))',
    `INSERT INTO app.demo_counters VALUES ${counters.join(',')}`,
    `INSERT INTO app.demo_accounts VALUES ${accounts.join(',')}`,
    `INSERT INTO app.demo_items VALUES ${items.join(',')}`,
  ]) {
    await lab.rootQuery(lab.primary.id, sql);
  }
  await lab.waitReplicated();
}

/** What the present primary holds at the end. */
export interface FinalState {
  readonly rows: ReadonlySet<number>;
  /** Money that appeared or vanished: 0 where every transfer was whole. */
  readonly balanceDrift: number;
}

/** Reads it past the proxy, from the server itself. */
export async function readFinalState(lab: Lab): Promise<FinalState> {
  const rows = await lab.rootQuery(lab.primary.id, 'SELECT id FROM app.demo_rows');
  const [total] = await lab.rootQuery(
    lab.primary.id,
    'SELECT CAST(SUM(balance) AS SIGNED) AS total FROM app.demo_accounts',
  );
  return {
    rows: new Set(rows.map((row) => Number(row['id']))),
    balanceDrift: Number(total?.['total']) - ACCOUNT_COUNT * OPENING_BALANCE,
  };
}
