/**
 * One question for all who want an answer that is newer than their own arrival: who comes while a
 * question is open shares the next one, never the open one, which may have been answered already.
 * At most one is open at a time. Its deadline is the question's own.
 */
export class FreshAnswer<Answer> {
  readonly #ask: () => Promise<Answer>;
  #open: Promise<Answer> | null = null;
  #next: Promise<Answer> | null = null;

  constructor(ask: () => Promise<Answer>) {
    this.#ask = ask;
  }

  /** Settles as the question does that is asked after this call. */
  get(): Promise<Answer> {
    // One that waits has not been asked yet, even if the open one has just settled.
    if (this.#next !== null) return this.#next;
    if (this.#open === null) return this.#start();
    this.#next = this.#afterOpen(this.#open);
    return this.#next;
  }

  #start(): Promise<Answer> {
    this.#open = this.#run();
    return this.#open;
  }

  async #run(): Promise<Answer> {
    try {
      return await this.#ask();
    } finally {
      this.#open = null;
    }
  }

  async #afterOpen(open: Promise<Answer>): Promise<Answer> {
    // How the open one ended is its askers' business.
    await Promise.allSettled([open]);
    this.#next = null;
    return this.#start();
  }
}
