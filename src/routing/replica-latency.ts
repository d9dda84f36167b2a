/**
 * Times in buckets, two for each doubling: the median, within a half of the true one, for one
 * addition a read. A mean would be that of the longest report, not of the server.
 */

/** How many buckets there are: from 1/16 ms (a local round trip) by half powers to 3 s. */
export const LATENCY_BUCKETS = 32;
const FIRST_MS = 1 / 16;
const MAX_SQUARE = 2 ** 31;

/** The bucket of a time. @param ms negative (a clock that stepped) and NaN count as 0 */
export function latencyBucket(ms: number): number {
  const scaled = ms / FIRST_MS;
  if (!(scaled > 1)) return 0;
  // Half powers of a number are whole powers of its square: no logarithm.
  return 32 - Math.clz32(Math.ceil(Math.min(scaled * scaled, MAX_SQUARE)) - 1);
}

/** The median of counted times, ms (the upper bound of its bucket); 0 where nothing was counted. */
export function medianMs(counts: Readonly<ArrayLike<number>>): number {
  let total = 0;
  for (let at = 0; at < counts.length; at += 1) total += counts[at] ?? 0;
  if (total === 0) return 0;
  let at = 0;
  for (let seen = counts[0] ?? 0; seen * 2 < total; seen += counts[at] ?? 0) at += 1;
  return FIRST_MS * 2 ** (at / 2);
}
