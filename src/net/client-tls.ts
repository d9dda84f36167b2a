import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { generate } from 'selfsigned';
import type { Config } from '../config/schema.ts';
import { LagwiseError, messageOf } from '../lib/errors.ts';

const CERTIFICATE_YEARS = 10;

interface Handshake {
  readonly resolve: (socket: TLSSocket) => void;
  readonly reject: (error: LagwiseError) => void;
}

/**
 * TLS towards clients. The handshakes are a `tls.Server`'s, which never listens but is handed the
 * sockets of clients that ask for TLS: only it verifies client certificates.
 */
export class ClientTls {
  private readonly server: Server;
  /** Handshakes under way by the client's address and port, which no two connections share. */
  private readonly pending = new Map<string, Handshake>();

  private constructor(server: Server) {
    this.server = server;
    server.on('secureConnection', (secured) => this.take(secured)?.resolve(secured));
    server.on('tlsClientError', (error, secured) =>
      this.take(secured)?.reject(failed(error.message)),
    );
  }

  /**
   * Without a configured certificate one is made, for this process only: it encrypts, but proves no
   * identity, as a server's own auto-generated one does. Null when TLS is off.
   * @throws LagwiseError `config` when a certificate or key cannot be used
   */
  static async create(
    options: Config['listen']['tls'],
    timeoutMs: number,
  ): Promise<ClientTls | null> {
    if (options.mode === 'off') return null;
    const identity = await certificate(options);
    const ca = options.caFile === null ? {} : { ca: readPem('listen.tls.caFile', options.caFile) };
    try {
      return new ClientTls(
        createServer({
          ...identity,
          ...ca,
          requestCert: options.caFile !== null,
          rejectUnauthorized: options.caFile !== null,
          minVersion: options.minVersion,
          handshakeTimeout: timeoutMs,
        }),
      );
    } catch (error) {
      throw new LagwiseError(
        'config',
        `listen.tls: the certificate and key cannot be used: ${messageOf(error)}`,
        { cause: error },
      );
    }
  }

  /** Takes a client's socket over to TLS. @throws LagwiseError `client-auth` when that fails */
  async accept(socket: Socket): Promise<TLSSocket> {
    const { promise, resolve, reject } = Promise.withResolvers<TLSSocket>();
    const key = keyOf(socket);
    this.pending.set(key, { resolve, reject });
    const onClose = () => reject(failed('the connection was closed'));
    socket.once('close', onClose);
    this.server.emit('connection', socket);
    try {
      return await promise;
    } catch (error) {
      socket.destroy();
      throw error;
    } finally {
      socket.off('close', onClose);
      this.pending.delete(key);
    }
  }

  private take(secured: TLSSocket): Handshake | undefined {
    return this.pending.get(keyOf(secured));
  }
}

const keyOf = (socket: Socket | TLSSocket): string =>
  `${socket.remoteAddress}|${socket.remotePort}`;

const failed = (why: string): LagwiseError =>
  new LagwiseError('client-auth', `TLS with the client failed: ${why}`);

async function certificate(
  options: Config['listen']['tls'],
): Promise<{ cert: Buffer | string; key: Buffer | string }> {
  if (options.certFile !== null && options.keyFile !== null) {
    const cert = readPem('listen.tls.certFile', options.certFile);
    return { cert, key: readPem('listen.tls.keyFile', options.keyFile) };
  }
  const until = new Date();
  until.setFullYear(until.getFullYear() + CERTIFICATE_YEARS);
  const made = await generate([{ name: 'commonName', value: 'lagwise' }], {
    keySize: 2048,
    algorithm: 'sha256',
    notAfterDate: until,
  });
  return { cert: made.cert, key: made.private };
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
