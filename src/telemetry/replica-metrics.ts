import type { Registry } from 'prom-client';
import type { ServerId } from '../lib/ids.ts';
import { EJECTION_REASONS, type EjectionReason } from '../routing/outliers.ts';
import { samplesOf } from './client-metrics.ts';
import { ClosedCounter } from './plain-counters.ts';
import { exposeCounter, exposeGauge, type Sample } from './prom-bridge.ts';

/** What a replica's share of the reads follows from. */
export interface ReplicaShare {
  readonly server: ServerId;
  /** Its weight as it counts now: 0 while it takes no reads, less than all while it comes back. */
  readonly weight: number;
  readonly latencyMs: number;
}

/** How reads are shared between replicas; read when somebody scrapes. */
export class ReplicaMetrics {
  readonly #ejections = new Map<ServerId, ClosedCounter<EjectionReason>>();
  #shares: () => Iterable<ReplicaShare> = () => [];

  constructor(registry: Registry) {
    this.#expose(registry, 'lagwise_replica_effective_weight', {
      help: 'Weight of a replica as it counts now: 0 without reads, less than its own while it comes back',
      value: ({ weight }) => weight,
    });
    this.#expose(registry, 'lagwise_replica_latency_ewma_seconds', {
      help: "Peak-sensitive moving average of the time to the first byte of a replica's answers",
      value: ({ latencyMs }) => latencyMs / 1000,
    });
    exposeCounter(
      {
        registry,
        name: 'lagwise_replica_ejections_total',
        help: 'Times that a replica had to rest because it stood out, by what it stood out by',
        labels: ['server', 'reason'],
      },
      () => this.#ejectionSamples(),
    );
  }

  /** Names who knows the shares. */
  bind(shares: () => Iterable<ReplicaShare>): void {
    this.#shares = shares;
  }

  /** A replica begins to rest. */
  ejected(server: ServerId, reason: EjectionReason): void {
    this.#counterOf(server).inc(reason);
  }

  #counterOf(server: ServerId): ClosedCounter<EjectionReason> {
    let counter = this.#ejections.get(server);
    if (counter === undefined) {
      counter = new ClosedCounter(EJECTION_REASONS);
      this.#ejections.set(server, counter);
    }
    return counter;
  }

  #expose(
    registry: Registry,
    name: string,
    shown: { readonly help: string; readonly value: (share: ReplicaShare) => number },
  ): void {
    exposeGauge({ registry, name, help: shown.help, labels: ['server'] }, () =>
      Array.from(
        this.#shares(),
        (share): Sample => ({
          labels: { server: share.server },
          value: shown.value(share),
        }),
      ),
    );
  }

  *#ejectionSamples(): Generator<Sample> {
    // Prometheus sees no increase in a series that begins with 1: each replica's begin with 0.
    for (const { server } of this.#shares()) this.#counterOf(server);
    for (const [server, counter] of this.#ejections) {
      for (const { labels, value } of samplesOf(counter, 'reason')) {
        yield { labels: { server, ...labels }, value };
      }
    }
  }
}
