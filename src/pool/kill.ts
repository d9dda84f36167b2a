import type { BackendThreadId } from '../lib/ids.ts';
import { PacketChannel } from '../net/packet-channel.ts';
import type { ServerView } from '../topology/snapshot.ts';
import { decodeErr, ERR } from '../wire/packets/err.ts';
import { encodeQuery } from '../wire/packets/query.ts';
import { type ConnectOptions, connectBackend } from './connect.ts';
import type { Identity } from './identity.ts';
import { ServerRefusedError } from './server-refused-error.ts';

/**
 * Kills a statement or connection on a server, as the account of `identity`: the server itself
 * judges whether it may.
 * @throws ServerRefusedError with the server's error (1094 unknown thread, 1095 not the owner)
 */
export async function killOnServer(
  server: ServerView,
  identity: Identity,
  options: ConnectOptions,
  target: { what: 'QUERY' | 'CONNECTION'; thread: BackendThreadId },
): Promise<void> {
  const parts = await connectBackend(server, { ...identity, schema: null }, options);
  const channel = new PacketChannel(
    parts.stream,
    {
      network: 'backend-network',
      protocol: 'backend-protocol',
      timeout: 'backend-timeout',
      peer: `Server ${server.id}`,
    },
    { deadlineMs: options.timeoutMs, maxPacketBytes: 64 * 1024 },
  );
  try {
    channel.send(encodeQuery(`KILL ${target.what} ${target.thread}`, parts.caps));
    const { payload } = await channel.read();
    if (payload[0] === ERR) throw new ServerRefusedError(server.id, decodeErr(payload));
  } finally {
    channel.detach();
    parts.stream.destroy();
  }
}
