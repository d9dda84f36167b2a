import { COM } from '../wire/command.ts';
import { encodeQuery } from '../wire/packets/query.ts';
import { REPLY } from '../wire/reply-kinds.ts';
import { PacketWriter } from '../wire/writer.ts';
import type { BackendConnection } from './backend-connection.ts';
import { ServerRefusedError } from './server-refused-error.ts';
import { runSwallowed } from './swallow.ts';
import { TRACKER_STATEMENTS } from './trackers.ts';

/** The same in every character set that a client may have. */
const ASCII = /^[ -~]*$/;
const RESET_PACKET = new PacketWriter().u8(COM.RESET_CONNECTION).finish(0);

/**
 * COM_RESET_CONNECTION: rolls back, releases locks, drops temporary tables, user variables and
 * prepared statements; the session trackers, which it turns off too, are turned on again. The
 * default schema stays, but its character set is forgotten (`collation_database`, which LOAD DATA
 * reads files by), so the schema is chosen anew: whoever gets the connection next finds what a
 * login to that schema gives.
 * @throws ServerRefusedError from servers that cannot (5.7.2 and older); LagwiseError when the
 *   server is lost or late. The connection is closed then.
 */
export async function resetState(connection: BackendConnection, timeoutMs: number): Promise<void> {
  const trackers = encodeQuery(TRACKER_STATEMENTS[connection.flavor], connection.caps);
  const packets = [RESET_PACKET, trackers];
  const schema = connection.profile?.schema ?? null;
  // Schema names are read in the client's character set.
  const names = schema === null || ASCII.test(schema) ? null : 'utf8mb4';
  if (names !== null) packets.push(encodeQuery(`SET NAMES ${names}`, connection.caps));
  if (schema !== null) packets.push(new PacketWriter().u8(COM.INIT_DB).string(schema).finish(0));
  // Names that this server does not know leave warnings, which no client should see.
  packets.push(encodeQuery('DO 0', connection.caps));
  const kinds = packets.map(() => REPLY.SIMPLE);
  const results = await runSwallowed(connection, Buffer.concat(packets), kinds, timeoutMs);
  const failed = results.find(({ error }) => error !== null)?.error;
  if (failed) {
    connection.destroy();
    throw new ServerRefusedError(connection.server.id, failed);
  }
  connection.noteReset(names);
}
