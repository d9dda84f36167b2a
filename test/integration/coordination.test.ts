import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import type { Coordination, Newest } from '../../src/coordination/coordination.ts';
import { createCoordination } from '../../src/coordination/create.ts';
import { containsMysql } from '../../src/gtid/mysql-algebra.ts';
import { parseMysqlGtidSet } from '../../src/gtid/mysql-set.ts';
import { parsePosition } from '../../src/gtid/position.ts';
import { createTelemetry } from '../../src/telemetry/telemetry.ts';
import { notRun } from '../support/not-run.ts';
import { commandOf, findProgram } from '../support/programs.ts';
import { RedisServer } from '../support/redis.ts';
import { aServer, aSnapshot } from '../support/snapshots.ts';
import { until } from '../support/until.ts';

const UUID = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const LEASE_MS = 500;
const COMMAND_TIMEOUT_MS = 150;
/** The documented bound of a write's wait, and room for a busy machine. */
const WAIT_BOUND_MS = LEASE_MS * 1.6 + 1500;
const PROBE_MS = 20;
const PASSWORD = 'a-password-that-no-log-may-show';

const program = await findProgram('redis-server');
const startRedis = (...args: readonly string[]) => RedisServer.start(commandOf(program), args);

/** What the one primary has executed. */
let committed = 0;
let logged: string[] = [];
const proxies: Proxy[] = [];

/** A coordination as the proxy makes it from its configuration, with probes of a primary. */
class Proxy {
  readonly coordination: Coordination;
  readonly metrics: () => Promise<string>;
  readonly #timer: NodeJS.Timeout;

  constructor(name: string, redis: object, members: readonly string[] = ['a', 'b']) {
    const { logger, metrics, registry } = createTelemetry({
      logLevel: 'debug',
      version: '0',
      destination: { write: (line: string) => void logged.push(line) },
    });
    const config = parseConfig(
      {
        servers: [{ host: '127.0.0.1' }],
        monitor: { user: 'monitor', password: '' },
        coordination: {
          redis: { commandTimeoutMs: COMMAND_TIMEOUT_MS, ...redis },
          name,
          members,
          leaseMs: LEASE_MS,
        },
      },
      { env: {} },
    );
    this.metrics = () => registry.metrics();
    this.coordination = createCoordination(config.coordination, {
      logger,
      metrics: metrics.coordination,
      nowMs: () => performance.now(),
    });
    this.#probe();
    this.#timer = setInterval(() => this.#probe(), PROBE_MS);
    proxies.push(this);
  }

  #probe(): void {
    const primary = aServer({
      role: 'primary',
      position: parsePosition('mysql', committed === 0 ? '' : `${UUID}:1-${committed}`),
      positionAtMs: performance.now(),
    });
    this.coordination.observe(aSnapshot({ servers: [primary], primary }));
  }

  /** A write of a client, to its acknowledgement. */
  async write(): Promise<number> {
    committed += 1;
    const number = committed;
    await this.coordination.acknowledged(`${UUID}:${number}`);
    return number;
  }

  async newest(): Promise<Newest> {
    return this.coordination.newest();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.coordination.stop();
  }
}

const has = (newest: Newest, number: number): boolean =>
  newest.t === 'position' &&
  newest.position.t === 'mysql' &&
  containsMysql(newest.position.set, parseMysqlGtidSet(`${UUID}:${number}`));

async function vouches(...readers: readonly Proxy[]): Promise<void> {
  for (const reader of readers) {
    await until('the group vouches for a position', async () => {
      return (await reader.newest()).t === 'position';
    });
  }
}

async function isUnknown(reader: Proxy, why: string): Promise<void> {
  await until(`unknown: ${why}`, async () => {
    const newest = await reader.newest();
    return newest.t === 'unknown' && newest.why === why;
  });
}

const quantile = (sorted: readonly number[], share: number): string =>
  (sorted[Math.floor((sorted.length - 1) * share)] ?? 0).toFixed(3);

function report(what: string, times: readonly number[]): void {
  const sorted = [...times].sort((left, right) => left - right);
  console.info(
    `${what}: ${times.length} times, p50 ${quantile(sorted, 0.5)} ms, p99 ${quantile(sorted, 0.99)} ms`,
  );
}

