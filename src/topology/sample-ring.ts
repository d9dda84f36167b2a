import { type Position, positionContains } from '../gtid/position.ts';

/** What the primary had executed, as seen by one or more probes in a row with the same answer. */
export interface PrimarySample {
  readonly position: Position;
  /** End of the first probe that saw it: what is new in it was committed before this moment. */
  readonly firstSeenMs: number;
  /** Start of the last probe that saw it: everything acknowledged before this moment is in it. */
  readonly lastStartMs: number;
  /** When the newest transaction of it was committed, where the primary tells; else null. */
  readonly newestCommitMs: number | null;
}

/** The primary's samples of one epoch, oldest first. Immutable and bounded. */
export type SampleRing = readonly PrimarySample[];

/**
 * The most samples held. Past that every other one of the older half is dropped, so that the ring
 * reaches back exponentially far: recent lag is measured exactly, old lag coarsely. At the fast pace
 * of 25 ms the newer half reaches back 6 s.
 */
const MAX_SAMPLES = 512;

/** A list that has room for one more, thinned out where it was full. */
export function thinned<T>(list: readonly T[]): readonly T[] {
  const half = MAX_SAMPLES / 2;
  return list.length < MAX_SAMPLES
    ? list
    : list.filter((_, index) => index >= half || index % 2 === 0);
}

/** The ring with one more probe of the primary. Times as in {@link PrimarySample}. */
export function addSample(
  ring: SampleRing,
  position: Position,
  asked: {
    readonly startedAtMs: number;
    readonly finishedAtMs: number;
    readonly newestCommitMs?: number | null;
  },
): SampleRing {
  const { startedAtMs, finishedAtMs, newestCommitMs = null } = asked;
  const newest = ring.at(-1);
  if (newest !== undefined && newest.position.text === position.text) {
    return [...ring.slice(0, -1), { ...newest, lastStartMs: startedAtMs }];
  }
  const sample = {
    position,
    firstSeenMs: finishedAtMs,
    lastStartMs: startedAtMs,
    newestCommitMs: newestCommitMs === null ? null : Math.min(newestCommitMs, finishedAtMs),
  };
  return [...thinned(ring), sample];
}

/** Where a server stands against the primary's samples. */
export interface Standing {
  /** The newest sample that it holds completely. */
  readonly held: PrimarySample | null;
  /** The oldest sample that it does not hold completely. */
  readonly missing: PrimarySample | null;
}

/**
 * Compares a server's position with the ring. Samples of one epoch only grow, so the held ones are
 * a prefix whose end is looked for by halves, after the newest one, which a healthy replica holds.
 */
export function standingOf(ring: SampleRing, position: Position | null): Standing {
  if (position === null) return { held: null, missing: ring[0] ?? null };
  const newest = ring.at(-1);
  if (newest === undefined) return { held: null, missing: null };
  if (positionContains(position, newest.position)) return { held: newest, missing: null };
  let heldCount = 0;
  let missingAt = ring.length - 1;
  while (heldCount < missingAt) {
    const middle = (heldCount + missingAt) >>> 1;
    const sample = ring[middle];
    if (sample !== undefined && positionContains(position, sample.position)) heldCount = middle + 1;
    else missingAt = middle;
  }
  return { held: ring[heldCount - 1] ?? null, missing: ring[missingAt] ?? null };
}
