/** Events kept; the oldest go first. */
const MAX_EVENTS = 5000;
/** How long before the operation at fault its causes may lie, and how long after it they show. */
const BEFORE_MS = 1500;
const AFTER_MS = 300;

interface Event {
  readonly atMs: number;
  readonly text: string;
}

/** What was done to the servers and what the proxies made of it, by the clock of the history. */
export class Timeline {
  #events: Event[] = [];

  note(text: string): void {
    this.#events.push({ atMs: performance.now(), text });
    if (this.#events.length > 2 * MAX_EVENTS) this.#events = this.#events.slice(-MAX_EVENTS);
  }

  /** What happened around a moment, a line each. */
  around(ms: number): string[] {
    return this.#events
      .filter(({ atMs }) => atMs > ms - BEFORE_MS && atMs < ms + AFTER_MS)
      .map(({ atMs, text }) => `${atMs.toFixed(3)} ms ${text}`);
  }
}
