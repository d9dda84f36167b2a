import type { Position } from '../gtid/position.ts';
import type { ServerId } from '../lib/ids.ts';
import { whyNotRejoined } from './deposed.ts';
import { type Beats, boundsByBeat } from './beats.ts';
import { describeFilters, logsAll, provesNothing } from './filters.ts';
import { measureLag } from './lag.ts';
import type { ReplicaChannel } from './observation.ts';
import { replicationOf, sameReplication } from './replication-view.ts';
import { type SampleRing, standingOf } from './sample-ring.ts';
import type { PrimaryMemory } from './select-primary.ts';
import { sourceNames } from './select-primary.ts';
import type { ServerRecord, ServerRecords } from './server-record.ts';
import type { Lag, Role, ServerView } from './snapshot.ts';
import { leadsTo, sourceOf } from './sources.ts';

/** All that one server's view depends on besides the server itself. */
export interface ViewContext {
  readonly records: ServerRecords;
  readonly primaryId: ServerId | null;
  readonly primaryGoneAtMs: number | null;
  readonly memory: PrimaryMemory;
  readonly ring: SampleRing;
  readonly beats: Beats;
  readonly sampleFreshMs: number;
}

/** How the router sees a server. */
export function viewOf(record: ServerRecord, context: ViewContext): ServerView {
  const { listed, report } = record;
  const { role, ineligible } = standingAs(record, context);
  const isPrimary = role === 'primary';
  const channels = report?.channels ?? [];
  const head = context.primaryId ?? context.memory.last;
  const isBlind = provesNothing(record, (head === null ? null : context.records.get(head)) ?? null);
  return {
    ...listed,
    role,
    flavor: report?.flavor ?? null,
    version: report?.version ?? null,
    readOnly: record.reachable ? (report?.readOnly ?? null) : null,
    lag: isPrimary ? NO_LAG : lagOf(record, role, context),
    replication: isPrimary || !record.reachable ? null : replicationOf(record, context),
    replicating:
      isPrimary || !record.reachable || channels.length === 0 ? null : channels.every(runs),
    caughtUpToMs: provedUpToMs(record, isPrimary, isBlind),
    gtidSet: report?.gtidSet ?? null,
    position: positionOf(record, isPrimary, isBlind),
    positionAtMs: record.startedAtMs,
    grownSinceMs: record.grownSinceMs,
    seenAtMs: record.finishedAtMs,
    filters: describeFilters(record, isPrimary),
    ineligible,
  };
}

function provedUpToMs(record: ServerRecord, isPrimary: boolean, isBlind: boolean): number {
  if (isPrimary) return Number.POSITIVE_INFINITY;
  return isBlind ? -1 : record.caughtUpToMs;
}

function positionOf(record: ServerRecord, isPrimary: boolean, isBlind: boolean): Position | null {
  if (!isPrimary) return isBlind ? null : record.applied;
  // Without GTIDs for its own commits its set stands still, or is not all.
  return record.report?.logsGtids === true && logsAll(record) ? record.executed : null;
}

const NO_LAG: Lag = { t: 'known', lagMs: 0, method: 'gtid' };

function lagOf(record: ServerRecord, role: Role, context: ViewContext): Lag {
  if (role === 'down') return { t: 'unknown', why: 'It does not answer' };
  if (role !== 'replica') return { t: 'unknown', why: 'It is not a replica' };
  const { report, applied, startedAtMs, finishedAtMs } = record;
  const { records, primaryId, memory, ring, beats, primaryGoneAtMs, sampleFreshMs } = context;
  const head = primaryId ?? memory.last;
  const source = head === null ? null : (records.get(head)?.clock ?? null);
  const channels = report?.channels ?? [];
  const foreign = channels.filter((channel) => sourceOf(channel, records).t === 'foreign');
  return measureLag({
    channels: channels.filter((channel) => !foreign.includes(channel)),
    foreign,
    standing: standingOf(ring, applied),
    applied,
    startedAtMs,
    finishedAtMs,
    answeredAtMs: answeredAtMs(record),
    clockSkewMs:
      source === null || record.clock === null ? 0 : source.offsetMs - record.clock.offsetMs,
    beats: boundsByBeat(beats, report?.heartbeat ?? null, record),
    primaryGoneAtMs,
    sampleFreshMs,
  });
}

