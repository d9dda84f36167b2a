import type { PoolAccount } from './account.ts';
import type { BackendConnection } from './backend-connection.ts';
import type { StateProfile } from './state-profile.ts';

/**
 * The connections to one server that nobody uses: those that are free, the last used on top, and
 * those that are kept for a client that may ask for what its statement left there.
 */
export class IdleConnections {
  private readonly free = new Map<PoolAccount, BackendConnection[]>();
  /** The longest kept first. */
  private readonly keptOnes = new Set<BackendConnection>();

  put(connection: BackendConnection, nowMs: number): void {
    connection.idle = true;
    connection.idleSinceMs = nowMs;
    connection.setUser(null);
    if (connection.keeper !== null) {
      this.keptOnes.add(connection);
      return;
    }
    const stack = this.free.get(connection.account);
    if (stack === undefined) this.free.set(connection.account, [connection]);
    else stack.push(connection);
  }

  /**
   * Takes out a free connection that is in the state `profile`, else one that can be brought to
   * it, else null.
   */
  take(account: PoolAccount, profile: StateProfile): BackendConnection | null {
    const stack = this.free.get(account);
    if (stack === undefined) return null;
    let fitting = -1;
    for (let at = stack.length - 1; at >= 0; at -= 1) {
      const state = (stack[at] as BackendConnection).profile;
      if (state === profile) return takeAt(stack, at);
      if (fitting === -1 && state !== null && profile.isReachableFrom(state)) fitting = at;
    }
    return fitting === -1 ? null : takeAt(stack, fitting);
  }

  remove(connection: BackendConnection): void {
    connection.idle = false;
    if (this.keptOnes.delete(connection)) return;
    const stack = this.free.get(connection.account);
    const at = stack?.lastIndexOf(connection) ?? -1;
    if (at !== -1) stack?.splice(at, 1);
    if (stack?.length === 0) this.free.delete(connection.account);
  }

  /** The longest kept connection that `suits`, null for none. */
  findKept(suits: (connection: BackendConnection) => boolean): BackendConnection | null {
    for (const connection of this.keptOnes) if (suits(connection)) return connection;
    return null;
  }

  /** The free connection that was used least recently, of any account; null for none. */
  oldestFree(): BackendConnection | null {
    let oldest: BackendConnection | null = null;
    for (const [first] of this.free.values()) {
      if (first !== undefined && first.idleSinceMs < (oldest?.idleSinceMs ?? Infinity)) {
        oldest = first;
      }
    }
    return oldest;
  }

  /** Free connections of an account, the least recently used first. */
  freeOf(account: PoolAccount): readonly BackendConnection[] {
    return this.free.get(account) ?? [];
  }

  /** How many of an account lie here, kept ones included. */
  countOf(account: PoolAccount): number {
    let count = this.freeOf(account).length;
    for (const connection of this.keptOnes) if (connection.account === account) count += 1;
    return count;
  }

  get kept(): Iterable<BackendConnection> {
    return this.keptOnes;
  }

  get size(): number {
    let size = this.keptOnes.size;
    for (const stack of this.free.values()) size += stack.length;
    return size;
  }

  *[Symbol.iterator](): Generator<BackendConnection> {
    for (const stack of this.free.values()) yield* stack;
    yield* this.keptOnes;
  }
}

function takeAt(stack: BackendConnection[], at: number): BackendConnection | null {
  const connection = stack[at] as BackendConnection;
  // The last one is the usual case, and costs nothing to take.
  if (at === stack.length - 1) stack.pop();
  else stack.splice(at, 1);
  connection.idle = false;
  return connection;
}
