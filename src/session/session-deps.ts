import type { Config } from '../config/schema.ts';
import type { ServerId } from '../lib/ids.ts';
import type { Logger } from '../lib/logger.ts';
import type { ClientTls } from '../net/client-tls.ts';
import type { BackendPool } from '../pool/pool.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Snapshot } from '../topology/snapshot.ts';
import type { RsaKeys } from './client-auth.ts';
import type { Knowledge, StatementClassifier } from './statement-judge.ts';
import type { StatementPolicies } from './statement-policy.ts';
import type { Credentials } from './credentials.ts';
import type { HoldQueue } from './hold-queue.ts';
import type { LoginLimiter } from './login-limiter.ts';
import type { LoginTrust } from './login-trust.ts';
import type { SessionRegistry } from './session-registry.ts';

/** The cluster as sessions see it. */
export interface TopologyView {
  current(): Snapshot;
  /** The data path could not reach a server, or found it in another role. */
  reportUnreachable(id: ServerId, why: string): void;
  /** A connection in use was lost: probe at once. */
  suspect(): void;
}

/** What every session of a proxy shares. */
export interface SessionDeps {
  readonly config: Config;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly topology: TopologyView;
  readonly pool: BackendPool;
  readonly holds: HoldQueue;
  readonly sessions: SessionRegistry;
  readonly credentials: Credentials;
  readonly limiter: LoginLimiter;
  readonly trust: LoginTrust;
  readonly classifier: StatementClassifier;
  readonly policies: StatementPolicies;
  readonly knowledge: Knowledge;
  /** Null where TLS is off. */
  readonly tls: ClientTls | null;
  readonly rsaKeys: RsaKeys;
  /** [0, 1); seeded in tests. */
  readonly random: () => number;
}
