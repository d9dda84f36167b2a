/** Two clocks of this machine: a suspended one may miss time on the first, a corrected one on the second. */
export interface Moment {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

/** More than are sent within a lease at the rate of ticks. */
const MAX_ISSUED = 16;

/**
 * The challenges that this proxy has sent, with when it began to send them. An answer to one is the
 * other's word: "until this challenge is a lease old, I acknowledge nothing that is not published".
 * Counting from the challenge, not from the answer, makes a late answer worth less, never more, and
 * needs no clock but this one.
 */
export class Challenges {
  readonly #prefix: string;
  readonly #leaseMs: number;
  readonly #issued = new Map<string, Moment>();
  #serial = 0;

  /** @param prefix which no other process uses */
  constructor(prefix: string, leaseMs: number) {
    this.#prefix = prefix;
    this.#leaseMs = leaseMs;
  }

  /** A new challenge. `now` must be before it is sent. */
  issue(now: Moment): string {
    this.#serial += 1;
    const challenge = `${this.#prefix}.${this.#serial}`;
    this.#issued.set(challenge, now);
    for (const oldest of this.#issued.keys()) {
      if (this.#issued.size <= MAX_ISSUED) break;
      this.#issued.delete(oldest);
    }
    return challenge;
  }

  /** Whether the word that was given with this answer holds at `at`. */
  holds(answer: string, at: Moment): boolean {
    const issued = this.#issued.get(answer);
    return (
      issued !== undefined &&
      at.monotonicMs - issued.monotonicMs < this.#leaseMs &&
      at.wallMs - issued.wallMs < this.#leaseMs
    );
  }
}
