import { Counter, Histogram, type Registry } from 'prom-client';
import { ERROR_SOURCES, type ErrorSource } from '../lib/errors.ts';
import type { ServerId } from '../lib/ids.ts';
import type { Role, ServerView, Snapshot } from '../topology/snapshot.ts';
import { samplesOf } from './client-metrics.ts';
import { type BackendState, HEARTBEAT_OUTCOMES, type HeartbeatOutcome } from './labels.ts';
import { ClosedCounter } from './plain-counters.ts';
import { exposeCounter, exposeGauge, type Sample } from './prom-bridge.ts';

const ROLES: readonly Role[] = ['primary', 'replica', 'unassigned', 'down'];
/** Probes are local round trips: half a millisecond when idle, a second when they time out. */
const PROBE_BUCKETS_SECONDS = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5,
];

/** How many connections to a server are in a state. */
export interface BackendCount {
  readonly server: ServerId;
  readonly state: BackendState;
  readonly count: number;
}

/** Our connections to servers. */
export class BackendMetrics {
  readonly #connectErrors = new Map<ServerId, ClosedCounter<ErrorSource>>();
  #count: () => Iterable<BackendCount> = () => [];

  constructor(registry: Registry) {
    exposeGauge(
      {
        registry,
        name: 'lagwise_backend_connections',
        help: 'Connections of clients to servers, by state',
        labels: ['server', 'state'],
      },
      () => this.#connectionSamples(),
    );
    exposeCounter(
      {
        registry,
        name: 'lagwise_backend_connect_errors_total',
        help: 'Connections to servers that failed before they could be used, by source',
        labels: ['server', 'source'],
      },
      () => this.#errorSamples(),
    );
  }

  /** Names who counts the connections when somebody scrapes; replaces who did before. */
  bind(count: () => Iterable<BackendCount>): void {
    this.#count = count;
  }

  connectFailed(server: ServerId, source: ErrorSource): void {
    let counter = this.#connectErrors.get(server);
    if (counter === undefined) {
      counter = new ClosedCounter(ERROR_SOURCES);
      this.#connectErrors.set(server, counter);
    }
    counter.inc(source);
  }

  *#connectionSamples(): Generator<Sample> {
    for (const { server, state, count } of this.#count()) {
      yield { labels: { server, state }, value: count };
    }
  }

  *#errorSamples(): Generator<Sample> {
    for (const [server, counter] of this.#connectErrors) {
      for (const { labels, value } of samplesOf(counter, 'source')) {
        // Sixteen sources for each server, of which two or three ever happen: only those are shown.
        if (value > 0) yield { labels: { server, ...labels }, value };
      }
    }
  }
}

/** The cluster as the router sees it, read from the current snapshot at each scrape. */
export class TopologyMetrics {
  readonly #probes: Histogram<'server' | 'outcome'>;
  readonly #primaryChanges: Counter;
  readonly #heartbeats = new ClosedCounter<HeartbeatOutcome>(HEARTBEAT_OUTCOMES);
  #current: () => Snapshot | null = () => null;
  #nowMs: () => number = () => performance.now();

