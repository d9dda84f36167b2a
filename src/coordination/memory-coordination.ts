import type { Snapshot } from '../topology/snapshot.ts';
import type { CoordinationMetrics } from '../telemetry/coordination-metrics.ts';
import { AcknowledgedPosition } from './acknowledged-position.ts';
import { type Coordination, type CoordinationState, type Newest, unknown } from './coordination.ts';
import { PrimaryWatch } from './primary-watch.ts';
import { WANTED_MS } from './wanted.ts';

/** One proxy alone: what it has acknowledged is in its own memory, and nothing ever waits. */
export class MemoryCoordination implements Coordination {
  readonly #nowMs: () => number;
  readonly #metrics: CoordinationMetrics;
  readonly #acknowledged: AcknowledgedPosition;
  readonly #primary = new PrimaryWatch();
  #wantedUntilMs = Number.NEGATIVE_INFINITY;

  constructor(deps: { readonly nowMs: () => number; readonly metrics: CoordinationMetrics }) {
    this.#nowMs = deps.nowMs;
    this.#metrics = deps.metrics;
    // Whoever ran before this process may have acknowledged more than this one knows.
    this.#acknowledged = new AcknowledgedPosition(deps.nowMs());
  }

  observe(snapshot: Snapshot): void {
    const nowMs = this.#nowMs();
    if (this.#primary.observe(snapshot)) this.#acknowledged.changeHistory(nowMs);
    this.#metrics.lost(this.#primary.feed(this.#acknowledged, nowMs));
  }

  acknowledged(gtid: string | null): null {
    const nowMs = this.#nowMs();
    if (gtid === null || nowMs > this.#wantedUntilMs) {
      // Nobody asks: writes pay for no parsing, and the first to ask waits for the next probe.
      this.#acknowledged.restart(nowMs);
      return null;
    }
    try {
      this.#acknowledged.add(gtid, nowMs);
    } catch {
      // Not a GTID as we know them: what the primary says at the next probe includes it.
      this.#acknowledged.restart(nowMs);
    }
    return null;
  }

  newest(): Newest {
    this.#wantedUntilMs = this.#nowMs() + WANTED_MS;
    const { position } = this.#acknowledged;
    if (position !== null) {
      this.#metrics.answered('position');
      return { t: 'position', position };
    }
    this.#metrics.answered('no-base');
    return unknown('no-base');
  }

  state(): CoordinationState {
    return { t: 'memory' };
  }

  stop(): Promise<void> {
    return Promise.resolve();
  }
}
