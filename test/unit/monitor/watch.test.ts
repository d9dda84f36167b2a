import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { serverId } from '../../../src/lib/ids.ts';
import { Watch } from '../../../src/monitor/watch.ts';
import type { Observation } from '../../../src/topology/observation.ts';

const LEAST_GAP_MS = 25;
const result = { t: 'failed', why: 'scripted' } as const;

function setUp() {
  const asked: string[] = [];
  const seen: Observation[] = [];
  const pending: (() => void)[] = [];
  let lose: () => void = () => undefined;
  const probe = {
    run: async (kind = 'full') => {
      asked.push(kind);
      const startedAtMs = Date.now();
      const { promise, resolve } = Promise.withResolvers<void>();
      pending.push(resolve);
      await promise;
      return { serverId: serverId('db1'), startedAtMs, finishedAtMs: Date.now(), result };
    },
    close: () => {
      for (const resolve of pending.splice(0)) resolve();
    },
  };
  const makeProbe = (onLost: () => void) => {
    lose = onLost;
    return probe;
  };
  const watch = new Watch(makeProbe, { leastGapMs: LEAST_GAP_MS, nowMs: () => Date.now() });
  watch.start((observation) => seen.push(observation));
  const answer = async () => {
    pending.shift()?.();
    await vi.advanceTimersByTimeAsync(0);
  };
  return { watch, asked, seen, answer, lose: () => lose() };
}

describe("one server's probes", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('run when their turn comes, never two at a time', async () => {
    const { watch, asked, seen, answer } = setUp();
    void watch.turn('full');
    void watch.turn('light');
    void watch.turn('full');
    expect(asked).toEqual(['full']);
    await answer();
    expect(seen).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1000);
    expect(asked).toEqual(['full']);
  });

  it('are full soon after a light one that kept a full one waiting', async () => {
    const { watch, asked, answer } = setUp();
    void watch.turn('light');
    void watch.turn('full');
    await answer();
    await vi.advanceTimersByTimeAsync(LEAST_GAP_MS);
    expect(asked).toEqual(['light', 'full']);
  });

  it('come at once when asked for, but not faster than the least gap', async () => {
    const { watch, asked, answer } = setUp();
    void watch.turn('full');
    await answer();
    watch.probeNow();
    watch.probeNow();
    expect(asked).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(LEAST_GAP_MS);
    expect(asked).toEqual(['full', 'full']);
  });

  it('are asked for anew when the one under way began before the wish', async () => {
    const { watch, asked, answer } = setUp();
    void watch.turn('full');
    watch.probeNow();
    await answer();
    await vi.advanceTimersByTimeAsync(LEAST_GAP_MS);
    expect(asked).toHaveLength(2);
  });

  it('are full when a light turn meets a wish', () => {
    const { watch, asked } = setUp();
    watch.probeNow();
    void watch.turn('light');
    expect(asked).toEqual(['full']);
  });

  it('come at once when the connection is lost between them', async () => {
    const { watch, asked, answer, lose } = setUp();
    void watch.turn('full');
    await answer();
    lose();
    await vi.advanceTimersByTimeAsync(LEAST_GAP_MS);
    expect(asked).toHaveLength(2);
  });

  it('end with the watch: nothing is asked or observed after it', async () => {
    const { watch, asked, seen } = setUp();
    void watch.turn('full');
    await watch.stop();
    watch.probeNow();
    void watch.turn('full');
    await vi.advanceTimersByTimeAsync(1000);
    expect(asked).toHaveLength(1);
    expect(seen).toEqual([]);
  });
});
