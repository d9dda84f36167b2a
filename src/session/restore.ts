import type { BackendConnection } from '../pool/backend-connection.ts';
import type { StateProfile } from '../pool/state-profile.ts';
import { COM } from '../wire/command.ts';
import { encodeQuery } from '../wire/packets/query.ts';
import { PacketWriter } from '../wire/writer.ts';

/** The commands that bring a connection to a state, and how many replies they have. */
export interface Restoration {
  readonly bytes: Buffer;
  readonly replies: number;
}

const NUMBER = /^-?\d+(\.\d+)?$/;
/** What a name of a system variable looks like; anything else is not put into a statement. */
const NAME = /^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)?$/i;
/** Printable, and the same in every character set and quoting mode. */
const PLAIN = /^[ !#-&(-[\]-~]*$/;
const CLIENT_CHARSET = 'character_set_client';

/**
 * What is to be sent to a connection in state `from` (null: not known) so that it is in state `to`:
 * the difference. Off the hot path.
 */
export function restorationOf(
  from: StateProfile | null,
  to: StateProfile,
  connection: Pick<BackendConnection, 'caps'>,
): Restoration {
  const packets: Buffer[] = [];
  const query = (text: string) => packets.push(encodeQuery(text, connection.caps));
  const assigned = differences(from, to);
  if (to.schema !== null && to.schema !== from?.schema) {
    if (!PLAIN.test(to.schema)) {
      // Schema names are read in the client's character set.
      query(`SET ${CLIENT_CHARSET}=utf8mb4`);
      assigned.set(CLIENT_CHARSET, valueOf(to, CLIENT_CHARSET));
    }
    packets.push(new PacketWriter().u8(COM.INIT_DB).string(to.schema).finish(0));
  }
  if (assigned.size > 0) {
    const list = [...assigned].map(([name, value]) => `${name}=${value}`);
    query(`SET SESSION ${list.join(', ')}`);
  }
  if (to.multiStatements !== from?.multiStatements) {
    const option = to.multiStatements ? MULTI_STATEMENTS_ON : MULTI_STATEMENTS_OFF;
    packets.push(new PacketWriter().u8(COM.SET_OPTION).u16(option).finish(0));
  }
  return { bytes: Buffer.concat(packets), replies: packets.length };
}

const MULTI_STATEMENTS_ON = 0;
const MULTI_STATEMENTS_OFF = 1;

/** Assignments by name, in the order in which they must be made: charsets before collations. */
function differences(from: StateProfile | null, to: StateProfile): Map<string, string> {
  const names = [...new Set([...to.variables.keys(), ...(from?.variables.keys() ?? [])])];
  const changed = names
    .filter((name) => from === null || from.variables.get(name) !== to.variables.get(name))
    .filter((name) => NAME.test(name));
  // A collation goes with the charset that was set before it, so it is always said behind that.
  if (changed.includes('character_set_connection') && !changed.includes('collation_connection')) {
    if (to.variables.has('collation_connection')) changed.push('collation_connection');
  }
  return new Map(changed.sort().map((name) => [name, valueOf(to, name)]));
}

/** A value as it is to be assigned; what the session has not set is as the server has it. */
function valueOf({ variables }: StateProfile, name: string): string {
  const value = variables.get(name);
  if (value === undefined) return 'DEFAULT';
  if (value === '' && name.startsWith('character_set')) return 'NULL';
  // Numeric variables refuse strings; ON and OFF are taken as strings.
  if (NUMBER.test(value)) return value;
  if (PLAIN.test(value)) return `'${value}'`;
  return `_utf8mb4 0x${Buffer.from(value).toString('hex')}`;
}
