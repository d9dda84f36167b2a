import { LagwiseError, messageOf } from '../lib/errors.ts';
import type { ServerId } from '../lib/ids.ts';
import type { Observation, PositionReport, ServerReport } from '../topology/observation.ts';
import {
  type Dialect,
  dialectOf,
  GREETING_SQL,
  lightSql,
  type ProbeKind,
  type ProbeParts,
  probeSql,
} from './dialect.ts';
import { codeOf, ProbeConnection, type ProbeTarget } from './probe-connection.ts';
import { binaryLogFilter } from './read-filters.ts';
import { readPosition } from './read-position.ts';
import { type LogFilter, readReport } from './read-report.ts';
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
  /** Reads the newest heartbeat that the server shows; null without heartbeats. */
  readonly heartbeatSql?: string | null;
  /** The account may not read what lag is told from; called once for each reason, which is the server's. */
  readonly onDenied?: (why: string) => void;
}

interface Link {
  readonly connection: ProbeConnection;
  readonly dialect: Dialect;
  /** Options of a server's start: asked once, since the answer waits for commits under way. */
  readonly log: LogFilter;
  /** Cleared when the server refuses them to the monitor's account. */
  commitTimestamps: boolean;
  /** The heartbeat is not looked for before then: it was not there, or was refused. */
  heartbeatFromMs: number;
  /** It had channels when it was last asked for everything; null before that. */
  isReplica: boolean | null;
}

/** Access denied (1044, 1045, 1142, 1227), no such table or column: the account or the server lacks it. */
const NOT_AVAILABLE = new Set([1044, 1049, 1054, 1142, 1143, 1146, 1227, 1305]);

/** Those of them by which a table is denied to the account. */
const DENIED = new Set([1044, 1142, 1143]);
/** Reasons that are remembered, so that each is told once: a table or two. */
const MAX_DENIALS = 8;

/** A server without the heartbeat is asked for it again after so long, ms. */
const HEARTBEAT_RETRY_MS = 2000;

/** Asks one server, over one connection that is kept between probes. One probe at a time. */
export class ServerProbe {
  readonly #options: ServerProbeOptions;
  #link: Link | null = null;
  #running: AbortController | null = null;
  readonly #denials = new Set<string>();

  constructor(options: ServerProbeOptions) {
    this.#options = options;
  }

  /**
   * Never rejects: whatever goes wrong is the observation. Takes `timeoutMs` at most. A light probe
   * becomes a full one where it is not known yet what to ask for.
   */
  async run(kind: ProbeKind = 'full'): Promise<Observation> {
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
      const result = await this.#ask(kind, running.signal);
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

  async #ask(kind: ProbeKind, signal: AbortSignal): Promise<ServerReport | PositionReport> {
    const kept = this.#link;
    if (kept?.connection.isAlive === true) {
      try {
        return await this.#query(kept, kind, signal);
      } catch (error) {
        // An idle connection that was closed says nothing of the server: ask on a new one.
        if (signal.aborted || isUsable(kept)) throw error;
      }
    }
    this.#drop();
    this.#link = await this.#connect(signal);
    return this.#query(this.#link, 'full', signal);
  }

  async #connect(signal: AbortSignal): Promise<Link> {
    const connection = await ProbeConnection.open(this.#options.target, signal, () => {
      // During a probe the probe itself finds out.
      if (this.#running === null) this.#options.onLost();
    });
    try {
      const greeting = (await connection.query(GREETING_SQL, signal)).at(-1)?.[0];
      const dialect = dialectOf(shown(greeting, 'version') ?? '');
      return {
        connection,
        dialect,
        log: await askLog(connection, dialect, signal),
        commitTimestamps: dialect.hasCommitTimestamps,
        heartbeatFromMs: Number.NEGATIVE_INFINITY,
        isReplica: null,
      };
    } catch (error) {
      connection.destroy();
      throw error;
    }
  }

  async #query(
    link: Link,
    kind: ProbeKind,
    signal: AbortSignal,
  ): Promise<ServerReport | PositionReport> {
    for (;;) {
      const parts = this.#partsOf(link);
      try {
        return await this.#queryOnce(link, { kind, parts, signal });
      } catch (error) {
        const { errno } = codeOf(error);
        if (errno === null || !NOT_AVAILABLE.has(errno) || !this.#doWithout(link, parts)) {
          throw error;
        }
        if (DENIED.has(errno)) this.#denied(messageOf(error));
      }
    }
  }

  #denied(why: string): void {
    if (this.#denials.has(why) || this.#denials.size >= MAX_DENIALS) return;
    this.#denials.add(why);
    this.#options.onDenied?.(why);
  }

  async #queryOnce(
    link: Link,
    { kind, parts, signal }: { kind: ProbeKind; parts: ProbeParts; signal: AbortSignal },
  ): Promise<ServerReport | PositionReport> {
    const { dialect, isReplica } = link;
    const ask = (sql: string): Promise<(readonly Row[])[]> => link.connection.query(sql, signal);
    if (kind === 'light' && isReplica !== null) {
      const results = await ask(lightSql(dialect, parts, isReplica));
      // A row for each channel: without one it is a replica no more, and what else it is counts.
      if (results[0]?.[0] !== undefined) return readPosition(dialect, parts, results);
    }
    const report = readReport(link, parts, await ask(probeSql(dialect, parts)));
    link.isReplica = report.channels.length > 0;
    return report;
  }

  #partsOf(link: Link): ProbeParts {
    const { heartbeatSql = null, nowMs } = this.#options;
    return {
      commitTimestamps: link.commitTimestamps,
      heartbeatSql: nowMs() >= link.heartbeatFromMs ? heartbeatSql : null,
    };
  }

  /** Leaves out what may have been refused; false when there is nothing left to leave out. */
  #doWithout(link: Link, parts: ProbeParts): boolean {
    if (parts.heartbeatSql !== null) {
      link.heartbeatFromMs = this.#options.nowMs() + HEARTBEAT_RETRY_MS;
      return true;
    }
    if (!parts.commitTimestamps) return false;
    // The rest is enough to route by; lag then comes from GTID samples alone.
    link.commitTimestamps = false;
    return true;
  }

  #drop(): void {
    this.#link?.connection.destroy();
    this.#link = null;
  }
}

/** Where the server does not tell, the rest is still worth knowing. */
async function askLog(
  connection: ProbeConnection,
  dialect: Dialect,
  signal: AbortSignal,
): Promise<LogFilter> {
  try {
    const [rows = []] = await connection.query(dialect.logStatusSql, signal);
    return { logFilter: binaryLogFilter(rows), logFilterProblem: null };
  } catch (error) {
    const { errno } = codeOf(error);
    if (errno === null || !connection.isAlive) throw error;
    const right = dialect.flavor === 'mariadb' ? 'BINLOG MONITOR' : 'REPLICATION CLIENT';
    const why = NOT_AVAILABLE.has(errno)
      ? `the monitor's account lacks the privilege ${right}`
      : messageOf(error);
    return { logFilter: null, logFilterProblem: why };
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
