/**
 * The character sets of a session, as they are carried. A server keeps more than it tells by the
 * four variables: results are sent in a collation too, that of the login or of SET NAMES. So what
 * SET NAMES set is carried as a whole, under this name, as `utf8mb4 COLLATE utf8mb4_bin`; the
 * variables are listed only where they were set by themselves after that.
 */
export const NAMES = 'names';

/** The variables that SET NAMES sets, in the order in which they must be set one by one. */
export const CHARSET_VARIABLES = [
  'character_set_client',
  'character_set_connection',
  'character_set_results',
  'collation_connection',
] as const;

const VARIABLES: ReadonlySet<string> = new Set(CHARSET_VARIABLES);

export const isCharsetVariable = (name: string): boolean => VARIABLES.has(name);

const COLLATE = ' COLLATE ';

/** The value of {@link NAMES}. @param collation null while it is not known */
const namesOf = (charset: string, collation: string | null): string =>
  collation === null ? charset : charset + COLLATE + collation;

/** The character set of a value of {@link NAMES}. */
export const charsetOfNames = (names: string): string => names.split(COLLATE, 1)[0] ?? names;

/** What a login chose, from what the server says of it. */
export function chosenAtLogin(told: {
  readonly client: string;
  /** Null where results are not converted. */
  readonly results: string | null;
  readonly collation: string;
}): Map<string, string> {
  const chosen = new Map([[NAMES, namesOf(told.client, told.collation)]]);
  if (told.results !== told.client) chosen.set('character_set_results', told.results ?? '');
  return chosen;
}

/**
 * What COM_RESET_CONNECTION leaves of the variables that a login chose: MySQL goes back to its own
 * character sets and keeps IGNORE_SPACE, a flag of the login; MariaDB goes back to the login's
 * character sets and forgets the flag.
 */
export const afterReset = (
  chosen: ReadonlyMap<string, string>,
  flavor: 'mysql' | 'mariadb',
): ReadonlyMap<string, string> =>
  new Map(
    [...chosen].filter(([name]) => {
      const isCharset = name === NAMES || isCharsetVariable(name);
      return isCharset ? flavor === 'mariadb' : name === 'sql_mode' && flavor === 'mysql';
    }),
  );

/** What a server has reported of the four variables, in one OK packet. */
export type ReportedCharsets = ReadonlyMap<string, string>;

/**
 * The variables after such a report.
 * @returns the new ones, and whether a collation was set that the report does not tell
 */
export function withReported(
  variables: ReadonlyMap<string, string>,
  reported: ReportedCharsets,
): { variables: Map<string, string>; collationUnknown: boolean } {
  const next = new Map(variables);
  const client = reported.get('character_set_client');
  const connection = reported.get('character_set_connection');
  const collation = reported.get('collation_connection') ?? null;
  const isNames =
    client !== undefined &&
    client === connection &&
    client === reported.get('character_set_results');
  if (isNames) {
    for (const name of CHARSET_VARIABLES) next.delete(name);
    next.set(NAMES, namesOf(client, collation));
    return { variables: next, collationUnknown: collation === null };
  }
  const names = next.get(NAMES);
  if (
    reported.size === 1 &&
    collation !== null &&
    names !== undefined &&
    !names.includes(COLLATE)
  ) {
    // The answer to the question that SET NAMES left.
    next.set(NAMES, namesOf(names, collation));
    return { variables: next, collationUnknown: false };
  }
  if (connection !== undefined) next.delete('collation_connection');
  for (const [name, value] of reported) next.set(name, value);
  return { variables: next, collationUnknown: connection !== undefined && collation === null };
}
