import { collectDefaultMetrics, Registry } from 'prom-client';
import { ClientMetrics, createTraffic } from './client-metrics.ts';
import { ConsistencyMetrics } from './consistency-metrics.ts';
import { CoordinationMetrics } from './coordination-metrics.ts';
import { HoldMetrics } from './hold-metrics.ts';
import { KnowledgeMetrics } from './knowledge-metrics.ts';
import type { Traffic } from './plain-counters.ts';
import { exposeCounter, exposeGauge } from './prom-bridge.ts';
import { ReplicaMetrics } from './replica-metrics.ts';
import { BackendMetrics, TopologyMetrics } from './server-metrics.ts';
import { createPolicyProblems } from './policy-metrics.ts';
import { StalenessMetrics } from './staleness-metrics.ts';
import { StatementMetrics } from './statement-metrics.ts';

/** Every metric of the proxy, by topic. All labels come from closed sets or are server ids. */
export interface Metrics {
  readonly clients: ClientMetrics;
  readonly traffic: Traffic;
  readonly statements: StatementMetrics;
  readonly backends: BackendMetrics;
  readonly replicas: ReplicaMetrics;
  readonly topology: TopologyMetrics;
  readonly holds: HoldMetrics;
  readonly policyProblems: ReturnType<typeof createPolicyProblems>;
  readonly knowledge: KnowledgeMetrics;
  readonly coordination: CoordinationMetrics;
  readonly consistency: ConsistencyMetrics;
  readonly staleness: StalenessMetrics;
}

/** What a scrape needs, without the library's type. */
export interface MetricsSource {
  readonly contentType: string;
  /** The text format of Prometheus. */
  metrics(): Promise<string>;
}

/**
 * @param version of the product, for `lagwise_build_info`
 * @param droppedLogLines how many log lines were lost to a slow reader so far
 */
export function createMetrics(options: {
  readonly version: string;
  readonly droppedLogLines: () => number;
}): { readonly metrics: Metrics; readonly registry: MetricsSource } {
  // Not the library's global registry: two proxies in one process (tests) must not share counts.
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  exposeGauge(
    {
      registry,
      name: 'lagwise_build_info',
      help: 'Always 1; the labels say what runs',
      labels: ['version', 'node'],
    },
    () => [{ labels: { version: options.version, node: process.version }, value: 1 }],
  );
  exposeCounter(
    {
      registry,
      name: 'lagwise_log_lines_dropped_total',
      help: 'Log lines lost because whoever reads the log was too slow',
    },
    () => [{ value: options.droppedLogLines() }],
  );
  const statements = new StatementMetrics(registry);
  const metrics: Metrics = {
    clients: new ClientMetrics(registry),
    traffic: createTraffic(registry),
    statements,
    backends: new BackendMetrics(registry),
    replicas: new ReplicaMetrics(registry),
    topology: new TopologyMetrics(registry),
    holds: new HoldMetrics(registry),
    policyProblems: createPolicyProblems(registry),
    knowledge: new KnowledgeMetrics(registry),
    coordination: new CoordinationMetrics(registry),
    consistency: new ConsistencyMetrics(registry, statements),
    staleness: new StalenessMetrics(registry),
  };
  return { metrics, registry };
}
