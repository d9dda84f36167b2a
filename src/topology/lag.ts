import type { Position } from '../gtid/position.ts';
import type { BeatBounds } from './beats.ts';
import type { ReplicaChannel } from './observation.ts';
import { countBeyond } from './progress.ts';
import type { PrimarySample, Standing } from './sample-ring.ts';
import type { Lag, LagMethod } from './snapshot.ts';

/** What a replica's lag is told from. Times in monotonic ms. */
export interface LagEvidence {
  /** Those that lead to the primary. */
  readonly channels: readonly ReplicaChannel[];
  /** Those from servers that have nothing to do with it. */
  readonly foreign: readonly ReplicaChannel[];
  readonly standing: Standing;
  readonly applied: Position | null;
  readonly startedAtMs: number;
  readonly finishedAtMs: number;
  /** The moment of the answer, between these two. */
  readonly answeredAtMs: number;
  /** The primary's clock less the replica's, ms: ages told by the replica are too low by that. */
  readonly clockSkewMs: number;
  readonly beats: BeatBounds | null;
  /** When the primary was lost; null while there is one. */
  readonly primaryGoneAtMs: number | null;
  /** A primary sample older than this proves no zero lag. */
  readonly sampleFreshMs: number;
}

interface Bounds {
  readonly lower: number;
  readonly upper: number;
}

interface Estimate {
  readonly lagMs: number;
  readonly method: LagMethod;
}

/**
 * The lag of a replica: the age of the oldest transaction that the primary has and it has not. Three
 * witnesses bound each other. GTID sets of the primary, sampled before, prove (by no clock but the
 * proxy's) but to a probe interval only. Commit timestamps are exact, but of other machines' clocks,
 * and blind to what the replica has not received. Heartbeats are the proxy's own, and coarse. The
 * worst channel counts.
 */
export function measureLag(evidence: LagEvidence): Lag {
  const all = [...evidence.channels, ...evidence.foreign];
  const stopped = whyUnmeasurable(all, evidence.primaryGoneAtMs !== null);
  if (stopped !== null) return { t: 'unknown', why: stopped };
  const own = evidence.channels.length === 0 ? NOTHING : lagBehindPrimary(evidence);
  const others = evidence.foreign.length === 0 ? NOTHING : lagByServer(evidence.foreign, 0);
  if (own === null || others === null) {
    return { t: 'unknown', why: 'The server gives no figure from which lag can be told' };
  }
  const { lagMs, method } = others.lagMs > own.lagMs ? others : own;
  return { t: 'known', lagMs: Math.max(0, Math.round(lagMs)), method };
}

const NOTHING: Estimate = { lagMs: 0, method: 'gtid' };

function whyUnmeasurable(channels: readonly ReplicaChannel[], primaryGone: boolean): string | null {
  if (channels.length === 0) return 'It has no replication channel';
  for (const channel of channels) {
    if (!channel.applier) return 'Its applier is stopped';
    if (channel.receiver === 'off') return 'Its receiver is stopped';
    if (channel.receiver === 'connecting' && !primaryGone) return 'Its receiver is not connected';
  }
  return null;
}

function lagBehindPrimary(evidence: LagEvidence): Estimate | null {
  const seen = seenBy(evidence.standing, evidence.finishedAtMs);
  const estimate = estimateOf(seen, evidence);
  if (estimate === null) return null;
  const { beats } = evidence;
  const beaten =
    beats === null
      ? estimate
      : within(estimate, { lower: beats.lowerMs, upper: beats.upperMs }, 'heartbeat');
  // Last, since sets are proof: a heartbeat that is filtered out of replication stands still.
  return within(beaten, boundsOf(seen, evidence), 'gtid');
}

function estimateOf(seen: Standing, evidence: LagEvidence): Estimate | null {
  const { channels, clockSkewMs } = evidence;
  const { held, missing } = seen;
  if (held === null) {
    // With no sample to bound it the estimate stands alone: the worst of all figures counts.
    const told = lagByServer(channels, clockSkewMs);
    const beat = byBeat(evidence);
    // Whole seconds that do not count what was not received: a heartbeat knows better.
    const isBeaten = beat !== null && (told === null || told.method === 'seconds-behind');
    return worse(isBeaten ? beat : told, between(seen, evidence));
  }
  const inWork = ageInWork(channels);
  if (inWork !== null) {
    return { lagMs: inWork + clockSkewMs, method: 'commit-timestamps' };
  }
  if (missing !== null) return between(seen, evidence);
  const queuedMs = worst(channels.map(({ commitLagMs }) => commitLagMs));
  if (queuedMs !== null) {
    const lagMs = queuedMs === 0 ? 0 : queuedMs + clockSkewMs;
    return { lagMs, method: 'commit-timestamps' };
  }
  const { lower, upper } = boundsOf(seen, evidence);
  return { lagMs: isFresh(held, evidence) ? lower : upper, method: 'gtid' };
}

/** The greatest age of a transaction in work; null for none, or where that is not told. */
function ageInWork(channels: readonly ReplicaChannel[]): number | null {
  const ages = channels.flatMap(({ isApplying, commitLagMs }) =>
    isApplying !== false && commitLagMs !== null && commitLagMs !== 0 ? [commitLagMs] : [],
  );
  return ages.length === 0 ? null : Math.max(...ages);
}

