import { LagwiseError, messageOf } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';
import type { RoutineFacts } from '../sql/routine-facts.ts';
import type { ServerView, Snapshot } from '../topology/snapshot.ts';
import { RoutineCatalogue } from './routine-catalogue.ts';
import { judgeRoutines } from './routine-judge.ts';
import type { RoutineSource } from './routine-source.ts';

/** When the catalogue is read, ms; the defaults are for production. */
export interface RoutineTiming {
  /** From one reading to the next where nothing else asks for one. */
  readonly intervalMs: number;
  /** Of quiet after a DDL statement: a migration is followed by one reading. */
  readonly debounceMs: number;
  /** The least time between two readings, and the longest that DDL without end delays one. */
  readonly gapMs: number;
  /** The least time from a reading to the one that an unknown routine asks for. */
  readonly unknownGapMs: number;
  /** A reading that takes longer has failed. */
  readonly timeoutMs: number;
}

const DEFAULT_TIMING: RoutineTiming = {
  // What changes behind the proxy's back is found by then; until then a replica refuses the write.
  intervalMs: 300_000,
  debounceMs: 100,
  gapMs: 1000,
  unknownGapMs: 10_000,
  timeoutMs: 10_000,
};
/** After failures in a row the next reading waits twice as long each time, to this many gaps. */
const MAX_BACKOFF_GAPS = 32;
/** A catalogue that could not be read again for this many intervals is not trusted any more. */
const STALE_INTERVALS = 3;

export interface RoutineWatchOptions {
  readonly source: RoutineSource;
  /** The cluster as it is known now. */
  readonly snapshot: () => Snapshot;
  readonly logger: Logger;
  readonly timing?: Partial<RoutineTiming>;
  readonly nowMs?: () => number;
}

/** How the catalogue is, for people. */
export interface RoutineStatus {
  /** False while a routine may have changed since the last reading: then none is known. */
  readonly isCurrent: boolean;
  /** When the last reading that succeeded ended, on the monotonic clock, ms; null before the first. */
  readonly readAtMs: number | null;
  /** Where it was read. */
  readonly server: string | null;
  /** Why the last reading failed; null when it did not. */
  readonly problem: string | null;
  /** What the monitor's account may not see, in words of `GRANT`. */
  readonly missingGrants: readonly string[];
  readonly readings: number;
  readonly failures: number;
}

/**
 * Keeps the catalogue of stored routines: reads it from the primary (or, without one, from a
 * replica) at the start, when another server becomes the primary, every few minutes, and soon after
 * a DDL statement has passed. The data path only ever reads `facts`.
 *
 * From the moment a DDL statement passes until a reading that began after it has succeeded, nothing
 * is known of any routine: what reads only a moment ago may write now.
 */
