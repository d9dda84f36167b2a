import { type App, startApp } from '../../src/app.ts';
import { parseConfig } from '../../src/config/load.ts';
import type { Lab } from '../../src/lab/lab.ts';
import { seeded } from '../support/crowd.ts';
import { commandOf, findProgram } from '../support/programs.ts';
import { configFor } from '../support/proxy.ts';
import { RedisServer } from '../support/redis.ts';
import type { Endpoint } from './connection.ts';
import type { Level } from './history.ts';
import type { Timeline } from './timeline.ts';

/** What a group of proxies is to be. */
export interface GroupOptions {
  readonly level: Level;
  readonly seed: number;
  readonly proxies?: number;
  readonly breakConsistency?: boolean;
}

/** Proxies in front of one lab. */
export interface Group extends AsyncDisposable {
  readonly proxies: readonly App[];
  readonly endpoints: readonly Endpoint[];
  /** Where the proxies meet; null where they know nothing of each other. */
  readonly redis: RedisServer | null;
}

const PROXIES = 2;
/** Fewer than there are clients, so that connections change hands between statements. */
const SERVER_CONNECTIONS = 6;

/**
 * Starts the proxies. The first has the level in its configuration, the others are `eventual`: their
 * clients ask for the level themselves.
 */
export async function startGroup(lab: Lab, options: GroupOptions): Promise<Group> {
  const proxies: App[] = [];
  const endpoints: Endpoint[] = [];
  const count = options.proxies ?? PROXIES;
  // Proxies that are a group also ask a primary whether it still is one.
  const redis = options.level !== 'eventual' && count > 1 ? await startRedis() : null;
  const stop = async () => {
    await Promise.all(proxies.map((proxy) => proxy.stop()));
    await redis?.[Symbol.asyncDispose]();
  };
  try {
    for (let number = 0; number < count; number += 1) {
      const level = number === 0 ? options.level : 'eventual';
      const config = configFor(lab, {
        routing: { consistency: level },
        ...(redis === null ? {} : { coordination: coordinationOf(redis, number, count) }),
        pool: { maxPerServer: SERVER_CONNECTIONS, minIdle: 1 },
        shutdown: { drainMs: 1000 },
        log: { level: 'silent' },
      });
      const proxy = await startApp(parseConfig(config, { env: {} }), {
        random: seeded(options.seed + number),
        ...(options.breakConsistency === true ? { breakConsistency: true } : {}),
      });
      proxies.push(proxy);
      endpoints.push({ port: proxy.port, level });
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return { proxies, endpoints, redis, [Symbol.asyncDispose]: stop };
}

async function startRedis(): Promise<RedisServer> {
  return await RedisServer.start(commandOf(await findProgram('redis-server')));
}

function coordinationOf({ url }: RedisServer, number: number, count: number) {
  const members = Array.from({ length: count }, (_, index) => `proxy-${index + 1}`);
  return { redis: { url }, name: members[number], members };
}

const LOOK_MS = 5;

/** Notes each time that a proxy's picture of the servers' roles changes. Returns what ends it. */
export function noteRoles(proxies: readonly App[], timeline: Timeline): () => void {
  const seen = new Map<App, string>();
  const timer = setInterval(() => {
    proxies.forEach((proxy, index) => {
      const { servers, epoch } = proxy.snapshot();
      const roles = servers.map(({ id, role, ineligible }) =>
        ineligible === null || role !== 'replica' ? `${id} ${role}` : `${id} out`,
      );
      const picture = `${roles.join(', ')} (epoch ${epoch})`;
      if (seen.get(proxy) === picture) return;
      seen.set(proxy, picture);
      timeline.note(`proxy ${index + 1}: ${picture}`);
    });
  }, LOOK_MS);
  return () => {
    clearInterval(timer);
  };
}
