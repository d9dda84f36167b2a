import type { Flavor } from '../../src/topology/snapshot.ts';
import type { OracleConnection } from './connection.ts';
import type { Statement } from './statement.ts';

/** Each column counts what a pure read leaves none of. */
const PROBES: Readonly<Record<Flavor, string>> = {
  mysql: `SELECT
    (SELECT COUNT(*) FROM performance_schema.user_variables_by_thread
      WHERE thread_id = PS_CURRENT_THREAD_ID()) AS 'user variables',
    (SELECT COUNT(*) FROM performance_schema.metadata_locks
      WHERE owner_thread_id = PS_CURRENT_THREAD_ID()
        AND object_type IN ('USER LEVEL LOCK', 'LOCKING SERVICE', 'BACKUP LOCK')) AS 'named locks',
    (SELECT COUNT(*) FROM performance_schema.data_locks
      WHERE thread_id = PS_CURRENT_THREAD_ID() AND object_schema <> 'mysql') AS 'row locks',
    (SELECT COUNT(*) FROM performance_schema.prepared_statements_instances
      WHERE owner_thread_id = PS_CURRENT_THREAD_ID()) AS 'prepared statements'`,
  // Its list of row locks is refreshed ten times a second, too seldom to ask each time.
  mariadb: `SELECT
    (SELECT COUNT(*) FROM information_schema.USER_VARIABLES) AS 'user variables',
    (SELECT COUNT(*) FROM performance_schema.metadata_locks AS l
      JOIN performance_schema.threads AS t ON t.thread_id = l.owner_thread_id
      WHERE t.processlist_id = CONNECTION_ID()
        AND l.object_type LIKE 'USER%') AS 'named locks'`,
};

/** A renewed session holds nothing. */
const NOTHING: ReadonlyMap<string, number> = new Map();

/**
 * Runs a statement in a transaction on a renewed connection and says what the session holds then
 * that it did not hold before; null for nothing.
 */
export async function probe(
  flavor: Flavor,
  connection: OracleConnection,
  statement: Statement,
): Promise<string | null> {
  for (const sql of statement.setup ?? []) await connection.run(sql);
  await connection.run('BEGIN');
  const before = statement.setup === undefined ? NOTHING : await held(flavor, connection);
  const { errno } = await connection.run(statement.sql);
  if (errno !== null) return null;
  const after = await held(flavor, connection);
  for (const [what, count] of after) {
    if (count > (before.get(what) ?? 0)) return `the session holds ${what}`;
  }
  return null;
}

async function held(flavor: Flavor, connection: OracleConnection): Promise<Map<string, number>> {
  const [row] = await connection.rows(PROBES[flavor]);
  return new Map(Object.entries(row ?? {}).map(([what, count]) => [what, Number(count)]));
}
