import { bytesOf, OracleConnection } from './connection.ts';
import type { Court } from './judge.ts';
import type { Statement } from './statement.ts';

/** How much of what a server has a corpus has touched. */
export interface Coverage {
  readonly total: number;
  readonly missing: readonly string[];
}

/** Of the kinds of statements that the servers count, those that neither has run since it began. */
export async function kindsRun(court: Court): Promise<Coverage> {
  const runs = new Map<string, number>();
  for (const port of [court.readOnlyPort, court.scratchPort]) {
    for (const row of await rowsOf(port, KINDS)) {
      const kind = String(row['kind']);
      runs.set(kind, (runs.get(kind) ?? 0) + Number(row['runs']));
    }
  }
  const missing = [...runs].filter(([, count]) => count === 0).map(([kind]) => kind);
  return { total: runs.size, missing };
}

/** Longer than a function's name with the blanks behind it. */
const MAX_NAME = 80;

const KINDS = `SELECT SUBSTRING_INDEX(event_name, '/', -1) AS kind, count_star AS runs
  FROM performance_schema.events_statements_summary_global_by_event_name
  WHERE event_name LIKE 'statement/sql/_%'`;

/** Of the functions that MariaDB lists, those that no statement calls. MySQL has no such list. */
export async function functionsCalled(
  court: Court,
  statements: readonly Statement[],
): Promise<Coverage> {
  const called = new Set<string>();
  for (const { sql } of statements) {
    const text = bytesOf(sql).toString('latin1').toUpperCase();
    // From the parenthesis back: a pattern that begins with a name takes quadratic time over a
    // literal of a million letters.
    for (let at = text.indexOf('('); at >= 0; at = text.indexOf('(', at + 1)) {
      const [name] = /\w*\s*$/.exec(text.slice(Math.max(0, at - MAX_NAME), at)) ?? [];
      called.add((name ?? '').trim());
    }
  }
  const rows = await rowsOf(
    court.readOnlyPort,
    'SELECT UPPER(`FUNCTION`) AS name FROM information_schema.SQL_FUNCTIONS',
  );
  const names = rows.map((row) => String(row['name']));
  return { total: names.length, missing: names.filter((name) => !called.has(name)) };
}

async function rowsOf(port: number, sql: string): Promise<readonly Record<string, unknown>[]> {
  const connection = new OracleConnection(port);
  try {
    await connection.renew('plain');
    return await connection.rows(sql);
  } finally {
    connection.close();
  }
}
