/**
 * What several clients do, one step at a time. Scripts are JSON, so that one that failed can be
 * pasted into `regressions/`.
 *
 * Every text may name the two schemas that a script has to itself: `$A` (where clients begin) and
 * `$B`. Schema objects are made as far as a script names them (see setup.ts).
 */
export interface Script {
  /** For people: what a regression case is about. */
  readonly name?: string;
  /** Left out: both. */
  readonly flavor?: 'mysql' | 'mariadb';
  readonly clients: readonly ClientSpec[];
  readonly steps: readonly Step[];
}

/** A login. */
export interface ClientSpec {
  readonly user: 'app' | 'other';
  /** Begins in this schema; null for none. */
  readonly schema: '$A' | '$B' | null;
  /** Id of the collation that the login names. */
  readonly collation: number;
  readonly flags: readonly ClientFlag[];
}

/** Capabilities that shape what a client sees; everything else is as drivers of today have it. */
export const CLIENT_FLAGS = [
  /** Ends of result sets come as EOF packets (no DEPRECATE_EOF). */
  'old-eof',
  'found-rows',
  'multi-statements',
  'session-track',
  'ignore-space',
] as const;
export type ClientFlag = (typeof CLIENT_FLAGS)[number];

/** How a parameter of a prepared statement travels. */
export const PARAMETER_TYPES = [
  'tiny',
  'long',
  'unsigned',
  'longlong',
  'double',
  'decimal',
  'string',
  'blob',
  'date',
  'datetime',
] as const;
export type ParameterType = (typeof PARAMETER_TYPES)[number];
/** Numbers for the numeric types, `YYYY-MM-DD[ hh:mm:ss]` for dates, text for the rest. */
export type Parameter = readonly [type: ParameterType, value: string | number | null];

/** What client `c` does next. */
export type Step = { readonly c: number } & Action;

export type Action =
  | { readonly do: 'query'; readonly sql: string }
  /** LOAD DATA LOCAL: what the client answers with when it is asked for the file. */
  | { readonly do: 'infile'; readonly sql: string; readonly data: string }
  | { readonly do: 'initDb'; readonly schema: string }
  | { readonly do: 'fieldList'; readonly table: string }
  | { readonly do: 'prepare'; readonly name: string; readonly sql: string }
  | {
      readonly do: 'execute';
      readonly name: string;
      /** Repeated or cut to what the statement has. */
      readonly params: readonly Parameter[];
      /** Types go along again (they always do the first time). */
      readonly types: boolean;
      readonly cursor: boolean;
    }
  | {
      readonly do: 'longData';
      readonly name: string;
      readonly index: number;
      readonly data: string;
    }
  | { readonly do: 'fetch'; readonly name: string; readonly rows: number }
  | { readonly do: 'resetStatement'; readonly name: string }
  | { readonly do: 'closeStatement'; readonly name: string }
  | { readonly do: 'ping' }
  | { readonly do: 'resetConnection' }
  | {
      readonly do: 'changeUser';
      readonly user: 'app' | 'other';
      readonly schema: '$A' | '$B' | null;
    }
  | { readonly do: 'setOption'; readonly multi: boolean }
  /** The client leaves whatever it has open and logs in anew. */
  | { readonly do: 'reconnect' }
  /** Waits until replicas may serve reads of all that was written. */
  | { readonly do: 'settle' };

/** The schemas that stand for `$A` and `$B`. */
export interface Place {
  readonly a: string;
  readonly b: string;
}

/** A text of a script as it is sent. */
export function placed(text: string, place: Place): string {
  return text.replaceAll('$A', place.a).replaceAll('$B', place.b);
}

/** All SQL of a script, for finding out what it names. */
export function textOf(script: Script): string {
  return script.steps
    .map((step) => ('sql' in step ? step.sql : step.do === 'fieldList' ? step.table : ''))
    .join('\n');
}

/** The script as it goes into a file: a line for each client and each step. */
export function printed(script: Script): string {
  const { clients, steps, ...head } = script;
  const list = (items: readonly unknown[]): string =>
    `[\n${items.map((item) => `    ${JSON.stringify(item)}`).join(',\n')}\n  ]`;
  const fields = [
    ...Object.entries(head).map(
      ([key, value]) => `  ${JSON.stringify(key)}: ${JSON.stringify(value)}`,
    ),
    `  "clients": ${list(clients)}`,
    `  "steps": ${list(steps)}`,
  ];
  return `{\n${fields.join(',\n')}\n}\n`;
}
