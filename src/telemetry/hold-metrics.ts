import { Histogram, type Registry } from 'prom-client';
import { samplesOf } from './client-metrics.ts';
import { HOLD_OUTCOMES, type HoldOutcome } from './labels.ts';
import { ClosedCounter } from './plain-counters.ts';
import { exposeCounter, exposeGauge } from './prom-bridge.ts';

/** From a switchover nobody notices to the longest useful `failover.holdMs`. */
const HOLD_BUCKETS_SECONDS = [0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 20, 30, 60];

/** Writes that wait for a primary. */
export class HoldMetrics {
  readonly #outcomes = new ClosedCounter<HoldOutcome>(HOLD_OUTCOMES);
  readonly #durations: Histogram<'outcome'>;
  #held = 0;

  constructor(registry: Registry) {
    exposeGauge(
      { registry, name: 'lagwise_writes_held', help: 'Writes that wait for a primary now' },
      () => [{ value: this.#held }],
    );
    exposeCounter(
      {
        registry,
        name: 'lagwise_write_holds_total',
        help: 'Writes that met no primary, by how their wait ended; all but "released" failed',
        labels: ['outcome'],
      },
      () => samplesOf(this.#outcomes, 'outcome'),
    );
    this.#durations = new Histogram({
      name: 'lagwise_write_hold_duration_seconds',
      help: 'How long held writes waited, by outcome',
      labelNames: ['outcome'],
      buckets: HOLD_BUCKETS_SECONDS,
      registers: [registry],
    });
  }

  /** A write begins to wait; `ended` must be called once for it. */
  started(): void {
    this.#held += 1;
  }

  ended(outcome: HoldOutcome, seconds: number): void {
    this.#held -= 1;
    this.#outcomes.inc(outcome);
    this.#durations.observe({ outcome }, seconds);
  }

  /** A write was not even taken in because too many wait already. */
  refused(): void {
    this.#outcomes.inc('full');
  }
}
