import { EFFECT } from '../../sql/classification.ts';
import type { StateKind, StateNames } from '../../sql/state-names.ts';
import type { PinReason } from '../../telemetry/labels.ts';

/** Things with names that a session may hold: they are gone when the last one is given back. */
const NAMED: Readonly<Record<Exclude<StateKind, 'none'>, PinReason>> = {
  'temporary-table': 'temporary-table',
  'prepared-statement': 'prepared-by-text',
  handler: 'handler',
  'user-lock': 'user-lock',
  'table-lock': 'locked-tables',
  xa: 'xa',
};

/** Effects behind which names are to be looked at. */
export const NAMING_EFFECTS =
  EFFECT.LOCKS_TABLES |
  EFFECT.UNLOCKS_TABLES |
  EFFECT.CREATES_TEMPORARY_TABLE |
  EFFECT.DROPS_TEMPORARY_TABLE |
  EFFECT.TAKES_USER_LOCK |
  EFFECT.RELEASES_USER_LOCK |
  EFFECT.PREPARES_STATEMENT |
  EFFECT.DEALLOCATES_STATEMENT |
  EFFECT.OPENS_HANDLER |
  EFFECT.XA;

/** Effects that leave state on the server that ran the statement. */
export const PINNING_EFFECTS =
  EFFECT.SETS_USER_VARIABLE |
  EFFECT.CREATES_TEMPORARY_TABLE |
  EFFECT.LOCKS_TABLES |
  EFFECT.TAKES_USER_LOCK |
  EFFECT.PREPARES_STATEMENT |
  EFFECT.OPENS_HANDLER |
  EFFECT.XA;

/** What is taken where a statement has the effect, whether or not its text names it. */
const TAKING: readonly (readonly [effect: number, kind: Exclude<StateKind, 'none'>])[] = [
  [EFFECT.CREATES_TEMPORARY_TABLE, 'temporary-table'],
  [EFFECT.LOCKS_TABLES, 'table-lock'],
  [EFFECT.TAKES_USER_LOCK, 'user-lock'],
  [EFFECT.PREPARES_STATEMENT, 'prepared-statement'],
  [EFFECT.OPENS_HANDLER, 'handler'],
  [EFFECT.XA, 'xa'],
];

/** One kind of thing: how often each is held, and whether there are others that no text named. */
interface Held {
  readonly counts: Map<string, number>;
  others: boolean;
}

/** Told of the pins of all sessions, for the metrics. */
export interface PinCounter {
  pinned(reason: PinReason): void;
  unpinned(reason: PinReason): void;
}

/**
 * What ties a session to one connection: state that lives there and cannot be carried. While there
 * is any, all statements of the session stay there.
 */
export class Pins {
  private readonly counter: PinCounter;
  /** Null while there are none: most sessions have none ever. */
  private all: Map<PinReason, Held> | null = null;

  constructor(counter: PinCounter) {
    this.counter = counter;
  }

  get any(): boolean {
    return this.all !== null;
  }

  /** Why the session is tied, for people. */
  get reasons(): readonly PinReason[] {
    return this.all === null ? [] : [...this.all.keys()];
  }

  has(reason: PinReason): boolean {
    return this.all?.has(reason) === true;
  }

  /**
   * Whether a reset undoes what pins. MariaDB's COM_RESET_CONNECTION leaves a prepared XA transaction
   * neither here nor there: XA COMMIT says OK in other sessions, and its rows stay locked and
   * unwritten. Only where the connection ends may others end the transaction.
   */
  get mayReset(): boolean {
    return !this.has('xa');
  }

  /** There is something of this kind that has no name: only `clear` or a reset ends it. */
  set(reason: PinReason): void {
    this.heldOf(reason).others = true;
  }

  clear(reason: PinReason): void {
    if (this.all?.delete(reason) !== true) return;
    this.counter.unpinned(reason);
    if (this.all.size === 0) this.all = null;
  }

  /** The session is over, or was reset: nothing is left. */
  clearAll(): void {
    for (const reason of this.reasons) this.clear(reason);
  }

  /** Takes what a statement's text lets expect. */
  noteEffects(effects: number, succeeded: boolean): void {
    // A failed statement may have done half of it.
    if ((effects & EFFECT.SETS_USER_VARIABLE) !== 0) this.set('user-variable');
    if (!succeeded) {
      if ((effects & EFFECT.TAKES_USER_LOCK) !== 0) this.set('user-lock');
      return;
    }
    if ((effects & EFFECT.RELEASES_ALL_USER_LOCKS) !== 0) this.clear('user-lock');
  }

  /**
   * Takes what the statements of a command have taken and given back, in their order.
   * @param effects of all of them: what they take pins even where no text names it
   * @param options `schema` is the session's, for names of tables without one; unless the command
   *   `succeeded`, nobody knows how far it came: what it may have taken counts, and nothing else
   */
  noteTaken(
    effects: number,
    all: readonly StateNames[],
    options: { schema: string | null; succeeded: boolean },
  ): void {
    for (const names of all) this.noteNames(names, options);
    for (const [effect, kind] of TAKING) {
      const isUnnamed = (effects & effect) !== 0 && all.every((names) => names.kind !== kind);
      if (isUnnamed) this.set(NAMED[kind]);
    }
  }

  private noteNames(
    names: StateNames,
    { schema, succeeded }: { schema: string | null; succeeded: boolean },
  ): void {
    if (names.kind === 'none') return;
    const reason = NAMED[names.kind];
    const nameOf = (name: string) =>
      names.kind === 'temporary-table' ? withSchema(name, schema) : name;
    if (names.releasedAll && succeeded) this.clear(reason);
    if (names.taken === null) this.set(reason);
    for (const name of names.taken ?? []) this.hold(reason, nameOf(name));
    if (!succeeded) return;
    for (const name of names.released ?? []) this.giveBack(reason, nameOf(name));
  }

  private heldOf(reason: PinReason): Held {
    this.all ??= new Map();
    let held = this.all.get(reason);
    if (held === undefined) {
      held = { counts: new Map(), others: false };
      this.all.set(reason, held);
      this.counter.pinned(reason);
    }
    return held;
  }

  private hold(reason: PinReason, name: string): void {
    const { counts } = this.heldOf(reason);
    // A lock must be released as often as it was taken; of the rest there is one of a name.
    counts.set(name, reason === 'user-lock' ? (counts.get(name) ?? 0) + 1 : 1);
  }

  private giveBack(reason: PinReason, name: string): void {
    const held = this.all?.get(reason);
    const count = held?.counts.get(name);
    if (held === undefined || count === undefined) return;
    if (count > 1) held.counts.set(name, count - 1);
    else held.counts.delete(name);
    if (held.counts.size === 0 && !held.others) this.clear(reason);
  }
}

const withSchema = (name: string, schema: string | null): string =>
  name.includes('`.`') ? name : `\`${(schema ?? '').replaceAll('`', '``')}\`.${name}`;
