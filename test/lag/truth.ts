import { setTimeout as sleep } from 'node:timers/promises';
import { type Connection, createConnection } from 'mysql2/promise';
import type { Lab } from '../../src/lab/lab.ts';

const TABLE = 'app.ticks';
/** Often enough that what a replica shows is known to a few ms. */
const LOOK_EACH_MS = 2;
const SECONDS_EACH_MS = 100;

/** What a replica showed at a moment: every tick up to this one. Times in ms, monotonic. */
interface Look {
  readonly atMs: number;
  readonly shown: number;
}

/** What the server's own whole-second figure was at a moment. */
export interface SecondsBehind {
  readonly atMs: number;
  readonly seconds: number | null;
}

/**
 * Knows the truth: commits numbered rows on the primary, remembers when, and looks all the time which
 * of them the replica shows.
 */
export class Truth implements AsyncDisposable {
  readonly #commitsMs: number[] = [0];
  readonly #looks: Look[] = [];
  readonly #seconds: SecondsBehind[] = [];
  readonly #stopping = new AbortController();
  readonly #running: Promise<unknown>[];
  readonly #connections: Connection[];

  private constructor(connections: Connection[], lab: Lab, writesPerSecond: number) {
    const [writer, reader, status] = connections;
    if (writer === undefined || reader === undefined || status === undefined) {
      throw new Error('Three connections are needed');
    }
    this.#connections = connections;
    this.#running = [
      this.#write(writer, writesPerSecond),
      this.#look(reader),
      this.#askSeconds(status, lab),
    ];
  }

  /** Starts to write to the primary of a lab and to look at one of its replicas. */
  static async start(lab: Lab, replica: string, writesPerSecond: number): Promise<Truth> {
    await lab.rootQuery(lab.primary.id, `CREATE TABLE IF NOT EXISTS ${TABLE} (id INT PRIMARY KEY)`);
    await lab.rootQuery(lab.primary.id, `TRUNCATE ${TABLE}`);
    await lab.waitReplicated();
    const open = (id: string, account: { user: string; password: string }) => {
      const { host, port } = lab.server(id);
      return createConnection({ host, port, ...account });
    };
    const connections = await Promise.all([
      open(lab.primary.id, lab.accounts.app),
      open(replica, lab.accounts.app),
      open(replica, lab.accounts.monitor),
    ]);
    return new Truth(connections, lab, writesPerSecond);
  }

  get commits(): number {
    return this.#commitsMs.length - 1;
  }

  get secondsBehind(): readonly SecondsBehind[] {
    return this.#seconds;
  }

  /**
   * How old the oldest tick was that the replica did not show at a moment: between these two, since
   * it was looked at before and after only. Null where it was not looked at.
   */
  lagAt(atMs: number): { readonly leastMs: number; readonly mostMs: number } | null {
    const after = this.#looks.findIndex((look) => look.atMs > atMs);
    const earlier = this.#looks[after - 1];
    const later = this.#looks[after];
    if (after <= 0 || earlier === undefined || later === undefined) return null;
    return {
      leastMs: this.#ageAt(later.shown, atMs),
      mostMs: this.#ageAt(earlier.shown, atMs),
    };
  }

  #ageAt(shown: number, atMs: number): number {
    const missedMs = this.#commitsMs[shown + 1];
    return missedMs === undefined || missedMs > atMs ? 0 : atMs - missedMs;
  }

  /** Forgets what was before, but for the commits. */
  begin(): void {
    this.#looks.length = 0;
    this.#seconds.length = 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#running);
    for (const connection of this.#connections) connection.destroy();
  }

  /** Commits come at random, as those of independent clients do. */
  async #write(connection: Connection, perSecond: number): Promise<void> {
    let dueMs = performance.now();
    for (let tick = 1; !this.#stopping.signal.aborted; tick += 1) {
      dueMs = Math.max(performance.now(), dueMs - (1000 / perSecond) * Math.log(Math.random()));
      await sleep(Math.max(0, dueMs - performance.now()));
      await connection.query(`INSERT INTO ${TABLE} VALUES (${tick})`);
      this.#commitsMs[tick] = performance.now();
    }
  }

  async #look(connection: Connection): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      const beganMs = performance.now();
      const [rows] = await connection.query(`SELECT MAX(id) AS shown FROM ${TABLE}`);
      const atMs = (beganMs + performance.now()) / 2;
      this.#looks.push({ atMs, shown: numberIn(rows, ['shown']) ?? 0 });
      await sleep(LOOK_EACH_MS);
    }
  }

  async #askSeconds(connection: Connection, { flavor }: Lab): Promise<void> {
    const sql = flavor === 'mysql' ? 'SHOW REPLICA STATUS' : 'SHOW ALL SLAVES STATUS';
    while (!this.#stopping.signal.aborted) {
      const [rows] = await connection.query(sql);
      const seconds = numberIn(rows, ['Seconds_Behind_Source', 'Seconds_Behind_Master']);
      this.#seconds.push({ atMs: performance.now(), seconds });
      await sleep(SECONDS_EACH_MS);
    }
  }
}

function numberIn(rows: unknown, columns: readonly string[]): number | null {
  const row: unknown = Array.isArray(rows) ? rows[0] : undefined;
  if (typeof row !== 'object' || row === null) return null;
  for (const [name, value] of Object.entries(row)) {
    if (columns.includes(name) && value !== null) return Number(value);
  }
  return null;
}
