import { positionContains } from '../gtid/position.ts';
import type { ServerId } from '../lib/ids.ts';
import { whyNotRejoined } from './deposed.ts';
import { addBeat, type Beat, type Beats } from './beats.ts';
import { inheritFilters } from './filters.ts';
import { observe } from './observe.ts';
import type { Observation } from './observation.ts';
import { addSample, type SampleRing, standingOf } from './sample-ring.ts';
import { type PrimaryChoice, type PrimaryMemory, selectPrimary } from './select-primary.ts';
import {
  type ListedServer,
  newRecord,
  type ServerRecord,
  type ServerRecords,
} from './server-record.ts';
import { answeredAtMs, sameView, type ViewContext, viewOf } from './server-view.ts';
import type { ServerView, Snapshot } from './snapshot.ts';

/** Tuning of the reducer. */
export interface TopologyOptions {
  /** A primary sample older than this (ms) proves no zero lag; a few probe intervals. */
  readonly sampleFreshMs: number;
}

/** Everything known of the cluster. Immutable; readers outside the reducer use `snapshot` only. */
export interface TopologyState {
  readonly snapshot: Snapshot;
  readonly options: TopologyOptions;
  readonly records: ServerRecords;
  readonly memory: PrimaryMemory;
  /** Samples of the last primary; kept while there is none, dropped when another takes over. */
  readonly ring: SampleRing;
  /** Heartbeats that this proxy wrote to that primary. */
  readonly beats: Beats;
  /** When the primary was lost (monotonic ms), 0 if there never was one; null while there is one. */
  readonly primaryGoneAtMs: number | null;
}

/** What is known before the first probe: nothing, and nobody serves. */
export function initialState(
  servers: readonly ListedServer[],
  options: TopologyOptions,
): TopologyState {
  const records: ServerRecords = new Map(servers.map((listed) => [listed.id, newRecord(listed)]));
  const memory: PrimaryMemory = { last: null, deposed: new Set() };
  const choice = selectPrimary(records, memory);
  const blank: TopologyState = {
    snapshot: { version: 0, epoch: 0, servers: [], primary: null, noPrimary: null },
    options,
    records,
    memory,
    ring: [],
    beats: [],
    primaryGoneAtMs: 0,
  };
  const snapshot = { ...publish(blank, choice, 0), version: 0 };
  return { ...blank, snapshot };
}

/**
 * The state after one more observation. `state` itself comes back when the observation says nothing
 * new, and `snapshot` keeps its identity as long as no reader can see a difference.
 */
export function reduce(state: TopologyState, observation: Observation): TopologyState {
  const before = state.records.get(observation.serverId);
  if (before === undefined) return state;
  const after = observe(before, observation);
  return after === before ? state : settle(state, after, observation.finishedAtMs);
}

/**
 * The data path could not reach a server (connect failed, socket dead). It takes no reads from now
 * on; whether it is down, the next probe that begins after `nowMs` decides: ask for one at once.
 */
export function markUnreachable(
  state: TopologyState,
  serverId: ServerId,
  why: string,
  nowMs: number,
): TopologyState {
  const before = state.records.get(serverId);
  if (before === undefined || !before.reachable || before.suspicion !== null) return state;
  return settle(state, { ...before, suspicion: { sinceMs: nowMs, why } }, nowMs);
}

/** A heartbeat was written to the primary. What replicas lack of it, their next probes tell. */
export function noteBeat(state: TopologyState, beat: Beat): TopologyState {
  const beats = addBeat(state.beats, beat);
  return beats === state.beats ? state : { ...state, beats };
}

/** Draws all conclusions from one changed record. */
function settle(state: TopologyState, changed: ServerRecord, nowMs: number): TopologyState {
  const known = new Map(state.records).set(changed.listed.id, changed);
  const choice = selectPrimary(known, state.memory);
  const records = choice.t === 'primary' ? inheritFilters(known, choice.id) : known;
  const primary = choice.t === 'primary' ? (records.get(choice.id) ?? null) : null;
  const history = historyOf(state, primary);
  const ring =
    primary === null
      ? state.ring
      : nextRing(history.isNew ? [] : state.ring, primary, primary === changed);
  const settled = history.isNew ? forgetProofs(records) : records;
  const proved = proveAll(settled, ring);
  const next: TopologyState = {
    ...state,
    records: proved,
    memory: nextMemory(state.memory, primary, proved),
    ring,
    beats: history.isNew ? [] : state.beats,
    primaryGoneAtMs: primary === null ? (state.primaryGoneAtMs ?? nowMs) : null,
  };
  return { ...next, snapshot: publish(next, choice, history.isNew ? 1 : 0) };
}

