/** What a client knows of a row that it tried to write. */
export type Outcome =
  /** The server said that it is committed. */
  | 'acknowledged'
  /** The connection was lost while nobody can tell whether it ran: it may be there or not. */
  | 'unknown'
  /** The client was told that it has not run. */
  | 'refused';

/** The clients' word against what the new primary holds. */
export interface Balance {
  readonly rowsAcknowledged: number;
  readonly rowsFound: number;
  /** Acknowledged, and not there. */
  readonly lostWrites: number;
  readonly rowsOfUnknownOutcome: number;
  readonly rowsOfUnknownOutcomeFound: number;
  /** There, though the client was told that it did not run (or never wrote it). */
  readonly rowsNobodyWrote: number;
}

/** How long nothing could be written. Null where no write was acknowledged in time to tell. */
export interface WriteGaps {
  /** The longest time between two acknowledged writes that ended after the kill. */
  readonly timeWithoutWritesMs: number | null;
  /** From the moment the new primary took writes to the first acknowledged one. */
  readonly afterPromotionMs: number | null;
}

/**
 * Keeps for each row what its client knows of it, and when writes were acknowledged. Moments are
 * milliseconds of one monotonic clock.
 */
export class Ledger {
  readonly #outcomes: Record<Outcome, Set<number>> = {
    acknowledged: new Set(),
    unknown: new Set(),
    refused: new Set(),
  };
  #lastAckMs: number | null = null;
  #killedAtMs: number | null = null;
  #promotedAtMs: number | null = null;
  #longestGapMs: number | null = null;
  #firstAfterPromotionMs: number | null = null;
  /** Between the kill and the news of the promotion, which comes later than the promotion itself. */
  #acksSinceKillMs: number[] = [];

  /** Notes how the write of a row ended; an acknowledgement also says that writes are possible. */
  note(id: number, outcome: Outcome, nowMs: number): void {
    this.#outcomes[outcome].add(id);
    if (outcome === 'acknowledged') this.#acknowledgedAt(nowMs);
  }

  count(outcome: Outcome): number {
    return this.#outcomes[outcome].size;
  }

  /** The primary is about to be killed: gaps count from here on. */
  killed(nowMs: number): void {
    this.#killedAtMs = nowMs;
  }

  /** The first moment at which the new primary can have taken a write. */
  promoted(atMs: number): void {
    this.#promotedAtMs = atMs;
    this.#firstAfterPromotionMs = this.#acksSinceKillMs.find((ackMs) => ackMs >= atMs) ?? null;
    this.#acksSinceKillMs = [];
  }

  /** @returns whether a write was acknowledged after the promotion */
  get writesAgain(): boolean {
    return this.#firstAfterPromotionMs !== null;
  }

  gaps(): WriteGaps {
    const first = this.#firstAfterPromotionMs;
    const afterPromotionMs =
      first === null || this.#promotedAtMs === null ? null : first - this.#promotedAtMs;
    return { timeWithoutWritesMs: this.#longestGapMs, afterPromotionMs };
  }

  /** @param found ids of all rows on the new primary */
  compare(found: ReadonlySet<number>): Balance {
    const { acknowledged, unknown } = this.#outcomes;
    const unknownFound = unknown.intersection(found).size;
    const acknowledgedFound = acknowledged.intersection(found).size;
    return {
      rowsAcknowledged: acknowledged.size,
      rowsFound: found.size,
      lostWrites: acknowledged.size - acknowledgedFound,
      rowsOfUnknownOutcome: unknown.size,
      rowsOfUnknownOutcomeFound: unknownFound,
      rowsNobodyWrote: found.size - acknowledgedFound - unknownFound,
    };
  }

  #acknowledgedAt(nowMs: number): void {
    if (this.#lastAckMs !== null && this.#killedAtMs !== null && nowMs >= this.#killedAtMs) {
      this.#longestGapMs = Math.max(this.#longestGapMs ?? 0, nowMs - this.#lastAckMs);
    }
    this.#lastAckMs = nowMs;
    if (this.#promotedAtMs !== null) this.#firstAfterPromotionMs ??= nowMs;
    else if (this.#killedAtMs !== null) this.#acksSinceKillMs.push(nowMs);
  }
}
