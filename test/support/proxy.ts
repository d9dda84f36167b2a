import {
  type Connection,
  type ConnectionOptions,
  createConnection,
  type RowDataPacket,
} from 'mysql2/promise';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { type App, startApp } from '../../src/app.ts';
import { parseConfig } from '../../src/config/load.ts';
import type { Lab } from '../../src/lab/lab.ts';
import { type LabOptions, startLab } from '../../src/lab/start-lab.ts';
import { until } from './until.ts';

/** Longer than a first run that fetches the server packages over a slow line. */
const FIRST_START_DEADLINE_MS = 300_000;
const DOWN_DEADLINE_MS = 60_000;
/** Log lines kept for assertions; a test that makes more asks too early. */
const MAX_LOG_LINES = 20_000;

/**
 * `LAGWISE_TEST_TARGET=direct` lets clients connect to the primary itself: a test that fails there
 * too is a test's own defect. Tests of what only a proxy does are left out then.
 */
export const direct = process.env['LAGWISE_TEST_TARGET'] === 'direct';

/** One line of the proxy's log. */
export type LogLine = Readonly<Record<string, unknown>> & {
  readonly level: string;
  readonly msg: string;
};

/** Statements by server, role and class, as `lagwise_statements_total` counts them. */
export class Served {
  readonly #counts: ReadonlyMap<string, number>;

  constructor(counts: ReadonlyMap<string, number>) {
    this.#counts = counts;
  }

  /** The sum over all that matches. */
  count(match: { server?: string; role?: string; class?: string } = {}): number {
    let sum = 0;
    for (const [key, value] of this.#counts) {
      const [server, role, cls] = key.split('/');
      if (match.server !== undefined && match.server !== server) continue;
      if (match.role !== undefined && match.role !== role) continue;
      if (match.class !== undefined && match.class !== cls) continue;
      sum += value;
    }
    return sum;
  }

  /** What came on top since `before`. */
  since(before: Served): Served {
    const counts = new Map<string, number>();
    for (const [key, value] of this.#counts) {
      counts.set(key, value - (before.#counts.get(key) ?? 0));
    }
    return new Served(counts);
  }
}

/** A proxy in this process, and what tests look at. */
export class TestProxy {
  readonly app: App;
  readonly logs: LogLine[];

  constructor(app: App, logs: LogLine[]) {
    this.app = app;
    this.logs = logs;
  }

  /** What was sent to servers so far. */
  async served(): Promise<Served> {
    const counts = new Map<string, number>();
    const pattern =
      /^lagwise_statements_total\{server="([^"]+)",role="([^"]+)",class="([^"]+)"\} (\d+)/gm;
    for (const [, server, role, cls, value] of (await this.app.metrics()).matchAll(pattern)) {
      counts.set(`${server}/${role}/${cls}`, Number(value));
    }
    return new Served(counts);
  }

  /** What `work` made the proxy send to servers. */
  async servedBy(work: () => Promise<unknown>): Promise<Served> {
    const before = await this.served();
    await work();
    return (await this.served()).since(before);
  }

  /** The value of one sample, e.g. `lagwise_misroutes_total{server="db2"}`; 0 when absent. */
  async metric(sample: string): Promise<number> {
    const lines = (await this.app.metrics()).split('\n');
    const line = lines.find((each) => each.startsWith(`${sample} `));
    return line === undefined ? 0 : Number(line.slice(sample.length + 1));
  }

  /** Waits until every replica serves reads and its lag is known. */
  async untilServing(replicas: readonly string[]): Promise<void> {
    await until(`${replicas.join(', ')} serve reads`, () =>
      replicas.every((id) =>
        this.app
          .snapshot()
          .servers.some(
            (server) =>
              server.id === id &&
              server.role === 'replica' &&
              server.ineligible === null &&
              server.lag.t === 'known',
          ),
      ),
    );
  }

  /** Waits until the catalogue of routines is current and tells of this one. */
  async untilRoutineKnown(name: string): Promise<void> {
    const url = `http://127.0.0.1:${this.app.adminPort}/api/routines?limit=1000`;
    await until(`the proxy knows what ${name} does`, async () => {
      if ((await this.metric('lagwise_routines_current')) !== 1) return null;
      return (await (await fetch(url)).text()).includes(name) ? true : null;
    });
  }
}

/** The part of a configuration that a test sets; the rest comes from the lab. */
export type ConfigPart = Readonly<Record<string, unknown>>;

/** A whole configuration (JSON) for a proxy in front of the lab, on free ports. */
export function configFor(lab: Lab, part: ConfigPart = {}): Readonly<Record<string, unknown>> {
  return {
    listen: { port: 0 },
    admin: { port: 0 },
    servers: lab.servers.map(({ id, host, port }) => ({ id, host, port })),
    monitor: lab.accounts.monitor,
    ...part,
  };
}

/** Starts a proxy in front of the lab; the caller stops it. */
export async function startProxy(lab: Lab, part: ConfigPart = {}): Promise<TestProxy> {
  const logs: LogLine[] = [];
  const logDestination = {
    write: (line: string) => {
      if (logs.length < MAX_LOG_LINES) logs.push(JSON.parse(line) as LogLine);
    },
  };
  const app = await startApp(parseConfig(configFor(lab, part), { env: {} }), { logDestination });
  return new TestProxy(app, logs);
}

/** Options of {@link useCluster}. */
export interface ClusterOptions {
  readonly lab?: LabOptions;
  readonly config?: ConfigPart;
  /** Every server writes its general log, for {@link Cluster.ranOn}. */
  readonly generalLog?: boolean;
}

/** A cluster with a proxy in front of it, for the tests of a `describe`. */
export class Cluster {
  #lab: Lab | null = null;
  #proxy: TestProxy | null = null;
  readonly #open = new Set<Connection>();

