import type { RowDataPacket } from 'mysql2/promise';
import {
  type CheckedConnection,
  CheckedConnection as Opened,
  type Endpoint,
  type Failure,
  type Form,
  type Login,
  openUntil,
  RENEWALS,
  type Reply,
  type Way,
} from './connection.ts';
import { type History, type Level, NO_VALUE, type Outcome } from './history.ts';
import type { Shared } from './shared.ts';
import { KEYS_AT_ONCE, SQL } from './statements.ts';

/** What a client works with. */
export interface ClientParts {
  readonly number: number;
  /** Registers that it alone writes. */
  readonly own: readonly number[];
  readonly endpoints: readonly Endpoint[];
  readonly login: Login;
  readonly history: History;
  readonly shared: Shared;
  /** [0, 1), seeded. */
  readonly random: () => number;
  /** Sessions may be carried from one login to the next. */
  readonly tokens: boolean;
  /** Reads ask for one level or another, whatever their session has. */
  readonly mixed: boolean;
}

/** Shares of what a client does; the rest are reads. */
interface Habits {
  readonly set: number;
  readonly increment: number;
}
/**
 * Whoever writes all the time reads on the primary all the time, since no replica has caught up so
 * soon: half of the clients mostly look at what the others write.
 */
const WRITER: Habits = { set: 0.25, increment: 0.15 };
const READER: Habits = { set: 0.015, increment: 0.005 };
const RECONNECT_SHARE = 0.004;
/** A new session on the same connection, as drivers' pools begin one. */
const RENEW_SHARE = 0.004;
/** What reads ask for where levels are mixed. */
const MIX: readonly Level[] = ['session', 'session', 'session', 'eventual', 'global', 'strong'];
/** Of the increments: in a transaction of several statements. */
const TRANSACTION_SHARE = 0.3;
/** Of the reads: several keys; in a transaction, so on the primary; a key of its own; one that somebody has just written. */
const SEVERAL_SHARE = 0.2;
const LOOK_SHARE = 0.04;
const OWN_SHARE = 0.35;
const RECENT_SHARE = 0.5;
/** Of the reads of who mostly reads: of one key, in the very moment that a write of it is acknowledged. */
const FOLLOW_SHARE = 0.15;

/**
 * One client: writes its registers, counts up everybody's counters, reads both, logs in anew now
 * and then, and writes down all of it.
 */
export class CheckedClient {
  readonly #parts: ClientParts;
  readonly #habits: Habits;
  #connection: CheckedConnection | null = null;
  #session = 0;
  #proxy = 0;
  /** The next value of each of its registers. A value is used once, whatever became of it. */
  readonly #next: Map<number, number>;

  constructor(parts: ClientParts) {
    this.#parts = parts;
    this.#habits = parts.number % 2 === 0 ? WRITER : READER;
    this.#next = new Map(parts.own.map((key) => [key, 1]));
  }

  /** Works until it is told to stop. */
  async run(): Promise<void> {
    const { shared } = this.#parts;
    while (!shared.stopped) {
      const connection = this.#connection ?? (await this.#login(null));
      if (connection === null) break;
      await this.#step(connection);
      if (connection.lost && this.#connection === connection) this.#leave();
    }
    this.#leave();
  }

  async #step(connection: CheckedConnection): Promise<void> {
    const { set, increment } = this.#habits;
    const choice = this.#parts.random() - RECONNECT_SHARE - RENEW_SHARE;
    if (choice < -RENEW_SHARE) {
      await this.#reconnect(connection);
    } else if (choice < 0) {
      await this.#renew(connection);
    } else if (choice < set) {
      await this.#set(connection);
    } else if (choice < set + increment) {
      if (this.#parts.random() < TRANSACTION_SHARE) await this.#transaction(connection);
      else await this.#increment(connection);
    } else {
      await this.#read(connection);
    }
  }

  async #reconnect(connection: CheckedConnection): Promise<void> {
    const carries = this.#parts.tokens && this.#chance();
    const token = carries ? await connection.token() : null;
    this.#leave();
    await this.#login(token);
  }

