import { createConnection, type Connection, type RowDataPacket } from 'mysql2/promise';
import type { Lab } from '../../src/lab/lab.ts';
import { startLab } from '../../src/lab/start-lab.ts';
import type { Flavor } from '../../src/topology/snapshot.ts';
import { startProxy, type TestProxy } from '../support/proxy.ts';
import { until } from '../support/until.ts';
import type { Endpoint } from './wire-client.ts';

const OTHER = { user: 'other', password: 'other' } as const;
/** Past it a replica does not lag but stands. */
const CATCH_UP_S = 20;

/** Waits for locks are errors after a second, not hours: both systems alike. */
const SERVER_OPTIONS = ['--lock-wait-timeout=1', '--innodb-lock-wait-timeout=1'];

/** One of the two that a script runs on. */
export interface System {
  readonly endpoint: Endpoint;
  /** Runs statements on the server that takes writes, past the proxy. */
  setUp(statements: readonly string[]): Promise<void>;
  /** Returns when every server has what was committed so far. */
  barrier(): Promise<void>;
  /** The same, and reads may go everywhere again. */
  settle(): Promise<void>;
}

/** A stand-alone server beside a cluster with a proxy in front. */
export class Pair implements AsyncDisposable {
  readonly flavor: Flavor;
  readonly proxy: TestProxy;
  readonly #labs: readonly [alone: Lab, cluster: Lab];

  private constructor(labs: readonly [Lab, Lab], proxy: TestProxy) {
    this.#labs = labs;
    this.flavor = labs[0].flavor;
    this.proxy = proxy;
  }

  /** @param config the proxy's, apart from addresses and accounts */
  static async start(flavor: Flavor, config: Readonly<Record<string, unknown>>): Promise<Pair> {
    const alone = await startLab({ flavor, replicas: 0, serverOptions: SERVER_OPTIONS });
    let cluster: Lab | null = null;
    try {
      cluster = await startLab({ flavor, replicas: 2, serverOptions: SERVER_OPTIONS });
      for (const lab of [alone, cluster]) await addAccount(lab);
      await cluster.waitReplicated();
      const proxy = await startProxy(cluster, config);
      await proxy.untilServing(cluster.servers.slice(1).map(({ id }) => id));
      return new Pair([alone, cluster], proxy);
    } catch (error) {
      await alone.down();
      await cluster?.down();
      throw error;
    }
  }

  /** Connections for one script at a time. */
  async open(): Promise<Lane> {
    const [alone, cluster] = this.#labs;
    return await Lane.open(alone, cluster, this.proxy);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy.app.stop();
    for (const lab of this.#labs) await lab.down();
  }
}

/** Both systems, with administrators' connections that one script at a time may use. */
export class Lane implements AsyncDisposable {
  readonly flavor: Flavor;
  readonly direct: System;
  readonly proxied: System;
  /** Replies in which the proxy refused to guess. */
  refusals = 0;
  readonly #connections: readonly Connection[];

  private constructor(
    { direct, proxied }: { direct: System; proxied: System },
    connections: readonly Connection[],
    flavor: Flavor,
  ) {
    this.flavor = flavor;
    this.direct = direct;
    this.proxied = proxied;
    this.#connections = connections;
  }

  static async open(alone: Lab, cluster: Lab, proxy: TestProxy): Promise<Lane> {
    const single = await admin(alone, alone.primary.port);
    const all = await Promise.all(cluster.servers.map(({ port }) => admin(cluster, port)));
    const [primary, ...replicas] = all;
    if (primary === undefined) throw new Error('The cluster has no server');
    const passwords = { app: cluster.accounts.app.password, other: OTHER.password };
    const { flavor } = cluster;
    const barrier = () => caughtUp(flavor, primary, replicas);
    const direct: System = {
      endpoint: { flavor, port: alone.primary.port, passwords },
      setUp: (statements) => runAll(single, statements),
      barrier: () => Promise.resolve(),
      settle: () => Promise.resolve(),
    };
    const proxied: System = {
      endpoint: { flavor, port: proxy.app.port, passwords },
      setUp: (statements) => runAll(primary, statements),
      barrier,
      settle: async () => {
        const since = performance.now();
        await barrier();
        await until('the proxy knows that the replicas have caught up', () =>
          proxy.app.snapshot().servers.every((server) => server.caughtUpToMs >= since),
        );
      },
    };
    return new Lane({ direct, proxied }, [single, ...all], flavor);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const connection of this.#connections) await connection.end();
  }
}

async function addAccount(lab: Lab): Promise<void> {
  const { user, password } = OTHER;
  await lab.rootQuery(lab.primary.id, `CREATE USER '${user}'@'%' IDENTIFIED BY '${password}'`);
  await lab.rootQuery(lab.primary.id, `GRANT ALL ON *.* TO '${user}'@'%'`);
  const withheld =
    lab.flavor === 'mysql'
      ? 'SUPER, SYSTEM_VARIABLES_ADMIN, CONNECTION_ADMIN'
      : 'SUPER, READ ONLY ADMIN, CONNECTION ADMIN';
  // With these a replica's read-only flag would mean nothing.
  await lab.rootQuery(lab.primary.id, `REVOKE ${withheld} ON *.* FROM '${user}'@'%'`);
}

async function admin(lab: Lab, port: number): Promise<Connection> {
  const connection = await createConnection({
    host: '127.0.0.1',
    port,
    ...lab.accounts.app,
    multipleStatements: true,
  });
  // What an earlier script left open may take a moment to go.
  await connection.query('SET lock_wait_timeout = 10');
  return connection;
}

async function runAll(connection: Connection, statements: readonly string[]): Promise<void> {
  await connection.query(statements.join(';\n'));
}

async function caughtUp(
  flavor: Flavor,
  primary: Connection,
  replicas: readonly Connection[],
): Promise<void> {
  const mysql = flavor === 'mysql';
  const position = await valueOf(
    primary,
    mysql ? 'SELECT @@GLOBAL.gtid_executed AS value' : 'SELECT @@GLOBAL.gtid_binlog_pos AS value',
  );
  const wait = mysql ? 'WAIT_FOR_EXECUTED_GTID_SET' : 'MASTER_GTID_WAIT';
  await Promise.all(
    replicas.map(async (replica) => {
      const timedOut = await valueOf(
        replica,
        `SELECT ${wait}('${position}', ${CATCH_UP_S}) AS value`,
      );
      if (timedOut !== 0) throw new Error(`A replica does not reach ${position}`);
    }),
  );
}

async function valueOf(connection: Connection, sql: string): Promise<string | number> {
  const [rows] = await connection.query<(RowDataPacket & { value: string | number })[]>(sql);
  const [row] = rows;
  if (row === undefined) throw new Error(`No row: ${sql}`);
  return row.value;
}
