import type { Socket } from 'node:net';
import { type ConnectionOptions, connect } from 'node:tls';
import type { Config } from '../config/schema.ts';
import { LagwiseError } from '../lib/errors.ts';
import { SocketStream } from './byte-stream.ts';

export type ServerTlsMode = Config['serverTls']['mode'];

/** Options of TLS towards one server. */
export interface DialTls {
  readonly mode: ServerTlsMode;
  readonly ca: Buffer | null;
  /** Name that the certificate must bear in mode `verify-identity`. */
  readonly host: string;
}

/** Takes a connection to a server over to TLS. @throws LagwiseError when the handshake fails */
export async function dialTls(
  socket: Socket,
  tls: DialTls,
  deadlineMs: number,
): Promise<SocketStream> {
  const secured = connect({
    socket,
    ...(tls.ca === null ? {} : { ca: tls.ca }),
    rejectUnauthorized: tls.mode === 'verify-ca' || tls.mode === 'verify-identity',
    ...identityOptions(tls),
  });
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  const fail = (why: string) =>
    reject(new LagwiseError('backend-connect', `TLS with the server failed: ${why}`));
  const timer = setTimeout(() => fail(`no answer within ${deadlineMs} ms`), deadlineMs);
  const onClose = () => fail('the connection was closed');
  secured.once('secureConnect', () => resolve(undefined));
  secured.on('error', (error) => fail(error.message));
  secured.once('close', onClose);
  try {
    await promise;
  } catch (error) {
    secured.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
    secured.off('close', onClose);
  }
  return new SocketStream(secured);
}

function identityOptions(tls: DialTls): ConnectionOptions {
  // `verify-ca` accepts any name: the word is the mysql client's, and so is its meaning.
  if (tls.mode !== 'verify-identity') return { checkServerIdentity: () => undefined };
  return { host: tls.host, servername: tls.host };
}
