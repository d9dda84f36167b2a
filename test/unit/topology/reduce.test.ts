import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { serverId } from '../../../src/lib/ids.ts';
import { initialState, markUnreachable, reduce } from '../../../src/topology/reduce.ts';
import { type ServerSaid, toObservation } from '../../support/trace-server.ts';

const ids = ['db1', 'db2', 'db3'];
const listed = ids.map((id) => ({
  id: serverId(id),
  host: id,
  port: 3306,
  tags: [],
  zone: null,
  reserved: false,
  weight: 1,
}));
const initial = () => initialState(listed, { sampleFreshMs: 3000 });

const said: fc.Arbitrary<ServerSaid> = fc.oneof(
  fc.constant('connect ECONNREFUSED'),
  fc.record({
    readOnly: fc.boolean(),
    gtid: fc.constantFrom('db1:1-5', 'db1:1-9', 'db1:1-9,db2:1-3', 'rubbish', null),
    channels: fc.array(
      fc.record({
        from: fc.constantFrom('db1', 'db2', 'db3', '10.0.0.9:3306'),
        receiver: fc.constantFrom('on', 'connecting', 'off'),
        applier: fc.boolean(),
        anonymous: fc.boolean(),
      }),
      { maxLength: 2 },
    ),
  }),
);
const events = fc.array(
  fc.record({
    id: fc.constantFrom(...ids),
    said,
    passMs: fc.integer({ min: 0, max: 500 }),
    isMark: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
  }),
  { maxLength: 40 },
);

describe('reduce', () => {
  it('ignores a server that is not listed, and an answer older than the last', () => {
    const first = reduce(initial(), toObservation('db1', { gtid: 'db1:1' }, 100, ids));
    expect(reduce(first, toObservation('db9', {}, 200, ids))).toBe(first);
    expect(reduce(first, toObservation('db1', 'gone', 99, ids))).toBe(first);
  });

  it('returns the same state for a failure that is known', () => {
    const down = reduce(initial(), toObservation('db1', 'gone', 0, ids));
    expect(reduce(down, toObservation('db1', 'gone', 250, ids))).toBe(down);
    expect(markUnreachable(down, serverId('db1'), 'refused', 300)).toBe(down);
  });

  it('keeps the view of a server that nothing new is known of', () => {
    let state = initial();
    for (const id of ids) state = reduce(state, toObservation(id, { readOnly: true }, 0, ids));
    const before = state.snapshot;
    state = reduce(state, toObservation('db2', { readOnly: true }, 250, ids));
    expect(state.snapshot.servers[0]).toBe(before.servers[0]);
    expect(state.snapshot.servers[1]).not.toBe(before.servers[1]);
    expect(state.snapshot.version).toBe(before.version + 1);
  });

  it('holds its promises in whatever a cluster does', () => {
    fc.assert(
      fc.property(events, (happened) => {
        let state = initial();
        let nowMs = 0;
        const primaryOfEpoch = new Map<number, string>();
        const replaced = new Set<string>();
        for (const { id, said, passMs, isMark } of happened) {
          nowMs += passMs;
          const before = state.snapshot;
          state = isMark
            ? markUnreachable(state, serverId(id), 'refused', nowMs)
            : reduce(state, toObservation(id, said, nowMs, ids));
          const { snapshot } = state;
          const primaries = snapshot.servers.filter((server) => server.role === 'primary');
          expect(primaries.length).toBeLessThanOrEqual(1);
          expect(snapshot.primary).toBe(primaries[0] ?? null);
          expect((snapshot.noPrimary === null) === (primaries.length === 1)).toBe(true);
          expect(snapshot.epoch - before.epoch === 0 || snapshot.epoch - before.epoch === 1).toBe(
            true,
          );
          for (const server of snapshot.servers) {
            // Lag is known of replicas that replicate, and of nobody else but the primary.
            if (server.lag.t === 'known') {
              expect(['primary', 'replica']).toContain(server.role);
              expect(server.lag.lagMs).toBeGreaterThanOrEqual(0);
            }
            if (
              server.role === 'replica' &&
              server.replicating === false &&
              server.ineligible === null
            ) {
              expect(snapshot.primary).toBeNull();
            }
            if (server.role !== 'primary') expect(server.caughtUpToMs).toBeLessThanOrEqual(nowMs);
          }
          const { primary, epoch } = snapshot;
          if (primary === null) continue;
          // One epoch has one primary, and a replaced one is primary again only after it followed.
          expect(primaryOfEpoch.get(epoch) ?? primary.id).toBe(primary.id);
          const previous = primaryOfEpoch.get(epoch - 1);
          if (!primaryOfEpoch.has(epoch) && previous !== undefined && previous !== primary.id) {
            replaced.add(previous);
          }
          primaryOfEpoch.set(epoch, primary.id);
          for (const server of snapshot.servers) {
            if (server.role === 'replica') replaced.delete(server.id);
          }
          expect(replaced.has(primary.id)).toBe(false);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
