import { createHash, randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { Config } from '../config/schema.ts';
import { LagwiseError } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';
import type { CoordinationMetrics } from '../telemetry/coordination-metrics.ts';
import type { Coordination } from './coordination.ts';
import { GroupCoordination } from './group-coordination.ts';
import { MemoryCoordination } from './memory-coordination.ts';
import { createRedisStore } from './redis-store.ts';

/**
 * The coordination that the configuration asks for, at work from here on: in memory without Redis.
 * Throws LagwiseError (`config`) if this proxy is not a member of the group.
 * @param deps.nowMs the monotonic clock that the monitor's observations use
 */
export function createCoordination(
  config: Config['coordination'],
  deps: {
    readonly logger: Logger;
    readonly metrics: CoordinationMetrics;
    readonly nowMs: () => number;
  },
): Coordination {
  const { metrics, nowMs } = deps;
  const coordination =
    config.redis === null
      ? new MemoryCoordination({ nowMs, metrics })
      : createGroup({ ...config, redis: config.redis }, deps);
  metrics.bind(() => coordination.state());
  return coordination;
}

type GroupConfig = Config['coordination'] & {
  readonly redis: NonNullable<Config['coordination']['redis']>;
};

function createGroup(
  config: GroupConfig,
  deps: {
    readonly logger: Logger;
    readonly metrics: CoordinationMetrics;
    readonly nowMs: () => number;
  },
): GroupCoordination {
  const name = config.name ?? hostname();
  const { redis, group, leaseMs } = config;
  const members = [...config.members].sort();
  if (!members.includes(name)) {
    throw new LagwiseError(
      'config',
      `coordination.members: "${name}" (the host's name) is missing, expected it there, or a coordination.name that is`,
    );
  }
  return new GroupCoordination({
    name,
    members,
    leaseMs,
    instance: randomUUID(),
    agreement: createHash('sha256')
      .update(JSON.stringify([leaseMs, members]))
      .digest('base64url'),
    store: createRedisStore(redis, { group, name, members }),
    logger: deps.logger,
    metrics: deps.metrics,
    now: () => ({ monotonicMs: deps.nowMs(), wallMs: Date.now() }),
  });
}
