import { LagwiseError } from '../lib/errors.ts';
import type { ServerView } from '../topology/snapshot.ts';
import { dialectOf } from './dialect.ts';
import { bodyOf, isBlurred } from './routine-create.ts';
import { contextOf } from './routine-text.ts';
import { codeOf, ProbeConnection, type ProbeTls } from './probe-connection.ts';
import {
  GRANTS,
  LOADABLE_SQL,
  MAX_ROWS,
  MAX_TOTAL_BYTES,
  PARAMETERS_SQL,
  readPackage,
  readParameters,
  readRoutine,
  readView,
  ROUTINES_SQL,
  type RoutineListing,
  type RoutineRow,
  SEES_ALL_SQL,
  SEES_VIEWS_SQL,
  SIZES_SQL,
  VIEWS_SQL,
} from './routine-listing.ts';
import { type Row, shown } from './rows.ts';

/** Whatever can tell what is stored on a server. */
export interface RoutineSource {
  /**
   * Reads the server's catalogue.
   * @throws LagwiseError `limit` when it is larger than what is read; what the connection throws
   */
  read(server: ServerView, signal: AbortSignal): Promise<RoutineListing>;
}

/** Access denied (database, user, table, column, privilege), no such table. */
const NOT_ALLOWED = new Set([1044, 1045, 1142, 1143, 1146, 1227]);

/** Routines whose text is asked for in one round trip. */
const SHOWN_AT_ONCE = 50;

/** Reads the catalogue with the monitor's account, on a connection for each time. */
export class ServerRoutines implements RoutineSource {
  readonly #account: { readonly user: string; readonly password: string };
  readonly #tls: ProbeTls;

  constructor(options: {
    readonly account: { readonly user: string; readonly password: string };
    readonly tls: ProbeTls;
  }) {
    this.#account = options.account;
    this.#tls = options.tls;
  }

  async read(server: ServerView, signal: AbortSignal): Promise<RoutineListing> {
    const { host, port } = server;
    const target = { host, port, ...this.#account, tls: this.#tls };
    // That it was lost shows in what is being waited for.
    const connection = await ProbeConnection.open(target, signal, () => undefined);
    try {
      return await readAll(connection, signal);
    } finally {
      connection.destroy();
    }
  }
}

async function readAll(connection: ProbeConnection, signal: AbortSignal): Promise<RoutineListing> {
  const rowsOf = async (sql: string) => (await connection.query(sql, signal))[0] ?? [];
  const allowed = async (sql: string) => {
    try {
      return await rowsOf(sql);
    } catch (error) {
      if (NOT_ALLOWED.has(codeOf(error).errno ?? 0)) return null;
      throw error;
    }
  };
  const [greeting] = await rowsOf('SELECT VERSION() AS version');
  const { flavor, version } = dialectOf(shown(greeting, 'version') ?? '');
  checkSizes(await connection.query(SIZES_SQL, signal));
  const rows = checkCount(await rowsOf(ROUTINES_SQL));
  const parameters = readParameters(await rowsOf(PARAMETERS_SQL));
  const routines = rows.map((row) => readRoutine(row, parameters)).filter((row) => row !== null);
  const views = checkCount(await rowsOf(VIEWS_SQL));
  const loadable = await allowed(LOADABLE_SQL[flavor]);
  const grants = GRANTS[flavor];
  const missingGrants: string[] = [];
  // An empty answer of MariaDB says that there is no routine, not that it is hidden.
  const proof = await allowed(SEES_ALL_SQL[flavor]);
  const seesAll = flavor === 'mariadb' ? proof !== null : proof !== null && proof.length > 0;
  if (!seesAll) missingGrants.push(grants.routines);
  if (loadable === null) missingGrants.push(grants.loadable);
  if ((await rowsOf(SEES_VIEWS_SQL)).length === 0) missingGrants.push(grants.views);
  return {
    flavor,
    version,
    routines: await withTrueTexts(connection, signal, { flavor, version, routines }),
    views: views.map(readView),
    loadable: checkCount(loadable ?? []).map((row) => ({
      name: shown(row, 'name') ?? '',
      isInstalled: shown(row, 'loadedFrom') !== null,
    })),
    packages: rows.map(readPackage).filter((name) => name !== null),
    isComplete: seesAll && loadable !== null,
    missingGrants,
  };
}

/** Puts what SHOW CREATE shows in place of the texts that the catalogue does not show exactly. */
async function withTrueTexts(
  connection: ProbeConnection,
  signal: AbortSignal,
  { flavor, version, routines }: Pick<RoutineListing, 'flavor' | 'version' | 'routines'>,
): Promise<readonly RoutineRow[]> {
  const blurred = routines.filter(({ body }) => body.t === 'text' && isBlurred(body.text));
  const texts = new Map<RoutineRow, string | null>();
  for (let at = 0; at < blurred.length; at += SHOWN_AT_ONCE) {
    const some = blurred.slice(at, at + SHOWN_AT_ONCE);
    const shown = await showCreate(connection, some, signal);
    for (const [n, row] of some.entries()) texts.set(row, shown[n] ?? null);
  }
  return routines.map((row) => {
    if (row.body.t !== 'text' || !texts.has(row)) return row;
    const statement = texts.get(row) ?? null;
    const context = contextOf({ flavor, version, sqlMode: row.sqlMode });
    const text = statement === null ? null : bodyOf(statement, row.body.text, context);
    return { ...row, body: text === null ? { t: 'unreadable' } : { t: 'text', text } };
  });
}

/** The statement that makes each of some routines; null where it cannot be had. */
async function showCreate(
  connection: ProbeConnection,
  some: readonly RoutineRow[],
  signal: AbortSignal,
): Promise<readonly (string | null)[]> {
  const sql = some.map(({ type, schema, name }) => {
    const quoted = [schema, name].map((part) => `\`${part.replaceAll('`', '``')}\``).join('.');
    return `SHOW CREATE ${type === 'function' ? 'FUNCTION' : 'PROCEDURE'} ${quoted}`;
  });
  try {
    const results = await connection.query(sql.join('; '), signal);
    return results.map(([row]) => shown(row, 'Create Function') ?? shown(row, 'Create Procedure'));
  } catch (error) {
    if (!connection.isAlive) throw error;
    // One was dropped meanwhile, or is not to be shown: the others are asked for by themselves.
    if (some.length <= 1) return [null];
    const half = some.length >> 1;
    return [
      ...(await showCreate(connection, some.slice(0, half), signal)),
      ...(await showCreate(connection, some.slice(half), signal)),
    ];
  }
}

function checkSizes([routines, views]: readonly (readonly Row[])[]): void {
  const count = (row: Row | undefined, column: string) => Number(shown(row, column) ?? 0);
  const [ofRoutines] = routines ?? [];
  const [ofViews] = views ?? [];
  const most = Math.max(count(ofRoutines, 'routines'), count(ofViews, 'views'));
  if (most > MAX_ROWS) throw tooMany();
  const bytes = count(ofRoutines, 'bytes') + count(ofViews, 'bytes');
  if (bytes <= MAX_TOTAL_BYTES) return;
  throw new LagwiseError(
    'limit',
    `The texts of all routines and views have ${bytes} bytes, more than the ${MAX_TOTAL_BYTES} that are read`,
  );
}

/** They may have become more since they were counted. */
function checkCount(rows: readonly Row[]): readonly Row[] {
  if (rows.length > MAX_ROWS) throw tooMany();
  return rows;
}

function tooMany(): LagwiseError {
  return new LagwiseError(
    'limit',
    `There are more than ${MAX_ROWS} routines or views, and so many are not read`,
  );
}
