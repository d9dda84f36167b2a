import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Newest } from '../../../src/coordination/coordination.ts';
import { ModelStore } from './model-store.ts';
import { LEASE_MS, ModelPrimary, ModelProxy, UUID } from './world.ts';

const MEMBERS = ['a', 'b'];
/** More than a process takes from its start to an answer, with a lease that it has to sit out. */
const SETTLED_MS = 2 * LEASE_MS;

let living: ModelProxy[] = [];

beforeEach(() => {
  living = [];
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] });
});
afterEach(async () => {
  for (const proxy of living) proxy.kill();
  await vi.advanceTimersByTimeAsync(5000);
  vi.useRealTimers();
});

/** In this group a cut swallows all: nothing that was on its way comes through later. */
const SWALLOWED = 0.25;

function group(maxEntries = 4096) {
  const store = new ModelStore({ members: MEMBERS, random: () => SWALLOWED, maxEntries });
  const primary = new ModelPrimary();
  let instances = 0;
  const proxy = (name: string, sees = primary): ModelProxy => {
    instances += 1;
    const made = new ModelProxy({
      name,
      instance: `i${instances}`,
      members: MEMBERS,
      store,
      primary: sees,
      probeMs: () => 20,
    });
    living.push(made);
    return made;
  };
  return { store, primary, proxy };
}

const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);

/** What a read that arrives now is told. */
async function ask(proxy: ModelProxy): Promise<Newest> {
  const asked = Promise.resolve(proxy.coordination.newest());
  await pass(700);
  return asked;
}

const told = (newest: Newest): string =>
  newest.t === 'position' ? newest.position.text : newest.why;

/** Asks until the group is in its stride, as reads that keep coming do. */
async function settle(...readers: readonly ModelProxy[]): Promise<void> {
  for (let ms = 0; ms < SETTLED_MS; ms += 100) {
    for (const reader of readers) void reader.coordination.newest();
    await pass(100);
  }
}

describe('a group of two', () => {
  test('makes no write wait while nobody reads with global', async () => {
    const { primary, proxy } = group();
    const a = proxy('a');
    proxy('b');
    await pass(SETTLED_MS);
    expect(a.coordination.acknowledged(`${UUID}:${primary.commit()}`)).toBeNull();
  });

  test('vouches within a second of the first global read', async () => {
    const { primary, proxy } = group();
    const [a, b] = [proxy('a'), proxy('b')];
    primary.commit();
    await pass(SETTLED_MS);
    expect(told(await ask(b))).toBe('starting');
    await pass(300);
    expect(told(await ask(b))).toBe(`${UUID}:1`);
    const done = a.coordination.acknowledged(`${UUID}:${primary.commit()}`);
    expect(done).not.toBeNull();
    await pass(10);
    expect(told(await ask(b))).toBe(`${UUID}:1-2`);
  });

  test('a write that was acknowledged out of reach is seen once the proxy is back', async () => {
    const { primary, proxy } = group();
    const [a, b] = [proxy('a'), proxy('b')];
    await settle(a, b);
    a.way.isCut = true;
    await pass(2 * LEASE_MS);
    expect(told(await ask(b))).toBe('member-silent');
    // Nothing waits, and nothing tells the others of it but the membership that ends.
    primary.commit();
    expect(a.coordination.acknowledged(`${UUID}:1`)).toBeNull();
    a.way.isCut = false;
    for (let ms = 0; ms < 10_000; ms += 700) {
      const newest = await ask(b);
      expect(newest.t === 'unknown' || newest.position.text === `${UUID}:1`).toBe(true);
    }
    expect(told(await ask(b))).toBe(`${UUID}:1`);
  });

  test('a write that had to wait for the end of the word is seen once the proxy is back', async () => {
    const { primary, proxy } = group();
    const [a, b] = [proxy('a'), proxy('b')];
    await settle(a, b);
    a.way.isCut = true;
    primary.commit();
    let isAcknowledged = false;
    void a.coordination.acknowledged(`${UUID}:1`)?.then(() => {
      isAcknowledged = true;
    });
    await pass(LEASE_MS / 2);
    expect(isAcknowledged).toBe(false);
    await pass(LEASE_MS);
    expect(isAcknowledged).toBe(true);
    a.way.isCut = false;
    for (let ms = 0; ms < 10_000; ms += 700) {
      const newest = await ask(b);
      expect(newest.t === 'unknown' || newest.position.text === `${UUID}:1`).toBe(true);
    }
    expect(told(await ask(b))).toBe(`${UUID}:1`);
  });

  test('a reader that has missed publications begins anew', async () => {
    const { primary, proxy } = group(4);
    const [a, b] = [proxy('a'), proxy('b')];
    await settle(a, b);
    for (let write = 1; write <= 20; write += 1) {
      primary.commit();
      await vi.advanceTimersByTimeAsync(5);
      void a.coordination.acknowledged(`${UUID}:${write}`);
    }
    await pass(10);
    expect(told(await ask(b))).toBe('no-base');
    await pass(100);
    expect(told(await ask(b))).toBe(`${UUID}:1-20`);
  });

  test('a short cut costs a write no more than itself', async () => {
    const { primary, proxy } = group();
    const [a, b] = [proxy('a'), proxy('b')];
    await settle(a, b);
    a.way.isCut = true;
    primary.commit();
    const startMs = performance.now();
    let waitedMs: number | null = null;
    void a.coordination.acknowledged(`${UUID}:1`)?.then(() => {
      waitedMs = performance.now() - startMs;
    });
    await pass(100);
    a.way.isCut = false;
    await pass(LEASE_MS);
    expect(waitedMs).toBeLessThan(LEASE_MS * 0.7);
    expect(told(await ask(b))).toBe(`${UUID}:1`);
  });

  test('nobody vouches while a member of the list has never come', async () => {
    const { proxy } = group();
    const a = proxy('a');
    await settle(a);
    expect(told(await ask(a))).toBe('member-absent');
  });

  test('nobody vouches while two see different primaries', async () => {
    const { proxy } = group();
    const other = new ModelPrimary();
    other.failOver([]);
    const [a, b] = [proxy('a'), proxy('b', other)];
    await settle(a, b);
    expect([told(await ask(a)), told(await ask(b))]).toEqual(['member-differs', 'member-differs']);
  });

  test('nobody vouches while two live processes have one name', async () => {
    const { proxy } = group();
    const [a, b] = [proxy('a'), proxy('b')];
    await settle(a, b);
    const second = proxy('b');
    await settle(a, b, second);
    expect(told(await ask(a))).toBe('duplicate-name');
  });

  test('after a failover reads wait for nothing that is lost', async () => {
    const { primary, proxy } = group();
    const [a, b] = [proxy('a'), proxy('b')];
    await settle(a, b);
    for (let write = 0; write < 3; write += 1) primary.commit();
    void a.coordination.acknowledged(`${UUID}:1-3`);
    await pass(10);
    expect(told(await ask(b))).toBe(`${UUID}:1-3`);
    primary.failOver([3]);
    await settle(a, b);
    expect([told(await ask(a)), told(await ask(b))]).toEqual([`${UUID}:1-2`, `${UUID}:1-2`]);
  });
});
