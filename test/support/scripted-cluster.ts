import { afterAll, afterEach, beforeAll, onTestFinished } from 'vitest';
import { type App, startApp } from '../../src/app.ts';
import { parseConfig } from '../../src/config/load.ts';
import { type ClientOptions, ScriptedClient } from './scripted-client.ts';
import { MONITOR_USER, PASSWORD, ScriptedServer } from './scripted-server.ts';
import { until } from './until.ts';

/** Parts of the configuration that a test sets. */
export type ConfigPart = Readonly<Record<string, unknown>>;

const PROBE_MS = 15;

/** Scripted servers, `db1` the primary and the others its replicas, with a real proxy before them. */
export class ScriptedCluster {
  readonly servers: readonly ScriptedServer[];
  readonly logs: string[] = [];
  /** By what name the proxy knows the servers. */
  host = '127.0.0.1';
  #app: App | null = null;
  readonly #clients = new Set<ScriptedClient>();

  constructor(count: number) {
    this.servers = Array.from(
      { length: count },
      (_, at) => new ScriptedServer(`db${at + 1}`, at + 1),
    );
  }

  /** `db1`, `db2` and so on, by number. */
  db(number: number): ScriptedServer {
    const server = this.servers[number - 1];
    if (server === undefined) throw new Error(`There is no db${number}`);
    return server;
  }

  get app(): App {
    if (this.#app === null) throw new Error('The proxy starts in beforeAll');
    return this.#app;
  }

  async start(part: ConfigPart = {}): Promise<void> {
    for (const server of this.servers) await server.start();
    this.restoreRoles();
    this.#app = await startApp(parseConfig(this.#config(part), { env: {} }), {
      logDestination: { write: (line) => this.logs.push(line) },
    });
  }

  /** `db1` is the primary, the others follow it. */
  restoreRoles(): void {
    const [primary, ...replicas] = this.servers;
    if (primary === undefined) return;
    Object.assign(primary.probe, { readOnly: false, source: null, fails: false });
    for (const replica of replicas) {
      Object.assign(replica.probe, { readOnly: true, source: primary, fails: false });
    }
  }

  /** Makes another server the primary; the old one and the rest follow it. */
  promote(number: number): void {
    const promoted = this.db(number);
    for (const server of this.servers) {
      const isPrimary = server === promoted;
      Object.assign(server.probe, { readOnly: !isPrimary, source: isPrimary ? null : promoted });
    }
  }

  /** Waits until the proxy has these servers as primary and as replicas that take reads. */
  async untilRoles(primary: string | null, replicas: readonly string[]): Promise<void> {
    await until(`primary ${primary}, replicas ${replicas.join(', ')}`, () => {
      const { primary: found, servers } = this.app.snapshot();
      const serving = servers
        .filter(
          ({ role, ineligible, lag }) =>
            role === 'replica' && ineligible === null && lag.t === 'known',
        )
        .map(({ id }) => String(id));
      return (found?.id ?? null) === primary && serving.toSorted().join() === replicas.join();
    });
  }

  async connect(options: Partial<ClientOptions> = {}): Promise<ScriptedClient> {
    const client = await ScriptedClient.connect({ port: this.app.port, ...options });
    this.#clients.add(client);
    return client;
  }

  /** Statements that reached any server, by server. */
  counts(match: RegExp | number): number[] {
    return this.servers.map((server) => server.count(match));
  }

  /** The value of one sample of the metrics; 0 when absent. */
  async metric(sample: string): Promise<number> {
    const lines = (await this.app.metrics()).split('\n');
    const line = lines.find((each) => each.startsWith(`${sample} `));
    return line === undefined ? 0 : Number(line.slice(sample.length + 1));
  }

  /** No session is left. */
  async untilNoClients(): Promise<void> {
    await until(
      'all sessions have ended',
      async () => (await this.metric('lagwise_client_connections')) === 0,
    );
  }

  /** Has no connection to a server left that an earlier test may have used. */
  async emptyPools(): Promise<void> {
    for (const server of this.servers) server.cutClients();
    const left = async (): Promise<number> => {
      const lines = (await this.app.metrics()).split('\n');
      return lines
        .filter((line) => line.startsWith('lagwise_backend_connections{'))
        .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
    };
    await until('no connection to a server is left', async () => (await left()) === 0);
  }

  closeClients(): void {
    for (const client of this.#clients) client.close();
    this.#clients.clear();
  }

  async stop(): Promise<void> {
    this.closeClients();
    await this.#app?.stop();
    this.#app = null;
    for (const server of this.servers) await server.kill();
  }

  #config(part: ConfigPart): Readonly<Record<string, unknown>> {
    const sections: Record<string, unknown> = {
      admin: { enabled: false },
      servers: this.servers.map(({ id, port }) => ({ id, host: this.host, port })),
      serverTls: { mode: 'off' },
      shutdown: { drainMs: 100 },
      ...part,
    };
    return {
      ...sections,
      // Each login is judged, and nothing is opened ahead of need: what a test sees must not hang on
      // the time since the one before it, or until the next sweep.
      pool: { connectTimeoutMs: 1000, trustLoginMs: 0, minIdle: 0, ...asObject(part['pool']) },
      listen: { port: 0, tls: { mode: 'off' }, ...asObject(part['listen']) },
      monitor: {
        user: MONITOR_USER,
        password: PASSWORD,
        intervalMs: PROBE_MS,
        idleIntervalMs: PROBE_MS,
        timeoutMs: 300,
        ...asObject(part['monitor']),
      },
    };
  }
}

function asObject(value: unknown): object {
  return typeof value === 'object' && value !== null ? value : {};
}

/**
 * A cluster and a proxy for the tests of the surrounding file or `describe`; after each test the
 * roles, the script and the clients are as before.
 */
export function useScriptedCluster(count: number, part: ConfigPart = {}): ScriptedCluster {
  const cluster = new ScriptedCluster(count);
  const replicas = cluster.servers.slice(1).map(({ id }) => id);
  beforeAll(async () => {
    await cluster.start(part);
    await cluster.untilRoles('db1', replicas);
  });
  afterEach(async () => {
    cluster.closeClients();
    for (const server of cluster.servers) {
      server.reset();
      server.traits.auth = 'fast';
    }
    await cluster.untilNoClients();
    await cluster.emptyPools();
    for (const server of cluster.servers) server.reset();
  });
  afterAll(() => cluster.stop());
  return cluster;
}

/** A cluster and a proxy for one test, which may kill and promote as it likes. */
export async function freshCluster(count: number, part: ConfigPart = {}): Promise<ScriptedCluster> {
  const cluster = new ScriptedCluster(count);
  onTestFinished(() => cluster.stop());
  await cluster.start(part);
  await cluster.untilRoles(
    'db1',
    cluster.servers.slice(1).map(({ id }) => id),
  );
  return cluster;
}