  /** May be read inside tests and hooks only. */
  get lab(): Lab {
    if (this.#lab === null) throw new Error('The lab starts in beforeAll: use it inside a test');
    return this.#lab;
  }

  get proxy(): TestProxy {
    if (this.#proxy === null) throw new Error('The proxy starts in beforeAll');
    return this.#proxy;
  }

  /** Where clients connect. */
  get port(): number {
    return direct ? this.lab.primary.port : this.proxy.app.port;
  }

  /** As the app account in schema `app`, unless the options say otherwise. */
  get login(): { host: string; port: number; user: string; password: string; database: string } {
    return { host: '127.0.0.1', port: this.port, ...this.lab.accounts.app, database: 'app' };
  }

  /** A mysql2 connection; closed after the test if the test does not. */
  async connect(options: ConnectionOptions = {}): Promise<Connection> {
    const connection = await createConnection({ ...this.login, ...options });
    // The proxy's tests end servers: the statement's own rejection tells, not this event.
    connection.on('error', () => undefined);
    this.#open.add(connection);
    return connection;
  }

  /** Rows of one statement on a connection of its own to `id`, as root. */
  root(id: string, sql: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
    return this.lab.rootQuery(id, sql);
  }

  /**
   * How often each server ran a statement with `marker` in its text, by the servers' own general
   * logs. Replication applies row events, which that log does not show.
   */
  async ranOn(marker: string): Promise<Readonly<Record<string, number>>> {
    const counts: Record<string, number> = {};
    for (const { id } of this.lab.servers) {
      // CONVERT: the column is a blob. Only the app account's: the appliers log the DDL that they run.
      const rows = await this.lab.rootQuery(
        id,
        `SELECT COUNT(*) AS n FROM mysql.general_log WHERE command_type IN ('Query', 'Execute')
           AND user_host LIKE 'app%' AND CONVERT(argument USING utf8mb4) LIKE '%${marker}%'`,
      );
      counts[id] = Number(rows[0]?.['n']);
    }
    return counts;
  }

  async start(options: ClusterOptions): Promise<void> {
    this.#lab = await startLab(options.lab);
    if (options.generalLog === true) {
      for (const { id } of this.lab.servers) {
        await this.root(id, "SET GLOBAL log_output = 'TABLE'");
        await this.root(id, 'SET GLOBAL general_log = ON');
      }
    }
    this.#proxy = await startProxy(this.lab, options.config);
    const replicas = this.lab.servers.filter(({ role }) => role === 'replica');
    await this.#proxy.untilServing(replicas.map(({ id }) => id));
  }

  closeConnections(): void {
    for (const connection of this.#open) connection.destroy();
    this.#open.clear();
  }

  async stop(): Promise<void> {
    this.closeConnections();
    await this.#proxy?.app.stop();
    await this.#lab?.down();
  }
}

/** Starts a cluster and a proxy before the tests of the surrounding file or `describe`. */
export function useCluster(options: ClusterOptions = {}): Cluster {
  const cluster = new Cluster();
  beforeAll(() => cluster.start(options), FIRST_START_DEADLINE_MS);
  afterEach(() => {
    cluster.closeConnections();
  });
  afterAll(() => cluster.stop(), DOWN_DEADLINE_MS);
  return cluster;
}

/** Rows of a text statement. */
export async function rowsOf(
  connection: Connection,
  sql: string,
): Promise<Readonly<Record<string, unknown>>[]> {
  const [rows] = await connection.query<RowDataPacket[]>(sql);
  return rows;
}

/** The only value of the only row. */
export async function valueOf(connection: Connection, sql: string): Promise<unknown> {
  const [row] = await rowsOf(connection, sql);
  return Object.values(row ?? {})[0];
}

/** The error that `work` ends with, as drivers show it; throws when there is none. */
export async function errorOf(
  work: Promise<unknown>,
): Promise<{ errno: number; sqlState: string; message: string }> {
  const thrown: unknown = await work.then(
    () => null,
    (error: unknown) => error,
  );
  if (!(thrown instanceof Error)) throw new Error('It succeeded, but an error was expected');
  const { errno, sqlState } = thrown as Error & { errno?: number; sqlState?: string };
  return { errno: errno ?? 0, sqlState: sqlState ?? '', message: thrown.message };
}
