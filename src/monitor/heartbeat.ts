import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../config/schema.ts';
import { LagwiseError, messageOf } from '../lib/errors.ts';
import type { Beat } from '../topology/beats.ts';
import type { ServerView, Snapshot } from '../topology/snapshot.ts';
import { codeOf, ProbeConnection, type ProbeTls } from './probe-connection.ts';
import { shown } from './rows.ts';

/** Where and how heartbeats are written. */
export interface HeartbeatOptions {
  /** Needs CREATE, SELECT, INSERT, UPDATE and DELETE on the table. */
  readonly account: { readonly user: string; readonly password: string };
  readonly tls: ProbeTls;
  /** `schema.table`, as the configuration allows it. */
  readonly table: string;
  /** Tells this proxy's row from that of others; letters, digits and dashes. */
  readonly proxy: string;
  readonly intervalMs: number;
  /** A primary that has not taken a heartbeat by then is connected to anew, ms. */
  readonly timeoutMs: number;
  readonly logger: {
    info(fields: object, message: string): void;
    warn(fields: object, message: string): void;
  };
  /** Counts the heartbeats, and the failures to write one. */
  readonly counted?: (outcome: 'written' | 'failed') => void;
  /** The monotonic clock that sessions use, ms. */
  readonly nowMs?: () => number;
}

/** After a failure the next try waits for so long, ms. */
const RETRY_MS = 2000;
/** Rows of proxies that have written nothing for a day are removed, at most once an hour. */
const CLEAN_EACH_MS = 3_600_000;

const NO_SUCH_SCHEMA = 1049;
const NO_SUCH_TABLE = 1146;
const ACCESS_DENIED = new Set([1044, 1045, 1142, 1227, 1370]);

/** The writer of heartbeats that the configuration asks for; null where it asks for none. */
export function createHeartbeat(
  { lag: { heartbeat }, monitor }: Config,
  deps: Pick<HeartbeatOptions, 'tls' | 'logger' | 'counted'>,
): HeartbeatWriter | null {
  if (!heartbeat.enabled) return null;
  const { user, password, table, intervalMs } = heartbeat;
  return new HeartbeatWriter({
    ...deps,
    account: {
      user: user ?? monitor.user,
      password: (user === null ? monitor.password : password)?.reveal() ?? '',
    },
    table,
    proxy: randomUUID(),
    intervalMs,
    timeoutMs: monitor.timeoutMs,
  });
}

/** The table's name, quoted: the configuration lets only letters, digits and underscores pass. */
function quoted(table: string): string {
  return table
    .split('.')
    .map((part) => `\`${part}\``)
    .join('.');
}

/**
 * Writes a row to the primary at an interval, and to nobody else: not to a server that is read-only,
 * and not while there is no primary. What replicas show of it tells their lag by the proxy's own
 * clock. Each proxy has a row of its own.
 */
