import type { Flavor } from '../topology/snapshot.ts';
import { type Row, shown } from './rows.ts';

/** One stored function or procedure as the server's catalogue has it. */
export interface RoutineRow {
  readonly schema: string;
  readonly name: string;
  readonly type: 'function' | 'procedure';
  /** `SQL_DATA_ACCESS`: what its author promised; the server does not hold them to it. */
  readonly access: string;
  /** It is written in SQL; JavaScript is possible too. */
  readonly isSql: boolean;
  /** The sql_mode that it was made, and always runs, under. */
  readonly sqlMode: string;
  readonly body: Definition;
  /** Names of its parameters: what it sets of those it does not set of the session. */
  readonly parameters: readonly string[];
}

/** One view. */
export interface ViewRow {
  readonly schema: string;
  readonly name: string;
  readonly definition: Definition;
}

/** The text of a routine or view, or why there is none. */
export type Definition =
  | { readonly t: 'text'; readonly text: string }
  /** The account may not see it. */
  | { readonly t: 'hidden' }
  /** Longer than MAX_DEFINITION_BYTES. */
  | { readonly t: 'too-long' }
  /** It is there, but its true text was not to be had. */
  | { readonly t: 'unreadable' };

/** All that a server's catalogue tells of what statements may call. */
export interface RoutineListing {
  readonly flavor: Flavor;
  readonly version: string;
  readonly routines: readonly RoutineRow[];
  /** Without those of the server's own schemas. */
  readonly views: readonly ViewRow[];
  /** Loadable functions: they come before stored functions of the same name. */
  readonly loadable: readonly LoadableFunction[];
  /** Packages (MariaDB): `p.f()` may call a function of one as well as one of a schema `p`. */
  readonly packages: readonly string[];
  /** No routine and no loadable function is hidden from the account. */
  readonly isComplete: boolean;
  /** What the account may not see, in words of `GRANT`; empty when it sees all. */
  readonly missingGrants: readonly string[];
}

interface LoadableFunction {
  readonly name: string;
  /** Somebody installed it; the others come with the server's plugins. */
  readonly isInstalled: boolean;
}

/** More routines or views than this are not read at all. */
export const MAX_ROWS = 20_000;
/** All definitions together; more are not read at all. */
export const MAX_TOTAL_BYTES = 32 * 1024 * 1024;
/** A longer definition counts as unknown. */
const MAX_DEFINITION_BYTES = 256 * 1024;

/** Schemas of the server itself; their views read its own tables. */
const OWN_SCHEMAS = "('information_schema', 'mysql', 'performance_schema', 'sys')";

const definition = (column: string) =>
  `IF(LENGTH(${column}) > ${MAX_DEFINITION_BYTES}, NULL, ${column}) AS definition,
  LENGTH(${column}) > ${MAX_DEFINITION_BYTES} AS isTooLong`;

/** How much there is, before it is asked for. */
export const SIZES_SQL = `SELECT COUNT(*) AS routines,
  COALESCE(SUM(LENGTH(ROUTINE_DEFINITION)), 0) AS bytes FROM information_schema.ROUTINES;
SELECT COUNT(*) AS views, COALESCE(SUM(LENGTH(VIEW_DEFINITION)), 0) AS bytes
  FROM information_schema.VIEWS WHERE TABLE_SCHEMA NOT IN ${OWN_SCHEMAS}`;

export const ROUTINES_SQL = `SELECT ROUTINE_SCHEMA AS \`schema\`, ROUTINE_NAME AS name,
  ROUTINE_TYPE AS type, ROUTINE_BODY AS language, EXTERNAL_LANGUAGE AS externalLanguage,
  SQL_DATA_ACCESS AS access, SQL_MODE AS sqlMode, ${definition('ROUTINE_DEFINITION')}
FROM information_schema.ROUTINES LIMIT ${MAX_ROWS + 1}`;

export const VIEWS_SQL = `SELECT TABLE_SCHEMA AS \`schema\`, TABLE_NAME AS name,
  ${definition('VIEW_DEFINITION')}
FROM information_schema.VIEWS WHERE TABLE_SCHEMA NOT IN ${OWN_SCHEMAS} LIMIT ${MAX_ROWS + 1}`;

/** What is cut off costs nothing but that its routine is taken for one that sets a variable. */
export const PARAMETERS_SQL = `SELECT SPECIFIC_SCHEMA AS \`schema\`, SPECIFIC_NAME AS name,
  ROUTINE_TYPE AS type, PARAMETER_NAME AS parameter
FROM information_schema.PARAMETERS WHERE PARAMETER_NAME IS NOT NULL LIMIT ${4 * MAX_ROWS}`;

