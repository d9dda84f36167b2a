import type { ReplicaChannel } from './observation.ts';
import type { PrimarySample, Standing } from './sample-ring.ts';
import type { Lag } from './snapshot.ts';

/** When a replica was observed and how its lag is to be read. Times in monotonic ms. */
export interface LagContext {
  readonly startedAtMs: number;
  readonly finishedAtMs: number;
  /** When the primary was lost; null while there is one. */
  readonly primaryGoneAtMs: number | null;
  /** A primary sample older than this proves no zero lag. */
  readonly sampleFreshMs: number;
}

interface Bounds {
  readonly lower: number;
  readonly upper: number;
}

/**
 * The lag of a replica: the age of the oldest transaction that the primary has and it has not.
 * Two witnesses bound each other: GTID sets of the primary sampled before (no clock but the
 * proxy's, exact to a probe interval) and commit timestamps (exact, but clocks of two machines and
 * blind to what the replica has not received). The worst channel counts.
 */
export function measureLag(
  channels: readonly ReplicaChannel[],
  standing: Standing,
  context: LagContext,
): Lag {
  const stopped = whyUnmeasurable(channels, context.primaryGoneAtMs !== null);
  if (stopped !== null) return { t: 'unknown', why: stopped };
  const seen = seenBy(standing, context.finishedAtMs);
  const bounds = boundsOf(seen, context);
  const commitLagMs = worst(channels.map((channel) => channel.commitLagMs));
  if (commitLagMs !== null) {
    // With no sample to bound it the estimate stands alone: the worse of the two figures counts.
    const secondsMs = seen.held === null ? (secondsBehindMs(channels) ?? 0) : 0;
    return clamped(Math.max(commitLagMs, secondsMs), bounds);
  }
  if (seen.held !== null) {
    const caughtUp = seen.missing === null && isFresh(seen.held, context);
    return known(caughtUp ? bounds.lower : bounds.upper, 'gtid');
  }
  const secondsMs = secondsBehindMs(channels);
  if (secondsMs === null) {
    return { t: 'unknown', why: 'The server gives no figure from which lag can be told' };
  }
  return known(Math.max(secondsMs, bounds.lower), 'seconds-behind');
}

function whyUnmeasurable(channels: readonly ReplicaChannel[], primaryGone: boolean): string | null {
  if (channels.length === 0) return 'It has no replication channel';
  for (const channel of channels) {
    if (!channel.applier) return 'Its applier is stopped';
    if (channel.receiver === 'off') return 'Its receiver is stopped';
    if (channel.receiver === 'connecting' && !primaryGone) return 'Its receiver is not connected';
  }
  return null;
}

/**
 * What the primary was seen to have only after the replica had answered says nothing of the
 * replica's lag when it answered.
 */
function seenBy(standing: Standing, atMs: number): Standing {
  const { held, missing } = standing;
  return missing !== null && missing.firstSeenMs > atMs ? { held, missing: null } : standing;
}

function boundsOf(standing: Standing, context: LagContext): Bounds {
  const { held, missing } = standing;
  if (missing !== null) {
    return {
      lower: Math.max(0, context.startedAtMs - missing.firstSeenMs),
      upper: held === null ? Number.POSITIVE_INFINITY : context.finishedAtMs - held.lastStartMs,
    };
  }
  if (held === null) return { lower: 0, upper: Number.POSITIVE_INFINITY };
  if (context.primaryGoneAtMs === null) {
    return { lower: 0, upper: Math.max(0, context.finishedAtMs - held.lastStartMs) };
  }
  // A dead primary commits nothing more: what may be missing is from its last moments, and that
  // figure no longer grows. It is a bound, and with nothing to refute it also the estimate.
  const lastMomentsMs = Math.max(0, context.primaryGoneAtMs - held.lastStartMs);
  return { lower: lastMomentsMs, upper: lastMomentsMs };
}

function isFresh(sample: PrimarySample, context: LagContext): boolean {
  return (
    context.primaryGoneAtMs !== null ||
    context.finishedAtMs - sample.lastStartMs <= context.sampleFreshMs
  );
}

function clamped(estimateMs: number, bounds: Bounds): Lag {
  if (estimateMs < bounds.lower) return known(bounds.lower, 'gtid');
  if (estimateMs > bounds.upper) return known(bounds.upper, 'gtid');
  return known(estimateMs, 'commit-timestamps');
}

function known(lagMs: number, method: 'gtid' | 'commit-timestamps' | 'seconds-behind'): Lag {
  return { t: 'known', lagMs: Math.round(lagMs), method };
}

function secondsBehindMs(channels: readonly ReplicaChannel[]): number | null {
  const seconds = worst(channels.map((channel) => channel.secondsBehind));
  return seconds === null ? null : seconds * 1000;
}

/** The greatest figure; null as soon as one is missing, since that one may be worse. */
function worst(figures: readonly (number | null)[]): number | null {
  let result = 0;
  for (const figure of figures) {
    if (figure === null) return null;
    result = Math.max(result, figure);
  }
  return result;
}
