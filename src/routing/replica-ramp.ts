/** What a replica that comes back begins with: enough to warm its caches, too little to hurt. */
const FIRST_SHARE = 0.1;

/**
 * The part of its weight that a replica has, (0, 1], growing evenly.
 * @param forMs how long it has been able to take reads
 * @param rampMs how long the way to all of it takes
 */
export function rampAfter(forMs: number, rampMs: number): number {
  if (forMs >= rampMs) return 1;
  return FIRST_SHARE + (1 - FIRST_SHARE) * (Math.max(forMs, 0) / rampMs);
}
