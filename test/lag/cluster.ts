import type { Config } from '../../src/config/schema.ts';
import type { Lab } from '../../src/lab/lab.ts';
import { serverId } from '../../src/lib/ids.ts';
import { HeartbeatWriter } from '../../src/monitor/heartbeat.ts';
import { Monitor } from '../../src/monitor/monitor.ts';
import { TopologyService } from '../../src/monitor/topology-service.ts';

/** How the servers are watched; the defaults of the product unless given. */
export interface WatchOptions {
  readonly intervalMs?: number;
  readonly idleIntervalMs?: number;
  readonly fastIntervalMs?: number;
  /** From one heartbeat to the next, ms; null for none. */
  readonly heartbeatMs?: number | null;
  /** Hears why a heartbeat is not written. */
  readonly onProblem?: (why: object) => void;
}

const DEFAULTS: Pick<Config['monitor'], 'intervalMs' | 'idleIntervalMs' | 'timeoutMs'> = {
  intervalMs: 250,
  idleIntervalMs: 1000,
  timeoutMs: 1000,
};

/** Watches a lab's servers as a proxy does. Its `stop` ends all connections. */
export function watchLab(lab: Lab, options: WatchOptions = {}): TopologyService {
  const servers = lab.servers.map(({ id, host, port }) => ({
    id: serverId(id),
    host,
    port,
    tags: [],
    zone: null,
    weight: 1,
    reserved: false,
  }));
  const tls = { mode: 'preferred', ca: null } as const;
  const silent = { info: () => undefined, warn: () => undefined, error: () => undefined };
  const { heartbeatMs = null, onProblem = console.warn, ...pace } = options;
  const logger = { info: () => undefined, warn: onProblem };
  const heartbeat =
    heartbeatMs === null
      ? null
      : new HeartbeatWriter({
          account: lab.accounts.monitor,
          tls,
          table: 'lagwise.heartbeat',
          proxy: 'accuracy',
          intervalMs: heartbeatMs,
          timeoutMs: DEFAULTS.timeoutMs,
          logger,
        });
  const prober = new Monitor({
    ...DEFAULTS,
    ...pace,
    servers,
    account: lab.accounts.monitor,
    tls,
    heartbeatSql: heartbeat?.readSql ?? null,
  });
  const service = new TopologyService({ servers, prober, heartbeat, logger: silent });
  service.start();
  return service;
}
