import { COM } from '../wire/command.ts';
import { encodeQuery } from '../wire/packets/query.ts';
import { REPLY } from '../wire/reply-kinds.ts';
import { PacketWriter } from '../wire/writer.ts';
import type { BackendConnection } from './backend-connection.ts';
import { ServerRefusedError } from './server-refused-error.ts';
import { runSwallowed } from './swallow.ts';
import { TRACKER_STATEMENTS } from './trackers.ts';

const RESET_PACKET = new PacketWriter().u8(COM.RESET_CONNECTION).finish(0);

/**
 * COM_RESET_CONNECTION: rolls back, releases locks, drops temporary tables, user variables and
 * prepared statements; the session trackers, which it turns off too, are turned on again.
 * @throws ServerRefusedError from servers that cannot (5.7.2 and older); LagwiseError when the
 *   server is lost or late. The connection is closed then.
 */
export async function resetState(connection: BackendConnection, timeoutMs: number): Promise<void> {
  const trackers = encodeQuery(TRACKER_STATEMENTS[connection.flavor], connection.caps);
  // Names that this server does not know leave warnings, which no client should see.
  const bytes = Buffer.concat([RESET_PACKET, trackers, encodeQuery('DO 0', connection.caps)]);
  const kinds = [REPLY.SIMPLE, REPLY.SIMPLE, REPLY.SIMPLE];
  const results = await runSwallowed(connection, bytes, kinds, timeoutMs);
  const failed = results.find(({ error }) => error !== null)?.error;
  if (failed) {
    connection.destroy();
    throw new ServerRefusedError(connection.server.id, failed);
  }
  connection.noteReset();
}
