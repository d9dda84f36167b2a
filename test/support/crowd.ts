import { setTimeout as sleep } from 'node:timers/promises';
import { CrowdClient, type CrowdLogin } from './crowd-client.ts';
import { within } from './until.ts';

/** Clients that log in at the same time. */
const LOGINS_AT_ONCE = 24;
const LOGIN_DEADLINE_MS = 15_000;
/** A statement that takes longer is as good as lost. */
const STATEMENT_DEADLINE_MS = 30_000;
/** Rows of the table that nobody writes. */
const SHARED_ROWS = 1000;
/** What a client does before it is quiet again: at most so many rounds of statements. */
const MAX_BURST = 6;
/** Every such client has set a variable of its own, and looks whether it still has that value. */
const STATEFUL_EVERY = 10;
const MAX_ERRORS_KEPT = 50;
/** A statement's latency is counted in buckets of a tenth of a millisecond. */
const BUCKETS_PER_MS = 10;
const MAX_BUCKET = 600_000;

/** Tables of the crowd, for the account that may make them; they stand in schema `app`. */
export function crowdSchema(clients: number): readonly string[] {
  return [
    'CREATE TABLE app.crowd_shared (id INT PRIMARY KEY, n INT NOT NULL)',
    `INSERT INTO app.crowd_shared WITH RECURSIVE ids (id) AS
       (SELECT 0 UNION ALL SELECT id + 1 FROM ids WHERE id < ${SHARED_ROWS - 1})
       SELECT id, id * 7 FROM ids`,
    'CREATE TABLE app.crowd_own (client INT PRIMARY KEY, n INT NOT NULL)',
    ...chunks(clients).map((values) => `INSERT INTO app.crowd_own VALUES ${values}`),
  ];
}

/** Rows for each client in statements of a thousand. */
function chunks(clients: number): string[] {
  const rows = Array.from({ length: clients }, (_, client) => `(${client}, 0)`);
  return Array.from({ length: Math.ceil(clients / 1000) }, (_, at) =>
    rows.slice(at * 1000, (at + 1) * 1000).join(', '),
  );
}

/** What a crowd is. */
export interface CrowdOptions {
  readonly login: CrowdLogin;
  /** Numbers of its clients: each owns the row with its number. */
  readonly first: number;
  readonly clients: number;
  /** [0, 1): which clients are active, and what they do. */
  readonly random: () => number;
}

/** What a crowd met while it was active. */
export interface CrowdResult {
  readonly statements: number;
  /** Transactions among them. */
  readonly transactions: number;
  /** Errors, lost connections and wrong results by their words; empty where all went well. */
  readonly errors: Readonly<Record<string, number>>;
  /** Statements by latency in tenths of a millisecond, for percentiles over several crowds. */
  readonly latencies: Readonly<Record<string, number>>;
  /** Clients that were active at least once. */
  readonly activeOnce: number;
}

interface Member {
  readonly client: CrowdClient;
  readonly number: number;
  /** What its own row must hold. */
  own: number;
  busy: boolean;
  seen: boolean;
}

/**
 * Many connected clients of which a few are active at a time. Each checks every result: what nobody
 * writes, its own row that it alone writes (and must read back at once), its own variable.
 */
export class Crowd {
  readonly #options: CrowdOptions;
  readonly #members: Member[] = [];
  readonly #errors = new Map<string, number>();
  readonly #latencies = new Map<number, number>();
  #statements = 0;
  #transactions = 0;

  constructor(options: CrowdOptions) {
    this.#options = options;
  }

  /** Logs all clients in. @throws Error when one is refused */
  async connect(): Promise<void> {
    const { login, first, clients } = this.#options;
    let next = first;
    const worker = async (): Promise<void> => {
      while (next < first + clients) {
        const number = next;
        next += 1;
        const client = await within('a login', LOGIN_DEADLINE_MS, CrowdClient.connect(login));
        this.#members.push({ client, number, own: 0, busy: false, seen: false });
      }
    };
    // The first login shows the proxy the password; the others find it known.
    const workers = Array.from({ length: LOGINS_AT_ONCE }, worker);
    await Promise.all(workers);
  }

  /** Sets the variables that some clients keep for good. */
  async settle(): Promise<void> {
    for (const member of this.#members) {
      if (!isStateful(member)) continue;
      await this.#run(member, `SET SESSION group_concat_max_len = ${variableOf(member)}`);
    }
  }

  /**
   * Keeps `active` clients busy for `ms`: each of them runs a few statements without a pause, then
   * another one takes its place.
   */
  async run(active: number, ms: number, signal?: AbortSignal): Promise<void> {
    const until = performance.now() + ms;
    const isOver = () => performance.now() >= until || signal?.aborted === true;
    const slot = async (): Promise<void> => {
      while (!isOver()) {
        const member = this.#pick();
        if (member === null) {
          await sleep(1);
          continue;
        }
        member.busy = true;
        member.seen = true;
        await this.#burst(member).catch((error: unknown) => this.#failed(String(error)));
        member.busy = false;
      }
    };
    await Promise.all(Array.from({ length: active }, slot));
  }

