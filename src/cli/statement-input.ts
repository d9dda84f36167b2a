import { versionNumber } from '../pool/backend-caps.ts';
import { charsetKind } from '../sql/charset-kind.ts';
import type { ClassifyContext } from '../sql/classification.ts';
import { MAX_STATEMENT_BYTES } from '../sql/classify.ts';
import type { RoutineFacts } from '../sql/routine-facts.ts';
import type { Flavor } from '../topology/snapshot.ts';

/** The server that statements are meant for, where they do not say it themselves. */
export interface ServerDefaults {
  readonly flavor: Flavor;
  /** As the server says it: `9.7.4`. */
  readonly version: string;
  /** What is known of its routines; nothing unless given. */
  readonly routines?: RoutineFacts | null;
}

/** A statement and what its session would know. */
export interface StatementInput {
  /** Its bytes, `bytes[0, length)`; a view of a buffer that is used again. */
  readonly bytes: Buffer;
  readonly length: number;
  readonly context: ClassifyContext;
  readonly autocommit: boolean;
  readonly inTransaction: boolean;
  readonly readOnlyTransaction: boolean;
  readonly serializable: boolean;
}

/** The newest releases that Lagwise is tested with. */
export const DEFAULT_VERSIONS: Readonly<Record<Flavor, string>> = {
  mysql: '9.7.4',
  mariadb: '10.11.19',
};

/** Modes of sql_mode that stand for several, of which ANSI_QUOTES is one. */
const ANSI_MODES = /\b(?:ANSI_QUOTES|ANSI|DB2|MAXDB|MSSQL|ORACLE|POSTGRESQL)\b/i;
const IGNORE_SPACE_MODES = /\b(?:IGNORE_SPACE|ANSI|DB2|MAXDB|MSSQL|ORACLE|POSTGRESQL)\b/i;
const NO_BACKSLASH_MODE = /\bNO_BACKSLASH_ESCAPES\b/i;
const UTF8 = /^utf8(?:mb[34])?$/;

const FLAVORS: readonly Flavor[] = ['mysql', 'mariadb'];
const FIRST_BUFFER_BYTES = 65_536;
/** What is longer is not looked at: a character more tells the classifier that there is more. */
const MOST_BYTES = MAX_STATEMENT_BYTES + 8;

/** Reads statements into one buffer that grows with the longest of them. */
export class StatementReader {
  readonly #defaults: ServerDefaults;
  readonly #plain: ClassifyContext;
  #bytes = Buffer.allocUnsafe(FIRST_BUFFER_BYTES);

  constructor(defaults: ServerDefaults) {
    this.#defaults = defaults;
    this.#plain = contextOf({}, defaults);
  }

