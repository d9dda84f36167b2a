import { describe, expect, test } from 'vitest';
import { serverId } from '../../../src/lib/ids.ts';
import { createTelemetry } from '../../../src/telemetry/telemetry.ts';
import { aServer, aSnapshot } from '../../support/snapshots.ts';

const create = () =>
  createTelemetry({ logLevel: 'silent', version: '1.2.3', destination: { write: () => {} } });

/** The scrape as a map from series to value. */
async function scrape(telemetry: ReturnType<typeof create>): Promise<Map<string, number>> {
  const lines = (await telemetry.registry.metrics()).split('\n');
  return new Map(
    lines
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => {
        const cut = line.lastIndexOf(' ');
        return [line.slice(0, cut), Number(line.slice(cut + 1))];
      }),
  );
}

const db1 = serverId('db1');

describe('metrics', () => {
  test('are Prometheus text with help and type for each', async () => {
    const telemetry = create();
    expect(telemetry.registry.contentType).toMatch(/^text\/plain/);
    const text = await telemetry.registry.metrics();
    const typed = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)];
    const ours = typed.filter(([, name]) => name?.startsWith('lagwise_'));
    expect(ours.length).toBeGreaterThan(20);
    for (const [, name, type] of ours) {
      expect(text).toContain(`# HELP ${name} `);
      // Prometheus conventions: counters end in _total, and only they do.
      expect(name?.endsWith('_total'), name).toBe(type === 'counter');
    }
    expect(text).toContain('process_cpu_seconds_total');
    expect(text).toContain('lagwise_build_info{version="1.2.3"');
  });

  test('of two proxies in one process are apart', async () => {
    const [one, other] = [create(), create()];
    one.metrics.clients.accepted();
    expect((await scrape(one)).get('lagwise_client_connections')).toBe(1);
    expect((await scrape(other)).get('lagwise_client_connections')).toBe(0);
  });

  test('client connections: open is accepted less closed', async () => {
    const telemetry = create();
    const { clients } = telemetry.metrics;
    clients.accepted();
    clients.accepted();
    clients.closed('quit');
    clients.loginFailed('blocked');
    const series = await scrape(telemetry);
    expect(series.get('lagwise_client_connections')).toBe(1);
    expect(series.get('lagwise_client_connections_accepted_total')).toBe(2);
    expect(series.get('lagwise_client_connections_closed_total{reason="quit"}')).toBe(1);
    expect(series.get('lagwise_client_connections_closed_total{reason="idle"}')).toBe(0);
    expect(series.get('lagwise_client_logins_failed_total{reason="blocked"}')).toBe(1);
  });

  test('statements by server, role and class; scraping twice counts nothing twice', async () => {
    const telemetry = create();
    const statements = telemetry.metrics.statements.forServer(db1);
    expect(telemetry.metrics.statements.forServer(db1)).toBe(statements);
    statements.primary.inc('write');
    statements.replica.inc('read');
    statements.replica.inc('read');
    statements.misroutes += 1;
    telemetry.metrics.statements.routes.inc('read');
    telemetry.metrics.statements.fallbacks.inc('lag');
    await scrape(telemetry);
    const series = await scrape(telemetry);
    expect(series.get('lagwise_statements_total{server="db1",role="primary",class="write"}')).toBe(
      1,
    );
    expect(series.get('lagwise_statements_total{server="db1",role="replica",class="read"}')).toBe(
      2,
    );
    expect(series.get('lagwise_misroutes_total{server="db1"}')).toBe(1);
    expect(series.get('lagwise_route_decisions_total{reason="read"}')).toBe(1);
    expect(series.get('lagwise_replica_fallbacks_total{reason="lag"}')).toBe(1);
  });

  test('statement durations are a cumulative histogram in seconds', async () => {
    const telemetry = create();
    const { replica } = telemetry.metrics.statements.durations;
    for (const us of [100, 1000, 1_000_000]) replica.observeUs(us);
    const series = await scrape(telemetry);
    const name = 'lagwise_statement_duration_seconds';
    expect(series.get(`${name}_bucket{le="0.000128",role="replica"}`)).toBe(1);
    expect(series.get(`${name}_bucket{le="0.001024",role="replica"}`)).toBe(2);
    expect(series.get(`${name}_bucket{le="+Inf",role="replica"}`)).toBe(3);
    expect(series.get(`${name}_count{role="replica"}`)).toBe(3);
    expect(series.get(`${name}_sum{role="replica"}`)).toBeCloseTo(1.0011);
    expect(series.get(`${name}_count{role="primary"}`)).toBe(0);
  });

  test('bytes are added to plain fields', async () => {
    const telemetry = create();
    telemetry.metrics.traffic.clientInBytes += 100;
    telemetry.metrics.traffic.serverOutBytes += 7;
    const series = await scrape(telemetry);
    expect(series.get('lagwise_network_bytes_total{side="client",direction="in"}')).toBe(100);
    expect(series.get('lagwise_network_bytes_total{side="server",direction="out"}')).toBe(7);
  });

  test('backend connections are counted when scraped', async () => {
    const telemetry = create();
    let count = 3;
    telemetry.metrics.backends.bind(() => [{ server: db1, state: 'leased', count }]);
    telemetry.metrics.backends.connectFailed(db1, 'backend-connect');
    const name = 'lagwise_backend_connections{server="db1",state="leased"}';
    expect((await scrape(telemetry)).get(name)).toBe(3);
    count = 1;
    const series = await scrape(telemetry);
    expect(series.get(name)).toBe(1);
    expect(
      series.get('lagwise_backend_connect_errors_total{server="db1",source="backend-connect"}'),
    ).toBe(1);
  });

  test('servers are shown as the current snapshot has them; unknown lag has no series', async () => {
    const telemetry = create();
    const primary = aServer({
      id: db1,
      role: 'primary',
      lag: { t: 'known', lagMs: 0, method: 'gtid' },
    });
    const lagging = aServer({
      id: serverId('db2'),
      lag: { t: 'known', lagMs: 1500, method: 'gtid' },
    });
    const unknown = aServer({
      id: serverId('db3'),
      lag: { t: 'unknown', why: 'stopped' },
      replicating: false,
      ineligible: 'stopped',
    });
    let snapshot = aSnapshot({ servers: [primary, lagging, unknown], primary, epoch: 4 });
    telemetry.metrics.topology.bind(() => snapshot);
    telemetry.metrics.topology.primaryChanged();
    telemetry.metrics.topology.probed(db1, 0.002, 'ok');
    let series = await scrape(telemetry);
    expect(series.get('lagwise_server_up{server="db1"}')).toBe(1);
    expect(series.get('lagwise_server_role{server="db1",role="primary"}')).toBe(1);
    expect(series.get('lagwise_server_role{server="db2",role="primary"}')).toBe(0);
    expect(series.get('lagwise_server_lag_seconds{server="db2"}')).toBe(1.5);
    expect(series.has('lagwise_server_lag_seconds{server="db3"}')).toBe(false);
    expect(series.get('lagwise_server_replicating{server="db3"}')).toBe(0);
    expect(series.get('lagwise_server_eligible{server="db3"}')).toBe(0);
    expect(series.get('lagwise_primary_available')).toBe(1);
    expect(series.get('lagwise_topology_epoch')).toBe(4);
    expect(series.get('lagwise_primary_changes_total')).toBe(1);
    expect(
      series.get('lagwise_server_probe_duration_seconds_count{server="db1",outcome="ok"}'),
    ).toBe(1);

    snapshot = aSnapshot({ servers: [aServer({ id: db1, role: 'down' })], primary: null });
    series = await scrape(telemetry);
    expect(series.get('lagwise_server_up{server="db1"}')).toBe(0);
    expect(series.has('lagwise_server_up{server="db2"}')).toBe(false);
    expect(series.get('lagwise_primary_available')).toBe(0);
  });

  test('the details of replication have series where they are known; none stands for 0', async () => {
    const telemetry = create();
    const known = {
      channels: [],
      queued: 3,
      behind: 7,
      isApplying: true,
      appliedPerSecond: 2.5,
      catchUpMs: 2800,
      configuredDelayMs: 1000,
      stoppedSinceMs: null,
    };
    const stopped = { ...known, queued: null, appliedPerSecond: null, catchUpMs: null };
    const db2 = aServer({ id: serverId('db2'), replication: known, seenAtMs: 9500 });
    const db3 = aServer({
      id: serverId('db3'),
      lag: { t: 'unknown', why: 'stopped' },
      replication: { ...stopped, stoppedSinceMs: 4000 },
    });
    const snapshot = aSnapshot({ servers: [db2, db3] });
    const { topology } = telemetry.metrics;
    topology.bind(
      () => snapshot,
      () => 10_000,
    );
    topology.heartbeat('written');
    const series = await scrape(telemetry);
    const of = (name: string, server: string) =>
      series.get(`lagwise_server_${name}{server="${server}"}`);
    expect(of('lag_sample_age_seconds', 'db2')).toBe(0.5);
    expect(of('behind_transactions', 'db2')).toBe(7);
    expect(of('queued_transactions', 'db2')).toBe(3);
    expect(of('applied_transactions_per_second', 'db2')).toBe(2.5);
    expect(of('catch_up_seconds', 'db2')).toBe(2.8);
    expect(of('configured_delay_seconds', 'db2')).toBe(1);
    expect(of('replication_stopped_seconds', 'db2')).toBe(0);
    expect(of('replication_stopped_seconds', 'db3')).toBe(6);
    expect(of('behind_transactions', 'db3')).toBe(7);
    for (const name of ['lag_sample_age', 'queued', 'catch_up', 'applied_transactions_per']) {
      expect([...series.keys()].filter((key) => key.includes(name) && key.includes('db3'))).toEqual(
        [],
      );
    }
    expect(series.get('lagwise_heartbeats_total{outcome="written"}')).toBe(1);
  });

  test('held writes: now, by outcome, and how long', async () => {
    const telemetry = create();
    const { holds } = telemetry.metrics;
    holds.started();
    holds.started();
    holds.ended('released', 0.4);
    holds.refused();
    const series = await scrape(telemetry);
    expect(series.get('lagwise_writes_held')).toBe(1);
    expect(series.get('lagwise_write_holds_total{outcome="released"}')).toBe(1);
    expect(series.get('lagwise_write_holds_total{outcome="full"}')).toBe(1);
    expect(
      series.get('lagwise_write_hold_duration_seconds_bucket{le="0.5",outcome="released"}'),
    ).toBe(1);
  });
});
