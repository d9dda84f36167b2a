/** How fresh a read was asked to be; the words are the proxy's own. Weakest first. */
export const LEVELS = ['eventual', 'session', 'global', 'strong'] as const;
export type Level = (typeof LEVELS)[number];

const KINDS = ['read', 'write'] as const;
/** What an operation did. An increment is a write too. */
export type Kind = (typeof KINDS)[number];

const OUTCOMES = ['ok', 'failed', 'unknown', 'void'] as const;
/**
 * What the client was told. `failed`: it surely did not happen; `unknown`: nobody can tell; `void`:
 * it was acknowledged, but the row was such that it had happened already.
 */
export type Outcome = (typeof OUTCOMES)[number];

/** The value of a read that failed, and of an increment whose reply never came. */
export const NO_VALUE = -1;

/** One register read or written by a client. A statement that reads several is several of them. */
export interface Operation {
  readonly client: number;
  /** A new login is a new session, unless it carries on the one before by its token. */
  readonly session: number;
  readonly kind: Kind;
  /** Number of the register or counter. */
  readonly key: number;
  /** {@link NO_VALUE} where there is none. Values of a key grow in the order of the writes. */
  readonly value: number;
  readonly level: Level;
  readonly outcome: Outcome;
  /** Monotonic clock of the clients, before the first byte was sent. */
  readonly invokedMs: number;
  /** Behind the last byte of the reply. */
  readonly completedMs: number;
  /** Number of the server that answered a read, 0 where it is not known. For people. */
  readonly server: number;
  /** Number of the proxy that the client was connected to, 0 where that does not matter; up to 7. */
  readonly proxy: number;
}

/** Which keys are what. Those below `registers` have one writer each, the others many. */
export interface Keys {
  readonly registers: number;
  readonly counters: number;
}

/** What happened, operation by operation, in arrays whose size is said beforehand. */
export class History {
  readonly keys: Keys;
  readonly capacity: number;
  #length = 0;
  readonly #heirs = new Map<number, number>();
  readonly #client: Uint16Array;
  readonly #session: Uint32Array;
  /** Kind and proxy, level, outcome, server: four bits each. */
  readonly #words: Uint16Array;
  readonly #key: Uint16Array;
  readonly #value: Int32Array;
  readonly #invokedMs: Float64Array;
  readonly #completedMs: Float64Array;

  constructor(keys: Keys, capacity: number) {
    this.keys = keys;
    this.capacity = capacity;
    this.#client = new Uint16Array(capacity);
    this.#session = new Uint32Array(capacity);
    this.#words = new Uint16Array(capacity);
    this.#key = new Uint16Array(capacity);
    this.#value = new Int32Array(capacity);
    this.#invokedMs = new Float64Array(capacity);
    this.#completedMs = new Float64Array(capacity);
  }

  get length(): number {
    return this.#length;
  }

  /** Keeps an operation and returns its number. The operations of a session come in its order. */
  add(operation: Operation): number {
    const at = this.#length;
    if (at >= this.capacity) throw new Error(`The history is full: ${this.capacity} operations`);
    this.#length += 1;
    this.#client[at] = operation.client;
    this.#session[at] = operation.session;
    this.#words[at] =
      KINDS.indexOf(operation.kind) |
      (operation.proxy << 1) |
      (LEVELS.indexOf(operation.level) << 4) |
      (OUTCOMES.indexOf(operation.outcome) << 8) |
      (operation.server << 12);
    this.#key[at] = operation.key;
    this.#value[at] = operation.value;
    this.#invokedMs[at] = operation.invokedMs;
    this.#completedMs[at] = operation.completedMs;
    return at;
  }

  /** What `before` wrote counts for `session` too, which begins now; what it read does not. */
  succeed(session: number, before: number): void {
    this.#heirs.set(session, before);
  }

  /** The session whose writes count for this one; null for none. */
  predecessor(session: number): number | null {
    return this.#heirs.get(session) ?? null;
  }

  /** The operation of that number. */
  at(index: number): Operation {
    if (index < 0 || index >= this.#length) throw new Error(`There is no operation ${index}`);
    const words = this.#words[index] ?? 0;
    return {
      client: this.#client[index] ?? 0,
      session: this.#session[index] ?? 0,
      kind: KINDS[words & 1] ?? 'read',
      key: this.#key[index] ?? 0,
      value: this.#value[index] ?? NO_VALUE,
      level: LEVELS[(words >> 4) & 15] ?? 'eventual',
      outcome: OUTCOMES[(words >> 8) & 15] ?? 'failed',
      invokedMs: this.#invokedMs[index] ?? 0,
      completedMs: this.#completedMs[index] ?? 0,
      server: words >> 12,
      proxy: (words >> 1) & 7,
    };
  }

  /** How long acknowledged operations of a kind took (ms), the shortest first. */
  durationsMs(kind: Kind): Float64Array {
    const durations = new Float64Array(this.#length);
    let count = 0;
    for (let at = 0; at < this.#length; at += 1) {
      const operation = this.at(at);
      if (operation.kind !== kind || operation.outcome !== 'ok') continue;
      durations[count] = operation.completedMs - operation.invokedMs;
      count += 1;
    }
    return durations.subarray(0, count).sort();
  }

  /** Numbers of all operations, by the time at which they were completed. */
  byCompletion(): Uint32Array {
    const order = Uint32Array.from({ length: this.#length }, (_, at) => at);
    const done = this.#completedMs;
    return order.sort((a, b) => (done[a] ?? 0) - (done[b] ?? 0) || a - b);
  }
}

/** One operation in words, for people. */
export function worded(index: number, operation: Operation): string {
  const { kind, key, value, outcome, level, client, session, server, proxy } = operation;
  const what = `${kind} ${key} ${kind === 'read' ? '=' : ':='} ${value === NO_VALUE ? '?' : value}`;
  const when = `${operation.invokedMs.toFixed(3)}…${operation.completedMs.toFixed(3)} ms`;
  const from = server === 0 ? '' : ` from db${server}`;
  const where = proxy === 0 ? from : `${from} by proxy ${proxy}`;
  return `#${index} ${what} (${outcome}, ${level}, client ${client}, session ${session}, ${when}${where})`;
}
