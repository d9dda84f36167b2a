import { setTimeout as sleep } from 'node:timers/promises';
import type { Lab } from '../../src/lab/lab.ts';

const SAMPLE_MS = 200;

/** Counts an account's connections on every server, by the servers' own lists. */
export class ConnectionMeter {
  readonly #lab: Lab;
  readonly #user: string;
  readonly #most = new Map<string, number>();
  #isRunning = false;
  #work: Promise<void> = Promise.resolve();

  constructor(lab: Lab, user: string) {
    this.#lab = lab;
    this.#user = user;
  }

  start(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#work = this.#sample();
  }

  /** Ends the counting. @returns the most connections that were seen on each server at a time */
  async stop(): Promise<Readonly<Record<string, number>>> {
    this.#isRunning = false;
    await this.#work;
    return Object.fromEntries(this.#most);
  }

  /** Connections of the account now. */
  async now(id: string): Promise<number> {
    const rows = await this.#lab.rootQuery(id, 'SHOW PROCESSLIST');
    return rows.filter((row) => row['User'] === this.#user).length;
  }

  async #sample(): Promise<void> {
    while (this.#isRunning) {
      for (const { id } of this.#lab.servers) {
        this.#most.set(id, Math.max(this.#most.get(id) ?? 0, await this.now(id)));
      }
      await sleep(SAMPLE_MS);
    }
  }
}
