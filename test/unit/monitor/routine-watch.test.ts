import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { LagwiseError } from '../../../src/lib/errors.ts';
import { serverId } from '../../../src/lib/ids.ts';
import type { RoutineListing } from '../../../src/monitor/routine-listing.ts';
import { RoutineWatch } from '../../../src/monitor/routine-watch.ts';
import { ROUTINE_KIND as KIND } from '../../../src/sql/routine-facts.ts';
import type { ServerView, Snapshot } from '../../../src/topology/snapshot.ts';
import { aServer, aSnapshot } from '../../support/snapshots.ts';

const TIMING = { intervalMs: 60_000, debounceMs: 100, gapMs: 1000, timeoutMs: 5000 };

/** A server whose catalogue has one function that is declared to read. */
const listingOf = (
  names: readonly string[],
  rest: Partial<RoutineListing> = {},
): RoutineListing => ({
  flavor: 'mysql',
  version: '9.7.4',
  routines: names.map((name) => ({
    schema: 'app',
    name,
    type: 'function',
    access: 'READS SQL DATA',
    isSql: true,
    sqlMode: '',
    parameters: [],
    body: { t: 'hidden' },
  })),
  views: [],
  loadable: [],
  packages: [],
  isComplete: true,
  missingGrants: [],
  ...rest,
});

const primary = aServer({ id: serverId('db1'), role: 'primary' });
const replica = aServer({ id: serverId('db2') });

interface World {
  snapshot: Snapshot;
  listing: RoutineListing;
  /** Waits for this before it answers. */
  answer: Promise<unknown>;
  failure: Error | null;
  readonly asked: string[];
  readonly warnings: string[];
  readonly watch: RoutineWatch;
}

const watches: RoutineWatch[] = [];
beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(async () => {
  await Promise.all(watches.splice(0).map((watch) => watch.stop()));
  vi.useRealTimers();
});

function make(
  given: Partial<Pick<World, 'snapshot' | 'listing' | 'answer' | 'failure'>> = {},
): World {
  const asked: string[] = [];
  const warnings: string[] = [];
  const none = () => undefined;
  const logger = {
    debug: none,
    info: none,
    warn: (fields: object, message: string) =>
      warnings.push(`${message} ${JSON.stringify(fields)}`),
    error: none,
    child: () => logger,
  };
  const source = {
    read: async (server: ServerView, signal: AbortSignal) => {
      asked.push(server.id);
      const { listing } = world;
      const { promise, reject } = Promise.withResolvers<never>();
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      await Promise.race([world.answer, promise]);
      if (world.failure !== null) throw world.failure;
      return listing;
    },
  };
  const watch = new RoutineWatch({
    source,
    snapshot: () => world.snapshot,
    logger,
    timing: TIMING,
  });
  watches.push(watch);
  const world: World = {
    snapshot: aSnapshot({ servers: [primary, replica], primary }),
    listing: listingOf(['f']),
    answer: Promise.resolve(),
    failure: null,
    asked,
    warnings,
    watch,
    ...given,
  };
  return world;
}

const passes = (ms: number) => vi.advanceTimersByTimeAsync(ms);

function knows({ watch }: World, name: string): boolean {
  const buf = Buffer.from(name);
  const kind = watch.facts.functionKind(buf, 0, buf.length, -1, -1);
  expect([KIND.READS, KIND.UNKNOWN]).toContain(kind);
  return kind === KIND.READS;
}

