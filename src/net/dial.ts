import { connect, type Socket } from 'node:net';
import { LagwiseError } from '../lib/errors.ts';

/**
 * Opens a TCP connection.
 * @throws LagwiseError `backend-connect` when it is refused or takes longer than `deadlineMs`
 */
export async function dial(host: string, port: number, deadlineMs: number): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const socket = connect({ host, port, noDelay: true });
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
  socket.once('connect', () => resolve(socket));
  socket.once('error', onError);
  try {
    return await promise;
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
    socket.off('error', onError);
  }
}
