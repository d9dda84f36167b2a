import type { Registry } from 'prom-client';
import { CONSISTENCIES, type Consistency } from '../config/rule-schema.ts';
import { READ_RUNGS, type ReadRung } from './labels.ts';
import { ClosedCounter, Log2Histogram } from './plain-counters.ts';
import {
  exposeCounter,
  exposeHistogramSeries,
  type HistogramSeries,
  type Sample,
} from './prom-bridge.ts';
import type { StatementMetrics } from './statement-metrics.ts';

const PER_SECOND = { ms: 1000 } as const;

/** What reads had to see, and what that cost. */
export class ConsistencyMetrics {
  readonly #rungs: Readonly<Record<Consistency, ClosedCounter<ReadRung>>> = {
    eventual: new ClosedCounter(READ_RUNGS),
    session: new ClosedCounter(READ_RUNGS),
    global: new ClosedCounter(READ_RUNGS),
    strong: new ClosedCounter(READ_RUNGS),
  };
  readonly #durations: Readonly<Record<ReadRung, Log2Histogram>> = {
    known: new Log2Histogram(),
    waited: new Log2Histogram(),
    primary: new Log2Histogram(),
  };
  #late = 0;
  #lost = 0;

  constructor(registry: Registry, statements: StatementMetrics) {
    exposeCounter(
      {
        registry,
        name: 'lagwise_reads_total',
        help: 'Reads that a replica may run, by what they had to see and how that was reached',
        labels: ['consistency', 'rung'],
      },
      () => this.#rungSamples(),
    );
    exposeHistogramSeries(
      {
        registry,
        name: 'lagwise_read_duration_seconds',
        help: 'From the last byte of such a read in to the last byte of its reply out',
        labels: ['rung'],
      },
      () => READ_RUNGS.map((rung) => ({ labels: { rung }, histogram: this.#durations[rung] })),
    );
    exposeCounter(
      {
        registry,
        name: 'lagwise_read_waits_late_total',
        help: 'Waits for a replica that did not catch up within routing.waitMs',
      },
      () => [{ value: this.#late }],
    );
    exposeCounter(
      {
        registry,
        name: 'lagwise_session_positions_lost_total',
        help: 'Sessions whose acknowledged writes a new primary turned out not to have',
      },
      () => [{ value: this.#lost }],
    );
    exposeHistogramSeries(
      {
        registry,
        name: 'lagwise_read_staleness_ms',
        help: 'Lag of the replica that ran a read, as it was known then',
        labels: ['server', 'consistency'],
      },
      () => stalenessSeries(statements),
      PER_SECOND.ms,
    );
  }

  /** A read has ended. The hot path. */
  read(level: Consistency, rung: ReadRung, tookMs: number): void {
    this.#rungs[level].inc(rung);
    this.#durations[rung].observeUs(tookMs * 1000);
  }

  waitWasLate(): void {
    this.#late += 1;
  }

  positionLost(): void {
    this.#lost += 1;
  }

  *#rungSamples(): Generator<Sample> {
    for (const consistency of CONSISTENCIES) {
      for (const rung of READ_RUNGS) {
        const value = this.#rungs[consistency].get(rung);
        yield { labels: { consistency, rung }, value };
      }
    }
  }
}

/** Only what has been observed: most pairs of server and level never are. */
function* stalenessSeries(statements: StatementMetrics): Generator<HistogramSeries> {
  for (const [server, { staleness }] of statements.servers) {
    for (const consistency of CONSISTENCIES) {
      const histogram = staleness[consistency];
      if (histogram.count > 0) yield { labels: { server, consistency }, histogram };
    }
  }
}
