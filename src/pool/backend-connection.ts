import type { BackendThreadId } from '../lib/ids.ts';
import type { ByteSink, ByteStream } from '../net/byte-stream.ts';
import type { Flavor, ServerView } from '../topology/snapshot.ts';
import type { ServerStatements } from '../telemetry/statement-metrics.ts';
import { COM } from '../wire/command.ts';
import { frame } from '../wire/writer.ts';
import type { PoolAccount } from './account.ts';
import { afterReset, NAMES } from './charsets.ts';
import type { ServerLoad } from './server-load.ts';
import { StateProfile } from './state-profile.ts';
import { type StatementBudget, StatementCache } from './statement-cache.ts';

/** COM_QUIT: tells a server that the end is meant, so that it logs no aborted connection. */
const QUIT_PACKET = frame(Buffer.from([COM.QUIT]), 0);

/** Who uses a backend connection: gets its bytes and hears of its end. */
export interface BackendUser {
  onBackendBytes(connection: BackendConnection, chunk: Buffer): void;
  onBackendDrain(connection: BackendConnection): void;
  onBackendClose(connection: BackendConnection, error: Error | null): void;
}

/** A client for whom a connection is kept, since it may ask for what its statement left there. */
export interface Keeper {
  /** It has asked in vain for what a statement left behind: others wait a while for what it keeps. */
  readonly asksAfterwards: boolean;
  /**
   * Others need the connection. What cannot be lost is saved first: then the promise is to be
   * awaited; null when there is nothing to save.
   */
  giveUp(connection: BackendConnection): Promise<void> | null;
}

/** Where a connection belongs. */
export interface ConnectionHome {
  /** It is closed, for whatever reason. */
  closed(connection: BackendConnection): void;
}

/** Why a connection is not given back between two statements: words of errors and of the list. */
export const HOLD_REASONS = [
  'statement',
  'transaction',
  'pinned',
  'cursor',
  'session-mode',
  'replication',
] as const;
export type HoldReason = (typeof HOLD_REASONS)[number];

/** What the last statement on a connection left to be asked for; bits of `leftovers`. */
export const LEFT = {
  /** Warnings or an error: SHOW WARNINGS, GET DIAGNOSTICS. */
  DIAGNOSTICS: 1 << 0,
  ROW_COUNT: 1 << 1,
  FOUND_ROWS: 1 << 2,
} as const;

/** What {@link BackendConnection} is made of once the login succeeded. */
export interface BackendParts {
  readonly server: ServerView;
  readonly stream: ByteStream;
  readonly caps: number;
  readonly flavor: Flavor;
  readonly threadId: BackendThreadId;
  readonly status: number;
  readonly sqlMode: string;
  /** The state that the login left. */
  readonly profile: StateProfile;
  readonly load: ServerLoad;
  readonly statements: ServerStatements;
  readonly account: PoolAccount;
  /** Of its server: how many statements may be prepared there. */
  readonly budget: StatementBudget;
  readonly home: ConnectionHome;
  /** Monotonic ms. */
  readonly bornMs: number;
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
  readonly account: PoolAccount;
  /** What is prepared on it. */
  readonly prepared: StatementCache;
  readonly bornMs: number;
  /** The carried state that it is in; null where that is not known. */
  profile: StateProfile | null;
  /** How often it was lent: who remembers the number knows whether others had it since. */
  leases = 0;
  /** Why its user holds it. */
  heldFor: HoldReason = 'statement';
  /** It lies in the pool. */
  idle = false;
  idleSinceMs = 0;
  /** Bits of `LEFT`. */
  leftovers = 0;
  keeper: Keeper | null = null;
  /** Whose LAST_INSERT_ID() it has; null where that is 0. */
  insertIdOf: object | null = null;
  /** It has state that only COM_RESET_CONNECTION takes back. */
  tainted = false;
  /**
   * Settles when the KILLs that are on their way to its thread have arrived, null for none: it must
   * not become somebody else's meanwhile.
   */
  killing: Promise<unknown> | null = null;
  /** A command was sent whose reply has not ended. */
  busy = false;
  private user: BackendUser | null = null;
  private readonly home: ConnectionHome;
  /** The state that its login left. */
  private readonly born: StateProfile;
  private closed = false;

  constructor(parts: BackendParts) {
    this.server = parts.server;
    this.stream = parts.stream;
    this.caps = parts.caps;
    this.flavor = parts.flavor;
    this.threadId = parts.threadId;
    this.initialStatus = parts.status;
    this.sqlMode = parts.sqlMode;
    this.profile = parts.profile;
    this.born = parts.profile;
    this.load = parts.load;
    this.statements = parts.statements;
    this.account = parts.account;
    this.prepared = new StatementCache(parts.budget);
    this.home = parts.home;
    this.bornMs = parts.bornMs;
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
    const user = this.user;
    this.user = null;
    if (this.busy) this.load.faults += 1;
    this.markClosed();
    user?.onBackendClose(this, error);
  }

  /**
   * COM_RESET_CONNECTION succeeded.
   * @param names the character set of a SET NAMES behind it, null for none
   */
  noteReset(names: string | null = null): void {
    this.prepared.clear();
    this.profile = this.profile === null ? null : this.stateAfterReset(this.profile, names);
    this.leftovers = 0;
    this.tainted = false;
    this.keeper = null;
    this.insertIdOf = null;
  }

  private stateAfterReset(
    { schema, multiStatements }: StateProfile,
    names: string | null,
  ): StateProfile {
    const variables = new Map(afterReset(this.born.variables, this.flavor));
    if (names !== null) variables.set(NAMES, names);
    return StateProfile.of({ schema, multiStatements, variables });
  }

  /** Says goodbye and closes. Its user hears nothing more. */
  quit(): void {
    this.user = null;
    this.stream.write(QUIT_PACKET);
    this.stream.end();
    this.markClosed();
  }

  /** Closes at once: the server rolls back and drops all state. Its user hears nothing more. */
  destroy(): void {
    this.user = null;
    this.stream.destroy();
    this.markClosed();
  }

  private markClosed(): void {
    if (this.closed) return;
    this.closed = true;
    this.load.connections -= 1;
    if (this.busy) this.load.inFlight -= 1;
    this.busy = false;
    this.prepared.clear();
    this.home.closed(this);
  }
}
