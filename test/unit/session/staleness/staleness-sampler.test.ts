import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { parseConfig } from '../../../../src/config/load.ts';
import { serverId } from '../../../../src/lib/ids.ts';
import type { BackendConnection } from '../../../../src/pool/backend-connection.ts';
import { Command } from '../../../../src/session/command/command.ts';
import type { ReadSampler, ReplyTap } from '../../../../src/session/reply/reply-tap.ts';
import { createSampler } from '../../../../src/session/staleness/staleness-sampler.ts';
import { MAX_REPLY_BYTES, StalenessTap } from '../../../../src/session/staleness/staleness-tap.ts';
import { COM } from '../../../../src/wire/command.ts';
import { PacketWriter } from '../../../../src/wire/writer.ts';
import { fakeBackend, quietTelemetry } from '../../../support/fake-backend.ts';
import { FakePool } from '../../../support/fake-pool.ts';
import { aServer, aSnapshot, seeded } from '../../../support/snapshots.ts';
import { until } from '../../../support/until.ts';

const PRIMARY = aServer({ id: serverId('db1'), role: 'primary' });
const REPLICA = aServer({ id: serverId('db2') });
const READS = 50_000;
const MAX_PER_SERVER = 20;

let pool: FakePool;
let telemetry: ReturnType<typeof quietTelemetry>;
let replica: BackendConnection;
let sampler: ReadSampler | null;

beforeEach(() => {
  pool = new FakePool();
  pool.answers.set('db1', 'silence');
  replica = fakeBackend({ server: REPLICA }).connection;
});
afterEach(() => {
  sampler?.stop();
  pool.close();
  vi.restoreAllMocks();
});

function make(routing: object, random = seeded(7)): ReadSampler | null {
  telemetry = quietTelemetry();
  const config = parseConfig(
    {
      servers: [{ host: 'x' }],
      monitor: { user: 'm', password: 'x' },
      pool: { maxPerServer: MAX_PER_SERVER },
      routing,
    },
    { env: {} },
  );
  const snapshot = aSnapshot({ servers: [PRIMARY, REPLICA], primary: PRIMARY });
  const topology = { current: () => snapshot };
  sampler = createSampler({ config, pool: pool.asPool, topology, telemetry, random });
  return sampler;
}

function sample(given: Partial<Command> = {}, sql = 'SELECT a FROM t'): ReplyTap | null {
  const command = new Command();
  command.begin(COM.QUERY, new PacketWriter().u8(COM.QUERY).string(sql).finish(0), 0);
  Object.assign(command, { textAt: 5, cls: 'read', cause: 'select', reason: 'read', ...given });
  return sampler?.sample(command, replica) ?? null;
}

async function count(outcome: string, level = 'session'): Promise<number> {
  const line = `lagwise_sampled_reads_total{server="db2",consistency="${level}",outcome="${outcome}"} `;
  const found = (await telemetry.registry.metrics())
    .split('\n')
    .find((each) => each.startsWith(line));
  return Number(found?.slice(line.length) ?? 0);
}

describe('reads', () => {
  test('are not sampled unless that is configured', () => {
    expect(make({})).toBeNull();
    expect(make({ stalenessSample: 0 })).toBeNull();
    expect(make({ stalenessSample: 0.1 })).not.toBeNull();
  });

  test('are drawn at the share that is configured, and not each so many', () => {
    make({ stalenessSample: 0.02 });
    const noted = vi.spyOn(telemetry.metrics.staleness, 'noted');
    const gaps = new Set<number>();
    let last = 0;
    for (let read = 0; read < READS; read += 1) {
      const before = noted.mock.calls.length;
      sample({}, 'SELECT 1');
      if (noted.mock.calls.length === before) continue;
      gaps.add(read - last);
      last = read;
    }
    const share = noted.mock.calls.length / READS;
    expect(share).toBeGreaterThan(0.018);
    expect(share).toBeLessThan(0.022);
    expect(gaps.size).toBeGreaterThan(50);
  });

  test('of other kinds are passed over', async () => {
    make({ stalenessSample: 1 });
    expect(sample({ reason: 'read-only-transaction' })).toBeNull();
    expect(sample({ reason: 'pinned' })).toBeNull();
    expect(sample({ com: COM.STMT_PREPARE })).toBeNull();
    expect(pool.opened).toHaveLength(0);
    expect(await count('skipped')).toBe(0);
    expect(sample()).not.toBeNull();
  });
});

