import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import { LagwiseError, messageOf } from '../lib/errors.ts';
import type { Secret } from '../lib/secret.ts';
import { NEWEST, PUBLISH, TICK } from './redis-scripts.ts';
import type {
  MemberWord,
  Publication,
  Question,
  QuestionReply,
  Store,
  StoreConnection,
  Tick,
  TickReply,
} from './store.ts';

/** Where Redis is and how long it may take. */
export interface RedisSettings {
  /** `redis://host:port/db`, or `rediss:` for TLS, without user or password. */
  readonly url: string;
  readonly username: string | null;
  readonly password: Secret | null;
  readonly keyPrefix: string;
  readonly connectTimeoutMs: number;
  readonly commandTimeoutMs: number;
}

/** The shared place of one group in Redis: two keys of bounded size, whatever is written. */
export function createRedisStore(
  settings: RedisSettings,
  group: { readonly group: string; readonly name: string; readonly members: readonly string[] },
): Store {
  return {
    open: async (onClosed) => {
      const redis = connectionTo(settings, group.name);
      let lastError: Error | null = null;
      // Without a listener an error of the socket would end the process.
      redis.on('error', (error: Error) => {
        lastError = error;
      });
      try {
        // Its own deadline covers the connection only, not a server that accepts and is silent.
        const ready = await withinMs(settings.connectTimeoutMs, begin(redis));
        const connection = new RedisConnection(redis, settings.keyPrefix, { ...group, ...ready });
        redis.once('end', () => {
          if (!connection.isClosed) onClosed(failure(lastError ?? new Error('connection closed')));
        });
        return connection;
      } catch (error) {
        redis.disconnect();
        throw failure(lastError ?? error);
      }
    },
  };
}

function connectionTo(settings: RedisSettings, name: string): Redis {
  return new Redis(settings.url, {
    ...(settings.username === null ? {} : { username: settings.username }),
    ...(settings.password === null ? {} : { password: settings.password.reveal() }),
    connectionName: `lagwise-${name}`,
    connectTimeout: settings.connectTimeoutMs,
    commandTimeout: settings.commandTimeoutMs,
    lazyConnect: true,
    // Redis 6 on; the words of RESP 3 are not needed.
    protocol: 2,
    // Commands are never sent again on their own: whoever sends them must know which connection
    // they went over. A new connection is a new object.
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    enableOfflineQueue: false,
    enableReadyCheck: false,
  });
}

interface Ready {
  readonly runId: string;
  readonly scripts: { readonly tick: string; readonly publish: string; readonly newest: string };
}

async function begin(redis: Redis): Promise<Ready> {
  await redis.connect();
  const runId = /^run_id:(\w+)/m.exec(await redis.info('server'))?.[1];
  if (runId === undefined) throw new Error('INFO does not tell run_id');
  const load = async (lua: string): Promise<string> => String(await redis.script('LOAD', lua));
  const scripts = {
    tick: await load(TICK),
    publish: await load(PUBLISH),
    newest: await load(NEWEST),
  };
  return { runId, scripts };
}

class RedisConnection implements StoreConnection {
  readonly runId: string;
  readonly #redis: Redis;
  readonly #keys: readonly [state: string, log: string];
  readonly #name: string;
  readonly #members: readonly string[];
  readonly #scripts: Ready['scripts'];
  #isClosed = false;

  constructor(
    redis: Redis,
    keyPrefix: string,
    parts: Ready & {
      readonly group: string;
      readonly name: string;
      readonly members: readonly string[];
    },
  ) {
    this.runId = parts.runId;
    this.#redis = redis;
    // Braces: both keys have to be in one slot where Redis is a cluster.
    this.#keys = [`${keyPrefix}{${parts.group}}`, `${keyPrefix}{${parts.group}}:log`];
    this.#name = parts.name;
    this.#members = parts.members;
    this.#scripts = parts.scripts;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  async tick(tick: Tick): Promise<TickReply> {
    const reply = await this.#run(this.#scripts.tick, [
      this.runId,
      randomBytes(8).toString('hex'),
      tick.name,
      tick.instance,
      tick.isClaim ? '1' : '0',
      tick.storeId,
      tick.challenge,
      tick.wants ? '1' : '0',
      tick.enter,
      tick.join,
      String(this.#members.length),
      ...this.#members,
      ...tick.answers.flatMap(({ to, challenge }) => [to, challenge]),
    ]);
    const words = listOf(reply).map(String);
    if (words[0] === 'replaced') return { t: 'replaced' };
    return {
      t: 'ok',
      storeId: wordAt(words, 1),
      published: numberOf(words[2]),
      members: this.#members.map((name, index) => memberOf(name, words, 3 + index * 4)),
    };
  }

  async publish({ storeId, name, join, entries }: Publication): Promise<boolean> {
    const reply = await this.#run(this.#scripts.publish, [storeId, name, join, ...entries]);
    return reply === 1;
  }

  async newest({ storeId, after }: Question): Promise<QuestionReply> {
    const reply = listOf(
      await this.#run(this.#scripts.newest, [storeId, this.#name, String(after), ...this.#members]),
    );
    if (reply[0] === 'forgotten') return { t: 'forgotten' };
    const words = listOf(reply[4]).map(String);
    return {
      t: 'ok',
      published: numberOf(reply[1]),
      entries: reply[2] === 1 ? listOf(reply[5]).map(String) : null,
      isNameDuplicate: reply[3] === 1,
      members: this.#members.map((name, index) => ({
        name,
        join: wordAt(words, index * 2),
        answer: wordAt(words, index * 2 + 1),
      })),
    };
  }

  close(): void {
    this.#isClosed = true;
    this.#redis.disconnect();
  }

  async #run(script: string, args: readonly string[]): Promise<unknown> {
    try {
      return await this.#redis.evalsha(script, 2, ...this.#keys, ...args);
    } catch (error) {
      throw failure(error);
    }
  }
}

function memberOf(name: string, words: readonly string[], at: number): MemberWord {
  return {
    name,
    challenge: wordAt(words, at),
    wants: words[at + 1] === '1',
    join: wordAt(words, at + 2),
    answer: wordAt(words, at + 3),
  };
}

function listOf(reply: unknown): readonly unknown[] {
  if (Array.isArray(reply)) return reply;
  throw new LagwiseError('backend-protocol', 'Redis answered something else than a list');
}

function wordAt(words: readonly string[], at: number): string {
  const word = words[at];
  if (word === undefined) {
    throw new LagwiseError('backend-protocol', 'Redis answered a list that is too short');
  }
  return word;
}

function numberOf(reply: unknown): number {
  const number = Number(reply);
  if (Number.isSafeInteger(number)) return number;
  throw new LagwiseError('backend-protocol', 'Redis answered something else than a number');
}

function failure(error: unknown): LagwiseError {
  if (error instanceof LagwiseError) return error;
  const message = `Redis does not answer as it should (${messageOf(error)}), check coordination.redis`;
  return new LagwiseError('backend-network', message, { cause: error });
}

async function withinMs<T>(ms: number, work: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    reject(new LagwiseError('backend-timeout', `Redis was not ready within ${ms} ms`));
  }, ms);
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}
