/**
 * How far a server's clock is ahead of the proxy's monotonic clock. Two servers' offsets make their
 * times comparable, whatever time zone or year each believes in.
 */
export interface ClockOffset {
  readonly offsetMs: number;
  /** The truth is within this of it, as of `atMs`. */
  readonly uncertaintyMs: number;
  readonly atMs: number;
}

/**
 * What clocks drift apart at most, as a share: a common quartz is good to 50 millionths, one that
 * time synchronisation slews to 500.
 */
const DRIFT = 0.0005;

/**
 * The estimate after one more answer. The server's clock was read somewhere between the start and
 * the end of the probe: half of that is the error, so a quick answer is worth more than a slow one,
 * and is kept until drift has made it worse than a new one (as NTP's clock filter does).
 */
export function nextClockOffset(
  before: ClockOffset | null,
  answer: { readonly startedAtMs: number; readonly finishedAtMs: number; readonly clockMs: number },
): ClockOffset {
  const { startedAtMs, finishedAtMs, clockMs } = answer;
  const middleMs = (startedAtMs + finishedAtMs) / 2;
  const fresh: ClockOffset = {
    offsetMs: clockMs - middleMs,
    uncertaintyMs: (finishedAtMs - startedAtMs) / 2,
    atMs: finishedAtMs,
  };
  if (before === null) return fresh;
  const aged = before.uncertaintyMs + Math.abs(fresh.atMs - before.atMs) * DRIFT;
  // They contradict each other: the clock was set.
  const wasSet = Math.abs(fresh.offsetMs - before.offsetMs) > aged + fresh.uncertaintyMs;
  return wasSet || fresh.uncertaintyMs <= aged ? fresh : before;
}
