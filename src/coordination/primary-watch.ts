import type { ServerId } from '../lib/ids.ts';
import type { ServerView, Snapshot } from '../topology/snapshot.ts';
import type { AcknowledgedPosition } from './acknowledged-position.ts';

/** Which server is the primary, and when another (or another history) took its place. */
export class PrimaryWatch {
  #epoch: number | null = null;
  #primary: ServerView | null = null;
  #lastId: ServerId | null = null;

  /** The newest primary's name; it stays while there is none. */
  get id(): ServerId | null {
    return this.#lastId;
  }

  /** @returns whether the history is another than before, so that positions may be of lost writes */
  observe(snapshot: Snapshot): boolean {
    const changed = this.#epoch !== null && snapshot.epoch !== this.#epoch;
    this.#epoch = snapshot.epoch;
    this.#primary = snapshot.primary;
    if (snapshot.primary !== null) this.#lastId = snapshot.primary.id;
    return changed;
  }

  /** Hands on what the primary has executed. @returns how many acknowledged transactions it lacks */
  feed(acknowledged: AcknowledgedPosition, nowMs: number): number {
    const primary = this.#primary;
    if (primary === null || primary.position === null) return 0;
    return acknowledged.observe(primary.position, primary.positionAtMs, nowMs);
  }
}