  /** What happened so far. */
  result(): CrowdResult {
    return {
      statements: this.#statements,
      transactions: this.#transactions,
      errors: Object.fromEntries(this.#errors),
      latencies: Object.fromEntries(this.#latencies),
      activeOnce: this.#members.filter(({ seen }) => seen).length,
    };
  }

  close(): void {
    for (const { client } of this.#members) client.close();
  }

  #pick(): Member | null {
    const at = Math.floor(this.#options.random() * this.#members.length);
    // From there on the next one that is quiet: with few active clients the first or second.
    for (let step = 0; step < this.#members.length; step += 1) {
      const member = this.#members[(at + step) % this.#members.length];
      if (member !== undefined && !member.busy && member.client.lost === null) return member;
    }
    return null;
  }

  async #burst(member: Member): Promise<void> {
    const rounds = 1 + Math.floor(this.#options.random() * MAX_BURST);
    for (let round = 0; round < rounds; round += 1) {
      const kind = this.#options.random();
      if (kind < 0.8) await this.#readShared(member);
      else if (kind < 0.88) await this.#writeOwn(member);
      else if (kind < 0.94) await this.#transaction(member);
      else await this.#readState(member);
    }
  }

  async #readShared(member: Member): Promise<void> {
    const id = Math.floor(this.#options.random() * SHARED_ROWS);
    await this.#expect(member, `SELECT n FROM crowd_shared WHERE id = ${id}`, String(id * 7));
  }

  async #writeOwn(member: Member): Promise<void> {
    await this.#addOne(member);
    await this.#readOwn(member);
  }

  async #transaction(member: Member): Promise<void> {
    const id = Math.floor(this.#options.random() * SHARED_ROWS);
    this.#transactions += 1;
    await this.#run(member, 'BEGIN');
    await this.#expect(member, `SELECT n FROM crowd_shared WHERE id = ${id}`, String(id * 7));
    await this.#addOne(member);
    await this.#readOwn(member);
    await this.#run(member, 'COMMIT');
  }

  async #readState(member: Member): Promise<void> {
    const wanted = isStateful(member) ? variableOf(member) : DEFAULT_VARIABLE;
    const set = `SELECT @@SESSION.group_concat_max_len = ${wanted} OR
      (${wanted} = ${DEFAULT_VARIABLE} AND @@SESSION.group_concat_max_len = @@GLOBAL.group_concat_max_len)`;
    await this.#expect(member, set, '1');
  }

  async #addOne(member: Member): Promise<void> {
    const { affectedRows } = await this.#run(
      member,
      `UPDATE crowd_own SET n = n + 1 WHERE client = ${member.number}`,
    );
    member.own += 1;
    if (affectedRows !== 1) this.#failed(`wrong: ${affectedRows} rows were changed, not 1`);
  }

  async #readOwn(member: Member): Promise<void> {
    const sql = `SELECT n FROM crowd_own WHERE client = ${member.number}`;
    await this.#expect(member, sql, String(member.own));
  }

  async #expect(member: Member, sql: string, wanted: string): Promise<void> {
    const { values } = await this.#run(member, sql);
    if (values.length === 1 && values[0] === wanted) return;
    const what = sql.replaceAll(/\d+/g, '?').slice(0, 60);
    this.#failed(`wrong: ${what} gave another client's or an older value`);
  }

  async #run(member: Member, sql: string) {
    const began = performance.now();
    const reply = await within('a statement', STATEMENT_DEADLINE_MS, member.client.query(sql));
    const took = Math.min(MAX_BUCKET, Math.round((performance.now() - began) * BUCKETS_PER_MS));
    this.#latencies.set(took, (this.#latencies.get(took) ?? 0) + 1);
    this.#statements += 1;
    if (reply.error !== null) throw new Error(reply.error);
    return reply;
  }

  #failed(words: string): void {
    if (this.#errors.size >= MAX_ERRORS_KEPT && !this.#errors.has(words)) return;
    this.#errors.set(words, (this.#errors.get(words) ?? 0) + 1);
  }
}

/** Of the variable that nobody sets: whatever it is globally. */
const DEFAULT_VARIABLE = 0;
const isStateful = ({ number }: Member): boolean => number % STATEFUL_EVERY === 0;
const variableOf = ({ number }: Member): number => 5000 + number;

/** The latency in ms that a share of all statements stayed below, over several crowds. */
export function percentileMs(results: readonly CrowdResult[], share: number): number {
  const all = new Map<number, number>();
  let total = 0;
  for (const { latencies } of results) {
    for (const [bucket, count] of Object.entries(latencies)) {
      all.set(Number(bucket), (all.get(Number(bucket)) ?? 0) + count);
      total += count;
    }
  }
  let below = 0;
  for (const [bucket, count] of [...all].toSorted(([left], [right]) => left - right)) {
    below += count;
    if (below >= total * share) return bucket / BUCKETS_PER_MS;
  }
  return 0;
}

/** A seeded generator (mulberry32): the same crowd behaves alike in every run. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
