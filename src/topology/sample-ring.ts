import { type Position, positionContains } from '../gtid/position.ts';

/** What the primary had executed, as seen by one or more probes in a row with the same answer. */
export interface PrimarySample {
  readonly position: Position;
  /** End of the first probe that saw it: what is new in it was committed before this moment. */
  readonly firstSeenMs: number;
  /** Start of the last probe that saw it: everything acknowledged before this moment is in it. */
  readonly lastStartMs: number;
}

/** The primary's samples of one epoch, oldest first. Immutable and bounded. */
export type SampleRing = readonly PrimarySample[];

/**
 * The most samples held. Past that every other one of the older half is dropped, so that the ring
 * reaches back exponentially far: recent lag is measured exactly, old lag coarsely.
 */
const MAX_SAMPLES = 128;

/** The ring with one more probe of the primary. */
export function addSample(
  ring: SampleRing,
  position: Position,
  startedAtMs: number,
  finishedAtMs: number,
): SampleRing {
  const newest = ring.at(-1);
  if (newest !== undefined && newest.position.text === position.text) {
    return [...ring.slice(0, -1), { ...newest, lastStartMs: startedAtMs }];
  }
  const sample = { position, firstSeenMs: finishedAtMs, lastStartMs: startedAtMs };
  if (ring.length < MAX_SAMPLES) return [...ring, sample];
  const half = MAX_SAMPLES / 2;
  return [...ring.filter((_, index) => index >= half || index % 2 === 0), sample];
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
 * a prefix, and the border is found from the newest end, where a healthy replica stands.
 */
export function standingOf(ring: SampleRing, position: Position | null): Standing {
  if (position === null) return { held: null, missing: ring[0] ?? null };
  let missing: PrimarySample | null = null;
  for (let at = ring.length - 1; at >= 0; at -= 1) {
    const sample = ring[at];
    if (sample === undefined) break;
    if (positionContains(position, sample.position)) return { held: sample, missing };
    missing = sample;
  }
  return { held: null, missing };
}