  /** What was written before counts for the session that begins, what was read does not. */
  async #renew(connection: CheckedConnection): Promise<void> {
    if (!(await connection.renew(this.#pick(RENEWALS)))) return;
    const { shared, history } = this.#parts;
    const before = this.#session;
    this.#session = shared.newSession();
    shared.renewed += 1;
    history.succeed(this.#session, before);
  }

  async #login(token: string | null): Promise<CheckedConnection | null> {
    const { shared, login } = this.#parts;
    const opened = await openUntil(
      () => {
        const endpoint = this.#pick(this.#parts.endpoints);
        this.#proxy = 1 + this.#parts.endpoints.indexOf(endpoint);
        return Opened.open(endpoint, login, this.#way(endpoint));
      },
      () => shared.stopped,
    );
    if (opened === null) return null;
    const carried = token !== null && (await opened.carryOn(token));
    if (!carried) this.#session = shared.newSession();
    else shared.carried += 1;
    this.#connection = opened;
    return opened;
  }

  #way(endpoint: Endpoint): Way {
    const ways: readonly Way[] =
      endpoint.level === this.#parts.login.level
        ? ['config', 'variable', 'comment']
        : ['variable', 'comment'];
    return this.#pick(ways);
  }

  #leave(): void {
    this.#connection?.destroy();
    this.#connection = null;
  }

  async #set(connection: CheckedConnection): Promise<void> {
    const key = this.#pick(this.#parts.own);
    const value = this.#next.get(key) ?? 1;
    this.#next.set(key, value + 1);
    const invokedMs = performance.now();
    const reply = await connection.write(this.#form(), SQL.set, [value, key, value]);
    const outcome: Outcome =
      reply.t === 'error' ? reply.outcome : reply.value.affectedRows === 0 ? 'void' : 'ok';
    this.#written({ key, value, outcome, invokedMs }, reply.t === 'error' ? reply : null);
  }

  async #increment(connection: CheckedConnection): Promise<void> {
    const key = this.#counter();
    const invokedMs = performance.now();
    const reply = await connection.write(this.#form(), SQL.increment, [key]);
    const [value, outcome, failure] =
      reply.t === 'ok'
        ? [reply.value.insertId, 'ok' as const, null]
        : [NO_VALUE, reply.outcome, reply];
    this.#written({ key, value, outcome, invokedMs }, failure);
  }

  /** Counts up in a transaction, reading the new value back inside it. */
  async #transaction(connection: CheckedConnection): Promise<void> {
    const key = this.#counter();
    const invokedMs = performance.now();
    const begun = await connection.run('text', 'START TRANSACTION', []);
    const done =
      begun.t === 'ok' ? await connection.write(this.#form(), SQL.increment, [key]) : begun;
    const back = done.t === 'ok' ? await connection.read(this.#form(), SQL.readOne, [key]) : done;
    if (back.t === 'error') {
      // Nothing of it was committed. If the rollback fails the session is not to be used on.
      this.#written({ key, value: NO_VALUE, outcome: 'failed', invokedMs }, back);
      const rolledBack = await connection.run('text', 'ROLLBACK', []);
      if (rolledBack.t === 'error') this.#leave();
      return;
    }
    const value = Number(back.value[0]?.['v']);
    const committed = await connection.run('text', 'COMMIT', []);
    const failure = committed.t === 'ok' ? null : committed;
    this.#written({ key, value, outcome: failure?.outcome ?? 'ok', invokedMs }, failure);
    if (committed.t === 'error') this.#leave();
  }

  #written(
    write: { key: number; value: number; outcome: Outcome; invokedMs: number },
    failure: Failure | null,
  ): void {
    const { history, shared } = this.#parts;
    history.add({ ...this.#base(), kind: 'write', ...write, server: 0 });
    if (write.outcome === 'ok') shared.acknowledged(write.key);
    shared.finished('write', failure);
  }

  async #read(connection: CheckedConnection): Promise<void> {
    const { shared, random, login, mixed } = this.#parts;
    if (random() < LOOK_SHARE) return await this.#look(connection);
    const level = mixed ? this.#pick(MIX) : login.level;
    const follows = this.#habits === READER && random() < FOLLOW_SHARE;
    const followed = follows ? await shared.nextAcknowledged() : null;
    const several = followed === null && random() < SEVERAL_SHARE;
    const keys = several
      ? Array.from({ length: KEYS_AT_ONCE }, () => this.#key())
      : [followed ?? this.#key()];
    const invokedMs = performance.now();
    const sql = several ? SQL.readSeveral : SQL.readOne;
    const reply = await connection.read(this.#form(), sql, keys, level);
    const [key = 0] = keys;
    this.#answered(reply, { key, level, invokedMs });
  }

  /** Reads in a transaction that writes nothing. */
  async #look(connection: CheckedConnection): Promise<void> {
    const { level } = this.#parts.login;
    const key = this.#key();
    const invokedMs = performance.now();
    const begun = await connection.run('text', 'START TRANSACTION', []);
    const reply =
      begun.t === 'ok' ? await connection.read(this.#form(), SQL.readOne, [key]) : begun;
    this.#answered(reply, { key, level, invokedMs });
    const ended = await connection.run('text', 'COMMIT', []);
    if (ended.t === 'error') this.#leave();
  }

  #answered(
    reply: Reply<readonly RowDataPacket[]>,
    read: { key: number; level: Level; invokedMs: number },
  ): void {
    const { history, shared } = this.#parts;
    if (reply.t === 'ok') {
      this.#shown(reply.value, read.level, read.invokedMs);
      shared.finished('read', null);
      return;
    }
    const failed = { ...read, value: NO_VALUE, outcome: 'failed' as const, server: 0 };
    history.add({ ...this.#base(), kind: 'read', ...failed });
    shared.finished('read', reply);
  }

  #shown(rows: readonly RowDataPacket[], level: Level, invokedMs: number): void {
    const base = this.#base();
    for (const row of rows) {
      const server = Number(row['server'] ?? 0);
      this.#parts.shared.answered(server);
      this.#parts.history.add({
        ...base,
        level,
        kind: 'read',
        key: Number(row['k']),
        value: Number(row['v']),
        outcome: 'ok',
        invokedMs,
        server,
      });
    }
  }

  #base() {
    const { number, login } = this.#parts;
    const completedMs = performance.now();
    const proxy = this.#proxy;
    return { client: number, session: this.#session, level: login.level, completedMs, proxy };
  }

  #form(): Form {
    return this.#chance() ? 'text' : 'prepared';
  }

  /** A key to read: its own, one just written by anybody, or any. */
  #key(): number {
    const { random, own, shared, history } = this.#parts;
    const choice = random();
    if (choice < OWN_SHARE) return this.#pick(own);
    if (choice < OWN_SHARE + RECENT_SHARE) return this.#pick(shared.recent);
    return Math.floor(random() * (history.keys.registers + history.keys.counters));
  }

  #counter(): number {
    const { registers, counters } = this.#parts.history.keys;
    return registers + Math.floor(this.#parts.random() * counters);
  }

  #chance(): boolean {
    return this.#parts.random() < 0.5;
  }

  #pick<T>(choices: readonly T[]): T {
    const choice = choices[Math.floor(this.#parts.random() * choices.length)];
    if (choice === undefined) throw new Error('There is nothing to choose from');
    return choice;
  }
}
