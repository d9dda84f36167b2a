import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ModelStore } from './model-store.ts';
import { LEASE_MS, ModelClients, ModelPrimary, ModelProxy, seeded, type Tally } from './world.ts';

const MEMBERS = ['a', 'b', 'c'];
const SECONDS = 30;
/** `LAGWISE_COORDINATION_SEEDS` for more. */
const SEEDS = Number(process.env['LAGWISE_COORDINATION_SEEDS'] ?? 8);

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] });
});
afterEach(() => {
  vi.useRealTimers();
});

interface Run {
  readonly seed: number;
  readonly faults: boolean;
}

/** Three proxies for half a minute; faults of every kind come at random. */
async function simulate({ seed, faults }: Run): Promise<Tally> {
  const random = seeded(seed);
  const store = new ModelStore({ members: MEMBERS, random, maxEntries: 200 });
  const primary = new ModelPrimary();
  let instances = 0;
  const born = (name: string): ModelProxy =>
    new ModelProxy({
      name,
      instance: `i${(instances += 1)}`,
      members: MEMBERS,
      store,
      primary,
      probeMs: () => 20 + random() * 60,
    });
  const proxies = MEMBERS.map(born);
  const clients = new ModelClients({
    primary,
    proxies: () => proxies.filter(({ isAlive }) => isAlive),
    random,
  });
  const oneOf = (): number => Math.floor(random() * MEMBERS.length);
  const disturb = (): void => {
    const kind = random();
    const at = oneOf();
    const proxy = proxies[at];
    const name = MEMBERS[at];
    if (proxy === undefined || name === undefined) return;
    if (kind < 0.5) {
      proxy.way.isCut = true;
      setTimeout(() => {
        if (proxy.isAlive) proxy.way.isCut = false;
      }, random() * 4000);
    } else if (kind < 0.65) store.pause(random() * 1500);
    else if (kind < 0.75) store.restart();
    else if (kind < 0.8) store.forgetContents();
    else if (kind < 0.85) store.forgetEntries();
    else {
      proxy.kill();
      // Now and then the place is away when it is back.
      const reborn = born(name);
      proxies[at] = reborn;
      reborn.way.isCut = random() < 0.5;
      setTimeout(() => {
        if (reborn.isAlive) reborn.way.isCut = false;
      }, random() * 4000);
    }
  };
  for (let ms = 0; ms < SECONDS * 1000; ms += 5) {
    if (random() < 0.3) void clients.write();
    if (random() < 0.3) void clients.read();
    if (faults && random() < 0.005) disturb();
    await vi.advanceTimersByTimeAsync(5);
  }
  for (const proxy of proxies) proxy.kill();
  await vi.advanceTimersByTimeAsync(5000);
  return clients.tally;
}

describe('a group of proxies', () => {
  test.each(Array.from({ length: SEEDS }, (_, index) => index + 1))(
    'never vouches for a position without an acknowledged write, whatever fails (seed %i)',
    async (seed) => {
      const tally = await simulate({ seed, faults: true });
      expect(tally.stale).toEqual([]);
      expect(tally.vouched).toBeGreaterThan(0);
      expect(tally.unknown).toBeGreaterThan(0);
      // The documented bound, and a tick of the simulation.
      expect(tally.longestWaitMs).toBeLessThanOrEqual(LEASE_MS * 1.6 + 10);
    },
  );

  test('vouches for almost all reads while nothing fails, and no write waits for a lease', async () => {
    const { vouched, unknown, stale, longestWaitMs } = await simulate({ seed: 99, faults: false });
    expect(stale).toEqual([]);
    expect(unknown / (vouched + unknown)).toBeLessThan(0.05);
    // Nobody waits but in the first second, for the word that a process before may have given.
    expect(longestWaitMs).toBeLessThanOrEqual(LEASE_MS * 1.1 + 10);
  });
});
