import type { Registry } from 'prom-client';
import type { Consistency } from '../config/rule-schema.ts';
import type { ServerId } from '../lib/ids.ts';
import { STALENESS_OUTCOMES, type StalenessOutcome } from './labels.ts';
import { ClosedCounter } from './plain-counters.ts';
import { exposeCounter, exposeGauge, type Sample } from './prom-bridge.ts';

const MINUTE_MS = 60_000;
const MINUTES = 5;

/** Of whom a sample is: the replica that ran the read, and what the read had to see. */
export interface SampledBy {
  readonly server: ServerId;
  readonly level: Consistency;
}

/** What came of the reads that were run again on the primary. */
export class StalenessMetrics {
  readonly #tallies = new Map<string, Tally>();

  constructor(registry: Registry) {
    exposeCounter(
      {
        registry,
        name: 'lagwise_sampled_reads_total',
        help: 'Reads by replicas that were drawn to be run again on the primary, by what came of it',
        labels: ['server', 'consistency', 'outcome'],
      },
      () => this.#outcomes(),
    );
    exposeGauge(
      {
        registry,
        name: 'lagwise_stale_read_share',
        help: 'Of the sampled reads of the last five minutes that told anything, the share that was stale',
        labels: ['server', 'consistency'],
      },
      () => this.#shares(performance.now()),
    );
  }

  /** @param nowMs monotonic ms */
  noted({ server, level }: SampledBy, outcome: StalenessOutcome, nowMs: number): void {
    const key = `${level} ${server}`;
    let tally = this.#tallies.get(key);
    if (tally === undefined) {
      tally = new Tally({ server, consistency: level });
      this.#tallies.set(key, tally);
    }
    tally.outcomes.inc(outcome);
    if (outcome === 'stale' || outcome === 'fresh') tally.recent.note(outcome === 'stale', nowMs);
  }

  *#outcomes(): Generator<Sample> {
    for (const { labels, outcomes } of this.#tallies.values()) {
      for (const outcome of STALENESS_OUTCOMES) {
        yield { labels: { ...labels, outcome }, value: outcomes.get(outcome) };
      }
    }
  }

  *#shares(nowMs: number): Generator<Sample> {
    for (const { labels, recent } of this.#tallies.values()) {
      const value = recent.share(nowMs);
      if (value !== null) yield { labels, value };
    }
  }
}

/** Of one replica and one level: at most one for each server and level. */
class Tally {
  readonly labels: { readonly server: string; readonly consistency: string };
  readonly outcomes = new ClosedCounter(STALENESS_OUTCOMES);
  readonly recent = new RecentShare();

  constructor(labels: Tally['labels']) {
    this.labels = labels;
  }
}

/** The share of the last minutes, in one slot a minute. */
export class RecentShare {
  readonly #slots = Array.from({ length: MINUTES }, () => ({ minute: -1, stale: 0, all: 0 }));

  note(isStale: boolean, nowMs: number): void {
    const minute = Math.floor(nowMs / MINUTE_MS);
    const slot = this.#slots[minute % MINUTES];
    if (slot === undefined) return;
    if (slot.minute !== minute) Object.assign(slot, { minute, stale: 0, all: 0 });
    slot.all += 1;
    if (isStale) slot.stale += 1;
  }

  /** 0 to 1; null where nothing was sampled. */
  share(nowMs: number): number | null {
    const oldest = Math.floor(nowMs / MINUTE_MS) - MINUTES;
    const recent = this.#slots.filter(({ minute }) => minute > oldest);
    const all = recent.reduce((sum, slot) => sum + slot.all, 0);
    return all === 0 ? null : recent.reduce((sum, slot) => sum + slot.stale, 0) / all;
  }
}
