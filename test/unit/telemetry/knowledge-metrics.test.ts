import { describe, expect, test } from 'vitest';
import type { Knowledge } from '../../../src/telemetry/knowledge-metrics.ts';
import { createTelemetry } from '../../../src/telemetry/telemetry.ts';

const create = () =>
  createTelemetry({ logLevel: 'silent', version: '0', destination: { write: () => {} } });

const KNOWLEDGE: Knowledge = {
  learned: { size: 3, evicted: 1 },
  digests: { size: 40, evicted: 2, othersCount: 9 },
  routines: {
    status: { isCurrent: true, readings: 5, failures: 4 },
    catalogue: { listing: { routines: [1, 2], unsafeViews: [1] } },
  },
};

describe('metrics of what is known of statements', () => {
  test('show what was bound, as it is when asked', async () => {
    const { metrics, registry } = create();
    metrics.knowledge.bind(KNOWLEDGE);
    const text = await registry.metrics();
    for (const line of [
      'lagwise_learned_statements 3',
      'lagwise_learned_statements_evicted_total 1',
      'lagwise_digests 40',
      'lagwise_digests_evicted_total 2',
      'lagwise_digest_others_total 9',
      'lagwise_routines 2',
      'lagwise_unsafe_views 1',
      'lagwise_routines_current 1',
      'lagwise_routine_readings_total 5',
      'lagwise_routine_reading_failures_total 4',
    ]) {
      expect(text).toContain(`\n${line}\n`);
    }
    metrics.knowledge.bind({ ...KNOWLEDGE, learned: { size: 4, evicted: 1 } });
    expect(await registry.metrics()).toContain('\nlagwise_learned_statements 4\n');
  });

  test('are zero until something is bound', async () => {
    expect(await create().registry.metrics()).toContain('\nlagwise_learned_statements 0\n');
  });
});

describe('metrics of pins', () => {
  test('count each and show those that hold now', async () => {
    const { metrics, registry } = create();
    const { statements } = metrics;
    statements.pinned('user-variable');
    statements.pinned('user-variable');
    statements.pinned('temporary-table');
    statements.unpinned('user-variable');
    const text = await registry.metrics();
    expect(text).toContain('\nlagwise_pins_total{reason="user-variable"} 2\n');
    expect(text).toContain('\nlagwise_pinned_sessions{reason="user-variable"} 1\n');
    expect(text).toContain('\nlagwise_pinned_sessions{reason="temporary-table"} 1\n');
    expect(text).toContain('\nlagwise_pinned_sessions{reason="xa"} 0\n');
  });
});
