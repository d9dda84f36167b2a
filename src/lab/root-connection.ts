import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { LagwiseError, messageOf } from '../lib/errors.ts';

/** One row of a result, by column name. */
export type Row = Readonly<Record<string, unknown>>;

/** Runs one statement and returns its rows (none for a statement without a result). */
export type Query = (sql: string, values?: readonly (string | number)[]) => Promise<Row[]>;

/** How root reaches a server: by its socket, or by TCP into a container. */
export type RootAccess =
  | { readonly socketPath: string }
  | { readonly host: string; readonly port: number; readonly password: string };

const CONNECT_DEADLINE_MS = 5_000;
const STATEMENT_DEADLINE_MS = 60_000;

/** Opens a connection as root, does `work` on it and closes it. */
export async function withRoot<T>(
  access: RootAccess,
  work: (query: Query) => Promise<T>,
): Promise<T> {
  const connection = await createConnection({
    user: 'root',
    connectTimeout: CONNECT_DEADLINE_MS,
    supportBigNumbers: true,
    ...access,
  }).catch((error: unknown) => {
    throw new LagwiseError('lab', `Root cannot log in: ${messageOf(error)}`, { cause: error });
  });
  // A server may be killed at any moment: the statement's own rejection tells, not this event.
  connection.on('error', () => undefined);
  try {
    return await work(async (sql, values = []) => {
      const [rows] = await connection.query<RowDataPacket[]>({
        sql,
        values: [...values],
        timeout: STATEMENT_DEADLINE_MS,
      });
      return Array.isArray(rows) ? rows : [];
    });
  } finally {
    connection.destroy();
  }
}

/** A column of the first row as text; empty when there is none. */
export function textOf(rows: readonly Row[], column: string): string {
  const value = rows[0]?.[column];
  if (typeof value === 'string') return value;
  return typeof value === 'number' || typeof value === 'bigint' ? String(value) : '';
}
