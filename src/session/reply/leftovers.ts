import { LagwiseError } from '../../lib/errors.ts';
import type { ServerId } from '../../lib/ids.ts';
import {
  type BackendConnection,
  type BackendUser,
  type Keeper,
  LEFT,
} from '../../pool/backend-connection.ts';
import type { BackendPool } from '../../pool/pool.ts';
import type { DigestTable } from '../../routing/digest-table.ts';
import { askFoundRows, clearWarnings, type Remembered, saveWarnings } from './afterwards.ts';
import { FoundRows } from './found-rows.ts';
import type { ErrPacket } from '../../wire/packets/err.ts';
import { InsertId } from './insert-id.ts';
import type { SessionState } from '../state/session-state.ts';

/**
 * What a session's statements left on connections that it has given back, and may still ask for:
 * warnings, row counts, LAST_INSERT_ID(). The pool keeps such a connection for it, and before
 * another session gets it what cannot be told later is saved.
 */
export class Leftovers implements Keeper {
  readonly insertId: InsertId;
  readonly found: FoundRows;
  /** The connection of the last statement can be asked for ROW_COUNT(). */
  hasRowCount = false;
  /** Settles when what others made this session save is saved; null when nothing is. */
  saving: Promise<void> | null = null;
  private readonly pool: BackendPool;
  private readonly state: SessionState;
  private readonly timeoutMs: number;
  private readonly user: BackendUser;
  /** Where the last statement ran, which lease of it that was, and what it left there. */
  private last: BackendConnection | null = null;
  private lastLease = 0;
  private lastLeft = 0;
  /** Of a session without statements it is 0. */
  private lastRowCount = 0;
  private savedWarnings: Buffer | null = null;
  /** The last command was refused by the proxy itself, in a server's words. */
  ownError: ErrPacket | null = null;
  asksAfterwards = false;

  constructor(
    pool: BackendPool,
    state: SessionState,
    options: {
      timeoutMs: number;
      digests: Pick<DigestTable, 'textOf'>;
      /** Of the connections that the session holds. */
      user: BackendUser;
    },
  ) {
    const { timeoutMs, user } = options;
    this.user = user;
    this.pool = pool;
    this.state = state;
    this.timeoutMs = timeoutMs;
    this.insertId = new InsertId(state, timeoutMs);
    this.found = new FoundRows(options.digests);
  }

