import type { BackendThreadId } from '../lib/ids.ts';
import type { ByteSink, ByteStream } from '../net/byte-stream.ts';
import type { Flavor, ServerView } from '../topology/snapshot.ts';
import type { ServerStatements } from '../telemetry/statement-metrics.ts';
import type { ServerLoad } from './server-load.ts';

/** Who uses a backend connection: gets its bytes and hears of its end. */
export interface BackendUser {
  onBackendBytes(connection: BackendConnection, chunk: Buffer): void;
  onBackendDrain(connection: BackendConnection): void;
  onBackendClose(connection: BackendConnection, error: Error | null): void;
}

/** What {@link BackendConnection} is made of once the login succeeded. */
export interface BackendParts {
  readonly server: ServerView;
  readonly stream: ByteStream;
  readonly caps: number;
  readonly flavor: Flavor;
  readonly threadId: BackendThreadId;
  readonly status: number;
  readonly sqlMode: string;
  readonly load: ServerLoad;
  readonly statements: ServerStatements;
}

/**
 * One logged-in connection to a server, in the command phase. It carries bytes; what they mean is
 * its user's matter.
 */
export class BackendConnection implements ByteSink {
  /** The server as it was seen when the connection was made; its id never changes. */
  readonly server: ServerView;
  readonly stream: ByteStream;
  /** Capabilities in force with the server. */
  readonly caps: number;
  readonly flavor: Flavor;
  readonly threadId: BackendThreadId;
  /** Status flags after login. */
  readonly initialStatus: number;
  /** sql_mode after login, empty where it is not known. */
  readonly sqlMode: string;
  readonly load: ServerLoad;
  readonly statements: ServerStatements;
  /** Version of the session state that this connection was brought to. */
  stateVersion = 0;
  /** Schema in force, null for none. */
  schema: string | null = null;
  /** The session trackers are on; COM_RESET_CONNECTION turns them off. */
  trackersOn = true;
  /** A command was sent whose reply has not ended. */
  busy = false;
  private user: BackendUser | null = null;
  private closed = false;

  constructor(parts: BackendParts) {
    this.server = parts.server;
    this.stream = parts.stream;
    this.caps = parts.caps;
    this.flavor = parts.flavor;
    this.threadId = parts.threadId;
    this.initialStatus = parts.status;
    this.sqlMode = parts.sqlMode;
    this.load = parts.load;
    this.statements = parts.statements;
    this.load.connections += 1;
    this.stream.setSink(this);
  }

  get isClosed(): boolean {
    return this.closed;
  }

  setUser(user: BackendUser | null): void {
    this.user = user;
  }

  onBytes(chunk: Buffer): void {
    if (this.user !== null) this.user.onBackendBytes(this, chunk);
    // A server that speaks unasked says that it closes (shutdown, idle too long).
    else this.destroy();
  }

  onDrain(): void {
    this.user?.onBackendDrain(this);
  }

  onClose(error: Error | null): void {
    this.markClosed();
    const user = this.user;
    this.user = null;
    user?.onBackendClose(this, error);
  }

  /** Says goodbye and closes. Its user hears nothing more. */
  quit(quitPacket: Buffer): void {
    this.user = null;
    this.markClosed();
    this.stream.write(quitPacket);
    this.stream.end();
  }

  /** Closes at once: the server rolls back and drops all state. Its user hears nothing more. */
  destroy(): void {
    this.user = null;
    this.markClosed();
    this.stream.destroy();
  }

  private markClosed(): void {
    if (this.closed) return;
    this.closed = true;
    this.load.connections -= 1;
    if (this.busy) this.load.inFlight -= 1;
    this.busy = false;
  }
}
