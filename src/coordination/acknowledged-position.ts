import { parsePosition, type Position, positionContains } from '../gtid/position.ts';
import { countMissing, sizeOf, tidied, unitePositions } from './unite.ts';

/**
 * From this many intervals on, the gaps are filled from what the primary has executed. Gaps are
 * transactions that did not come through the group or are not acknowledged yet: few, for a moment.
 */
const MAX_INTERVALS = 64;

/**
 * Everything that was acknowledged, as one position: what the primary had executed when it was
 * asked (`base`), and what is known to have been acknowledged since. Pure; times are of one
 * monotonic clock, in ms.
 *
 * The base is what makes it complete: whatever was acknowledged before the primary was asked, by
 * anybody, is in the answer. So a new start never needs a history, only a newer answer.
 */
export class AcknowledgedPosition {
  #flavor: Position['t'] | null = null;
  #known: Position | null = null;
  #isBased = false;
  #baseAfterMs: number;
  /** What must be found in the next answer of the primary, unless it was lost. */
  #checkpoint: { readonly position: Position; readonly atMs: number } | null = null;
  /** What was acknowledged under a former history: the new primary may lack some of it. */
  #former: Position | null = null;

  constructor(nowMs: number) {
    this.#baseAfterMs = nowMs;
  }

  /** The position, or null as long as it may be incomplete. */
  get position(): Position | null {
    return this.#isBased ? this.#known : null;
  }

  /**
   * From now on only an answer of the primary to a question asked after `nowMs` is a base. Drops
   * what is known: all of it was acknowledged before that question.
   */
  restart(nowMs: number): void {
    this.#known = null;
    this.#checkpoint = null;
    this.#isBased = false;
    this.#baseAfterMs = nowMs;
  }

  /** As `restart`, after another history began: what of the former one is lost will be counted. */
  changeHistory(nowMs: number): void {
    this.#former = this.#known ?? this.#former;
    this.restart(nowMs);
  }

  /**
   * Adds what was acknowledged, as servers print it.
   * Throws LagwiseError (`backend-protocol`) on malformed text.
   */
  add(text: string, nowMs: number): void {
    if (this.#flavor === null) {
      // How to read it is not known before the primary was seen, and its first answer will have it.
      this.restart(nowMs);
      return;
    }
    const added = tidied(parsePosition(this.#flavor, text));
    this.#known = this.#known === null ? added : unitePositions(this.#known, added);
  }

  /**
   * Takes the primary's own executed position.
   * @param askedAtMs when it was asked, not when it answered
   * @returns how many acknowledged transactions the primary turns out to lack: lost in a failover
   */
  observe(executed: Position, askedAtMs: number, nowMs: number): number {
    if (executed.t !== this.#flavor) {
      this.#flavor = executed.t;
      this.restart(this.#baseAfterMs);
    }
    if (!this.#isBased) {
      if (askedAtMs <= this.#baseAfterMs) return 0;
      return this.#begin(executed, nowMs);
    }
    if (this.#known !== null && sizeOf(this.#known) > MAX_INTERVALS) {
      this.#known = unitePositions(this.#known, executed);
    }
    return this.#findLost(executed, askedAtMs, nowMs);
  }

  #begin(executed: Position, nowMs: number): number {
    const lost = this.#former === null ? 0 : countMissing(executed, this.#former);
    this.#former = null;
    this.#isBased = true;
    this.#known = this.#known === null ? executed : unitePositions(executed, this.#known);
    this.#checkpoint = { position: this.#known, atMs: nowMs };
    return lost;
  }

  /** Reads would wait for ever for what the primary does not have: start again without it. */
  #findLost(executed: Position, askedAtMs: number, nowMs: number): number {
    const checkpoint = this.#checkpoint;
    if (checkpoint === null) {
      if (this.#known !== null) this.#checkpoint = { position: this.#known, atMs: nowMs };
      return 0;
    }
    if (askedAtMs <= checkpoint.atMs) return 0;
    this.#checkpoint = null;
    if (positionContains(executed, checkpoint.position)) return 0;
    this.restart(nowMs);
    return countMissing(executed, checkpoint.position);
  }
}
