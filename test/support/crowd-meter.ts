import { setTimeout as sleep } from 'node:timers/promises';
import type { Lab } from '../../src/lab/lab.ts';

const SAMPLE_MS = 100;

/** Watches a figure of every server of a lab, and keeps the highest of each. */
export class PeakMeter {
  readonly #lab: Lab;
  readonly #look: (lab: Lab, id: string) => Promise<number>;
  readonly #most = new Map<string, number>();
  #isRunning = false;
  #work: Promise<void> = Promise.resolve();

  constructor(lab: Lab, look: (lab: Lab, id: string) => Promise<number>) {
    this.#lab = lab;
    this.#look = look;
  }

  start(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#work = this.#sample();
  }

  /** Ends the watch. @returns the highest figure of each server */
  async stop(): Promise<Readonly<Record<string, number>>> {
    this.#isRunning = false;
    await this.#work;
    return Object.fromEntries(this.#most);
  }

  async #sample(): Promise<void> {
    while (this.#isRunning) {
      for (const { id } of this.#lab.servers) {
        const now = await this.#look(this.#lab, id);
        this.#most.set(id, Math.max(this.#most.get(id) ?? 0, now));
      }
      await sleep(SAMPLE_MS);
    }
  }
}

/** Watches how many connections an account has on each server, by the servers' own lists. */
export function connectionMeter(lab: Lab, user: string): PeakMeter {
  return new PeakMeter(lab, async (each, id) => {
    const rows = await each.rootQuery(id, 'SHOW PROCESSLIST');
    return rows.filter((row) => row['User'] === user).length;
  });
}

/** Prepared statements that are open on a server, of all its connections. */
export async function preparedStatements(lab: Lab, id: string): Promise<number> {
  const rows = await lab.rootQuery(id, "SHOW GLOBAL STATUS LIKE 'Prepared_stmt_count'");
  return Number(rows[0]?.['Value']);
}