describe('proxies that meet in Redis', () => {
  if (program.missing !== null) {
    notRun(program.missing);
    return;
  }
  let redis: RedisServer;
  let a: Proxy;
  let b: Proxy;

  beforeEach(async () => {
    committed = 0;
    logged = [];
    redis = await startRedis();
    a = new Proxy('a', { url: redis.url });
    b = new Proxy('b', { url: redis.url });
    await vouches(a, b);
  });
  afterEach(async () => {
    redis.resume();
    await Promise.all(proxies.splice(0).map((proxy) => proxy.stop()));
    await redis[Symbol.asyncDispose]();
  });

  test('a write that one has acknowledged is in the newest position of the other', async () => {
    for (let round = 0; round < 200; round += 1) {
      const [writer, reader] = round % 2 === 0 ? [a, b] : [b, a];
      const number = await writer.write();
      const newest = await reader.newest();
      expect(newest.t === 'unknown' || has(newest, number)).toBe(true);
    }
    expect(has(await b.newest(), committed)).toBe(true);
    expect(b.coordination.state()).toMatchObject({
      t: 'connected',
      isWanted: true,
      members: [
        { name: 'a', isPublishing: true },
        { name: 'b', isPublishing: true },
      ],
    });
  });

  test('when Redis dies nobody vouches, no write waits beyond the bound, and later ones not at all', async () => {
    await redis.kill();
    const startMs = performance.now();
    await a.write();
    expect(performance.now() - startMs).toBeLessThan(WAIT_BOUND_MS);
    expect(a.coordination.acknowledged(`${UUID}:${(committed += 1)}`)).toBeNull();
    expect(await b.newest()).toEqual({ t: 'unknown', why: 'away' });
    expect(await b.metrics()).toContain('\nlagwise_coordination_up 0\n');
  });

  test('what was acknowledged while Redis was away is seen when it is back, empty', async () => {
    await redis.kill();
    const number = await a.write();
    await redis.up();
    await until('b vouches again', async () => {
      const newest = await b.newest();
      // At no time may it vouch for less.
      expect(newest.t === 'unknown' || has(newest, number)).toBe(true);
      return newest.t === 'position';
    });
    expect(await b.metrics()).toContain('\nlagwise_coordination_up 1\n');
  });

  test('while Redis stands still writes go on after the bound and reads are told so', async () => {
    redis.pause();
    const startMs = performance.now();
    const number = await a.write();
    expect(performance.now() - startMs).toBeLessThan(WAIT_BOUND_MS);
    await isUnknown(b, 'away');
    redis.resume();
    await until('b vouches again', async () => {
      const newest = await b.newest();
      expect(newest.t === 'unknown' || has(newest, number)).toBe(true);
      return newest.t === 'position';
    });
  });

  test('a proxy that has gone without a word makes the others ask the primary until it is back', async () => {
    await a.stop();
    await isUnknown(b, 'member-silent');
    proxies.push(new Proxy('a', { url: redis.url }));
    await vouches(b);
  });

  test('contents that an operator deletes or that Redis evicts are begun anew', async () => {
    await using admin = adminOf(redis);
    await admin.redis.flushall();
    const number = await a.write();
    await until('b vouches again', async () => {
      const newest = await b.newest();
      expect(newest.t === 'unknown' || has(newest, number)).toBe(true);
      return newest.t === 'position';
    });
    await admin.redis.del('lagwise:{default}:log');
    const next = await a.write();
    const newest = await b.newest();
    expect(newest.t === 'unknown' || has(newest, next)).toBe(true);
    await vouches(b);
  });

  test('a server that was made a replica gives no old answer', async () => {
    await using admin = adminOf(redis);
    await admin.redis.replicaof('127.0.0.1', 1);
    await isUnknown(b, 'away');
  });

  test('10 000 publications keep Redis within its bound', async () => {
    await using admin = adminOf(redis);
    const before = await usedMemory(admin.redis);
    const acknowledging: number[] = [];
    const asking: number[] = [];
    for (let round = 0; round < 10_000; round += 1) {
      const startMs = performance.now();
      await a.write();
      const writtenMs = performance.now();
      acknowledging.push(writtenMs - startMs);
      if (round % 10 === 0) {
        await b.newest();
        asking.push(performance.now() - writtenMs);
      }
    }
    expect(await admin.redis.llen('lagwise:{default}:log')).toBe(4096);
    expect(Number(await admin.redis.hget('lagwise:{default}', 'seq'))).toBe(10_000);
    expect(await admin.redis.keys('*')).toHaveLength(2);
    const grownBytes = (await usedMemory(admin.redis)) - before;
    expect(grownBytes).toBeLessThan(2 * 1024 * 1024);
    report('acknowledged()', acknowledging);
    report('newest()', asking);
    console.info(`Redis grew by ${grownBytes} bytes over 10 000 publications`);
  });
});

describe('a proxy without its Redis', () => {
  if (program.missing !== null) {
    notRun(program.missing);
    return;
  }
  afterEach(async () => {
    await Promise.all(proxies.splice(0).map((proxy) => proxy.stop()));
  });

  test('with the wrong password it works, asks the primary, and shows the password to nobody', async () => {
    logged = [];
    await using redis = await startRedis('--requirepass', 'another');
    const a = new Proxy('a', { url: redis.url, password: PASSWORD }, ['a']);
    await until('it says that Redis refuses', () =>
      logged.some((line) => line.includes('WRONGPASS')),
    );
    expect(await a.newest()).toEqual({ t: 'unknown', why: 'away' });
    await a.write();
    expect(await a.metrics()).toContain('\nlagwise_coordination_up 0\n');
    expect(logged.join('')).not.toContain(PASSWORD);
  });

  test('with the right password it vouches', async () => {
    await using redis = await startRedis('--requirepass', PASSWORD);
    const a = new Proxy('a', { url: redis.url, password: PASSWORD }, ['a']);
    await vouches(a);
    expect(has(await a.newest(), await a.write())).toBe(false);
    expect(has(await a.newest(), committed)).toBe(true);
  });

  test('stopping waits for writes that are not acknowledged yet, and ends', async () => {
    const a = new Proxy('a', { url: 'redis://127.0.0.1:1' }, ['a']);
    const writing = a.write();
    const startMs = performance.now();
    await a.stop();
    await writing;
    expect(performance.now() - startMs).toBeLessThan(WAIT_BOUND_MS);
  });
});

function adminOf(server: RedisServer): { readonly redis: Redis } & AsyncDisposable {
  const redis = new Redis(server.url);
  return {
    redis,
    [Symbol.asyncDispose]: () => {
      redis.disconnect();
      return Promise.resolve();
    },
  };
}

async function usedMemory(redis: Redis): Promise<number> {
  return Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1]);
}
