import type { Lab } from '../lab/lab.ts';

/**
 * What a server itself has counted of the application's statements since it started. The demo's
 * clients log in as one account that nothing else uses, so neither probes nor set-up are in it.
 */
export interface Evidence {
  readonly reads: number;
  /** INSERT, UPDATE, DELETE and their kin, refused ones included. */
  readonly writes: number;
  /** Those of them that it refused, for whatever reason. */
  readonly refusedWrites: number;
}

/**
 * The demo prepares only reads, so every execution is one; the server does not count prepared
 * statements by what they are. Nor does it tell a locking read from others: the demo has none.
 */
const READ_EVENTS: ReadonlySet<string> = new Set(['statement/sql/select', 'statement/com/Execute']);
const WRITE_EVENTS: ReadonlySet<string> = new Set(
  ['insert', 'insert_select', 'update', 'update_multi', 'delete', 'delete_multi', 'replace'].map(
    (name) => `statement/sql/${name}`,
  ),
);

/** Asks a running server for its own counters; the table is the same in MySQL and MariaDB. */
export async function readEvidence(lab: Lab, id: string): Promise<Evidence> {
  const rows = await lab.rootQuery(
    id,
    `SELECT EVENT_NAME AS event, COUNT_STAR AS count, SUM_ERRORS AS errors
       FROM performance_schema.events_statements_summary_by_user_by_event_name
      WHERE USER = '${lab.accounts.app.user}' AND COUNT_STAR > 0`,
  );
  const sum = (events: ReadonlySet<string>, column: 'count' | 'errors') =>
    rows
      .filter((row) => events.has(String(row['event'])))
      .reduce((total, row) => total + Number(row[column]), 0);
  return {
    reads: sum(READ_EVENTS, 'count'),
    writes: sum(WRITE_EVENTS, 'count'),
    refusedWrites: sum(WRITE_EVENTS, 'errors'),
  };
}

/** The counters of one server over two of its lives: a restart begins at nought. */
export function addEvidence(left: Evidence, right: Evidence): Evidence {
  return {
    reads: left.reads + right.reads,
    writes: left.writes + right.writes,
    refusedWrites: left.refusedWrites + right.refusedWrites,
  };
}
