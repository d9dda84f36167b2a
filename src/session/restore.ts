import type { BackendConnection } from '../pool/backend-connection.ts';
import { TRACKER_STATEMENTS } from '../pool/trackers.ts';
import { COM } from '../wire/command.ts';
import { encodeQuery } from '../wire/packets/query.ts';
import { PacketWriter } from '../wire/writer.ts';
import type { SessionState } from './session-state.ts';

/** The commands that bring a connection to a session's state, and how many replies they have. */
export interface Restoration {
  readonly bytes: Buffer;
  readonly replies: number;
}

const NUMBER = /^-?\d+(\.\d+)?$/;
/** What a name of a system variable looks like; anything else is not put into a statement. */
const NAME = /^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)?$/i;

/** What is to be sent to `connection` before it may serve the session. Off the hot path. */
export function restorationOf(state: SessionState, connection: BackendConnection): Restoration {
  const packets: Buffer[] = [];
  if (!connection.trackersOn) {
    packets.push(encodeQuery(TRACKER_STATEMENTS[connection.flavor], connection.caps));
  }
  if (state.schema !== null && state.schema !== connection.schema) {
    packets.push(new PacketWriter().u8(COM.INIT_DB).string(state.schema).finish(0));
  }
  const assignments = [...state.variables]
    .filter(([name]) => NAME.test(name))
    .map(([name, value]) => `${name}=${literal(name, value, state.noBackslashEscapes)}`);
  if (assignments.length > 0) {
    packets.push(encodeQuery(`SET SESSION ${assignments.join(', ')}`, connection.caps));
  }
  if (state.multiStatements !== null) {
    packets.push(
      new PacketWriter()
        .u8(COM.SET_OPTION)
        .u16(state.multiStatements ? 0 : 1)
        .finish(0),
    );
  }
  return { bytes: Buffer.concat(packets), replies: packets.length };
}

/**
 * A value as the server reported it, as it is to be assigned. Numbers go bare, since numeric
 * variables refuse strings; ON and OFF are taken as strings.
 */
function literal(name: string, value: string, noBackslashEscapes: boolean): string {
  if (value === '' && name.startsWith('character_set')) return 'NULL';
  if (NUMBER.test(value)) return value;
  const doubled = value.replaceAll("'", "''");
  return `'${noBackslashEscapes ? doubled : doubled.replaceAll('\\', '\\\\')}'`;
}
