import { thinned } from './sample-ring.ts';

/** One heartbeat that the proxy wrote to the primary. Times in monotonic ms, of the proxy's clock. */
export interface Beat {
  /** Grows by one with each. */
  readonly beat: number;
  /** It was committed after this moment, */
  readonly sentAtMs: number;
  /** and before this one. */
  readonly ackedAtMs: number;
}

/** The heartbeats of one primary, oldest first. Immutable and bounded. */
export type Beats = readonly Beat[];

/** The beats with one more; one that is not newer than all of them is left out. */
export function addBeat(beats: Beats, beat: Beat): Beats {
  const newest = beats.at(-1);
  return newest !== undefined && newest.beat >= beat.beat ? beats : [...thinned(beats), beat];
}

/** Between which ages a replica's lag is by its heartbeats, ms. */
export interface BeatBounds {
  readonly lowerMs: number;
  readonly upperMs: number;
}

/**
 * What the newest heartbeat that a server shows says of its lag, when it was asked between these
 * moments; null while none was written.
 */
export function boundsByBeat(
  beats: Beats,
  shown: number | null,
  asked: { readonly startedAtMs: number; readonly finishedAtMs: number },
): BeatBounds | null {
  if (beats.length === 0) return null;
  const held = shown === null ? undefined : beats.findLast(({ beat }) => beat <= shown);
  const missing = beats.find(({ beat }) => shown === null || beat > shown);
  const isMissed = missing !== undefined && missing.ackedAtMs <= asked.startedAtMs;
  return {
    lowerMs: isMissed ? asked.startedAtMs - missing.ackedAtMs : 0,
    upperMs: held === undefined ? Number.POSITIVE_INFINITY : asked.finishedAtMs - held.sentAtMs,
  };
}
