import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  initialState,
  markUnreachable,
  reduce,
  type TopologyState,
} from '../../src/topology/reduce.ts';
import type { ServerView, Snapshot } from '../../src/topology/snapshot.ts';
import { serverId } from '../../src/lib/ids.ts';
import { type ServerSaid, toObservation } from '../support/trace-server.ts';

/**
 * A trace is a story of one cluster: what its servers said, step by step, and what the router must
 * have made of it. Only what a step names under `expect` is compared.
 */
interface Trace {
  readonly story: string;
  readonly servers: readonly string[];
  readonly steps: readonly Step[];
}

interface Step {
  readonly note?: string;
  /** Monotonic ms at which all probes of this step start. */
  readonly at: number;
  readonly probes?: Readonly<Record<string, ServerSaid>>;
  readonly unreachable?: Readonly<Record<string, string>>;
  readonly expect: Expected;
}

interface Expected {
  readonly epoch?: number;
  readonly primary?: string | null;
  /** A part of the text. */
  readonly noPrimary?: string;
  readonly published?: boolean;
  readonly servers?: Readonly<Record<string, ExpectedServer>>;
}

interface ExpectedServer {
  readonly role?: string;
  /** `null` for eligible, else a part of the reason. */
  readonly ineligible?: string | null;
  /** A number for exactly, a pair for a range, a text for unknown with that part of the reason. */
  readonly lag?: number | readonly [number, number] | string;
  readonly method?: string;
  readonly caughtUp?: number | 'primary';
  readonly replicating?: boolean | null;
  /** `null` for none, else a part of the text. */
  readonly filters?: string | null;
  /** Whether its position counts. */
  readonly hasPosition?: boolean;
  /** Parts of `ServerView.replication`. */
  readonly replication?: Readonly<Record<string, unknown>> | null;
}

const folder = new URL('./topology/', import.meta.url);
const files = readdirSync(folder)
  .filter((name) => name.endsWith('.json'))
  .sort();

describe('topology', () => {
  it.each(files)('%s', (file) => {
    const trace: Trace = JSON.parse(readFileSync(new URL(file, folder), 'utf8'));
    let state = initialState(
      trace.servers.map((id, index) => ({
        id: serverId(id),
        host: id,
        port: 3306 + index,
        tags: [],
        zone: null,
        reserved: false,
        weight: 1,
      })),
      { sampleFreshMs: 3000 },
    );
    expect(trace.steps.length).toBeGreaterThan(0);
    for (const [index, step] of trace.steps.entries()) {
      const before = state.snapshot;
      state = play(state, step, trace.servers);
      const where = `${trace.story} — step ${index + 1} (${step.note ?? `at ${step.at} ms`})`;
      check(state.snapshot, before, step.expect, where);
      checkAlways(state.snapshot, before, where);
    }
  });
});

function play(from: TopologyState, step: Step, ids: readonly string[]): TopologyState {
  let state = from;
  for (const [id, why] of Object.entries(step.unreachable ?? {})) {
    state = markUnreachable(state, serverId(id), why, step.at);
  }
  for (const [id, said] of Object.entries(step.probes ?? {})) {
    state = reduce(state, toObservation(id, said, step.at, ids));
  }
  return state;
}

function check(after: Snapshot, before: Snapshot, expected: Expected, where: string): void {
  if (expected.epoch !== undefined) expect(after.epoch, `${where}: epoch`).toBe(expected.epoch);
  if (expected.primary !== undefined) {
    expect(after.primary?.id ?? null, `${where}: primary`).toBe(expected.primary);
  }
  if (expected.noPrimary !== undefined) {
    expect(after.noPrimary, `${where}: noPrimary`).toContain(expected.noPrimary);
  }
  if (expected.published !== undefined) {
    expect(after !== before, `${where}: published`).toBe(expected.published);
  }
  for (const [id, wanted] of Object.entries(expected.servers ?? {})) {
    const view = after.servers.find((server) => server.id === id);
    expect(view, `${where}: ${id} is listed`).toBeDefined();
    if (view !== undefined) checkServer(view, wanted, `${where}: ${id}`);
  }
}

function checkServer(view: ServerView, wanted: ExpectedServer, where: string): void {
  if (wanted.role !== undefined) expect(view.role, `${where} role`).toBe(wanted.role);
  if (wanted.ineligible === null) expect(view.ineligible, `${where} ineligible`).toBeNull();
  else if (wanted.ineligible !== undefined) {
    expect(view.ineligible, `${where} ineligible`).toContain(wanted.ineligible);
  }
  if (wanted.caughtUp !== undefined) {
    const caughtUp = wanted.caughtUp === 'primary' ? Number.POSITIVE_INFINITY : wanted.caughtUp;
    expect(view.caughtUpToMs, `${where} caughtUpToMs`).toBe(caughtUp);
  }
  if (wanted.replicating !== undefined) {
    expect(view.replicating, `${where} replicating`).toBe(wanted.replicating);
  }
  if (wanted.replication === null) expect(view.replication, `${where} replication`).toBeNull();
  else if (wanted.replication !== undefined) {
    expect(view.replication, `${where} replication`).toMatchObject(wanted.replication);
  }
  if (wanted.filters === null) expect(view.filters, `${where} filters`).toBeNull();
  else if (wanted.filters !== undefined) {
    expect(view.filters, `${where} filters`).toContain(wanted.filters);
  }
  if (wanted.hasPosition !== undefined) {
    expect(view.position !== null, `${where} has a position`).toBe(wanted.hasPosition);
  }
  checkLag(view, wanted, where);
}

function checkLag({ lag }: ServerView, wanted: ExpectedServer, where: string): void {
  if (typeof wanted.lag === 'string') {
    expect(lag, `${where} lag`).toEqual({ t: 'unknown', why: expect.stringContaining(wanted.lag) });
  } else if (wanted.lag !== undefined) {
    const [least, most] = typeof wanted.lag === 'number' ? [wanted.lag, wanted.lag] : wanted.lag;
    const lagMs = lag.t === 'known' ? lag.lagMs : `unknown: ${lag.why}`;
    expect(lagMs, `${where} lag`).toBeTypeOf('number');
    expect(lagMs, `${where} lag`).toBeGreaterThanOrEqual(least);
    expect(lagMs, `${where} lag`).toBeLessThanOrEqual(most);
  }
  if (wanted.method !== undefined) {
    expect(lag.t === 'known' ? lag.method : null, `${where} lag method`).toBe(wanted.method);
  }
}

/** What holds in every cluster at every moment. */
function checkAlways(after: Snapshot, before: Snapshot, where: string): void {
  const primaries = after.servers.filter((server) => server.role === 'primary');
  expect(primaries.length, `${where}: primaries`).toBeLessThanOrEqual(1);
  expect(after.primary, `${where}: primary`).toBe(primaries[0] ?? null);
  expect(after.noPrimary === null, `${where}: noPrimary`).toBe(after.primary !== null);
  expect(after.epoch, `${where}: epoch`).toBeGreaterThanOrEqual(before.epoch);
  if (after !== before) expect(after.version, `${where}: version`).toBeGreaterThan(before.version);
  for (const server of after.servers) {
    if (server.role === 'replica') continue;
    expect(server.ineligible, `${where}: ${server.id} takes no reads`).not.toBeNull();
  }
}