describe('the watch over routines', () => {
  test('reads the primary at the start, then at each interval', async () => {
    const world = make();
    expect(knows(world, 'f')).toBe(false);
    world.watch.start();
    await passes(0);
    expect(knows(world, 'f')).toBe(true);
    expect(world.watch.status).toMatchObject({ isCurrent: true, server: 'db1', readings: 1 });
    world.listing = listingOf(['g']);
    await passes(TIMING.intervalMs - 10);
    expect(knows(world, 'g')).toBe(false);
    await passes(20);
    expect(knows(world, 'g')).toBe(true);
    expect(knows(world, 'f')).toBe(false);
    expect(world.asked).toEqual(['db1', 'db1']);
  });

  test('what is known is the same object as long as nothing else is known', async () => {
    const world = make();
    const { watch } = world;
    watch.start();
    await passes(0);
    const before = watch.facts;
    await passes(3 * TIMING.intervalMs);
    expect(watch.status.readings).toBeGreaterThan(2);
    expect(watch.facts).toBe(before);
    watch.noteDdl();
    expect(watch.facts).not.toBe(before);
    await passes(5000);
    expect(watch.facts).toBe(before);
    for (const change of [
      { listing: listingOf(['f', 'g']) },
      { listing: listingOf(['g']) },
      { listing: listingOf(['g'], { isComplete: false }) },
      { listing: listingOf(['g'], { loadable: [{ name: 'u', isInstalled: true }] }) },
      { listing: listingOf(['g'], { packages: ['p'] }) },
      {
        listing: listingOf(['g'], {
          views: [{ schema: 'a', name: 'v', definition: { t: 'too-long' } }],
        }),
      },
    ]) {
      const last = watch.facts;
      Object.assign(world, change);
      await passes(TIMING.intervalMs);
      expect(watch.facts).not.toBe(last);
    }
  });

  test('knows nothing from the moment of DDL until a reading that began after it', async () => {
    const world = make();
    world.watch.start();
    await passes(5000);
    world.watch.noteDdl();
    expect(knows(world, 'f')).toBe(false);
    expect(world.watch.status.isCurrent).toBe(false);
    await passes(TIMING.debounceMs - 1);
    expect(world.asked).toHaveLength(1);
    const slow = Promise.withResolvers<void>();
    world.answer = slow.promise;
    await passes(1);
    expect(world.asked).toHaveLength(2);
    // More DDL while the answer is under way: that answer may be older than it.
    world.watch.noteDdl();
    slow.resolve();
    await passes(0);
    expect(knows(world, 'f')).toBe(false);
    await passes(TIMING.gapMs);
    expect(world.asked).toHaveLength(3);
    expect(knows(world, 'f')).toBe(true);
  });

  test('reads once for a burst of DDL, but does not wait for its end for ever', async () => {
    const world = make();
    world.watch.start();
    await passes(5000);
    for (let n = 0; n < 10; n += 1) {
      world.watch.noteDdl();
      await passes(50);
    }
    expect(world.asked).toHaveLength(1);
    await passes(50);
    expect(world.asked).toHaveLength(2);
    await passes(5000);
    expect(world.asked).toHaveLength(2);
    for (let n = 0; n < 100; n += 1) {
      world.watch.noteDdl();
      await passes(50);
    }
    // Five seconds of DDL without a pause: one reading for each gap.
    expect(world.asked.length).toBeGreaterThanOrEqual(5);
    expect(world.asked.length).toBeLessThanOrEqual(9);
  });

  test('keeps nothing while readings fail after DDL, tries again less and less often', async () => {
    const world = make();
    world.watch.start();
    await passes(5000);
    world.failure = new Error('denied');
    world.watch.noteDdl();
    await passes(60_000);
    expect(knows(world, 'f')).toBe(false);
    const tries = world.asked.length - 1;
    expect(tries).toBeGreaterThanOrEqual(5);
    expect(tries).toBeLessThanOrEqual(8);
    expect(world.warnings).toHaveLength(1);
    expect(world.warnings[0]).toContain('denied');
    world.failure = null;
    await passes(40_000);
    expect(knows(world, 'f')).toBe(true);
    expect(world.watch.status).toMatchObject({ problem: null, isCurrent: true });
  });

  test('keeps the catalogue when a regular reading fails, but not for ever', async () => {
    const world = make();
    world.watch.start();
    await passes(0);
    world.failure = new Error('away');
    await passes(2 * TIMING.intervalMs);
    expect(knows(world, 'f')).toBe(true);
    await passes(2 * TIMING.intervalMs);
    expect(knows(world, 'f')).toBe(false);
  });

  test('a reading that hangs ends at its deadline', async () => {
    const world = make({ answer: new Promise(() => undefined) });
    world.watch.start();
    await passes(TIMING.timeoutMs + 1);
    expect(world.watch.status).toMatchObject({
      failures: 1,
      problem: 'It took longer than 5000 ms',
    });
    world.answer = Promise.resolve();
    await passes(TIMING.gapMs);
    expect(knows(world, 'f')).toBe(true);
  });

  test('another primary is read at once, and nothing is known until then', async () => {
    const world = make();
    world.watch.start();
    await passes(0);
    const promoted = aServer({ id: serverId('db2'), role: 'primary' });
    world.snapshot = aSnapshot({ epoch: 2, servers: [promoted], primary: promoted });
    const slow = Promise.withResolvers<void>();
    world.answer = slow.promise;
    world.watch.topologyChanged(world.snapshot);
    expect(knows(world, 'f')).toBe(false);
    await passes(TIMING.gapMs);
    expect(world.asked).toEqual(['db1', 'db2']);
    slow.resolve();
    await passes(0);
    expect(knows(world, 'f')).toBe(true);
  });

  test('the same primary after a pause changes nothing', async () => {
    const world = make();
    world.watch.start();
    await passes(0);
    world.watch.topologyChanged(aSnapshot({ servers: [replica], primary: null }));
    world.watch.topologyChanged(world.snapshot);
    expect(knows(world, 'f')).toBe(true);
    await passes(5000);
    expect(world.asked).toHaveLength(1);
  });

  test('without a primary a replica serves as long as nothing was read from one', async () => {
    const world = make({ snapshot: aSnapshot({ servers: [replica], noPrimary: 'db1 is down' }) });
    world.watch.start();
    await passes(0);
    expect(world.asked).toEqual(['db2']);
    expect(knows(world, 'f')).toBe(true);
    world.snapshot = aSnapshot({ servers: [primary, replica], primary });
    world.watch.topologyChanged(world.snapshot);
    await passes(TIMING.gapMs);
    expect(world.asked).toEqual(['db2', 'db1']);
    // Now the replica may lack what the primary had.
    world.snapshot = aSnapshot({ servers: [replica], noPrimary: 'db1 is down' });
    world.watch.noteDdl();
    await passes(10_000);
    expect(world.asked).toEqual(['db2', 'db1']);
    expect(knows(world, 'f')).toBe(false);
    expect(world.watch.status.problem).toBe('db1 is down');
    expect(world.warnings).toEqual([]);
    // And when there is a primary again, what failed before does not hold it up.
    world.snapshot = aSnapshot({ epoch: 2, servers: [primary], primary });
    world.watch.topologyChanged(world.snapshot);
    await passes(TIMING.gapMs);
    expect(knows(world, 'f')).toBe(true);
  });

  test('a replica does not take the place of a primary that was read', async () => {
    const world = make();
    world.watch.start();
    await passes(0);
    world.snapshot = aSnapshot({ servers: [replica], noPrimary: 'db1 is down' });
    // It may not have got what changed at the primary.
    world.listing = listingOf(['old']);
    await passes(1.5 * TIMING.intervalMs);
    expect(world.asked).toEqual(['db1']);
    expect(knows(world, 'f')).toBe(true);
    expect(knows(world, 'old')).toBe(false);
  });

  test('says once which grants are missing', async () => {
    const missingGrants = ['SHOW_ROUTINE ON *.*'];
    const world = make({ listing: listingOf(['f'], { isComplete: false, missingGrants }) });
    world.watch.start();
    await passes(5 * TIMING.intervalMs);
    expect(world.watch.status.readings).toBeGreaterThan(3);
    expect(world.warnings).toHaveLength(1);
    expect(world.warnings[0]).toContain('SHOW_ROUTINE ON *.*');
  });

  test('reads nothing more when it has stopped, and cuts off what is under way', async () => {
    const world = make({ answer: new Promise(() => undefined) });
    world.watch.start();
    await passes(0);
    await world.watch.stop();
    world.watch.noteDdl();
    await passes(5 * TIMING.intervalMs);
    expect(world.asked).toHaveLength(1);
    expect(world.warnings).toEqual([]);
  });

  test('a catalogue that is too large is a failure that says so', async () => {
    const world = make({ failure: new LagwiseError('limit', 'There are too many') });
    world.watch.start();
    await passes(0);
    expect(world.warnings[0]).toContain('There are too many');
    expect(knows(world, 'f')).toBe(false);
  });
});
