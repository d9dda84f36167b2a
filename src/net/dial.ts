import { connect, type Socket } from 'node:net';
import { LagwiseError } from '../lib/errors.ts';
import { SocketStream } from './byte-stream.ts';

/** What one read of a socket may bring; the size that Node itself reads with. */
const READ_BYTES = 64 * 1024;
/**
 * Where all plain connections to servers read into, one after the other. Without it each read
 * allocates 64 KiB to give most of them back, which costs a tenth of a proxied point select.
 */
const READ_BUFFER = Buffer.allocUnsafeSlow(READ_BYTES);

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
  let stream: SocketStream | null = null;
  const socket = connect({
    host: target.host,
    port: target.port,
    noDelay: true,
    onread: {
      buffer: READ_BUFFER,
      callback: (bytes) => {
        // A copy: the next read of whatever connection overwrites the buffer.
        stream?.deliver(Buffer.from(READ_BUFFER.subarray(0, bytes)));
        return true;
      },
    },
  });
  stream = new SocketStream(socket);
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
