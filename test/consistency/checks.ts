import { type History, type Level, type Operation, worded } from './history.ts';
import { countBefore, indexKeys, type KeyIndex } from './key-index.ts';

/** What can be wrong with a history. */
export const VIOLATIONS = [
  'read-your-writes', // a session did not see what it had written
  'monotonic-reads', // a session saw a key go back
  'causal-reads', // a session saw a write, but not one that was acknowledged before that one began
  'stale-global', // a read did not see what had been acknowledged to any client before it began
  'stale-strong', // a read did not see what a strong read that had ended before it began had seen
  'unwritten-value', // a read saw what nobody had begun to write, or what was said to have failed
  'lost-write', // an acknowledged write is not in the end state, or a later one did not build on it
  'repeated-write', // a write happened twice
  'replica-differs', // a replica that has caught up holds something else than the primary
] as const;
export type ViolationKind = (typeof VIOLATIONS)[number];

/** What each level promises to reads, beyond what holds at every level. */
export const PROMISED: Readonly<Record<Level, ReadonlySet<ViolationKind>>> = {
  eventual: new Set(),
  session: new Set(['read-your-writes', 'monotonic-reads', 'causal-reads']),
  global: new Set(['read-your-writes', 'monotonic-reads', 'causal-reads', 'stale-global']),
  strong: new Set([
    'read-your-writes',
    'monotonic-reads',
    'causal-reads',
    'stale-global',
    'stale-strong',
  ]),
};

/** One thing that is wrong, and the operations that show it: the last one is the one at fault. */
export interface Violation {
  readonly kind: ViolationKind;
  readonly key: number;
  readonly operations: readonly number[];
  readonly text: string;
}

/** What a server holds of a key in the end. */
export interface EndValue {
  readonly value: number;
  /** How often the key was written. */
  readonly writes: number;
}

/** What servers hold in the end, by key, when all replicas have caught up. */
export interface EndState {
  readonly primary: readonly EndValue[];
  readonly replicas: Readonly<Record<string, readonly EndValue[]>>;
}

/** What the check of a history came to. */
export interface Judgement {
  readonly counts: Readonly<Record<ViolationKind, number>>;
  /** The first few of each kind. */
  readonly examples: readonly Violation[];
  readonly total: number;
}

const MAX_EXAMPLES_OF_A_KIND = 5;

/**
 * Checks a history against the promises of the levels of its reads, and the end state against what
 * was acknowledged. O(n log n). A write that nobody can tell the outcome of may have happened or not.
 * @param judgedAs promises to hold all reads to, in place of those of their own levels
 */
export function check(history: History, end: EndState | null, judgedAs?: Level): Judgement {
  const found = new Findings(history);
  const keys = indexKeys(history, judgedAs);
  checkWrites(history, keys, found);
  checkReads(history, keys, found, judgedAs);
  if (end !== null) checkEnd(keys, end, found);
  return found.judgement();
}

class Findings {
  readonly #history: History;
  readonly #counts = Object.fromEntries(VIOLATIONS.map((kind) => [kind, 0])) as Record<
    ViolationKind,
    number
  >;
  readonly #examples: Violation[] = [];

  constructor(history: History) {
    this.#history = history;
  }

