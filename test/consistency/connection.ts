import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Connection,
  createConnection,
  type ResultSetHeader,
  type RowDataPacket,
} from 'mysql2/promise';
import { type Doing, judgeError } from '../../src/demo/client-error.ts';
import type { Level, Outcome } from './history.ts';

/** How a client says which level it wants. */
export const WAYS = ['config', 'variable', 'comment'] as const;
export type Way = (typeof WAYS)[number];

/** A proxy to connect to, and the level that its configuration names. */
export interface Endpoint {
  readonly port: number;
  readonly level: Level;
}

/** Who logs in, and which level it wants. */
export interface Login {
  readonly user: string;
  readonly password: string;
  readonly level: Level;
}

/** How a session ends on a connection that goes on: COM_RESET_CONNECTION, COM_CHANGE_USER. */
export const RENEWALS = ['reset', 'change-user'] as const;
export type Renewal = (typeof RENEWALS)[number];

/** How a statement goes out. */
export type Form = 'text' | 'prepared';

/** Why a statement has no result, and what that says of what it did. */
export interface Failure {
  readonly t: 'error';
  readonly outcome: Outcome;
  readonly kind: string;
  /** For people. */
  readonly message: string;
}

/** What became of a statement. */
export type Reply<T> = { readonly t: 'ok'; readonly value: T } | Failure;

/** Longer than a write may be held by the proxy (`failover.holdMs`, 10 s). */
const STATEMENT_DEADLINE_MS = 20_000;
const CONNECT_DEADLINE_MS = 5_000;

/** One login at a proxy, at one level. */
export class CheckedConnection {
  readonly #connection: Connection;
  readonly #login: Login;
  readonly #way: Way;
  #lost = false;

  private constructor(connection: Connection, login: Login, way: Way) {
    this.#connection = connection;
    this.#login = login;
    this.#way = way;
  }

  /** @throws whatever the driver or the proxy say */
  static async open(endpoint: Endpoint, login: Login, way: Way): Promise<CheckedConnection> {
    const { user, password } = login;
    const connection = await createConnection({
      host: '127.0.0.1',
      port: endpoint.port,
      user,
      password,
      connectTimeout: CONNECT_DEADLINE_MS,
    });
    // A statement's own rejection tells of a lost connection; without a listener this would throw.
    connection.on('error', () => undefined);
    const opened = new CheckedConnection(connection, login, way);
    if (await opened.#choose()) return opened;
    opened.destroy();
    throw new Error('The level could not be set');
  }

  /** Says which level this session wants, where neither configuration nor comments do. */
  async #choose(): Promise<boolean> {
    if (this.#way !== 'variable') return true;
    const { level } = this.#login;
    const set = await this.run('text', `SET @lagwise_consistency='${level}'`, []);
    return set.t === 'ok';
  }

  /** Begins anew on the same connection; false where that fails, and the connection is of no use. */
  async renew(how: Renewal): Promise<boolean> {
    const { user, password } = this.#login;
    const renewing =
      how === 'reset' ? this.#connection.reset() : this.#connection.changeUser({ user, password });
    try {
      await withinMs(STATEMENT_DEADLINE_MS, renewing);
    } catch {
      this.#lost = true;
      return false;
    }
    this.#lost ||= !(await this.#choose());
    return !this.#lost;
  }

  /** The connection is of no more use. */
  get lost(): boolean {
    return this.#lost;
  }

  async read(
    form: Form,
    sql: string,
    values: readonly number[],
    level: Level = this.#login.level,
  ): Promise<Reply<readonly RowDataPacket[]>> {
    const reply = await this.run(form, this.#asking(level) + sql, values, 'read');
    if (reply.t === 'error') return reply;
    return { t: 'ok', value: Array.isArray(reply.value) ? reply.value : [] };
  }

  async write(
    form: Form,
    sql: string,
    values: readonly number[],
  ): Promise<Reply<{ affectedRows: number; insertId: number }>> {
    const reply = await this.run(form, this.#asking(this.#login.level) + sql, values);
    if (reply.t === 'error') return reply;
    if (Array.isArray(reply.value)) throw new Error('A write was answered with rows');
    return { t: 'ok', value: reply.value };
  }

  /** The comment that asks for a level, where it is not what the session has anyway. */
  #asking(level: Level): string {
    if (this.#way !== 'comment' && level === this.#login.level) return '';
    return `/* lagwise: consistency=${level} */ `;
  }

  /** Runs a statement; never rejects. */
  async run(
    form: Form,
    sql: string,
    values: readonly number[],
    doing: Doing = 'write',
  ): Promise<Reply<ResultSetHeader | RowDataPacket[]>> {
    const options = { sql, values: [...values], timeout: STATEMENT_DEADLINE_MS };
    try {
      const [value] = await (form === 'text'
        ? this.#connection.query<ResultSetHeader | RowDataPacket[]>(options)
        : this.#connection.execute<ResultSetHeader | RowDataPacket[]>(options));
      return { t: 'ok', value };
    } catch (thrown) {
      const { kind, outcome, reconnect } = judgeError(thrown, doing);
      this.#lost ||= reconnect;
      const message = thrown instanceof Error ? thrown.message : String(thrown);
      return { t: 'error', outcome: outcome === 'unknown' ? 'unknown' : 'failed', kind, message };
    }
  }

  /** What this session may see, for one that follows it; null where the proxy gives no such token. */
  async token(): Promise<string | null> {
    const reply = await this.read('text', 'SELECT @lagwise_gtid AS token', []);
    if (reply.t === 'error') return null;
    const token: unknown = reply.value[0]?.['token'];
    return typeof token === 'string' && token !== '' ? token : null;
  }

  /** Goes on where the session with that token was; false where the proxy does not take it. */
  async carryOn(token: string): Promise<boolean> {
    const reply = await this.run('text', `SET @lagwise_gtid='${token}'`, []);
    return reply.t === 'ok';
  }

  destroy(): void {
    this.#connection.destroy();
  }
}

/** These two commands of the driver have no deadline of their own. */
async function withinMs(ms: number, work: Promise<void>): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    reject(new Error(`No answer within ${ms} ms`));
  }, ms);
  try {
    await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}

const RECONNECT_PAUSE_MS = 50;

/** Opens a connection, again and again until it succeeds or `stopped` says so. */
export async function openUntil(
  open: () => Promise<CheckedConnection>,
  stopped: () => boolean,
): Promise<CheckedConnection | null> {
  while (!stopped()) {
    const opened = await open().catch(() => null);
    if (opened !== null) return opened;
    await sleep(RECONNECT_PAUSE_MS);
  }
  return null;
}
