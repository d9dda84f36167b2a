/** Stands for a write of unknown GTID: whoever reads it begins anew with the primary's position. */
export const RESTART = '?';

/** One GTID with its tag is shorter; what is longer is a set that readers get from the primary. */
const MAX_TEXT_CHARS = 128;
const GTIDS_PER_ENTRY = 64;
/** Lua passes the entries on as arguments; a batch beyond this is one `RESTART`. */
const MAX_ENTRIES_PER_BATCH = 64;

/** Writes that are published together; all of them wait for one promise. */
interface Batch {
  readonly texts: Set<string>;
  readonly sinceMs: number;
  readonly done: PromiseWithResolvers<void>;
}

/**
 * Writes that wait to be acknowledged: those of the batch that is being published, and those that
 * came since. Each client waits for one write, so there are never more than clients.
 */
export class Outbox {
  #flying: Batch | null = null;
  #open: Batch | null = null;
  #isSent = false;

  get isEmpty(): boolean {
    return this.#flying === null && this.#open === null;
  }

  /** Since when the oldest waits, or null. */
  get oldestSinceMs(): number | null {
    return this.#flying?.sinceMs ?? this.#open?.sinceMs ?? null;
  }

  /** Resolves when the write may be acknowledged. */
  add(gtid: string | null, nowMs: number): Promise<void> {
    this.#open ??= { texts: new Set(), sinceMs: nowMs, done: Promise.withResolvers<void>() };
    this.#open.texts.add(gtid === null || gtid.length > MAX_TEXT_CHARS ? RESTART : gtid);
    return this.#open.done.promise;
  }

  /** What to publish now; null while something is under way or nothing waits. */
  take(): readonly string[] | null {
    if (this.#isSent) return null;
    if (this.#flying === null) {
      this.#flying = this.#open;
      this.#open = null;
    }
    if (this.#flying === null) return null;
    this.#isSent = true;
    return entriesOf([...this.#flying.texts]);
  }

  /** What was taken is published. */
  published(): void {
    this.#isSent = false;
    this.#flying?.done.resolve();
    this.#flying = null;
  }

  /** What was taken may not have been published; it is taken again. */
  failed(): void {
    this.#isSent = false;
  }

  /** All that wait may be acknowledged. */
  release(): void {
    this.#flying?.done.resolve();
    this.#open?.done.resolve();
    this.#flying = null;
    this.#open = null;
  }

  /** Resolves when all that wait now are acknowledged. */
  async drained(): Promise<void> {
    await Promise.all([this.#flying?.done.promise, this.#open?.done.promise]);
  }
}

function entriesOf(texts: readonly string[]): readonly string[] {
  const gtids = texts.filter((text) => text !== RESTART);
  const entries: string[] = [];
  for (let at = 0; at < gtids.length; at += GTIDS_PER_ENTRY) {
    entries.push(gtids.slice(at, at + GTIDS_PER_ENTRY).join(','));
  }
  if (entries.length > MAX_ENTRIES_PER_BATCH) return [RESTART];
  return gtids.length < texts.length ? [...entries, RESTART] : entries;
}