/**
 * The age of the oldest missing transaction, of which only its place among others is known. It was
 * committed after the newest applied one, and after the newest sample that the replica holds; not
 * after the oldest sample that it lacks. Those between are taken to be spread evenly.
 */
function between({ held, missing }: Standing, evidence: LagEvidence): Estimate | null {
  if (missing === null) return null;
  const { answeredAtMs, applied, channels, clockSkewMs } = evidence;
  const ageMs = worst(channels.map(({ appliedAgeMs }) => appliedAgeMs));
  const appliedMs = ageMs === null ? null : answeredAtMs - ageMs - clockSkewMs;
  const endMs = missing.newestCommitMs ?? missing.firstSeenMs;
  const lacking = Math.max(1, countBeyond(missing.position, applied) ?? 1);
  const isByCommit = appliedMs !== null && (held === null || appliedMs > held.lastStartMs);
  const beginMs = isByCommit ? appliedMs : (held?.lastStartMs ?? null);
  const method = isByCommit || missing.newestCommitMs !== null ? 'commit-timestamps' : 'gtid';
  // Nothing is known of when it began to lack them: the server's own figures have to do.
  if (beginMs === null) return null;
  if (beginMs >= endMs) return { lagMs: answeredAtMs - endMs, method };
  const applying = isByCommit ? 0 : (countBeyond(applied, held?.position ?? null) ?? 0);
  // The last of them is at the end where its time is known, else somewhere before it.
  const parts = applying + lacking + (missing.newestCommitMs === null ? 1 : 0);
  const commitMs = beginMs + ((endMs - beginMs) * (applying + 1)) / parts;
  return { lagMs: answeredAtMs - commitMs, method };
}

/** What the replica itself says, with nothing to check it by. */
function lagByServer(channels: readonly ReplicaChannel[], clockSkewMs: number): Estimate | null {
  const commitLagMs = worst(channels.map((channel) => channel.commitLagMs));
  const seconds = worst(channels.map((channel) => channel.secondsBehind));
  if (commitLagMs === null) {
    return seconds === null ? null : { lagMs: seconds * 1000, method: 'seconds-behind' };
  }
  const ageMs = commitLagMs === 0 ? 0 : commitLagMs + clockSkewMs;
  const byCommit: Estimate = { lagMs: ageMs, method: 'commit-timestamps' };
  // The age of the newest received one is not that of the oldest.
  const bySecond = (seconds ?? 0) * 1000;
  return bySecond > ageMs ? { lagMs: bySecond, method: 'seconds-behind' } : byCommit;
}

function byBeat({ beats }: LagEvidence): Estimate | null {
  if (beats === null || beats.upperMs === Number.POSITIVE_INFINITY) return null;
  const lagMs = beats.lowerMs === 0 ? 0 : (beats.lowerMs + beats.upperMs) / 2;
  return { lagMs, method: 'heartbeat' };
}

function worse(left: Estimate | null, right: Estimate | null): Estimate | null {
  if (left === null || right === null) return left ?? right;
  return right.lagMs > left.lagMs ? right : left;
}

/**
 * What the primary was seen to have only after the replica had answered says nothing of the
 * replica's lag when it answered.
 */
function seenBy(standing: Standing, atMs: number): Standing {
  const { held, missing } = standing;
  return missing !== null && missing.firstSeenMs > atMs ? { held, missing: null } : standing;
}

function boundsOf({ held, missing }: Standing, evidence: LagEvidence): Bounds {
  const { startedAtMs, finishedAtMs, primaryGoneAtMs } = evidence;
  if (missing !== null) {
    return {
      lower: Math.max(0, startedAtMs - missing.firstSeenMs),
      upper: held === null ? Number.POSITIVE_INFINITY : finishedAtMs - held.lastStartMs,
    };
  }
  if (held === null) return { lower: 0, upper: Number.POSITIVE_INFINITY };
  if (primaryGoneAtMs === null) {
    return { lower: 0, upper: Math.max(0, finishedAtMs - held.lastStartMs) };
  }
  // A dead primary commits nothing more: what may be missing is from its last moments, and that
  // figure no longer grows. It is a bound, and with nothing to refute it also the estimate.
  const lastMomentsMs = Math.max(0, primaryGoneAtMs - held.lastStartMs);
  return { lower: lastMomentsMs, upper: lastMomentsMs };
}

function isFresh(sample: PrimarySample, { primaryGoneAtMs, ...evidence }: LagEvidence): boolean {
  return (
    primaryGoneAtMs !== null || evidence.finishedAtMs - sample.lastStartMs <= evidence.sampleFreshMs
  );
}

/** The estimate, moved to a bound where it is outside: then the bound's witness is the method. */
function within(estimate: Estimate, { lower, upper }: Bounds, method: LagMethod): Estimate {
  if (estimate.lagMs < lower) return { lagMs: lower, method };
  return estimate.lagMs > upper ? { lagMs: upper, method } : estimate;
}

/** The greatest figure; null as soon as one is missing, since that one may be worse. */
function worst(figures: readonly (number | null)[]): number | null {
  let result: number | null = null;
  for (const figure of figures) {
    if (figure === null) return null;
    result = result === null ? figure : Math.max(result, figure);
  }
  return result;
}
