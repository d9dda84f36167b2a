import { Readable } from 'node:stream';
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise';
import { ACCOUNT, SCHEMA } from './fixture.ts';
import { MODES, type Mode } from './statement.ts';

/** Past this a statement of the corpus waits for something: a defect of the corpus. */
const STATEMENT_DEADLINE_MS = 8_000;
const CONNECT_DEADLINE_MS = 5_000;

/** What a server made of a statement. */
export interface Outcome {
  /** Null when it succeeded. */
  readonly errno: number | null;
  readonly message: string;
}

const SUCCESS: Outcome = { errno: null, message: '' };

/**
 * A connection that is as good as new for each statement. Statements travel as the bytes they are:
 * the driver believes in latin1, in which every byte is a character, and the server is told
 * otherwise.
 */
export class OracleConnection {
  readonly #port: number;
  #connection: Connection | null = null;

  constructor(port: number) {
    this.#port = port;
  }

  /** Forgets the session's state, and makes the one that `mode` names. */
  async renew(mode: Mode): Promise<void> {
    const { sqlMode, charset } = MODES[mode];
    const setMode =
      sqlMode === null ? '' : `; SET SESSION sql_mode = CONCAT(@@sql_mode, ',${sqlMode}')`;
    // Multi-statements: one round trip.
    const text = `SET NAMES ${charset}; USE ${SCHEMA}${setMode}`;
    try {
      if (this.#connection === null) await this.#connect();
      else await this.#connection.reset();
      await this.#query(text);
    } catch {
      // What ran before may have ended the connection (KILL, an error packet out of turn); a second
      // failure is the server's and is thrown.
      await this.#connect();
      await this.#query(text);
    }
  }

  /** Runs one statement. Never throws for what the server says of it. */
  async run(sql: string | Buffer): Promise<Outcome> {
    try {
      await this.#query(bytesOf(sql).toString('latin1'));
      return SUCCESS;
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      const { errno = -1 } = error as Error & { errno?: number };
      return { errno, message: error.message };
    }
  }

  /** The rows of a statement of our own. */
  async rows(sql: string): Promise<RowDataPacket[]> {
    const [rows] = await this.#query(sql);
    return rows;
  }

  close(): void {
    this.#connection?.destroy();
    this.#connection = null;
  }

  #query(sql: string): Promise<[RowDataPacket[], unknown]> {
    if (this.#connection === null) throw new Error('Call renew before anything else');
    return this.#connection.query<RowDataPacket[]>({
      sql,
      timeout: STATEMENT_DEADLINE_MS,
      infileStreamFactory: () => Readable.from(['901\tinfile\n']),
    });
  }

  async #connect(): Promise<void> {
    this.close();
    this.#connection = await createConnection({
      host: '127.0.0.1',
      port: this.#port,
      ...ACCOUNT,
      charset: 'latin1',
      // Told of SET NAMES, the driver would believe that instead.
      // And blanks in front of parentheses are the mode's matter.
      flags: ['-SESSION_TRACK', '-IGNORE_SPACE'],
      multipleStatements: true,
      // A parser compiled for each shape of result would be used once.
      disableEval: true,
      connectTimeout: CONNECT_DEADLINE_MS,
    });
    // A statement may end the connection: its own rejection tells, not this event.
    this.#connection.on('error', () => undefined);
  }
}

/** The bytes that travel. */
export function bytesOf(sql: string | Buffer): Buffer {
  return typeof sql === 'string' ? Buffer.from(sql) : sql;
}
