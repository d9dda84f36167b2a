import type { BackendConnection } from '../../pool/backend-connection.ts';
import { CHARSET_VARIABLES, isCharsetVariable, NAMES } from '../../pool/charsets.ts';
import type { StateProfile } from '../../pool/state-profile.ts';
import { COM } from '../../wire/command.ts';
import { encodeQuery } from '../../wire/packets/query.ts';
import { PacketWriter } from '../../wire/writer.ts';

/** The commands that bring a connection to a state, and how many replies they have. */
export interface Restoration {
  readonly bytes: Buffer;
  readonly replies: number;
}

const NUMBER = /^-?\d+(\.\d+)?$/;
/** What a name of a system variable looks like; anything else is not put into a statement. */
const NAME = /^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)?$/i;
/** Of SET NAMES: a character set, and a collation where it is known. */
const NAMES_VALUE = /^\w+(?: COLLATE \w+)?$/;
/** Printable, and the same in every character set and quoting mode. */
const PLAIN = /^[ !#-&(-[\]-~]*$/;
/** Variables that may be NULL, which servers report as an empty string. */
const NULLABLE: ReadonlySet<string> = new Set([
  'character_set_results',
  'default_tmp_storage_engine',
  'enforce_storage_engine',
]);
const MULTI_STATEMENTS_ON = 0;
const MULTI_STATEMENTS_OFF = 1;

/**
 * What is to be sent to a connection in state `from` (null: not known) so that it is in state `to`:
 * the difference. Off the hot path.
 */
export function restorationOf(
  from: StateProfile | null,
  to: StateProfile,
  { caps }: Pick<BackendConnection, 'caps'>,
): Restoration {
  const packets: Buffer[] = [];
  const query = (text: string) => packets.push(encodeQuery(text, caps));
  let charsets = from === null || charsetsDiffer(from, to);
  if (to.schema !== null && to.schema !== from?.schema) {
    if (!PLAIN.test(to.schema)) {
      // Schema names are read in the client's character set.
      query('SET NAMES utf8mb4');
      charsets = true;
    }
    packets.push(new PacketWriter().u8(COM.INIT_DB).string(to.schema).finish(0));
  }
  if (charsets) for (const text of charsetStatements(to)) query(text);
  const changed = differences(from, to);
  if (changed.length > 0) {
    query(`SET SESSION ${changed.map((name) => assignment(to, name)).join(', ')}`);
  }
  if (to.multiStatements !== from?.multiStatements) {
    const option = to.multiStatements ? MULTI_STATEMENTS_ON : MULTI_STATEMENTS_OFF;
    packets.push(new PacketWriter().u8(COM.SET_OPTION).u16(option).finish(0));
  }
  return { bytes: Buffer.concat(packets), replies: packets.length };
}

/** The variables of a state, each as a statement of its own: to find the one that is refused. */
export function separateAssignments(to: StateProfile): { name: string; statement: string }[] {
  return differences(null, to).map((name) => ({
    name,
    statement: `SET SESSION ${assignment(to, name)}`,
  }));
}

function charsetsDiffer(from: StateProfile, to: StateProfile): boolean {
  return [NAMES, ...CHARSET_VARIABLES].some(
    (name) => from.variables.get(name) !== to.variables.get(name),
  );
}

/** SET NAMES first, since it sets all of them; then what was set by itself. */
function charsetStatements(to: StateProfile): string[] {
  const names = to.variables.get(NAMES);
  const base =
    names !== undefined && NAMES_VALUE.test(names)
      ? `SET NAMES ${names}`
      : 'SET character_set_client=DEFAULT, character_set_results=DEFAULT, collation_connection=DEFAULT';
  const own = CHARSET_VARIABLES.filter((name) => to.variables.has(name));
  if (own.length === 0) return [base];
  return [base, `SET SESSION ${own.map((name) => assignment(to, name)).join(', ')}`];
}

/** Names of the variables, but for character sets, that are to be assigned. */
function differences(from: StateProfile | null, to: StateProfile): string[] {
  const names = new Set([...to.variables.keys(), ...(from?.variables.keys() ?? [])]);
  return [...names]
    .filter((name) => name !== NAMES && !isCharsetVariable(name) && NAME.test(name))
    .filter((name) => from === null || from.variables.get(name) !== to.variables.get(name))
    .sort();
}

const assignment = (to: StateProfile, name: string): string => `${name}=${valueOf(to, name)}`;

/**
 * MySQL (9.7 and before) takes DEFAULT of these for OFF, whatever the global value is: both are kept
 * as their opposites inside.
 */
const DEFAULT_IS_WRONG: ReadonlySet<string> = new Set(['foreign_key_checks', 'unique_checks']);

/** A value as it is to be assigned; what the session has not set is as the server has it. */
function valueOf({ variables }: StateProfile, name: string): string {
  const value = variables.get(name);
  if (value === undefined) return DEFAULT_IS_WRONG.has(name) ? `@@GLOBAL.${name}` : 'DEFAULT';
  if (value === '' && NULLABLE.has(name)) return 'NULL';
  // Numeric variables refuse strings; ON and OFF are taken as strings.
  if (NUMBER.test(value)) return value;
  if (PLAIN.test(value)) return `'${value}'`;
  return `_utf8mb4 0x${Buffer.from(value).toString('hex')}`;
}