export class RoutineWatch {
  readonly #options: RoutineWatchOptions;
  readonly #timing: RoutineTiming;
  readonly #nowMs: () => number;
  #catalogue: RoutineCatalogue = RoutineCatalogue.EMPTY;
  #facts: RoutineFacts = RoutineCatalogue.EMPTY;
  /** Grows with each reason to doubt the catalogue. */
  #doubts = 0;
  /** The doubts that the last good reading has answered. */
  #answered = -1;
  #firstDoubtMs: number | null = null;
  #timer: NodeJS.Timeout | null = null;
  #dueMs = Number.POSITIVE_INFINITY;
  #running: { readonly abort: AbortController; readonly done: Promise<void> } | null = null;
  #isStopped = true;
  #endedAtMs = Number.NEGATIVE_INFINITY;
  #failuresInRow = 0;
  #hasReadPrimary = false;
  #primary: { readonly id: string; readonly epoch: number } | null = null;
  #status = {
    readAtMs: null as number | null,
    server: null as string | null,
    problem: null as string | null,
    missingGrants: [] as readonly string[],
    readings: 0,
    failures: 0,
  };

  constructor(options: RoutineWatchOptions) {
    this.#options = options;
    this.#timing = { ...DEFAULT_TIMING, ...options.timing };
    this.#nowMs = options.nowMs ?? (() => performance.now());
  }

  /**
   * What is known now. Ask for it with each statement. Another object than before means that
   * something else may be known: what was classified by the former one (prepared statements) has to
   * be classified anew. A reading that finds nothing new leaves the object as it is.
   */
  get facts(): RoutineFacts {
    return this.#facts;
  }

  /** The catalogue as it was last read, for people. */
  get catalogue(): RoutineCatalogue {
    return this.#catalogue;
  }

  get status(): RoutineStatus {
    return { ...this.#status, isCurrent: this.#answered === this.#doubts };
  }

  /** Begins to read; `topologyChanged` must be called with each new snapshot from now on. */
  start(): void {
    this.#isStopped = false;
    this.topologyChanged(this.#options.snapshot());
    this.#schedule(0);
  }

  /** Ends a reading that is under way; the last catalogue stays. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#running?.abort.abort(new LagwiseError('shutdown', 'The proxy stops'));
    await this.#running?.done;
  }

  /**
   * A statement that may make, change or drop a routine, a view or a schema goes to a server, or
   * has ended there, however it did. Call it at both moments: between them either may be the case.
   */
  noteDdl(): void {
    const nowMs = this.#nowMs();
    this.#doubt(nowMs);
    const firstMs = this.#firstDoubtMs ?? nowMs;
    const latestMs = firstMs + this.#timing.gapMs - nowMs;
    this.#reschedule(Math.max(0, Math.min(this.#timing.debounceMs, latestMs)));
  }

  /**
   * A routine was called that the catalogue does not know: perhaps it was made past this proxy. A
   * reading comes sooner, but calls of what stays unknown do not make one after the other.
   */
  noteUnknown(): void {
    const sinceMs = this.#nowMs() - this.#endedAtMs;
    this.#schedule(Math.max(0, this.#timing.unknownGapMs - sinceMs));
  }

  /** Another primary may know other routines: DDL that it has not got is gone. */
  topologyChanged({ primary, epoch }: Snapshot): void {
    if (primary === null) return;
    const before = this.#primary;
    if (before?.id === primary.id && before.epoch === epoch) return;
    this.#primary = { id: primary.id, epoch };
    if (before !== null) this.#doubt(this.#nowMs());
    // What failed before, failed elsewhere.
    this.#failuresInRow = 0;
    this.#schedule(0);
  }

  #doubt(nowMs: number): void {
    if (this.#answered === this.#doubts) this.#facts = this.#catalogue.withoutRoutines();
    this.#doubts += 1;
    this.#firstDoubtMs ??= nowMs;
  }

  /** Sets the time of the next reading anew. */
  #reschedule(delayMs: number): void {
    this.#dueMs = Number.POSITIVE_INFINITY;
    this.#schedule(delayMs);
  }

  /** A reading after this time at the latest, but for the least gap to the one before. */
  #schedule(delayMs: number): void {
    if (this.#isStopped) return;
    const nowMs = this.#nowMs();
    const backoff = Math.min(2 ** Math.max(0, this.#failuresInRow - 1), MAX_BACKOFF_GAPS);
    const earliestMs = this.#endedAtMs + this.#timing.gapMs * backoff;
    const dueMs = Math.max(nowMs + delayMs, earliestMs);
    if (dueMs >= this.#dueMs) return;
    this.#dueMs = dueMs;
    if (this.#running !== null) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#begin(), dueMs - nowMs);
  }

  #begin(): void {
    this.#timer = null;
    this.#dueMs = Number.POSITIVE_INFINITY;
    const abort = new AbortController();
    this.#running = { abort, done: this.#run(abort) };
  }

  async #run(abort: AbortController): Promise<void> {
    const { timeoutMs } = this.#timing;
    const timer = setTimeout(() => {
      abort.abort(new LagwiseError('backend-timeout', `It took longer than ${timeoutMs} ms`));
    }, timeoutMs);
    try {
      await this.#read(abort.signal);
      this.#failuresInRow = 0;
      this.#status.problem = null;
    } catch (error) {
      if (!this.#isStopped) this.#failed(error);
    } finally {
      clearTimeout(timer);
      this.#endedAtMs = this.#nowMs();
      this.#running = null;
      const isAnswered = this.#answered === this.#doubts;
      this.#dueMs = Number.POSITIVE_INFINITY;
      this.#schedule(isAnswered && this.#failuresInRow === 0 ? this.#timing.intervalMs : 0);
    }
  }

  async #read(signal: AbortSignal): Promise<void> {
    const doubts = this.#doubts;
    const server = this.#server();
    const listing = await this.#options.source.read(server, signal);
    const judged = await judgeRoutines(listing);
    const catalogue = this.#catalogue.isOf(judged) ? this.#catalogue : new RoutineCatalogue(judged);
    signal.throwIfAborted();
    this.#catalogue = catalogue;
    this.#hasReadPrimary ||= server.role === 'primary';
    this.#answered = doubts;
    const isCurrent = doubts === this.#doubts;
    this.#facts = isCurrent ? catalogue : catalogue.withoutRoutines();
    this.#firstDoubtMs = isCurrent ? null : this.#nowMs();
    this.#tellGrants(server, listing.missingGrants);
    this.#status.readAtMs = this.#nowMs();
    this.#status.server = server.id;
    this.#status.readings += 1;
  }

  /** A replica may lack what the primary had: one will do only while nothing is known at all. */
  #server(): ServerView {
    const { primary, servers, noPrimary } = this.#options.snapshot();
    if (primary !== null) return primary;
    const replica = servers.find(
      ({ role, ineligible }) => role === 'replica' && ineligible === null,
    );
    if (replica !== undefined && this.#doubts === 0 && !this.#hasReadPrimary) return replica;
    throw new LagwiseError('no-eligible-server', noPrimary ?? 'There is no server to read it from');
  }

  #failed(error: unknown): void {
    this.#failuresInRow += 1;
    this.#status.failures += 1;
    const problem = messageOf(error);
    const isTold = error instanceof LagwiseError && error.source === 'no-eligible-server';
    // Once for each reason. That there is no primary is told of by whoever looks for one.
    if (!isTold && this.#status.problem !== problem) {
      this.#options.logger.warn(
        { why: problem },
        'The catalogue of stored routines cannot be read: where nothing is known of a function, statements that call it run on the primary',
      );
    }
    this.#status.problem = problem;
    const { readAtMs } = this.#status;
    const staleMs = STALE_INTERVALS * this.#timing.intervalMs;
    if (readAtMs !== null && this.#nowMs() - readAtMs > staleMs) this.#doubt(this.#nowMs());
  }

  #tellGrants({ id: server }: ServerView, missing: readonly string[]): void {
    const isNew = missing.join() !== this.#status.missingGrants.join();
    this.#status.missingGrants = missing;
    if (!isNew || missing.length === 0) return;
    const fields = { server, missing };
    this.#options.logger.warn(
      fields,
      "The monitor's account does not see all routines and views: statements that call them run on the primary until it is granted what is missing",
    );
  }
}
