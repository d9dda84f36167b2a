import { setTimeout as sleep } from 'node:timers/promises';
import { type Connection, createConnection } from 'mysql2/promise';
import type { Lab } from '../../src/lab/lab.ts';
import { textOf } from '../../src/lab/root-connection.ts';
import type { RedisServer } from '../support/redis.ts';
import { until } from '../support/until.ts';
import type { Fault, PlannedFault, PlannedRedisFault, Round } from './schedule.ts';
import { nameServer, SCHEMA } from './tables.ts';
import type { Timeline } from './timeline.ts';

/** What a nemesis has done. */
export interface NemesisReport {
  readonly rounds: number;
  /** By kind of fault, and `switch` and `loss` for changes of the primary. */
  readonly done: Readonly<Record<string, number>>;
}

/** What a nemesis works on. */
export interface NemesisParts {
  readonly lab: Lab;
  /** Null where the proxies share none. */
  readonly redis: RedisServer | null;
  readonly rounds: Generator<Round, never>;
  readonly timeline: Timeline;
}

/** How long nobody leads after the primary was lost. */
const UNLED_MS = 500;

/** Breaks replicas of a lab by a schedule, and heals each. */
export class Nemesis {
  readonly #lab: Lab;
  readonly #redis: RedisServer | null;
  readonly #rounds: Generator<Round, never>;
  readonly #timeline: Timeline;
  readonly #done = new Map<string, number>();
  #count = 0;
  #stopped = false;

  constructor({ lab, redis, rounds, timeline }: NemesisParts) {
    this.#lab = lab;
    this.#redis = redis;
    this.#rounds = rounds;
    this.#timeline = timeline;
  }

  /** Rounds that have ended. */
  get rounds(): number {
    return this.#count;
  }

  get report(): NemesisReport {
    return { rounds: this.#count, done: Object.fromEntries(this.#done) };
  }

  /**
   * Runs rounds until `stop` is called, and ends with all servers healthy.
   * @throws what the lab throws, when a server cannot be healed
   */
  async run(): Promise<void> {
    while (!this.#stopped) {
      const round = this.#rounds.next().value;
      await this.#round(round);
      this.#count += 1;
      await sleep(round.pauseMs);
    }
  }

  /** Lets the round that runs be the last. */
  stop(): void {
    this.#stopped = true;
  }

  async #round({ faults, redis, promote, loss }: Round): Promise<void> {
    const replicas = this.#lab.servers.filter(({ role }) => role === 'replica');
    const ended = await Promise.allSettled([
      ...faults.map(async (planned) => {
        const id = replicas[planned.replica]?.id;
        if (id !== undefined) await this.#fault(id, planned);
      }),
      this.#redisFault(redis),
    ]);
    for (const end of ended) if (end.status === 'rejected') throw end.reason;
    const candidate = promote === null ? undefined : replicas[promote];
    if (candidate === undefined || this.#stopped) return;
    if (loss) return await this.#lose(candidate.id);
    await this.#do(`promote ${candidate.id}`, () => this.#lab.promote(candidate.id));
    this.#note('switch');
  }

  /** The primary dies while its replicas confirm each commit, another one follows it, it comes back. */
  async #lose(candidate: string): Promise<void> {
    const lab = this.#lab;
    const { id } = lab.primary;
    await this.#do('see commits confirmed', () => confirmed(lab));
    await this.#do(`kill ${id}, the primary`, () => lab.kill(id));
    await sleep(UNLED_MS);
    await this.#do(`promote ${candidate}`, () => lab.promote(candidate));
    await this.#do(`start ${id}`, async () => {
      await lab.start(id);
      // It may have been laid down anew, and then has nothing of its own.
      await lab.waitReplicated();
      await nameServer(lab, id);
    });
    this.#note('loss');
  }

  async #fault(id: string, { fault, startMs, holdMs, lagMs }: PlannedFault): Promise<void> {
    await sleep(startMs);
    const heal = await this.#do(`${fault} ${id}`, () => breakServer(this.#lab, id, fault, lagMs));
    try {
      await sleep(holdMs);
    } finally {
      await this.#do(`heal ${id} of ${fault}`, heal);
    }
    this.#note(fault);
  }

  async #redisFault(planned: PlannedRedisFault | null): Promise<void> {
    const redis = this.#redis;
    if (planned === null || redis === null) return;
    const { fault, startMs, holdMs } = planned;
    await sleep(startMs);
    await this.#do(fault, async () => {
      if (fault === 'redis-kill') await redis.kill();
      else redis.pause();
    });
    await sleep(holdMs);
    await this.#do(`heal ${fault}`, async () => {
      if (fault === 'redis-kill') await redis.up();
      else redis.resume();
    });
    this.#note(fault);
  }

  /** Settles as `work` does; an error says what was being done. */
  async #do<T>(what: string, work: () => Promise<T>): Promise<T> {
    this.#timeline.note(`${what} …`);
    try {
      const result = await work();
      this.#timeline.note(`${what}: done`);
      return result;
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      throw new Error(`The nemesis could not ${what}: ${message}`, { cause: error });
    }
  }

  #note(what: string): void {
    this.#done.set(what, (this.#done.get(what) ?? 0) + 1);
  }
}

/** Waits until no commit is acknowledged that is not on a replica: then none is lost with the primary. */
async function confirmed(lab: Lab): Promise<void> {
  await lab.waitReplicated();
  const role = lab.flavor === 'mysql' ? 'source' : 'master';
  await until('commits wait for a replica (a lab with semiSync)', async () => {
    const status = `SHOW GLOBAL STATUS LIKE 'Rpl_semi_sync_${role}_status'`;
    return textOf(await lab.rootQuery(lab.primary.id, status), 'Value') === 'ON';
  });
}

/** Does one thing to a replica and returns what undoes it. */
async function breakServer(
  lab: Lab,
  id: string,
  fault: Fault,
  lagMs: number,
): Promise<() => Promise<void>> {
  switch (fault) {
    case 'delay':
      await lab.setLag(id, lagMs);
      return () => lab.setLag(id, 0);
    case 'stop-applier':
      return await stopThread(lab, id, 'SQL_THREAD');
    case 'stop-receiver':
      return await stopThread(lab, id, 'IO_THREAD');
    case 'pause':
      await lab.pause(id);
      return () => lab.resume(id);
    case 'kill':
      await lab.kill(id);
      return () => lab.start(id);
    case 'lock-table':
      return await lockTable(lab, id);
  }
}

async function stopThread(
  lab: Lab,
  id: string,
  thread: 'SQL_THREAD' | 'IO_THREAD',
): Promise<() => Promise<void>> {
  const replica = lab.flavor === 'mysql' ? 'REPLICA' : 'SLAVE';
  await lab.rootQuery(id, `STOP ${replica} ${thread}`);
  return async () => {
    await lab.rootQuery(id, `START ${replica} ${thread}`);
  };
}

/** Clients may read the table, the applier may not write it. */
async function lockTable(lab: Lab, id: string): Promise<() => Promise<void>> {
  const { socketPath } = lab.server(id);
  if (socketPath === null) throw new Error(`${id} cannot be reached as root`);
  const root: Connection = await createConnection({ user: 'root', socketPath });
  root.on('error', () => undefined);
  await root.query(`LOCK TABLES ${SCHEMA}.registers READ`);
  return async () => {
    await root.query('UNLOCK TABLES');
    root.destroy();
  };
}
