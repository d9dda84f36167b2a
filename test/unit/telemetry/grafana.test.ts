import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const folder = (path: string) => fileURLToPath(new URL(`../../../${path}/`, import.meta.url));
const textsIn = (path: string, ending: string) =>
  readdirSync(folder(path))
    .filter((name) => name.endsWith(ending))
    .map((name) => readFileSync(`${folder(path)}${name}`, 'utf8'));

const exposed = new Set(
  textsIn('src/telemetry', '.ts').flatMap((text) =>
    [...text.matchAll(/'(lagwise_[a-z_]+)'/g)].map(([, name]) => name),
  ),
);

/** The metrics that a text names, without what Prometheus puts behind those of histograms. */
function metricsIn(text: string): string[] {
  return [...text.matchAll(/\blagwise_[a-z_]+/g)].map(([name]) =>
    exposed.has(name) ? name : name.replace(/_(bucket|sum|count)$/, ''),
  );
}

describe('dashboards and alert rules', () => {
  it.each(['.json', '.yml'])('of files %s name only metrics that there are', (ending) => {
    const named = textsIn('grafana', ending).flatMap(metricsIn);
    expect(named.length).toBeGreaterThan(5);
    expect(named.filter((name) => !exposed.has(name))).toEqual([]);
  });

  it('the dashboard is JSON whose panels have ids of their own', () => {
    const [text = ''] = textsIn('grafana', '.json');
    const { panels } = JSON.parse(text) as { panels: readonly { id: number }[] };
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  });

  // What the expressions do, grafana/alerts.test.yml tries; promtool is not everywhere.
  it('replicas are missed only where there is more than one server', () => {
    const alerts = textsIn('grafana', 'alerts.yml').join('').split('- alert: ');
    for (const name of ['LagwiseNoReplica', 'LagwiseReadsLoadThePrimary']) {
      const alert = alerts.find((text) => text.startsWith(`${name}\n`));
      expect(alert).toContain('and count by (job, instance) (lagwise_server_up) > 1\n');
    }
  });
});
