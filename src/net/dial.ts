import { connect, type Socket } from 'node:net';
import { LagwiseError } from '../lib/errors.ts';
import { SocketStream } from './byte-stream.ts';
import { sharedRead } from './shared-read.ts';

/** Where to connect, and by when. */
export interface DialTarget {
  readonly host: string;
  readonly port: number;
  readonly deadlineMs: number;
}

/**
 * Opens a TCP connection that stays plain.
 * @throws LagwiseError `backend-connect` when it is refused or takes longer than `deadlineMs`
 */
export async function dialPlain(target: DialTarget): Promise<SocketStream> {
  const { onread, bind } = sharedRead();
  const socket = connect({ host: target.host, port: target.port, noDelay: true, onread });
  const stream = new SocketStream(socket);
  bind(stream);
  await connected(socket, target);
  return stream;
}

/**
 * Opens a TCP connection that may go over to TLS.
 * @throws LagwiseError as `dialPlain`
 */
export async function dial(target: DialTarget): Promise<SocketStream> {
  const socket = connect({ host: target.host, port: target.port, noDelay: true });
  await connected(socket, target);
  return new SocketStream(socket);
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