/** The moment of a server's last answer: by its own clock where that is known, else the middle. */
export function answeredAtMs(record: ServerRecord): number {
  const { report, clock, startedAtMs, finishedAtMs } = record;
  const clockMs = report?.clockMs ?? null;
  if (clockMs === null || clock === null) return (startedAtMs + finishedAtMs) / 2;
  return Math.min(finishedAtMs, Math.max(startedAtMs, clockMs - clock.offsetMs));
}

interface RoleAndReason {
  readonly role: Role;
  readonly ineligible: string | null;
}

function standingAs(record: ServerRecord, context: ViewContext): RoleAndReason {
  const { records, primaryId, memory } = context;
  const { id } = record.listed;
  if (!record.observed) return { role: 'down', ineligible: 'It was not probed yet' };
  const { report } = record;
  if (!record.reachable || report === null) {
    return { role: 'down', ineligible: record.failure ?? 'It does not answer' };
  }
  if (id === primaryId) return { role: 'primary', ineligible: 'It is the primary' };
  if (memory.deposed.has(id)) {
    const primary = primaryId === null ? null : (records.get(primaryId) ?? null);
    const why = whyNotRejoined(record, primary, records) ?? 'it was not checked yet';
    return {
      role: 'unassigned',
      ineligible: `It was the primary before and has not rejoined as a clean replica: ${why}`,
    };
  }
  if (report.channels.length === 0) {
    return { role: 'unassigned', ineligible: whyAlone(report.readOnly, primaryId) };
  }
  if (report.channels.every((channel) => sourceOf(channel, records).t === 'foreign')) {
    const source = sourceNames(record, records);
    return {
      role: 'unassigned',
      ineligible: `It replicates from ${source}, which is not a listed server`,
    };
  }
  return { role: 'replica', ineligible: whyNoReads(record, report.channels, context) };
}

function whyAlone(readOnly: boolean, primaryId: ServerId | null): string {
  if (readOnly) return 'It is read-only and replicates from nobody';
  return primaryId === null
    ? 'It is writable, but which server is the primary is not settled'
    : `It is writable and no replica while ${primaryId} is the primary`;
}

function whyNoReads(
  record: ServerRecord,
  channels: readonly ReplicaChannel[],
  context: ViewContext,
): string | null {
  const { records, primaryId, memory } = context;
  if (record.suspicion !== null) return `Connections to it fail: ${record.suspicion.why}`;
  if (record.gtidProblem !== null) return record.gtidProblem;
  for (const channel of channels) {
    if (!channel.applier) {
      return `Its applier is stopped${because(channel.applierError)}`;
    }
    // While there is no primary every replica's receiver looks for it: reads go on.
    const looksForIt = channel.receiver === 'connecting' && primaryId === null;
    if (channel.receiver !== 'on' && !looksForIt) {
      const what = channel.receiver === 'off' ? 'is stopped' : 'has lost its source';
      return `Its receiver ${what}${because(channel.receiverError)}`;
    }
  }
  const head = primaryId ?? memory.last;
  if (head !== null && !leadsTo(record, head, records)) {
    return `It replicates from ${sourceNames(record, records)}, which does not lead to ${head}`;
  }
  return null;
}

function because(error: string | null): string {
  return error === null ? '' : `: ${error}`;
}

function runs(channel: ReplicaChannel): boolean {
  return channel.applier && channel.receiver === 'on';
}

/** Whether two views of one server look the same to every reader. */
export function sameView(left: ServerView, right: ServerView): boolean {
  for (const key of VIEW_KEYS) {
    if (key === 'lag' || key === 'replication') continue;
    if (left[key] !== right[key]) return false;
  }
  if (!sameReplication(left.replication, right.replication)) return false;
  const before = left.lag;
  const after = right.lag;
  if (before.t === 'known' && after.t === 'known') {
    return before.lagMs === after.lagMs && before.method === after.method;
  }
  return before.t === 'unknown' && after.t === 'unknown' && before.why === after.why;
}

/** Every key, by type: a new field of ServerView does not compile until it is compared. */
const VIEW_KEYS = Object.keys({
  id: 0,
  host: 0,
  port: 0,
  tags: 0,
  zone: 0,
  reserved: 0,
  weight: 0,
  role: 0,
  flavor: 0,
  version: 0,
  readOnly: 0,
  lag: 0,
  replication: 0,
  replicating: 0,
  caughtUpToMs: 0,
  gtidSet: 0,
  position: 0,
  positionAtMs: 0,
  grownSinceMs: 0,
  seenAtMs: 0,
  filters: 0,
  ineligible: 0,
} satisfies Record<keyof ServerView, 0>) as (keyof ServerView)[];
