import type { Registry } from 'prom-client';
import { POLICY_PROBLEMS, type PolicyProblem } from '../routing/policy.ts';
import { samplesOf } from './client-metrics.ts';
import { ClosedCounter } from './plain-counters.ts';
import { exposeCounter } from './prom-bridge.ts';

/** What clients said to the proxy that it did not understand, by where they said it. */
export function createPolicyProblems(registry: Registry): ClosedCounter<PolicyProblem> {
  const problems = new ClosedCounter<PolicyProblem>(POLICY_PROBLEMS);
  exposeCounter(
    {
      registry,
      name: 'lagwise_policy_problems_total',
      help: 'Comments, query attributes and @lagwise_ variables that were not understood, by kind',
      labels: ['kind'],
    },
    () => samplesOf(problems, 'kind'),
  );
  return problems;
}
