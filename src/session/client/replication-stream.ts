import { LagwiseError } from '../../lib/errors.ts';
import type { ByteStream } from '../../net/byte-stream.ts';
import type { BackendConnection, BackendUser } from '../../pool/backend-connection.ts';
import type { ClientInput } from './client-input.ts';
import type { Command } from '../command/command.ts';
import type { CommandRunner } from '../command/command-runner.ts';

/**
 * COM_BINLOG_DUMP and its kin: a replica or a change-data-capture client hangs behind the proxy.
 * The answer has no end, so from here on bytes pass both ways untouched until one side closes.
 */
export async function startReplication(
  session: {
    readonly runner: CommandRunner;
    readonly command: Command;
    readonly input: ClientInput;
  },
  client: ByteStream,
  onEnd: (why: LagwiseError) => void,
): Promise<'no-answer'> {
  const { command, runner, input } = session;
  // The heartbeat period, checksum and uuid that the client set before are on this connection.
  const connection = runner.backends.primaryConnection ?? (await runner.backends.obtain(command));
  const stream = new ReplicationStream(client, onEnd);
  connection.setUser(stream);
  connection.busy = true;
  connection.load.inFlight += 1;
  connection.stream.write(command.bytes);
  runner.exchange.passThrough(connection);
  input.streamRaw();
  return 'no-answer';
}

class ReplicationStream implements BackendUser {
  private readonly client: ByteStream;
  private readonly onEnd: (why: LagwiseError) => void;

  constructor(client: ByteStream, onEnd: (why: LagwiseError) => void) {
    this.client = client;
    this.onEnd = onEnd;
  }

  onBackendBytes(connection: BackendConnection, chunk: Buffer): void {
    if (!this.client.write(chunk)) connection.stream.pause();
  }

  onBackendDrain(): void {
    this.client.resume();
  }

  onBackendClose(connection: BackendConnection): void {
    const { id } = connection.server;
    this.onEnd(new LagwiseError('backend-network', `Server ${id} ended the binary log stream`));
  }
}
