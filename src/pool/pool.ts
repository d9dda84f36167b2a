import { readFileSync } from 'node:fs';
import type { Config } from '../config/schema.ts';
import type { BackendThreadId, ServerId } from '../lib/ids.ts';
import { LagwiseError, messageOf } from '../lib/errors.ts';
import type { BackendCount } from '../telemetry/server-metrics.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import type { ServerView } from '../topology/snapshot.ts';
import { type PoolAccount, PoolAccounts } from './account.ts';
import { BackendConnection } from './backend-connection.ts';
import { connectBackend } from './connect.ts';
import { has, CAP } from '../wire/capability.ts';
import type { Identity } from './identity.ts';
import { killOnServer } from './kill.ts';
import { OWN_ATTRIBUTES } from './own-attributes.ts';
import type { Wish } from './pool-waiter.ts';
import { resetState } from './reset.ts';
import { isFault } from './server-faults.ts';
import { ServerLoad } from './server-load.ts';
import { ServerPool } from './server-pool.ts';
import { makeRoom } from './statement-cache.ts';
import { StateProfile } from './state-profile.ts';

/** What the pool tells of servers that it could not reach: the next probe decides. */
export type OnUnreachable = (server: ServerId, why: string) => void;

/** How a connection is given back. */
export type Fate =
  /** Its state is known: the next one may have it. */
  | 'reuse'
  /** A transaction is open or state is left that nobody else may see: it is reset first. */
  | 'reset'
  /** It is closed in order. */
  | 'quit'
  /** A command runs, or nobody knows: it is cut. */
  | 'discard';

const SWEEP_MS = 1000;

/** The connections to all servers: lends them, takes them back, knows how much each server carries. */
export class BackendPool {
  /** Replicas that take no reads for a while since they stood out, and why. */
  readonly resting = new Map<ServerId, string>();
  private readonly servers = new Map<ServerId, ServerPool>();
  private readonly accounts = new PoolAccounts();
  private readonly config: Config;
  private readonly telemetry: Telemetry;
  private readonly onUnreachable: OnUnreachable;
  private readonly ca: Buffer | null;
  private readonly sweeper: NodeJS.Timeout;

  /** @throws LagwiseError `config` when `serverTls.caFile` cannot be read */
  constructor(config: Config, telemetry: Telemetry, onUnreachable: OnUnreachable) {
    this.config = config;
    this.telemetry = telemetry;
    this.onUnreachable = onUnreachable;
    this.ca = readCa(config.serverTls.caFile);
    telemetry.metrics.backends.bind(() => this.counts());
    this.sweeper = setInterval(() => this.sweep(), SWEEP_MS);
    this.sweeper.unref();
  }

  /** The pool of one server; the same object each time. */
  of(id: ServerId): ServerPool {
    let pool = this.servers.get(id);
    if (pool === undefined) {
      pool = new ServerPool(new ServerLoad(id), this.config.pool, (wish, home) =>
        this.open(wish, home),
      );
      this.servers.set(id, pool);
    }
    return pool;
  }

  /** The counters of one server; the same object each time. */
  loadOf(id: ServerId): ServerLoad {
    return this.of(id).load;
  }

  /** The account of a session that logs in; `leave` when it ends. */
  enter(identity: Identity): PoolAccount {
    const account = this.accounts.of({ ...identity, schema: null, attributes: OWN_ATTRIBUTES });
    this.accounts.use(account);
    account.sessions += 1;
    return account;
  }

  leave(account: PoolAccount): void {
    account.sessions -= 1;
    this.accounts.unuse(account);
  }

  /**
   * A connection to `wish.server` that nobody else uses.
   * @throws ServerRefusedError when the server says no; LagwiseError when it cannot be reached, or
   *   all connections that it may have are in use
   */
  async acquire(wish: Wish): Promise<BackendConnection> {
    return await this.of(wish.server.id).acquire(wish);
  }

  /** Gives a connection back; for `reset`, `resetNow` tells when it is done. */
  release(connection: BackendConnection, fate: Fate, nowMs: number): void {
    if (connection.isClosed) return;
    if (fate === 'discard' || connection.busy || connection.killing !== null) {
      connection.destroy();
    } else if (fate === 'quit') {
      connection.quit();
    } else if (fate === 'reuse') {
      this.of(connection.server.id).giveBack(connection, nowMs);
    } else {
      this.resetNow(connection).catch((error: unknown) => {
        this.telemetry.logger.debug(
          { err: error, server: connection.server.id },
          'A connection could not be reset and was closed',
        );
      });
    }
  }