  constructor(registry: Registry) {
    this.#probes = new Histogram({
      name: 'lagwise_server_probe_duration_seconds',
      help: 'Duration of health probes, by outcome',
      labelNames: ['server', 'outcome'],
      buckets: PROBE_BUCKETS_SECONDS,
      registers: [registry],
    });
    this.#primaryChanges = new Counter({
      name: 'lagwise_primary_changes_total',
      help: 'Times that another server became the primary, or the primary was lost',
      registers: [registry],
    });
    exposeCounter(
      {
        registry,
        name: 'lagwise_heartbeats_total',
        help: 'Heartbeats written to the primary, and tries that failed',
        labels: ['outcome'],
      },
      () => samplesOf(this.#heartbeats, 'outcome'),
    );
    this.#exposeServers(registry);
    this.#exposeReplication(registry);
    exposeGauge(
      { registry, name: 'lagwise_primary_available', help: '1 when a primary is known' },
      () => [{ value: this.#current()?.primary ? 1 : 0 }],
    );
    exposeGauge(
      { registry, name: 'lagwise_topology_epoch', help: 'Grows with each change of the primary' },
      () => [{ value: this.#current()?.epoch ?? 0 }],
    );
  }

  /**
   * Names where the current snapshot is; before that no server is shown.
   * @param nowMs the monotonic clock of its moments
   */
  bind(current: () => Snapshot, nowMs: () => number = () => performance.now()): void {
    this.#current = current;
    this.#nowMs = nowMs;
  }

  probed(server: ServerId, seconds: number, outcome: 'ok' | 'failed'): void {
    this.#probes.observe({ server, outcome }, seconds);
  }

  heartbeat(outcome: HeartbeatOutcome): void {
    this.#heartbeats.inc(outcome);
  }

  primaryChanged(): void {
    this.#primaryChanges.inc();
  }

  #exposeServers(registry: Registry): void {
    const each = this.#eachServer(registry);
    each('lagwise_server_up', '1 when the server answers probes', (server) =>
      server.role === 'down' ? 0 : 1,
    );
    each('lagwise_server_eligible', '1 when it may serve (lag aside)', (server) =>
      server.role === 'primary' || (server.role === 'replica' && server.ineligible === null)
        ? 1
        : 0,
    );
    // Unknown lag is not zero lag: a server of unknown lag has no series.
    each('lagwise_server_lag_seconds', 'Replication lag; absent when unknown', (server) =>
      server.lag.t === 'known' ? server.lag.lagMs / 1000 : null,
    );
    each('lagwise_server_replicating', '1 when both replication threads run', (server) =>
      server.replicating === null ? null : Number(server.replicating),
    );
    exposeGauge(
      {
        registry,
        name: 'lagwise_server_role',
        help: '1 for the role that the server has, 0 for the others',
        labels: ['server', 'role'],
      },
      () =>
        this.#servers().flatMap((server) =>
          ROLES.map((role) => ({
            labels: { server: server.id, role },
            value: server.role === role ? 1 : 0,
          })),
        ),
    );
  }

  /** What is not known has no series: unknown is never 0. */
  #exposeReplication(registry: Registry): void {
    const each = this.#eachServer(registry);
    const ageOf = (momentMs: number) => Math.max(0, (this.#nowMs() - momentMs) / 1000);
    const inSeconds = (ms: number | null | undefined) =>
      ms === null || ms === undefined ? null : ms / 1000;
    each('lagwise_server_lag_sample_age_seconds', 'Since the lag was measured', (server) =>
      server.lag.t === 'known' && server.role === 'replica' ? ageOf(server.seenAtMs) : null,
    );
    each(
      'lagwise_server_behind_transactions',
      'Transactions that the primary has and the replica has not',
      ({ replication }) => replication?.behind ?? null,
    );
    each(
      'lagwise_server_queued_transactions',
      'Transactions that the replica has received and not applied',
      ({ replication }) => replication?.queued ?? null,
    );
    each(
      'lagwise_server_applied_transactions_per_second',
      'Transactions that the replica applies, smoothed over some seconds',
      ({ replication }) => replication?.appliedPerSecond ?? null,
    );
    each(
      'lagwise_server_catch_up_seconds',
      'Predicted time until the replica has caught up; absent while it falls back',
      ({ replication }) => inSeconds(replication?.catchUpMs),
    );
    each(
      'lagwise_server_configured_delay_seconds',
      'Delay that is configured on the replica (SOURCE_DELAY); it is part of the lag',
      ({ replication }) => inSeconds(replication?.configuredDelayMs),
    );
    each(
      'lagwise_server_replication_stopped_seconds',
      'Since a thread of the replication was seen stopped, or without its source; 0 while all are at work',
      ({ replication }) => {
        if (replication === null) return null;
        const { stoppedSinceMs } = replication;
        return stoppedSinceMs === null ? 0 : ageOf(stoppedSinceMs);
      },
    );
  }

  #eachServer(registry: Registry) {
    return (name: string, help: string, value: (server: ServerView) => number | null): void => {
      exposeGauge({ registry, name, help, labels: ['server'] }, () =>
        this.#servers().flatMap((server): Sample[] => {
          const figure = value(server);
          return figure === null ? [] : [{ labels: { server: server.id }, value: figure }];
        }),
      );
    };
  }

  #servers(): readonly ServerView[] {
    return this.#current()?.servers ?? [];
  }
}
