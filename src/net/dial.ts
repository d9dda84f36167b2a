import { connect, type Socket } from 'node:net';
import { LagwiseError } from '../lib/errors.ts';
import { SocketStream } from './byte-stream.ts';
import { readDirectly, sharedRead } from './shared-read.ts';

/** Where to connect, and by when. */
export interface DialTarget {
  readonly host: string;
  readonly port: number;
  readonly deadlineMs: number;
}

/**
 * Opens a TCP connection.
 * @throws LagwiseError `backend-connect` when it is refused or takes longer than `deadlineMs`
 */
export async function dial(target: DialTarget): Promise<SocketStream> {
  const { onread, bind } = sharedRead();
  const socket = connect({ host: target.host, port: target.port, noDelay: true, onread });
  const stream = new SocketStream(socket);
  bind(stream);
  await connected(socket, target);
  readDirectly(stream);
  return stream;
}

async function connected(socket: Socket, { host, port, deadlineMs }: DialTarget): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => {
    reject(
      new LagwiseError('backend-connect', `${host}:${port} did not answer within ${deadlineMs} ms`),
    );
  }, deadlineMs);
  const onError = (error: Error) => {
    reject(
      new LagwiseError('backend-connect', `Cannot connect to ${host}:${port}: ${error.message}`, {
        cause: error,
      }),
    );
  };
  socket.once('connect', () => resolve(undefined));
  socket.once('error', onError);
  try {
    await promise;
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
    socket.off('error', onError);
  }
}
