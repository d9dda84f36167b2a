import type { ServerId } from '../lib/ids.ts';
import { type BackendConnection, type Keeper, LEFT } from '../pool/backend-connection.ts';
import type { BackendPool } from '../pool/pool.ts';
import { type Remembered, saveWarnings } from './afterwards.ts';
import { InsertId } from './insert-id.ts';
import type { SessionState } from './session-state.ts';

/**
 * What a session's statements left on connections that it has given back, and may still ask for:
 * warnings, a row count, LAST_INSERT_ID(). The pool keeps such a connection for it, and before
 * another session gets it what cannot be told later is saved.
 */
export class Leftovers implements Keeper {
  readonly insertId: InsertId;
  /** Settles when what others made this session save is saved; null when nothing is. */
  saving: Promise<void> | null = null;
  private readonly pool: BackendPool;
  private readonly state: SessionState;
  private readonly timeoutMs: number;
  /** Where the last statement ran, which lease of it that was, and what it left there. */
  private last: BackendConnection | null = null;
  private lastLease = 0;
  private lastLeft = 0;
  private lastRowCount = -1;
  private savedWarnings: Buffer | null = null;

  constructor(pool: BackendPool, state: SessionState, timeoutMs: number) {
    this.pool = pool;
    this.state = state;
    this.timeoutMs = timeoutMs;
    this.insertId = new InsertId(state, timeoutMs);
  }

  /** Where the last statement ran, whoever has that connection now. */
  get connection(): BackendConnection | null {
    return this.last;
  }

  /** What the last statement left to be asked for; bits of `LEFT`. */
  get left(): number {
    return this.lastLeft;
  }

  /** What the last statement left, as far as it was saved. */
  get remembered(): Remembered {
    return { warnings: this.savedWarnings, rowCount: this.lastRowCount };
  }

  /** A statement has ended there: what it left may be asked for next. */
  noteEnd(connection: BackendConnection, left: number, rowCount: number): void {
    this.last = connection;
    this.lastLease = connection.leases;
    this.lastLeft = left;
    this.lastRowCount = rowCount;
    this.savedWarnings = null;
    connection.leftovers = left;
  }

  /** Takes the connection of the last statement out of the pool, if nobody has had it since. */
  takeLast(): BackendConnection | null {
    const { last } = this;
    if (last === null || last.isClosed) return null;
    return this.pool.of(last.server.id).takeBack(last, this.lastLease) ? last : null;
  }

  /** A connection to this server that is kept for the session, out of the pool; null for none. */
  takeKept(id: ServerId): BackendConnection | null {
    for (const connection of [this.last, this.insertId.connection]) {
      if (connection?.keeper !== this || connection.server.id !== id) continue;
      if (this.pool.of(id).takeBack(connection, connection.leases)) return connection;
    }
    return null;
  }

  /** The connection is given back: whether the pool is to keep it for the session. */
  isKept(connection: BackendConnection): boolean {
    const left = connection === this.last ? this.lastLeft : 0;
    return left !== 0 || this.insertId.isOn(connection);
  }

  /** Others need a connection that was kept for this session. */
  giveUp(connection: BackendConnection): Promise<void> | null {
    const warns = connection === this.last && (this.lastLeft & LEFT.DIAGNOSTICS) !== 0;
    if (!warns && !this.insertId.isOn(connection)) return null;
    this.saving = this.save(connection, warns);
    return this.saving;
  }

  /** Nothing of it is of interest any more: a reset, or the end of the session. */
  forget(): void {
    this.lastLeft = 0;
    for (const connection of [this.last, this.insertId.connection]) {
      if (connection?.keeper !== this) continue;
      const pool = this.pool.of(connection.server.id);
      if (!pool.takeBack(connection, connection.leases)) continue;
      connection.keeper = null;
      pool.giveBack(connection, performance.now());
    }
    this.insertId.forget();
    this.state.savedInsertId = null;
  }

  private async save(connection: BackendConnection, warns: boolean): Promise<void> {
    try {
      // First, since each other statement replaces them.
      if (warns) {
        const saved = await saveWarnings(connection, this.timeoutMs);
        if (connection === this.last) this.savedWarnings = saved;
      }
      if (this.insertId.isOn(connection)) await this.insertId.save(connection);
    } finally {
      this.saving = null;
    }
  }
}