  /**
   * A statement from parsed JSON: its text alone, or an object. Keys that mean nothing here are of
   * no account, so that a line may carry more. It holds until the next one is read.
   * @returns what is wrong with it, for people, if it is no statement
   */
  read(json: unknown): StatementInput | string {
    if (typeof json === 'string') return this.#input(json, this.#plain, {});
    if (typeof json !== 'object' || json === null || Array.isArray(json)) {
      return `found ${nameOf(json)}, expected a string or an object with "sql"`;
    }
    const object = normalized(json);
    const problem = problemOf(object);
    if (problem !== null) return problem;
    const charset = textOf(object, 'charset')?.toLowerCase() ?? null;
    const context = hasContext(object) ? contextOf(object, this.#defaults) : this.#plain;
    const isBytes = charset !== null && !UTF8.test(charset);
    return this.#input(textOf(object, 'sql') ?? '', context, object, isBytes);
  }

  #input(
    sql: string,
    context: ClassifyContext,
    object: Readonly<Record<string, unknown>>,
    isBytes = false,
  ): StatementInput {
    const mostBytes = Math.min(sql.length * (isBytes ? 1 : 3), MOST_BYTES);
    if (mostBytes > this.#bytes.length) this.#bytes = Buffer.allocUnsafe(mostBytes);
    const readOnlyTransaction = object['readOnlyTransaction'] === true;
    return {
      bytes: this.#bytes,
      length: this.#bytes.write(sql, isBytes ? 'latin1' : 'utf8'),
      context,
      autocommit: object['autocommit'] !== false,
      inTransaction: object['inTransaction'] === true || readOnlyTransaction,
      readOnlyTransaction,
      serializable: object['serializable'] === true,
    };
  }
}

const TEXT_KEYS = ['sql', 'flavor', 'version', 'sqlMode', 'charset'] as const;
const FLAG_KEYS = ['autocommit', 'inTransaction', 'readOnlyTransaction', 'serializable'] as const;
const CONTEXT_KEYS = ['flavor', 'version', 'sqlMode', 'charset'] as const;
const OPTIONAL_KEYS = [...CONTEXT_KEYS, ...FLAG_KEYS] as const;
/** A version without its third number, such as `8.0`, is the series. */
const SERIES = /^(?:5\.5\.5-)?\d+\.\d+(?![.\d])/;
const LAST_OF_SERIES = 99;

/** The same with keys that say `null` left open, and the flavor's name in lower case. */
function normalized(json: object): Readonly<Record<string, unknown>> {
  const object: Record<string, unknown> = { ...json };
  for (const key of OPTIONAL_KEYS) if (object[key] === null) object[key] = undefined;
  const flavor = object['flavor'];
  if (typeof flavor === 'string') object['flavor'] = flavor.toLowerCase();
  return object;
}

function problemOf(object: Readonly<Record<string, unknown>>): string | null {
  if (object['sql'] === undefined) return '"sql" is missing, expected the statement';
  for (const key of TEXT_KEYS) {
    const value = object[key];
    if (value !== undefined && typeof value !== 'string') {
      return `"${key}" is ${nameOf(value)}, expected a string`;
    }
  }
  for (const key of FLAG_KEYS) {
    const value = object[key];
    if (value !== undefined && typeof value !== 'boolean') {
      return `"${key}" is ${nameOf(value)}, expected true or false`;
    }
  }
  const flavor = textOf(object, 'flavor');
  if (flavor !== null && !FLAVORS.some((each) => each === flavor)) {
    return `"flavor" is none of ${FLAVORS.join(', ')}`;
  }
  const version = textOf(object, 'version');
  if (version !== null && versionNumber(version) === 0) {
    return '"version" is no version, expected one like "9.7.4"';
  }
  return null;
}

function hasContext(object: Readonly<Record<string, unknown>>): boolean {
  return CONTEXT_KEYS.some((key) => object[key] !== undefined);
}

function contextOf(
  object: Readonly<Record<string, unknown>>,
  defaults: ServerDefaults,
): ClassifyContext {
  const version = textOf(object, 'version');
  const flavor = flavorOf(textOf(object, 'flavor'), version, defaults.flavor);
  const fallback = flavor === defaults.flavor ? defaults.version : DEFAULT_VERSIONS[flavor];
  const sqlMode = textOf(object, 'sqlMode') ?? '';
  return {
    flavor,
    serverVersion: contextVersion(version ?? fallback),
    ansiQuotes: ANSI_MODES.test(sqlMode),
    noBackslashEscapes: NO_BACKSLASH_MODE.test(sqlMode),
    ignoreSpace: IGNORE_SPACE_MODES.test(sqlMode),
    charsetKind: charsetKind(textOf(object, 'charset')?.toLowerCase() ?? 'utf8mb4'),
    routines: defaults.routines ?? null,
  };
}

/** Of a series its newest release, so that a version comment for one of them counts as SQL. */
function contextVersion(text: string): number {
  return versionNumber(text) + (SERIES.test(text) ? LAST_OF_SERIES : 0);
}

/** What is said, else what the version tells of itself, else the default. */
function flavorOf(said: string | null, version: string | null, fallback: Flavor): Flavor {
  if (said === 'mysql' || said === 'mariadb') return said;
  return version !== null && /mariadb/i.test(version) ? 'mariadb' : fallback;
}

function textOf(object: Readonly<Record<string, unknown>>, key: string): string | null {
  const value = object[key];
  return typeof value === 'string' ? value : null;
}

function nameOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'a list' : `a ${typeof value}`;
}