  /** What is asked for is gone with the connection: from now on they are kept longer. */
  askedInVain(): void {
    this.asksAfterwards = true;
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

  /**
   * A statement has ended there: what it left may be asked for next.
   * @param rowCount null where it left ROW_COUNT() as it was
   */
  noteEnd(connection: BackendConnection, left: number, rowCount: number | null): void {
    this.last = connection;
    this.lastLease = connection.leases;
    this.lastLeft = left;
    if (this.found.byLast) this.found.isWanted = (left & LEFT.FOUND_ROWS) !== 0;
    this.hasRowCount = rowCount !== null;
    if (rowCount !== null) this.lastRowCount = rowCount;
    this.savedWarnings = null;
    this.ownError = null;
    connection.leftovers = left;
  }

  /** The last command was refused by the proxy itself: that is what SHOW WARNINGS shows. */
  noteOwnError(error: ErrPacket): void {
    this.ownError = error;
    this.lastLeft |= LEFT.DIAGNOSTICS;
    this.lastRowCount = -1;
    this.hasRowCount = true;
  }

  /** Takes the connection of the last statement out of the pool, if nobody has had it since. */
  takeLast(): BackendConnection | null {
    const { last, lastLease } = this;
    if (last === null || last.isClosed) return null;
    if (!this.pool.of(last.server.id).takeBack(last, lastLease)) return null;
    this.found.noteTakenBack(last, lastLease);
    return last;
  }

  /** A connection to this server that is kept for the session, out of the pool; null for none. */
  takeKept(id: ServerId): BackendConnection | null {
    return this.takeIfKept(this.last, id) ?? this.takeIfKept(this.insertId.connection, id);
  }

  private takeIfKept(connection: BackendConnection | null, id: ServerId): BackendConnection | null {
    if (connection?.keeper !== this || connection.server.id !== id) return null;
    const { leases } = connection;
    if (!this.pool.of(id).takeBack(connection, leases)) return null;
    this.found.noteTakenBack(connection, leases);
    return connection;
  }

  /** The connection is given back: whether the pool is to keep it for the session. */
  isKept(connection: BackendConnection): boolean {
    const left = connection === this.last ? this.lastLeft : 0;
    return left !== 0 || this.insertId.isOn(connection);
  }

  /** Others need a connection that was kept for this session. */
  giveUp(connection: BackendConnection): Promise<void> | null {
    const warns = connection === this.last && (this.lastLeft & LEFT.DIAGNOSTICS) !== 0;
    const counts = this.found.isWantedFrom(connection);
    const isClean = !warns && !keepsWarnings(connection);
    if (isClean && !counts && !this.insertId.isOn(connection)) return null;
    this.saving = this.save(connection, { warns, counts });
    return this.saving;
  }

  /**
   * Asks for FOUND_ROWS() where the statement that set it was not the last one, and only its
   * connection knows the number; nothing happens where others have had that since.
   */
  async fetchFoundRows(): Promise<void> {
    const { found } = this;
    const { on, lease } = found;
    if (on === null || on.isClosed || found.value !== null) return;
    found.isWanted = true;
    const pool = this.pool.of(on.server.id);
    if (!pool.takeBack(on, lease)) return;
    on.keeper = null;
    await this.giveUp(on);
    pool.giveBack(on, performance.now());
  }

  /**
   * Asks for LAST_INSERT_ID() where one connection alone knows it, so that another can be told.
   * @param held connections of the session that are not in the pool now
   */
  async fetchInsertId(held: readonly BackendConnection[]): Promise<void> {
    try {
      await this.saving;
      await this.askInsertId(held);
    } catch (error) {
      // Lost with its connection, which only those who ask have to be told (`InsertId.restoration`).
      if (this.insertId.connection?.isClosed !== true) throw error;
    }
  }

  private async askInsertId(held: readonly BackendConnection[]): Promise<void> {
    const { connection } = this.insertId;
    if (connection === null || connection.isClosed) return;
    if (held.includes(connection)) {
      this.found.noteOverwritten(connection);
      await this.askHeld(connection, () => this.insertId.save(connection));
      return;
    }
    // Whoever else has it has saved the number before.
    const pool = this.pool.of(connection.server.id);
    if (connection.keeper !== this || !pool.takeBack(connection, connection.leases)) return;
    connection.keeper = null;
    await this.giveUp(connection);
    pool.giveBack(connection, performance.now());
  }

  /**
   * COM_RESET_CONNECTION: nothing is left but FOUND_ROWS(), which servers keep over it. Where it was
   * counted on purpose, or would be overwritten by the reset, it is asked for first.
   * @param held connections of the session that are not in the pool now
   */
  async reset(held: readonly BackendConnection[]): Promise<void> {
    const { found, timeoutMs } = this;
    const { on } = found;
    try {
      if (on !== null && !on.isClosed && found.value === null && held.includes(on)) {
        found.set(await this.askHeld(on, () => askFoundRows(on, timeoutMs)));
      } else if (found.isWanted) await this.fetchFoundRows();
    } catch (error) {
      if (!(error instanceof LagwiseError)) throw error;
      // That server is lost, and what it alone knew: no reason not to start anew.
      found.set(null);
    }
    const rows = found.value;
    this.forget();
    found.set(rows);
  }

  private async askHeld<T>(connection: BackendConnection, ask: () => Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (error) {
      this.user.onBackendClose(connection, null);
      throw error;
    } finally {
      connection.setUser(this.user);
    }
  }

  /** Nothing of it is of interest any more: a reset, or the end of the session. */
  forget(): void {
    this.lastLeft = 0;
    this.lastRowCount = 0;
    this.hasRowCount = false;
    for (const connection of [this.last, this.found.on, this.insertId.connection]) {
      if (connection?.keeper !== this) continue;
      const pool = this.pool.of(connection.server.id);
      if (!pool.takeBack(connection, connection.leases)) continue;
      connection.keeper = null;
      const giveBack = () => pool.giveBack(connection, performance.now());
      // One that fails is closed by that.
      if (keepsWarnings(connection))
        clearWarnings(connection, this.timeoutMs).then(giveBack, giveBack);
      else giveBack();
    }
    this.last = null;
    this.found.set(0);
    this.insertId.forget();
    this.state.savedInsertId = null;
  }

  private async save(
    connection: BackendConnection,
    { warns, counts }: { warns: boolean; counts: boolean },
  ): Promise<void> {
    try {
      // First, since each other statement replaces them, while they leave FOUND_ROWS().
      if (warns) {
        const saved = await saveWarnings(connection, this.timeoutMs);
        if (connection === this.last) this.savedWarnings = saved;
      }
      if (counts) {
        const rows = await askFoundRows(connection, this.timeoutMs);
        // Meanwhile another statement may have set it elsewhere.
        if (this.found.on === connection) this.found.set(rows);
      }
      if (this.insertId.isOn(connection)) await this.insertId.save(connection);
      if (keepsWarnings(connection)) await clearWarnings(connection, this.timeoutMs);
    } finally {
      this.saving = null;
    }
  }
}

/**
 * Whether the warnings there would be shown to others: MySQL's statements begin without any, in
 * MariaDB only those that read tables do.
 */
export function keepsWarnings({ flavor, leftovers }: BackendConnection): boolean {
  return flavor === 'mariadb' && (leftovers & LEFT.DIAGNOSTICS) !== 0;
}