describe('samples', () => {
  test('are four at a time at most; more are dropped', async () => {
    make({ stalenessSample: 1 });
    const taps = Array.from({ length: 6 }, () => sample());
    expect(taps.map((tap) => tap !== null)).toEqual([true, true, true, true, false, false]);
    expect(await count('dropped')).toBe(2);
  });

  test('are so many in a second as is configured; more are dropped', async () => {
    pool.failing.set('db1', new Error('Nobody is there'));
    make({ stalenessSample: 1, stalenessSamplesPerSecond: 2 });
    const now = vi.spyOn(performance, 'now').mockReturnValue(5_100);
    const failed = async (times: number) =>
      await until(`${times} have failed`, async () => (await count('failed')) === times);
    // The helper's own clock stands still: it must not be asked to wait.
    sample();
    sample();
    expect(sample()).toBeNull();
    await Promise.resolve();
    now.mockReturnValue(5_999);
    expect(sample()).toBeNull();
    now.mockReturnValue(6_000);
    expect(sample()).not.toBeNull();
    now.mockRestore();
    await failed(3);
    expect(await count('dropped')).toBe(2);
  });

  test('ask the primary at the moment when they are drawn, by a connection that lies ready', async () => {
    make({ stalenessSample: 1 });
    const { account, profile } = replica;
    if (profile === null) throw new Error('Its state is known');
    const gone = new AbortController().signal;
    const ready = await pool.acquire({ server: PRIMARY, account, profile, gone, fresh: null });
    pool.release(ready, 'reuse', 0);
    sample();
    expect(pool.sent(0)).toEqual(['3 SELECT a FROM t']);
    expect(pool.opened).toHaveLength(1);
  });

  test('are dropped where clients could have less than a quarter of the connections at once', async () => {
    pool = new FakePool({ maxPerServer: MAX_PER_SERVER });
    make({ stalenessSample: 1 });
    const { account, profile } = replica;
    if (profile === null) throw new Error('Its state is known');
    const gone = new AbortController().signal;
    const wish = { server: PRIMARY, account, profile, gone, fresh: null };
    const taken = MAX_PER_SERVER - 4;
    for (let each = 0; each < taken; each += 1) await pool.acquire(wish);
    sample();
    await until('it was dropped', async () => (await count('dropped')) === 1);
    expect(pool.opened).toHaveLength(taken);
  });

  test('are counted by the level of the read', async () => {
    make({ stalenessSample: 1, consistency: 'eventual' });
    sample({}, 'SELECT 1');
    expect(await count('skipped', 'eventual')).toBe(1);
  });

  test('are given up when the proxy stops', async () => {
    make({ stalenessSample: 1 });
    const tap = sample();
    sampler?.stop();
    expect(tap).not.toBeNull();
    expect(sample()).toBeNull();
  });

  test('whose command cannot be read are skipped, and nobody hears of it', async () => {
    make({ stalenessSample: 1 });
    const broken = { com: COM.STMT_EXECUTE, bytes: Buffer.from([1, 0, 0, 0, COM.STMT_EXECUTE]) };
    const shape = {
      packet: Buffer.from('\x01\0\0\0\x16SELECT a FROM t'),
      profile: replica.profile,
    };
    const statement = { shape, longDataOn: null, parameterCount: 1, types: null };
    expect(sample({ ...broken, statement } as unknown as Partial<Command>)).toBeNull();
    expect(await count('skipped')).toBe(1);
  });
});

describe('a copy of a reply', () => {
  test('is whole, of bytes that are used again at once', async () => {
    const tap = new StalenessTap(1000);
    const chunk = Buffer.from('one');
    tap.take(chunk);
    chunk.write('two');
    tap.take(chunk);
    tap.end(true);
    expect((await tap.reply)?.toString()).toBe('onetwo');
  });

  test('is none of an error, of a long one, or of one that was given up', async () => {
    const [failed, long, closed, late] = Array.from({ length: 4 }, () => new StalenessTap(20));
    failed?.end(false);
    long?.take(Buffer.alloc(MAX_REPLY_BYTES));
    long?.take(Buffer.alloc(1));
    long?.end(true);
    closed?.close();
    closed?.take(Buffer.from('more'));
    closed?.end(true);
    for (const tap of [failed, long, closed, late]) expect(await tap?.reply).toBeNull();
  });
});