  /**
   * Has the server forget all state of the connection, and gives it back.
   * @throws LagwiseError when the server is lost or late: then the connection is closed
   */
  async resetNow(connection: BackendConnection): Promise<void> {
    await resetState(connection, this.config.pool.connectTimeoutMs);
    this.of(connection.server.id).giveBack(connection, performance.now());
  }

  /** Closes old prepared statements on this connection's server if it has too many. */
  makeRoomForStatement(connection: BackendConnection): void {
    const { budget, idle } = this.of(connection.server.id);
    makeRoom(budget, [connection, ...idle]);
  }

  /** A server said that it has too many prepared statements: others use it too. */
  lowerStatementLimit(connection: BackendConnection): void {
    const { budget, idle } = this.of(connection.server.id);
    budget.limit = Math.max(1, Math.floor(budget.open / 2));
    makeRoom(budget, [connection, ...idle]);
  }

  /**
   * Runs KILL on a server over a connection of its own.
   * @param what `QUERY` ends the statement, `CONNECTION` the connection too
   * @throws ServerRefusedError with the server's error where it refuses the KILL
   */
  async kill(
    server: ServerView,
    identity: Identity,
    what: 'QUERY' | 'CONNECTION',
    thread: BackendThreadId,
  ): Promise<void> {
    await killOnServer(server, identity, this.connectOptions(), { what, thread });
  }

  /** The server is down: what lies idle there is of no use. */
  dropIdle(id: ServerId): void {
    this.servers.get(id)?.dropIdle();
  }

  /** Closes all connections. */
  close(): void {
    clearInterval(this.sweeper);
    for (const pool of this.servers.values()) pool.close();
  }

  private async open(wish: Wish, home: ServerPool): Promise<BackendConnection> {
    const { server, account, fresh } = wish;
    const identity = fresh === null ? account.identity : { ...account.identity, ...fresh };
    // Sessions come and go: the next one of this account must find what this one opened.
    this.accounts.use(account);
    try {
      const told = await connectBackend(server, identity, this.connectOptions());
      const connection = new BackendConnection({
        ...told,
        profile: StateProfile.of({
          schema: identity.schema,
          variables: told.variables,
          multiStatements: has(told.caps, CAP.MULTI_STATEMENTS),
        }),
        load: home.load,
        statements: this.telemetry.metrics.statements.forServer(server.id),
        account,
        budget: home.budget,
        home: {
          closed: (closed) => {
            home.closed(closed);
            this.accounts.unuse(account);
          },
        },
        bornMs: performance.now(),
      });
      this.noteStatementLimit(home, told.maxPrepared);
      home.opened(connection);
      return connection;
    } catch (error) {
      this.accounts.unuse(account);
      if (isFault(error)) home.load.faults += 1;
      this.noteFailure(server.id, error);
      throw error;
    }
  }

  private noteStatementLimit(home: ServerPool, ofServer: number | null): void {
    const configured = this.config.pool.maxPreparedPerServer;
    if (configured > 0) home.budget.limit = configured;
    // Others use the server too.
    else if (ofServer !== null) home.budget.limit = Math.max(1, Math.floor(ofServer / 2));
  }

  private sweep(): void {
    const nowMs = performance.now();
    for (const pool of this.servers.values()) pool.sweep(nowMs);
  }

  private connectOptions() {
    return {
      timeoutMs: this.config.pool.connectTimeoutMs,
      tls: { mode: this.config.serverTls.mode, ca: this.ca },
    };
  }

  private noteFailure(id: ServerId, error: unknown): void {
    const source = error instanceof LagwiseError ? error.source : 'internal';
    this.telemetry.metrics.backends.connectFailed(id, source);
    if (source === 'backend-connect' || source === 'backend-network') {
      this.onUnreachable(id, messageOf(error));
    }
  }

  private *counts(): Generator<BackendCount> {
    for (const { id, load, idle } of this.servers.values()) {
      yield { server: id, state: 'connecting', count: load.connecting };
      yield { server: id, state: 'idle', count: idle.size };
      yield { server: id, state: 'leased', count: load.connections - idle.size };
    }
  }
}

function readCa(file: string | null): Buffer | null {
  if (file === null) return null;
  try {
    return readFileSync(file);
  } catch (error) {
    throw new LagwiseError(
      'config',
      `serverTls.caFile: cannot read "${file}": ${messageOf(error)}`,
      {
        cause: error,
      },
    );
  }
}
