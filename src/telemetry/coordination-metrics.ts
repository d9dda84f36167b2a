import type { Registry } from 'prom-client';
import { samplesOf } from './client-metrics.ts';
import { NEWEST_OUTCOMES, type NewestOutcome } from './labels.ts';
import { ClosedCounter, Log2Histogram } from './plain-counters.ts';
import { exposeCounter, exposeGauge, exposeHistograms } from './prom-bridge.ts';

/** What of a coordination is read when somebody scrapes. */
export type Coordinated = () =>
  | { readonly t: 'memory' }
  | {
      readonly t: 'connected' | 'away';
      readonly isWanted: boolean;
      readonly members: readonly { readonly isPublishing: boolean }[];
    };

/** Several proxies as one, and reads of consistency `global`. */
export class CoordinationMetrics {
  readonly #outcomes = new ClosedCounter<NewestOutcome>(NEWEST_OUTCOMES);
  readonly #waits = { acknowledge: new Log2Histogram(), question: new Log2Histogram() };
  #lost = 0;
  #released = 0;
  #bound: Coordinated | null = null;

  constructor(registry: Registry) {
    this.#exposeState(registry);
    exposeCounter(
      {
        registry,
        name: 'lagwise_coordination_questions_total',
        help: 'Questions for the newest acknowledged position, by outcome; all but "position" went to the primary',
        labels: ['outcome'],
      },
      () => samplesOf(this.#outcomes, 'outcome'),
    );
    exposeHistograms(
      {
        registry,
        name: 'lagwise_coordination_wait_seconds',
        help: 'Time for Redis: of writes before they are acknowledged, of global reads before they run',
      },
      'step',
      this.#waits,
    );
    exposeCounter(
      {
        registry,
        name: 'lagwise_coordination_releases_total',
        help: 'Times that writes waited for the end of a lease because they could not be published',
      },
      () => [{ value: this.#released }],
    );
    exposeCounter(
      {
        registry,
        name: 'lagwise_coordination_lost_transactions_total',
        help: 'Acknowledged transactions that the primary turned out not to have',
      },
      () => [{ value: this.#lost }],
    );
  }

  #exposeState(registry: Registry): void {
    exposeGauge(
      {
        registry,
        name: 'lagwise_coordination_up',
        help: '0 while Redis is away and global reads need the primary, else 1; always 1 without Redis',
      },
      () => {
        return [{ value: this.#bound?.().t === 'away' ? 0 : 1 }];
      },
    );
    exposeGauge(
      {
        registry,
        name: 'lagwise_coordination_members_silent',
        help: 'Proxies of the group that do not vouch for what they acknowledge, while anybody reads with global',
      },
      () => {
        const state = this.#bound?.();
        const members = state === undefined || state.t === 'memory' ? [] : state.members;
        const silent = members.filter(({ isPublishing }) => !isPublishing).length;
        return [{ value: state?.t !== 'memory' && state?.isWanted ? silent : 0 }];
      },
    );
  }

  /** Where the state comes from. */
  bind(state: Coordinated): void {
    this.#bound = state;
  }

  /** A read asked for the newest position. */
  answered(outcome: NewestOutcome): void {
    this.#outcomes.inc(outcome);
  }

  questionTook(ms: number): void {
    this.#waits.question.observeUs(ms * 1000);
  }

  /** A batch of writes was published, `ms` after it was sent. */
  published(ms: number): void {
    this.#waits.acknowledge.observeUs(ms * 1000);
  }

  /** Writes that could not be published were acknowledged at the end of the lease. */
  released(): void {
    this.#released += 1;
  }

  /** So many acknowledged transactions are not on the primary. */
  lost(transactions: number): void {
    this.#lost += transactions;
  }
}
