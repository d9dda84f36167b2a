import type { Failure } from './connection.ts';

/** Keys that were written last, from which readers choose. */
const RECENT = 8;
/** How long a reader waits for somebody's write: writes are rare while the primary changes. */
const FOLLOW_DEADLINE_MS = 200;

/** What the clients of a run share: the end, numbers of sessions, what was written last, counts. */
export class Shared {
  /** Keys of the newest acknowledged writes of all clients. */
  readonly recent: number[] = Array.from({ length: RECENT }, () => 0);
  /** Statements (or transactions) that clients have seen the end of. */
  operations = 0;
  reads = 0;
  failedReads = 0;
  failedWrites = 0;
  /** Logins that carried on the session before. */
  carried = 0;
  /** Sessions that began on the connection of the one before. */
  renewed = 0;
  sessions = 0;
  /** Registers shown, by the number of the server; 0 where it did not say. */
  readonly byServer = new Map<number, number>();
  /** Errors by what was done and what they said. */
  readonly errors = new Map<string, number>();
  /** The first of each. */
  readonly messages: string[] = [];
  readonly #limit: number;
  readonly #hardLimit: number;
  readonly #mayStop: () => boolean;
  readonly #followers = new Set<(key: number) => void>();
  #aborted = false;
  #at = 0;

  /**
   * @param limit operations after which the clients stop if `mayStop` has nothing against it
   * @param hardLimit operations after which they stop in any case
   * @param mayStop whether all else is done that must be
   */
  constructor(limit: number, hardLimit: number, mayStop: () => boolean) {
    this.#limit = limit;
    this.#hardLimit = hardLimit;
    this.#mayStop = mayStop;
  }

  get stopped(): boolean {
    if (this.#aborted || this.operations >= this.#hardLimit) return true;
    return this.operations >= this.#limit && this.#mayStop();
  }

  /** Ends the run early. */
  abort(): void {
    this.#aborted = true;
  }

  newSession(): number {
    this.sessions += 1;
    return this.sessions;
  }

  acknowledged(key: number): void {
    this.recent[this.#at] = key;
    this.#at = (this.#at + 1) % RECENT;
    for (const follow of this.#followers) follow(key);
  }

  /** The key of the next write that anybody has acknowledged, at the moment it is; null for none. */
  async nextAcknowledged(): Promise<number | null> {
    const { promise, resolve } = Promise.withResolvers<number | null>();
    const timer = setTimeout(resolve, FOLLOW_DEADLINE_MS, null);
    this.#followers.add(resolve);
    const key = await promise;
    clearTimeout(timer);
    this.#followers.delete(resolve);
    return key;
  }

  answered(server: number): void {
    this.byServer.set(server, (this.byServer.get(server) ?? 0) + 1);
  }

  finished(kind: 'read' | 'write', failure: Failure | null): void {
    this.operations += 1;
    if (kind === 'read') this.reads += 1;
    if (failure === null) return;
    if (kind === 'read') this.failedReads += 1;
    else this.failedWrites += 1;
    const name = `${kind}: ${failure.kind}`;
    if (!this.errors.has(name)) this.messages.push(`${name}: ${failure.message}`);
    this.errors.set(name, (this.errors.get(name) ?? 0) + 1);
  }
}
