/**
 * A word holds for so much longer with the one who gave it than with those who rely on it. The
 * clocks of two machines differ by 0.05 % at most while they run; this is far more.
 */
const HOLD_FACTOR = 1.1;

/**
 * Writes that have to wait for the end of a word wait 1.6 leases. A shared place that fails every few
 * seconds must not make them do so each time: on the long run it is once in so many leases.
 */
const LEASES_PER_RELEASE = 10;
/** What has happened seldom is forgiven: a place that fails once or twice is used again at once. */
const FORGIVEN_LEASES = 2 * LEASES_PER_RELEASE;

/**
 * Whether this proxy is in the group, and until when it has given its word to acknowledge nothing
 * unpublished. Each time that it may have acknowledged something unpublished, its membership is over;
 * the next one has another id, by which the others know. Pure; times are monotonic ms.
 */
export class Membership {
  readonly #instance: string;
  readonly #leaseMs: number;
  readonly #holdMs: number;
  #join: string | null = null;
  #entering: string | null = null;
  #promisedUntilMs: number;
  #serial = 0;
  #mayEnterAtMs = Number.NEGATIVE_INFINITY;
  /** When all is forgiven: each release moves it on, and time comes nearer to it. */
  #forgivenAtMs = Number.NEGATIVE_INFINITY;

  constructor(instance: string, leaseMs: number, nowMs: number) {
    this.#instance = instance;
    this.#leaseMs = leaseMs;
    this.#holdMs = leaseMs * HOLD_FACTOR;
    // A process of this name that has just died may have given its word.
    this.#promisedUntilMs = nowMs + this.#holdMs;
  }

  /** The id of the membership; null while there is none. */
  get join(): string | null {
    return this.#join;
  }

  /** Before this nothing unpublished may be acknowledged. */
  get promisedUntilMs(): number {
    return this.#promisedUntilMs;
  }

  /** This proxy is about to give its word, with something that is sent after `nowMs`. */
  promise(nowMs: number): void {
    this.#promisedUntilMs = Math.max(this.#promisedUntilMs, nowMs + this.#holdMs);
  }

  /** Whether writes had to wait so recently that it is too early for another membership. */
  isCoolingDown(nowMs: number): boolean {
    return nowMs < this.#mayEnterAtMs;
  }

  /**
   * Begins to enter. From here on nothing unpublished is acknowledged: others begin with what the
   * primary has once they see the id, which may be before this proxy learns that they do.
   * @param terms what members have to agree on
   */
  enter(terms: string, nowMs: number): string {
    this.#serial += 1;
    this.promise(nowMs);
    this.#entering = `${this.#instance}.${this.#serial}|${terms}`;
    return this.#entering;
  }

  /** The place knows of it. @returns whether that is still wanted */
  entered(id: string): boolean {
    if (this.#entering !== id) return false;
    this.#join = id;
    this.#entering = null;
    return true;
  }

  /** The membership is over; the word that was given is kept all the same. */
  leave(): void {
    this.#join = null;
    this.#entering = null;
  }

  /**
   * Writes had to wait for the end of the word. The next membership begins a lease later, and where
   * that has happened often, as much later as keeps it rare: ten leases at most.
   */
  coolDown(nowMs: number): void {
    const lease = this.#leaseMs;
    this.#forgivenAtMs = Math.max(this.#forgivenAtMs, nowMs) + LEASES_PER_RELEASE * lease;
    this.#mayEnterAtMs = Math.max(nowMs + lease, this.#forgivenAtMs - FORGIVEN_LEASES * lease);
  }
}

/** What others have to agree on, out of the id of their membership. */
export function termsOf(join: string): string {
  return join.slice(join.indexOf('|') + 1);
}
