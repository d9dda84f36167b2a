import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { connect, createSecureContext, type SecureContext, TLSSocket } from 'node:tls';
import { generate } from 'selfsigned';
import type { Config } from '../config/schema.ts';
import { LagwiseError, messageOf } from '../lib/errors.ts';

export type ServerTlsMode = Config['serverTls']['mode'];

const CERTIFICATE_YEARS = 10;

/**
 * The certificate that clients see. Where none is configured one is made, for this process only:
 * it encrypts, but proves no identity, as a server's own auto-generated certificate does.
 */
export async function clientSecureContext(
  options: Config['listen']['tls'],
): Promise<SecureContext | null> {
  if (options.mode === 'off') return null;
  const files = {
    ...(options.caFile === null ? {} : { ca: readPem('listen.tls.caFile', options.caFile) }),
    minVersion: options.minVersion,
  };
  if (options.certFile !== null && options.keyFile !== null) {
    const cert = readPem('listen.tls.certFile', options.certFile);
    const key = readPem('listen.tls.keyFile', options.keyFile);
    try {
      return createSecureContext({ ...files, cert, key });
    } catch (error) {
      throw new LagwiseError(
        'config',
        `listen.tls: the certificate and key cannot be used: ${messageOf(error)}`,
        { cause: error },
      );
    }
  }
  const until = new Date();
  until.setFullYear(until.getFullYear() + CERTIFICATE_YEARS);
  const made = await generate([{ name: 'commonName', value: 'lagwise' }], {
    keySize: 2048,
    algorithm: 'sha256',
    notAfterDate: until,
  });
  return createSecureContext({ ...files, cert: made.cert, key: made.private });
}

function readPem(path: string, file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new LagwiseError('config', `${path}: cannot read "${file}": ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** Takes a client's socket over to TLS. @throws LagwiseError when the handshake fails */
export async function acceptTls(
  socket: Socket,
  context: SecureContext,
  options: { requireCertificate: boolean; deadlineMs: number },
): Promise<TLSSocket> {
  const secured = new TLSSocket(socket, {
    isServer: true,
    secureContext: context,
    requestCert: options.requireCertificate,
    rejectUnauthorized: options.requireCertificate,
  });
  await handshake(secured, 'secure', options.deadlineMs, (why) => {
    return new LagwiseError('client-auth', `TLS with the client failed: ${why}`);
  });
  return secured;
}

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
): Promise<TLSSocket> {
  const verify = tls.mode === 'verify-ca' || tls.mode === 'verify-identity';
  const secured = connect({
    socket,
    ...(tls.ca === null ? {} : { ca: tls.ca }),
    rejectUnauthorized: verify,
    // `verify-ca` accepts any name: the word is the mysql client's, and so is its meaning.
    ...(tls.mode === 'verify-identity'
      ? { host: tls.host, servername: tls.host }
      : { checkServerIdentity: () => undefined }),
  });
  await handshake(secured, 'secureConnect', deadlineMs, (why) => {
    return new LagwiseError('backend-connect', `TLS with the server failed: ${why}`);
  });
  return secured;
}

async function handshake(
  socket: TLSSocket,
  event: 'secure' | 'secureConnect',
  deadlineMs: number,
  failure: (why: string) => LagwiseError,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => reject(failure(`no answer within ${deadlineMs} ms`)), deadlineMs);
  const onError = (error: Error) => reject(failure(error.message));
  const onClose = () => reject(failure('the connection was closed'));
  socket.once(event, () => resolve(undefined));
  socket.on('error', onError);
  socket.once('close', onClose);
  try {
    await promise;
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
    socket.off('close', onClose);
  }
}