export class HeartbeatWriter {
  readonly #options: HeartbeatOptions;
  readonly #nowMs: () => number;
  #onBeat: (beat: Beat) => void = () => undefined;
  #target: { readonly server: ServerView; readonly stopping: AbortController } | null = null;
  #loop: Promise<void> = Promise.resolve();
  #beat = 0;
  #cleanedAtMs = Number.NEGATIVE_INFINITY;
  #problem: string | null = null;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
    this.#nowMs = options.nowMs ?? (() => performance.now());
  }

  /** Reads this proxy's newest heartbeat on a server: one row, or none before the first. */
  get readSql(): string {
    const { table, proxy } = this.#options;
    return `SELECT beat FROM ${quoted(table)} WHERE proxy = '${proxy}'`;
  }

  /** From now on `onBeat` is told of each heartbeat that was committed. */
  start(onBeat: (beat: Beat) => void): void {
    this.#onBeat = onBeat;
  }

  /** Follows the primary. */
  topologyChanged({ primary }: Snapshot): void {
    const id = primary?.readOnly === false ? primary.id : null;
    if (id === (this.#target?.server.id ?? null)) return;
    this.#target?.stopping.abort(new LagwiseError('shutdown', 'Another server is the primary'));
    this.#target = null;
    if (primary === null || id === null) return;
    const target = { server: primary, stopping: new AbortController() };
    this.#target = target;
    const before = this.#loop;
    this.#loop = before.then(() => this.#write(target.server, target.stopping.signal));
  }

  /** Ends the writing; nothing is written after it. */
  async stop(): Promise<void> {
    this.#target?.stopping.abort(new LagwiseError('shutdown', 'The monitor stops'));
    this.#target = null;
    await this.#loop;
  }

  /** Until told to stop. Never rejects. */
  async #write(server: ServerView, stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      try {
        await this.#writeOnOneConnection(server, stop);
      } catch (error) {
        if (stop.aborted) return;
        this.#options.counted?.('failed');
        this.#failed(server, error);
      }
      await pause(RETRY_MS, stop);
    }
  }

  async #writeOnOneConnection(server: ServerView, stop: AbortSignal): Promise<void> {
    const { account, tls, intervalMs, timeoutMs } = this.#options;
    const limited = () => AbortSignal.any([stop, AbortSignal.timeout(timeoutMs)]);
    const target = { host: server.host, port: server.port, ...account, tls };
    // That it was lost shows at the next heartbeat.
    const connection = await ProbeConnection.open(target, limited(), () => undefined);
    try {
      await this.#prepare(connection, limited);
      while (!stop.aborted) {
        const begunAtMs = this.#nowMs();
        await this.#beatOnce(connection, limited());
        await pause(intervalMs - (this.#nowMs() - begunAtMs), stop);
      }
    } finally {
      connection.destroy();
    }
  }

  /** Makes the table where it is missing: making it "if not exists" would be logged each time. */
  async #prepare(connection: ProbeConnection, limited: () => AbortSignal): Promise<void> {
    await refuseReadOnly(connection, limited());
    const table = quoted(this.#options.table);
    try {
      await connection.query(`SELECT beat FROM ${table} LIMIT 0`, limited());
    } catch (error) {
      const { errno } = codeOf(error);
      if (errno !== NO_SUCH_SCHEMA && errno !== NO_SUCH_TABLE) throw error;
      await createTable(connection, table, limited);
    }
    if (this.#nowMs() - this.#cleanedAtMs < CLEAN_EACH_MS) return;
    await connection.query(
      `DELETE FROM ${table} WHERE written_at < NOW(6) - INTERVAL 1 DAY`,
      limited(),
    );
    this.#cleanedAtMs = this.#nowMs();
  }

  async #beatOnce(connection: ProbeConnection, signal: AbortSignal): Promise<void> {
    const { table, proxy, counted } = this.#options;
    await refuseReadOnly(connection, signal);
    const beat = this.#beat + 1;
    const sentAtMs = this.#nowMs();
    await connection.query(
      `INSERT INTO ${quoted(table)} (proxy, beat, written_at) VALUES ('${proxy}', ${beat}, NOW(6))
        ON DUPLICATE KEY UPDATE beat = ${beat}, written_at = NOW(6)`,
      signal,
    );
    this.#beat = beat;
    if (this.#problem !== null) {
      this.#problem = null;
      this.#options.logger.info({}, 'The heartbeat is written again');
    }
    counted?.('written');
    this.#onBeat({ beat, sentAtMs, ackedAtMs: this.#nowMs() });
  }

  /** Says each problem once, until it is over. */
  #failed({ id }: ServerView, error: unknown): void {
    const problem = describe(error, this.#options);
    if (problem === this.#problem) return;
    this.#problem = problem;
    this.#options.logger.warn({ server: id, why: problem }, 'The heartbeat is not written');
  }
}

/** The schema is made too where it is missing; MariaDB says only then that it is. */
async function createTable(
  connection: ProbeConnection,
  table: string,
  limited: () => AbortSignal,
): Promise<void> {
  const create = `CREATE TABLE IF NOT EXISTS ${table} (
    proxy CHAR(36) CHARACTER SET ascii PRIMARY KEY,
    beat BIGINT UNSIGNED NOT NULL, written_at TIMESTAMP(6) NOT NULL) ENGINE=InnoDB
    COMMENT='One row for each Lagwise that measures replication lag by it'`;
  try {
    await connection.query(create, limited());
  } catch (error) {
    if (codeOf(error).errno !== NO_SUCH_SCHEMA) throw error;
    const [schema = ''] = table.split('.');
    await connection.query(`CREATE DATABASE IF NOT EXISTS ${schema}`, limited());
    await connection.query(create, limited());
  }
}

/**
 * An account with SUPER could write to a read-only server. In a statement of its own: as a condition
 * of the write it would be asked of the replicas too where statements are replicated.
 */
async function refuseReadOnly(connection: ProbeConnection, signal: AbortSignal): Promise<void> {
  const sql = 'SELECT CAST(@@global.read_only AS CHAR) AS readOnly';
  const [rows] = await connection.query(sql, signal);
  const readOnly = shown(rows?.[0], 'readOnly')?.toUpperCase();
  if (readOnly === '0' || readOnly === 'OFF') return;
  throw new LagwiseError('topology-change', 'The server is read-only');
}

function describe(error: unknown, { account, table, timeoutMs }: HeartbeatOptions): string {
  if (error instanceof Error && error.name === 'TimeoutError') {
    return `The server did not answer within ${timeoutMs} ms`;
  }
  const { errno } = codeOf(error);
  if (errno === null || !ACCESS_DENIED.has(errno)) return messageOf(error);
  const [schema = ''] = table.split('.');
  const rights = 'CREATE, SELECT, INSERT, UPDATE, DELETE';
  return `The account "${account.user}" lacks a right: grant it ${rights} on ${schema}.*, or set lag.heartbeat.user and lag.heartbeat.password to an account that has them: ${messageOf(error)}`;
}

async function pause(ms: number, stop: AbortSignal): Promise<void> {
  try {
    await sleep(Math.max(0, ms), undefined, { signal: stop });
  } catch (error) {
    // The caller looks at the signal.
    if (!stop.aborted) throw error;
  }
}
