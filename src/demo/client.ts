import { setTimeout as sleep } from 'node:timers/promises';
import { createConnection, type Connection, type RowDataPacket } from 'mysql2/promise';
import { type Doing, judgeError, type Verdict } from './client-error.ts';

/** Where the demo's clients connect. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

/** Told of every error that a client meets. */
export type OnError = (doing: Doing, verdict: Verdict, thrown: unknown) => void;

/** Values of placeholders. */
export type Values = readonly (string | number)[];

/** Longer than the proxy holds a write for (`failover.holdMs`, 10 s): it is to give up first. */
const STATEMENT_DEADLINE_MS = 20_000;
const CONNECT_DEADLINE_MS = 10_000;
const RECONNECT_PAUSE_MS = 50;
const CLOSE_DEADLINE_MS = 1_000;

/**
 * One session as an application has it: keeps its connection, opens a new one after an error that
 * ended it, and knows nothing of primaries and replicas.
 */
export class DemoClient {
  readonly #endpoint: Endpoint;
  readonly #onError: OnError;
  readonly #stop: AbortSignal;
  #connection: Connection | null = null;

  constructor(endpoint: Endpoint, stop: AbortSignal, onError: OnError) {
    this.#endpoint = endpoint;
    this.#stop = stop;
    this.#onError = onError;
  }

  /**
   * Runs a statement as text and returns its rows.
   * @returns what the error means where there was one: it has been told to `onError` already
   */
  query(doing: Doing, sql: string, values: Values = []): Promise<RowDataPacket[] | Verdict> {
    return this.#run(doing, async (connection) => {
      const timeout = STATEMENT_DEADLINE_MS;
      const [rows] = await connection.query<RowDataPacket[]>({ sql, values: [...values], timeout });
      return rows;
    });
  }

  /** As {@link query}, as a prepared statement. */
  execute(doing: Doing, sql: string, values: Values): Promise<RowDataPacket[] | Verdict> {
    return this.#run(doing, async (connection) => {
      const timeout = STATEMENT_DEADLINE_MS;
      const [rows] = await connection.execute<RowDataPacket[]>({
        sql,
        values: [...values],
        timeout,
      });
      return rows;
    });
  }

  /** Ends the session as an application does, by force where the other side does not answer. */
  async close(): Promise<void> {
    const connection = this.#connection;
    this.#connection = null;
    if (connection === null) return;
    const ended = connection.end().catch(() => undefined);
    await Promise.race([ended, sleep(CLOSE_DEADLINE_MS, undefined, { ref: false })]);
    connection.destroy();
  }

  async #run(
    doing: Doing,
    work: (connection: Connection) => Promise<RowDataPacket[]>,
  ): Promise<RowDataPacket[] | Verdict> {
    const connection = await this.#connected();
    if ('kind' in connection) return connection;
    try {
      return await work(connection);
    } catch (thrown) {
      const verdict = judgeError(thrown, doing);
      if (verdict.reconnect) this.#drop();
      // Errors of sessions that are being ended are of the demo's own making.
      if (!this.#stop.aborted) this.#onError(doing, verdict, thrown);
      return verdict;
    }
  }

  async #connected(): Promise<Connection | Verdict> {
    if (this.#connection !== null) return this.#connection;
    try {
      const connection = await createConnection({
        ...this.#endpoint,
        connectTimeout: CONNECT_DEADLINE_MS,
      });
      // A statement's own rejection tells of a lost connection; without a listener this would throw.
      connection.on('error', () => undefined);
      this.#connection = connection;
      return connection;
    } catch (thrown) {
      const verdict = judgeError(thrown, 'connect');
      if (!this.#stop.aborted) this.#onError('connect', verdict, thrown);
      await sleep(RECONNECT_PAUSE_MS);
      return verdict;
    }
  }

  #drop(): void {
    this.#connection?.destroy();
    this.#connection = null;
  }
}

/** Tells an error from rows. */
export function failed(result: RowDataPacket[] | Verdict): result is Verdict {
  return 'kind' in result;
}
