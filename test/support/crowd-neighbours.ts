import { CrowdClient, type CrowdLogin, type CrowdReply } from './crowd-client.ts';
import { until, within } from './until.ts';

const STATEMENT_DEADLINE_MS = 30_000;
const PROGRESS_DEADLINE_MS = 20_000;
/** After so many rounds a neighbour leaves and another comes: new sessions get old connections. */
const ROUNDS_A_SESSION = 6;
const MAX_COMPLAINTS = 20;

/** A look for state that somebody else has set. */
export interface Probe {
  readonly sql: string;
  /** Whether the reply is that of a session that has set nothing. */
  readonly isClean: (reply: CrowdReply) => boolean;
}

/** The value that a session sees which has set nothing. */
export function sees(sql: string, value: string | null): Probe {
  return { sql, isClean: ({ error, values }) => error === null && values[0] === value };
}

/** The value that only the session sees which has set it. */
export function seesNot(sql: string, value: string): Probe {
  return { sql, isClean: ({ error, values }) => error === null && values[0] !== value };
}

/** The error that a session gets which has set nothing. */
export function failsWith(sql: string, code: number): Probe {
  return { sql, isClean: ({ error }) => error?.startsWith(`${code} `) === true };
}

/** Tables of the neighbours, in schema `app`. */
export const NEIGHBOUR_TABLES: readonly string[] = [
  'CREATE TABLE app.plain (id INT PRIMARY KEY, n INT NOT NULL)',
  'INSERT INTO app.plain VALUES (1, 10), (2, 20), (3, 30)',
  'CREATE TABLE app.neighbour (id INT PRIMARY KEY, n INT NOT NULL)',
  'INSERT INTO app.neighbour VALUES (0, 0), (1, 0), (2, 0), (3, 0), (4, 0), (5, 0), (6, 0), (7, 0)',
];

/**
 * Other clients of a small pool, who never rest: they read on replicas, write and begin
 * transactions on the primary, and look on the connections that they get for what is not theirs.
 */
export class Neighbours {
  readonly #login: CrowdLogin;
  readonly #probes: readonly Probe[];
  readonly #complaints: string[] = [];
  readonly #work: Promise<void>[] = [];
  #isStopping = false;
  #statements = 0;

  private constructor(login: CrowdLogin, probes: readonly Probe[]) {
    this.#login = login;
    this.#probes = probes;
  }

  /** Starts `count` of them (8 at most). */
  static start(login: CrowdLogin, probes: readonly Probe[], count = 4): Neighbours {
    const neighbours = new Neighbours(login, probes);
    for (let number = 0; number < count; number += 1) {
      neighbours.#work.push(neighbours.#live(number));
    }
    return neighbours;
  }

  /** Waits until they have run so many more statements, so that connections have changed hands. */
  async progress(statements = 24): Promise<void> {
    const goal = this.#statements + statements;
    await until(
      `the neighbours run ${statements} statements more (${this.#complaints.join('; ')})`,
      () => this.#statements >= goal || this.#complaints.length >= MAX_COMPLAINTS,
      PROGRESS_DEADLINE_MS,
    );
  }

  /** Sends them away. @returns what they saw that was not theirs, and errors; empty if all is well */
  async stop(): Promise<readonly string[]> {
    this.#isStopping = true;
    await Promise.all(this.#work);
    return this.#complaints;
  }

  async #live(number: number): Promise<void> {
    while (!this.#isStopping && this.#complaints.length < MAX_COMPLAINTS) {
      try {
        await this.#session(number);
      } catch (error) {
        this.#complain(String(error));
      }
    }
  }

  async #session(number: number): Promise<void> {
    const client = await CrowdClient.connect(this.#login);
    try {
      for (let round = 0; round < ROUNDS_A_SESSION && !this.#isStopping; round += 1) {
        await this.#round(client, number);
      }
    } finally {
      client.close();
    }
  }

  async #round(client: CrowdClient, number: number): Promise<void> {
    const own = `UPDATE neighbour SET n = n + 1 WHERE id = ${number}`;
    await this.#probe(client);
    await this.#expect(client, 'SELECT n FROM plain WHERE id = 2', '20');
    await this.#expect(client, own, null);
    await this.#probe(client);
    await this.#expect(client, 'BEGIN', null);
    await this.#expect(client, own, null);
    await this.#expect(client, 'SELECT n FROM plain WHERE id = 3', '30');
    await this.#expect(client, 'COMMIT', null);
  }

  async #probe(client: CrowdClient): Promise<void> {
    for (const { sql, isClean } of this.#probes) {
      const reply = await this.#run(client, sql);
      if (!isClean(reply)) {
        this.#complain(`${sql} gave ${reply.error ?? JSON.stringify(reply.values)}`);
      }
    }
  }

  async #expect(client: CrowdClient, sql: string, value: string | null): Promise<void> {
    const { error, values } = await this.#run(client, sql);
    if (error !== null) this.#complain(`${sql} failed: ${error}`);
    else if ((values[0] ?? null) !== value) {
      this.#complain(`${sql} gave ${JSON.stringify(values)}`);
    }
  }

  #complain(words: string): void {
    if (this.#complaints.length < MAX_COMPLAINTS) this.#complaints.push(words);
  }

  async #run(client: CrowdClient, sql: string): Promise<CrowdReply> {
    const reply = await within(sql, STATEMENT_DEADLINE_MS, client.query(sql));
    this.#statements += 1;
    return reply;
  }
}