/** A primary starts a new history if it is another server, or lost commits that it was seen with. */
function historyOf(state: TopologyState, primary: ServerRecord | null): { isNew: boolean } {
  if (primary === null) return { isNew: false };
  if (primary.listed.id !== state.memory.last) return { isNew: true };
  const newest = state.ring.at(-1);
  const held = primary.executed;
  // GTIDs were turned off, which loses nothing: the samples go, and with them what they would prove.
  if (held === null && primary.gtidProblem === null) return { isNew: false };
  return {
    isNew: newest !== undefined && (held === null || !positionContains(held, newest.position)),
  };
}

function nextRing(ring: SampleRing, primary: ServerRecord, isFresh: boolean): SampleRing {
  const { executed, report } = primary;
  // Without GTIDs for its own commits its set stands still and would prove everything.
  if (executed === null || report === null || !report.logsGtids) return [];
  if (!isFresh && ring.length > 0) return ring;
  const { startedAtMs, finishedAtMs } = primary;
  const { loggedAgeMs } = report;
  return addSample(ring, executed, {
    startedAtMs,
    finishedAtMs,
    newestCommitMs: loggedAgeMs === null ? null : answeredAtMs(primary) - loggedAgeMs,
  });
}

function forgetProofs(records: ServerRecords): ServerRecords {
  return new Map([...records].map(([id, record]) => [id, { ...record, caughtUpToMs: -1 }]));
}

/** Advances each server's `caughtUpToMs` to the newest sample that its last known set contains. */
function proveAll(records: ServerRecords, ring: SampleRing): ServerRecords {
  const proved = new Map<ServerId, ServerRecord>();
  for (const [id, record] of records) {
    const provedMs = standingOf(ring, record.applied).held?.lastStartMs ?? -1;
    proved.set(id, provedMs > record.caughtUpToMs ? { ...record, caughtUpToMs: provedMs } : record);
  }
  return proved;
}

function nextMemory(
  memory: PrimaryMemory,
  primary: ServerRecord | null,
  records: ServerRecords,
): PrimaryMemory {
  const deposed = new Set(memory.deposed);
  const last = primary?.listed.id ?? memory.last;
  if (memory.last !== null && last !== memory.last) deposed.add(memory.last);
  for (const id of deposed) {
    const record = records.get(id);
    if (record !== undefined && whyNotRejoined(record, primary, records) === null) {
      deposed.delete(id);
    }
  }
  return { last, deposed };
}

function publish(state: TopologyState, choice: PrimaryChoice, epochStep: 0 | 1): Snapshot {
  const before = state.snapshot;
  const context: ViewContext = {
    records: state.records,
    primaryId: choice.t === 'primary' ? choice.id : null,
    primaryGoneAtMs: state.primaryGoneAtMs,
    memory: state.memory,
    ring: state.ring,
    beats: state.beats,
    sampleFreshMs: state.options.sampleFreshMs,
  };
  const servers = [...state.records.values()].map((record, index): ServerView => {
    const view = viewOf(record, context);
    const known = before.servers[index];
    return known !== undefined && sameView(known, view) ? known : view;
  });
  const noPrimary = choice.t === 'none' ? choice.why : null;
  const changed =
    epochStep === 1 ||
    noPrimary !== before.noPrimary ||
    servers.length !== before.servers.length ||
    servers.some((view, index) => view !== before.servers[index]);
  if (!changed) return before;
  return {
    version: before.version + 1,
    epoch: before.epoch + epochStep,
    servers,
    primary: servers.find((view) => view.role === 'primary') ?? null,
    noPrimary,
  };
}
