import { readFileSync } from 'node:fs';
import type { Config } from '../config/schema.ts';
import type { BackendThreadId, ServerId } from '../lib/ids.ts';
import { LagwiseError, messageOf } from '../lib/errors.ts';
import type { BackendCount } from '../telemetry/server-metrics.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import type { ServerView } from '../topology/snapshot.ts';
import { COM } from '../wire/command.ts';
import { frame } from '../wire/writer.ts';
import { BackendConnection } from './backend-connection.ts';
import { connectBackend } from './connect.ts';
import type { Identity } from './identity.ts';
import { killOnServer } from './kill.ts';
import { ServerLoad } from './server-load.ts';

/** COM_QUIT: tells a server that the end is meant, so that it logs no aborted connection. */
const QUIT_PACKET = frame(Buffer.from([COM.QUIT]), 0);

/** What the pool tells of servers that it could not reach: the next probe decides. */
export type OnUnreachable = (server: ServerId, why: string) => void;

/**
 * A session's hold on a backend connection. Release it once: `reuse` when the connection is in a
 * known state, `discard` when it is not (a command in flight, a transaction open, state unknown).
 */
export interface Lease {
  readonly connection: BackendConnection;
  release(fate: 'reuse' | 'discard'): void;
}

/** Opens and lends connections to servers, and knows how much each server carries. */
export class BackendPool {
  private readonly loads = new Map<ServerId, ServerLoad>();
  private readonly config: Config;
  private readonly telemetry: Telemetry;
  private readonly onUnreachable: OnUnreachable;
  private readonly ca: Buffer | null;

  /** @throws LagwiseError `config` when `serverTls.caFile` cannot be read */
  constructor(config: Config, telemetry: Telemetry, onUnreachable: OnUnreachable) {
    this.config = config;
    this.telemetry = telemetry;
    this.onUnreachable = onUnreachable;
    this.ca = readCa(config.serverTls.caFile);
    telemetry.metrics.backends.bind(() => this.counts());
  }

  /** The counters of one server; the same object each time. */
  loadOf(id: ServerId): ServerLoad {
    let load = this.loads.get(id);
    if (load === undefined) {
      load = new ServerLoad(id);
      this.loads.set(id, load);
    }
    return load;
  }

  /**
   * A connection to `server` that is logged in as `identity` and used by nobody else.
   * @throws ServerRefusedError when the server says no; LagwiseError when it cannot be reached
   */
  async acquire(server: ServerView, identity: Identity): Promise<Lease> {
    const load = this.loadOf(server.id);
    load.connecting += 1;
    try {
      const parts = await connectBackend(server, identity, this.connectOptions());
      const statements = this.telemetry.metrics.statements.forServer(server.id);
      const connection = new BackendConnection({ ...parts, load, statements });
      connection.schema = identity.schema;
      return { connection, release: (fate) => release(connection, fate) };
    } catch (error) {
      this.noteFailure(server.id, error);
      throw error;
    } finally {
      load.connecting -= 1;
    }
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
    for (const { id, connecting, connections } of this.loads.values()) {
      yield { server: id, state: 'connecting', count: connecting };
      yield { server: id, state: 'leased', count: connections };
    }
  }
}

function release(connection: BackendConnection, fate: 'reuse' | 'discard'): void {
  if (connection.isClosed) return;
  if (fate === 'reuse' && !connection.busy) connection.quit(QUIT_PACKET);
  else connection.destroy();
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
