import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { LagwiseError } from '../../../../src/lib/errors.ts';
import { HoldQueue } from '../../../../src/session/servers/hold-queue.ts';
import type { Snapshot } from '../../../../src/topology/snapshot.ts';
import { quietTelemetry } from '../../../support/fake-backend.ts';
import { aServer, aSnapshot } from '../../../support/snapshots.ts';

const NONE = aSnapshot({ noPrimary: 'db1 is read-only' });
const PRIMARY = aSnapshot({ version: 2, primary: aServer({ role: 'primary' }) });
const hasPrimary = ({ primary }: Snapshot) => primary !== null;
const never = new AbortController().signal;

let current: Snapshot;
let holds: HoldQueue;
let telemetry: ReturnType<typeof quietTelemetry>;
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  current = NONE;
  telemetry = quietTelemetry();
  holds = new HoldQueue(
    { mode: 'observe', holdMs: 1_000, holdMaxStatements: 2 },
    telemetry.metrics.holds,
    () => current,
  );
});
afterEach(() => {
  vi.useRealTimers();
});

const wait = (signal = never, ms = 1_000) => holds.wait(hasPrimary, performance.now() + ms, signal);
const publish = (snapshot: Snapshot) => {
  current = snapshot;
  holds.published(snapshot);
};
const outcomes = async () =>
  Object.fromEntries(
    [
      ...(await telemetry.registry.metrics()).matchAll(
        /write_holds_total\{outcome="([a-z-]+)"\} ([1-9]\d*)/g,
      ),
    ].map(([, outcome, count]) => [outcome, Number(count)]),
  );

describe('a statement that waits', () => {
  test('does not where there is a primary', async () => {
    current = PRIMARY;
    expect(await wait()).toBe(PRIMARY);
    expect(await outcomes()).toEqual({});
  });

  test('goes on with the first snapshot that will do', async () => {
    const waiting = wait();
    publish(aSnapshot({ version: 2 }));
    publish(PRIMARY);
    expect(await waiting).toBe(PRIMARY);
    expect(await outcomes()).toEqual({ released: 1 });
    expect(vi.getTimerCount()).toBe(0);
  });

  test('fails at its deadline with the cause, and has not run', async () => {
    const waiting = wait();
    const failure = expect(waiting).rejects.toThrow(
      /^No server takes writes: db1 is read-only; none appeared within 1000 ms; .*has not run/,
    );
    await vi.advanceTimersByTimeAsync(999);
    expect(await outcomes()).toEqual({});
    await vi.advanceTimersByTimeAsync(2);
    await failure;
    expect(await outcomes()).toEqual({ timeout: 1 });
    publish(PRIMARY);
    expect(await outcomes()).toEqual({ timeout: 1 });
  });

  test('beyond the bound is refused at once, and there is room again later', async () => {
    const first = wait();
    const second = wait();
    await expect(wait()).rejects.toThrow(
      /2 statements wait for one already \(failover\.holdMaxStatements\)/,
    );
    publish(PRIMARY);
    await Promise.all([first, second]);
    current = NONE;
    const third = wait();
    publish(PRIMARY);
    await third;
    expect(await outcomes()).toEqual({ full: 1, released: 3 });
  });

  test('is forgotten when its client leaves', async () => {
    const gone = new AbortController();
    const waiting = wait(gone.signal);
    const failure = expect(waiting).rejects.toMatchObject({ source: 'client-network' });
    gone.abort(new LagwiseError('client-network', 'The client left'));
    await failure;
    expect(await outcomes()).toEqual({ 'client-gone': 1 });
    expect(vi.getTimerCount()).toBe(0);
  });

  test('does not begin for a client that has left', async () => {
    const gone = new AbortController();
    gone.abort();
    await expect(wait(gone.signal)).rejects.toMatchObject({ source: 'client-network' });
    expect(vi.getTimerCount()).toBe(0);
  });

  test('fails when the proxy stops', async () => {
    const waiting = wait();
    const failure = expect(waiting).rejects.toMatchObject({ source: 'shutdown' });
    holds.shutdown();
    await failure;
    expect(await outcomes()).toEqual({ shutdown: 1 });
  });

  test('each has its own condition', async () => {
    const picky = holds.wait(({ version }) => version >= 3, performance.now() + 1_000, never);
    const plain = wait();
    publish(PRIMARY);
    expect(await plain).toBe(PRIMARY);
    publish({ ...PRIMARY, version: 3 });
    expect((await picky).version).toBe(3);
  });
});
