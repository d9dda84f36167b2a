import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 20;
const DEADLINE_MS = 10_000;

/**
 * Waits until `look` gives something other than false, null or undefined, and returns it.
 * @param what the condition in words, for the error at the deadline
 */
export async function until<T>(
  what: string,
  look: () => Promise<T> | T,
  deadlineMs = DEADLINE_MS,
): Promise<Exclude<T, false | null | undefined>> {
  const deadline = performance.now() + deadlineMs;
  for (;;) {
    const seen = await look();
    if (isThere(seen)) return seen;
    if (performance.now() > deadline) throw new Error(`Not within ${deadlineMs} ms: ${what}`);
    await sleep(POLL_MS);
  }
}

function isThere<T>(seen: T): seen is Exclude<T, false | null | undefined> {
  return seen !== false && seen !== null && seen !== undefined;
}

/** Settles as `work` does, or fails at the deadline: a test that hangs should say where. */
export async function within<T>(what: string, deadlineMs: number, work: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    reject(new Error(`Not within ${deadlineMs} ms: ${what}`));
  }, deadlineMs);
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}