  add(kind: ViolationKind, key: number, operations: readonly number[], note = ''): void {
    this.#counts[kind] += 1;
    if (this.#counts[kind] > MAX_EXAMPLES_OF_A_KIND) return;
    const lines = operations.map((index) => worded(index, this.#history.at(index)));
    const text = [`${kind} of ${key}${note === '' ? '' : `: ${note}`}`, ...lines].join('\n  ');
    this.#examples.push({ kind, key, operations, text });
  }

  judgement(): Judgement {
    const total = Object.values(this.#counts).reduce((sum, count) => sum + count, 0);
    return { counts: this.#counts, examples: this.#examples, total };
  }
}

/** Values of a key grow from write to write, so a later write has a higher one. */
function checkWrites(history: History, keys: readonly KeyIndex[], found: Findings): void {
  for (let index = 0; index < history.length; index += 1) {
    const operation = history.at(index);
    const { kind, key, value, outcome } = operation;
    if (kind !== 'write') continue;
    if (outcome === 'void') {
      found.add('repeated-write', key, [index], 'the row held it before it was acknowledged');
      continue;
    }
    if (outcome !== 'ok') continue;
    const before = keys[key]?.acknowledgedBy.before(operation.invokedMs) ?? -1;
    if (before >= 0 && history.at(before).value >= value) {
      found.add('lost-write', key, [before, index], 'the later write did not build on the former');
    }
    const same = keys[key]?.writeOf.get(value) ?? index;
    if (same !== index) {
      found.add('lost-write', key, [same, index], 'two writes came to the same value');
    }
  }
}

/** What a session has written and seen so far. */
interface SessionFloor {
  /** By key: its own newest acknowledged write, and the newest value that it was shown. */
  readonly written: Map<number, number>;
  readonly shown: Map<number, number>;
  /** What the newest write that it made, or was shown, tells of others. */
  byWrites: Causes;
  byReads: Causes;
}

/** All that was acknowledged before `ms` has happened: `from` is the operation that tells. */
interface Causes {
  readonly ms: number;
  readonly from: number;
}

const NO_CAUSES: Causes = { ms: -1, from: -1 };

function checkReads(
  history: History,
  keys: readonly KeyIndex[],
  found: Findings,
  judgedAs: Level | undefined,
): void {
  const sessions = new Map<number, SessionFloor>();
  for (const index of history.byCompletion()) {
    const operation = history.at(index);
    const known = keys[operation.key];
    if (operation.outcome !== 'ok' || known === undefined) continue;
    const floor = floorOf(sessions, history, operation.session);
    if (operation.kind === 'read') {
      const promised = PROMISED[judgedAs ?? operation.level];
      checkWritten({ history, found, known }, index, operation);
      for (const [kind, evidence] of floorsOf(operation, known, floor)) {
        const newest = evidence.at(-1) ?? -1;
        if (newest < 0 || !promised.has(kind)) continue;
        if (history.at(newest).value > operation.value) {
          found.add(kind, operation.key, [...evidence, index]);
        }
      }
    }
    // What a read of level eventual has shown binds no later one.
    const binds = operation.kind === 'write' || (judgedAs ?? operation.level) !== 'eventual';
    if (binds) raise(history, floor, known, index);
  }
}

/** The floor of a session; one that begins has that of its predecessor, as far as it wrote. */
function floorOf(
  sessions: Map<number, SessionFloor>,
  history: History,
  session: number,
): SessionFloor {
  const present = sessions.get(session);
  if (present !== undefined) return present;
  const predecessor = history.predecessor(session);
  const before = predecessor === null ? null : floorOf(sessions, history, predecessor);
  const floor: SessionFloor = {
    written: new Map(before?.written),
    shown: new Map(),
    byWrites: before?.byWrites ?? NO_CAUSES,
    byReads: NO_CAUSES,
  };
  sessions.set(session, floor);
  return floor;
}

/** What the read had to see under each promise: the last operation is the one with the value. */
function floorsOf(
  read: Operation,
  known: KeyIndex,
  floor: SessionFloor,
): [ViolationKind, readonly number[]][] {
  const { key, invokedMs } = read;
  const { byWrites, byReads } = floor;
  const causes = byWrites.ms > byReads.ms ? byWrites : byReads;
  return [
    ['read-your-writes', [floor.written.get(key) ?? -1]],
    ['monotonic-reads', [floor.shown.get(key) ?? -1]],
    ['causal-reads', [causes.from, known.acknowledgedBy.before(causes.ms)]],
    ['stale-global', [known.acknowledgedBy.before(invokedMs)]],
    ['stale-strong', [known.shownBy.before(invokedMs)]],
  ];
}

/** Takes an acknowledged operation into what its session knows. */
function raise(history: History, floor: SessionFloor, known: KeyIndex, index: number): void {
  const { kind, key, value, invokedMs } = history.at(index);
  const newest = kind === 'write' ? floor.written : floor.shown;
  const before = newest.get(key);
  if (before === undefined || history.at(before).value < value) newest.set(key, index);
  const write = kind === 'write' ? index : (known.writeOf.get(value) ?? -1);
  const begunMs = kind === 'write' || write < 0 ? invokedMs : history.at(write).invokedMs;
  const causes = kind === 'write' ? 'byWrites' : 'byReads';
  if (write >= 0 && begunMs > floor[causes].ms) floor[causes] = { ms: begunMs, from: index };
}

/** A read may show only what somebody has begun to write, and was not told to have failed. */
function checkWritten(
  { history, found, known }: { history: History; found: Findings; known: KeyIndex },
  index: number,
  { key, value, completedMs }: Operation,
): void {
  if (value === 0) return;
  if (key >= history.keys.registers) {
    const begun = countBefore(known.begunMs, completedMs);
    if (value > begun) {
      found.add('unwritten-value', key, [index], `only ${begun} increments had begun`);
    }
    return;
  }
  const write = known.writeOf.get(value);
  if (write === undefined) {
    found.add('unwritten-value', key, [index], 'nobody wrote it');
    return;
  }
  const { outcome, invokedMs } = history.at(write);
  if (outcome === 'failed') {
    found.add('unwritten-value', key, [write, index], 'its client was told that it did not run');
  } else if (invokedMs >= completedMs) {
    found.add('unwritten-value', key, [write, index], 'it was read before it was written');
  }
}

function checkEnd(keys: readonly KeyIndex[], end: EndState, found: Findings): void {
  keys.forEach(({ acknowledged, unknown, acknowledgedBy }, key) => {
    const held = end.primary[key] ?? { value: 0, writes: 0 };
    const newest = acknowledgedBy.before(Number.POSITIVE_INFINITY);
    const shown = newest < 0 ? [] : [newest];
    const note = `in the end it is ${held.value} after ${held.writes} writes, of which ${acknowledged} were acknowledged and ${unknown} have an unknown outcome`;
    if (held.value < acknowledgedBy.value || held.writes < acknowledged) {
      found.add('lost-write', key, shown, note);
    } else if (held.writes > acknowledged + unknown) {
      found.add('repeated-write', key, shown, note);
    }
    for (const [id, values] of Object.entries(end.replicas)) {
      const theirs = values[key];
      if (theirs?.value === held.value && theirs.writes === held.writes) continue;
      const has = theirs === undefined ? 'nothing' : `${theirs.value} after ${theirs.writes}`;
      found.add('replica-differs', key, shown, `${id} holds ${has}; ${note}`);
    }
  });
}