/** Those of plugins and components have no library. */
export const LOADABLE_SQL: Readonly<Record<Flavor, string>> = {
  mysql: `SELECT UDF_NAME AS name, UDF_LIBRARY AS loadedFrom
    FROM performance_schema.user_defined_functions LIMIT ${MAX_ROWS + 1}`,
  mariadb: `SELECT name, dl AS loadedFrom FROM mysql.func LIMIT ${MAX_ROWS + 1}`,
};

/** The account as USER_PRIVILEGES has it; quotes are doubled since ANSI_QUOTES may be on. */
const ACCOUNT = `CONCAT('''', SUBSTRING_INDEX(CURRENT_USER(), '@', 1), '''@''',
  SUBSTRING_INDEX(CURRENT_USER(), '@', -1), '''')`;

/**
 * Answers with a row to an account that sees every routine with its text. What an account has by a
 * role only is not seen here, and then it is taken for one that does not see all.
 */
export const SEES_ALL_SQL: Readonly<Record<Flavor, string>> = {
  mysql: `SELECT PRIVILEGE_TYPE AS held FROM information_schema.USER_PRIVILEGES
    WHERE PRIVILEGE_TYPE IN ('SHOW_ROUTINE', 'SELECT') AND GRANTEE = ${ACCOUNT}`,
  // An account that may read it sees all that is in it, be it nothing.
  mariadb: "SELECT 'proc' AS held FROM mysql.proc LIMIT 1",
};

/** The same for the names of views. */
export const SEES_VIEWS_SQL = `SELECT PRIVILEGE_TYPE AS held FROM information_schema.USER_PRIVILEGES
  WHERE PRIVILEGE_TYPE = 'SHOW VIEW' AND GRANTEE = ${ACCOUNT}`;

/** What to grant where the account does not see all. */
export const GRANTS: Readonly<
  Record<Flavor, { readonly routines: string; readonly loadable: string; readonly views: string }>
> = {
  mysql: {
    routines: 'SHOW_ROUTINE ON *.*',
    loadable: 'SELECT ON performance_schema.*',
    views: 'SHOW VIEW ON *.*',
  },
  mariadb: {
    routines: 'SELECT ON mysql.proc',
    loadable: 'SELECT ON mysql.func',
    views: 'SHOW VIEW ON *.*',
  },
};

/** The names of parameters by routine; see `routineKey`. */
export function readParameters(rows: readonly Row[]): ReadonlyMap<string, readonly string[]> {
  const all = new Map<string, string[]>();
  for (const row of rows) {
    const key = routineKey(row);
    const names = all.get(key) ?? [];
    names.push(shown(row, 'parameter') ?? '');
    all.set(key, names);
  }
  return all;
}

/** A row of ROUTINES or PARAMETERS as a key; no name has a NUL in it. */
function routineKey(row: Row): string {
  return ['type', 'schema', 'name'].map((column) => shown(row, column) ?? '').join('\0');
}

/** A row of ROUTINES; null for what is neither function nor procedure. */
export function readRoutine(
  row: Row,
  parameters: ReadonlyMap<string, readonly string[]>,
): RoutineRow | null {
  const type = (shown(row, 'type') ?? '').toLowerCase();
  if (type !== 'function' && type !== 'procedure') return null;
  const external = shown(row, 'externalLanguage');
  return {
    schema: shown(row, 'schema') ?? '',
    name: shown(row, 'name') ?? '',
    type,
    access: shown(row, 'access') ?? '',
    isSql: shown(row, 'language') === 'SQL' && (external === null || external === 'SQL'),
    sqlMode: shown(row, 'sqlMode') ?? '',
    body: readDefinition(row),
    parameters: parameters.get(routineKey(row)) ?? [],
  };
}

/** The name of a package; null for other rows of ROUTINES. */
export function readPackage(row: Row): string | null {
  return /^package/i.test(shown(row, 'type') ?? '') ? shown(row, 'name') : null;
}

/** A row of VIEWS. */
export function readView(row: Row): ViewRow {
  return {
    schema: shown(row, 'schema') ?? '',
    name: shown(row, 'name') ?? '',
    definition: readDefinition(row),
  };
}

/** MySQL shows a hidden definition as NULL for routines, as an empty text for views. */
function readDefinition(row: Row): Definition {
  if (shown(row, 'isTooLong') === '1') return { t: 'too-long' };
  const text = shown(row, 'definition');
  return text === null || text === '' ? { t: 'hidden' } : { t: 'text', text };
}
