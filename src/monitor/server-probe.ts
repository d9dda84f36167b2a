import { LagwiseError, messageOf } from '../lib/errors.ts';
import type { ServerId } from '../lib/ids.ts';
import type { Observation, ServerReport } from '../topology/observation.ts';
import { type Dialect, dialectOf, GREETING_SQL, probeSql } from './dialect.ts';
import { codeOf, ProbeConnection, type ProbeTarget } from './probe-connection.ts';
import { readReport } from './read-report.ts';
import { type Row, shown } from './rows.ts';

/** What one server's probe needs. */
export interface ServerProbeOptions {
  readonly id: ServerId;
  readonly target: ProbeTarget;
  /** A server that has not answered by then is down, ms. */
  readonly timeoutMs: number;
  /** The monotonic clock that sessions use, ms. */
  readonly nowMs: () => number;
  /** The connection that is kept between probes was lost: often the first sign of a dead server. */
  readonly onLost: () => void;
}

interface Link {
  readonly connection: ProbeConnection;
  readonly dialect: Dialect;
  /** Cleared when the server refuses them to the monitor's account. */
  commitTimestamps: boolean;
}

/** Access denied (1044, 1045, 1142, 1227), no such table or column: the account or the server lacks it. */
const NOT_AVAILABLE = new Set([1044, 1054, 1142, 1143, 1146, 1227, 1305]);

/** Asks one server, over one connection that is kept between probes. One probe at a time. */
export class ServerProbe {
  readonly #options: ServerProbeOptions;
  #link: Link | null = null;
  #running: AbortController | null = null;

  constructor(options: ServerProbeOptions) {
    this.#options = options;
  }

  /** Never rejects: whatever goes wrong is the observation. Takes `timeoutMs` at most. */
  async run(): Promise<Observation> {
    const { id, timeoutMs, nowMs } = this.#options;
    const startedAtMs = nowMs();
    const running = new AbortController();
    this.#running = running;
    const timer = setTimeout(() => {
      // A process that stood still sees the timer before the answer that is waiting in the socket:
      // let one round of I/O pass before a healthy server is called dead.
      setImmediate(() => setImmediate(() => running.abort(tooLate(timeoutMs))));
    }, timeoutMs);
    try {
      const result = await this.#ask(running.signal);
      return { serverId: id, startedAtMs, finishedAtMs: nowMs(), result };
    } catch (error) {
      this.#drop();
      const why = describe(error);
      return { serverId: id, startedAtMs, finishedAtMs: nowMs(), result: { t: 'failed', why } };
    } finally {
      clearTimeout(timer);
      this.#running = null;
    }
  }

  /** Ends a running probe and closes the connection. */
  close(): void {
    this.#running?.abort(new LagwiseError('shutdown', 'The monitor stops'));
    this.#drop();
  }

  async #ask(signal: AbortSignal): Promise<ServerReport> {
    const kept = this.#link;
    if (kept?.connection.isAlive === true) {
      try {
        return await this.#query(kept, signal);
      } catch (error) {
        // An idle connection that was closed says nothing of the server: ask on a new one.
        if (signal.aborted || isUsable(kept)) throw error;
      }
    }
    this.#drop();
    this.#link = await this.#connect(signal);
    return this.#query(this.#link, signal);
  }

  async #connect(signal: AbortSignal): Promise<Link> {
    const connection = await ProbeConnection.open(this.#options.target, signal, () => {
      // During a probe the probe itself finds out.
      if (this.#running === null) this.#options.onLost();
    });
    try {
      const greeting = (await connection.query(GREETING_SQL, signal)).at(-1)?.[0];
      const dialect = dialectOf(shown(greeting, 'version') ?? '');
      return { connection, dialect, commitTimestamps: dialect.hasCommitTimestamps };
    } catch (error) {
      connection.destroy();
      throw error;
    }
  }

  async #query(link: Link, signal: AbortSignal): Promise<ServerReport> {
    const ask = async (): Promise<(readonly Row[])[]> =>
      link.connection.query(probeSql(link.dialect, link.commitTimestamps), signal);
    try {
      return readReport(link.dialect, await ask());
    } catch (error) {
      const { errno } = codeOf(error);
      if (!link.commitTimestamps || errno === null || !NOT_AVAILABLE.has(errno)) throw error;
      // The rest is enough to route by; lag then comes from GTID samples alone.
      link.commitTimestamps = false;
      return readReport(link.dialect, await ask());
    }
  }

  #drop(): void {
    this.#link?.connection.destroy();
    this.#link = null;
  }
}

/** Asked through a function: the connection may have died during an await. */
function isUsable(link: Link): boolean {
  return link.connection.isAlive;
}

function tooLate(timeoutMs: number): LagwiseError {
  return new LagwiseError('backend-timeout', `It did not answer within ${timeoutMs} ms`);
}

function describe(error: unknown): string {
  if (error instanceof LagwiseError) return error.message;
  const { code, errno } = codeOf(error);
  if (errno === 1045 || errno === 1044) {
    return `It refuses the monitor's account, check monitor.user and monitor.password: ${messageOf(error)}`;
  }
  if (errno === 1227) {
    return `The monitor's account lacks a privilege (REPLICATION CLIENT, on MariaDB REPLICA MONITOR): ${messageOf(error)}`;
  }
  const message = messageOf(error);
  // Some of Node's socket errors have an empty message.
  return message === '' ? `Connecting failed (${code ?? 'no reason given'})` : message;
}
