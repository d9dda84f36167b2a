import { describe, expect, test } from 'vitest';
import { serverId } from '../../../src/lib/ids.ts';
import { RecentShare } from '../../../src/telemetry/staleness-metrics.ts';
import { createTelemetry } from '../../../src/telemetry/telemetry.ts';

const MINUTE_MS = 60_000;

describe('metrics of sampled reads', () => {
  test('count outcomes by replica and level, and show none where nothing was sampled', async () => {
    const { metrics, registry } = createTelemetry({
      logLevel: 'silent',
      version: '0',
      destination: { write: () => {} },
    });
    expect(await registry.metrics()).not.toContain('lagwise_sampled_reads_total{');
    const by = { server: serverId('db2'), level: 'eventual' } as const;
    const nowMs = performance.now();
    for (const outcome of ['stale', 'fresh', 'fresh', 'fresh', 'unstable', 'dropped'] as const) {
      metrics.staleness.noted(by, outcome, nowMs);
    }
    metrics.staleness.noted({ ...by, level: 'session' }, 'skipped', nowMs);
    const text = await registry.metrics();
    const labels = 'server="db2",consistency="eventual"';
    for (const line of [
      `lagwise_sampled_reads_total{${labels},outcome="fresh"} 3`,
      `lagwise_sampled_reads_total{${labels},outcome="stale"} 1`,
      `lagwise_sampled_reads_total{${labels},outcome="unstable"} 1`,
      `lagwise_sampled_reads_total{${labels},outcome="dropped"} 1`,
      `lagwise_sampled_reads_total{${labels},outcome="failed"} 0`,
      'lagwise_sampled_reads_total{server="db2",consistency="session",outcome="skipped"} 1',
      `lagwise_stale_read_share{${labels}} 0.25`,
    ]) {
      expect(text).toContain(`\n${line}\n`);
    }
    expect(text).not.toContain('lagwise_stale_read_share{server="db2",consistency="session"}');
  });
});

describe('the share of the last five minutes', () => {
  test('is of those minutes only, and of none it is null', () => {
    const recent = new RecentShare();
    expect(recent.share(0)).toBeNull();
    recent.note(true, 0);
    recent.note(false, MINUTE_MS);
    expect(recent.share(4 * MINUTE_MS)).toBe(0.5);
    expect(recent.share(5 * MINUTE_MS)).toBe(0);
    expect(recent.share(6 * MINUTE_MS)).toBeNull();
    recent.note(true, 100 * MINUTE_MS);
    expect(recent.share(100 * MINUTE_MS)).toBe(1);
  });
});
