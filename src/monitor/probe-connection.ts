import { connect, type Socket } from 'node:net';
import { type Connection, createConnection } from 'mysql2';
import { LagwiseError, messageOf } from '../lib/errors.ts';
import type { Row } from './rows.ts';

/** TLS towards the servers; the modes mean what `--ssl-mode` of the `mysql` program means. */
export interface ProbeTls {
  readonly mode: 'off' | 'preferred' | 'required' | 'verify-ca' | 'verify-identity';
  /** Authorities in PEM for the verifying modes; null for the system's. */
  readonly ca: string | null;
}

/** Where and as whom to connect. */
export interface ProbeTarget {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly tls: ProbeTls;
}

interface LoginOptions {
  readonly withTls: boolean;
  readonly signal: AbortSignal;
  readonly onLost: () => void;
}

/** Errors of mysql2 and of servers carry these beside the message. */
interface Coded {
  readonly code: string | null;
  readonly errno: number | null;
}

/** The code and number of an error of mysql2; nulls where it has none. */
export function codeOf(error: unknown): Coded {
  if (!(error instanceof Error)) return { code: null, errno: null };
  const code = 'code' in error && typeof error.code === 'string' ? error.code : null;
  const errno = 'errno' in error && typeof error.errno === 'number' ? error.errno : null;
  return { code, errno };
}

/** One connection to one server. Not for concurrent use. */
export class ProbeConnection {
  readonly #connection: Connection;
  readonly #socket: Socket;
  #isAlive = true;

  private constructor(connection: Connection, socket: Socket, onLost: () => void) {
    this.#connection = connection;
    this.#socket = socket;
    // What was being waited for rejects by itself; this only tells that the next use is futile.
    connection.on('error', () => this.#lose(onLost));
    socket.on('close', () => this.#lose(onLost));
  }

  #lose(onLost: () => void): void {
    if (!this.#isAlive) return;
    this.#isAlive = false;
    onLost();
  }

  /**
   * Connects and logs in. `signal` ends the attempt and its reason becomes the error; `onLost` is
   * called when the connection ends later other than by `destroy`. In mode `preferred` a server
   * without TLS is connected to without.
   */
  static async open(
    target: ProbeTarget,
    signal: AbortSignal,
    onLost: () => void,
  ): Promise<ProbeConnection> {
    try {
      return await ProbeConnection.#login(target, {
        withTls: target.tls.mode !== 'off',
        signal,
        onLost,
      });
    } catch (error) {
      const noTls = codeOf(error).code === 'HANDSHAKE_NO_SSL_SUPPORT';
      if (!noTls || target.tls.mode !== 'preferred') throw error;
      return ProbeConnection.#login(target, { withTls: false, signal, onLost });
    }
  }

  static async #login(
    target: ProbeTarget,
    { withTls, signal, onLost }: LoginOptions,
  ): Promise<ProbeConnection> {
    signal.throwIfAborted();
    // The socket is ours: mysql2 only half-closes it, and one to a paused server would stay open.
    const socket = connect({ host: target.host, port: target.port, noDelay: true });
    const connection = createConnection({
      stream: () => socket,
      // For the check of the certificate's name.
      host: target.host,
      user: target.user,
      password: target.password,
      multipleStatements: true,
      supportBigNumbers: true,
      bigNumberStrings: false,
      dateStrings: true,
      // The caller's signal is the time limit; mysql2's own would only race with it.
      connectTimeout: 0,
      connectAttributes: { program_name: 'lagwise-monitor' },
      ...(withTls ? { ssl: tlsOptions(target.tls) } : {}),
    });
    const opened = new ProbeConnection(connection, socket, onLost);
    await opened.#abortable<void>(signal, (done) => {
      connection.connect((error) => done(error, undefined));
    });
    return opened;
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  /** Runs one or more statements and returns the rows of each that has a result. */
  async query(sql: string, signal: AbortSignal): Promise<(readonly Row[])[]> {
    return this.#abortable(signal, (done) => {
      this.#connection.query(sql, (error, results) => done(error, rowSets(results)));
    });
  }

  /** Closes the socket at once. */
  destroy(): void {
    this.#isAlive = false;
    this.#connection.destroy();
    this.#socket.destroy();
  }

  /** Waits for a callback of mysql2; an abort destroys the connection, which keeps half an answer. */
  async #abortable<T>(
    signal: AbortSignal,
    start: (done: (error: Error | null, value: T) => void) => void,
  ): Promise<T> {
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const abort = () => {
      this.destroy();
      reject(signal.reason instanceof Error ? signal.reason : new Error(messageOf(signal.reason)));
    };
    signal.addEventListener('abort', abort, { once: true });
    try {
      start((error, value) => (error === null ? resolve(value) : reject(error)));
      return await promise;
    } catch (error) {
      // After an error of the server, not of the connection, other statements may still work.
      if (isFatal(error)) this.destroy();
      throw error;
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }
}

function isFatal(error: unknown): boolean {
  if (error instanceof LagwiseError) return true;
  return error instanceof Error && 'fatal' in error && error.fatal === true;
}

function tlsOptions(tls: ProbeTls): {
  rejectUnauthorized: boolean;
  verifyIdentity: boolean;
  ca?: string;
} {
  const verifies = tls.mode === 'verify-ca' || tls.mode === 'verify-identity';
  return {
    rejectUnauthorized: verifies,
    verifyIdentity: tls.mode === 'verify-identity',
    ...(tls.ca === null ? {} : { ca: tls.ca }),
  };
}

/** mysql2 gives rows for one statement, a list of results for several; those without rows are left out. */
function rowSets(results: unknown): (readonly Row[])[] {
  if (!Array.isArray(results)) return [];
  const isSeveral = results.some((entry) => Array.isArray(entry) || isOkPacket(entry));
  return isSeveral ? results.filter(isRows) : [results.filter(isRow)];
}

function isOkPacket(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'affectedRows' in value;
}

function isRow(value: unknown): value is Row {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isRows(value: unknown): value is readonly Row[] {
  return Array.isArray(value) && value.every(isRow);
}
