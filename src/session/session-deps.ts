import type { Config } from '../config/schema.ts';
import type { Coordination } from '../coordination/coordination.ts';
import type { ServerId } from '../lib/ids.ts';
import type { Logger } from '../lib/logger.ts';
import type { ClientTls } from '../net/client-tls.ts';
import type { BackendPool } from '../pool/pool.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Snapshot } from '../topology/snapshot.ts';
import type { RsaKeys } from './login/client-auth.ts';
import type { Knowledge, StatementClassifier } from './statement/statement-judge.ts';
import type { StatementPolicies } from './statement/statement-policy.ts';
import type { Credentials } from './login/credentials.ts';
import type { HoldQueue } from './servers/hold-queue.ts';
import type { LoginLimiter } from './login/login-limiter.ts';
import type { LoginTrust } from './login/login-trust.ts';
import type { ReadSampler } from './reply/reply-tap.ts';
import type { SessionRegistry } from './session-registry.ts';

/** The cluster as sessions see it. */
export interface TopologyView {
  current(): Snapshot;
  /** The data path could not reach a server, or found it in another role. */
  reportUnreachable(id: ServerId, why: string): void;
  /** A connection in use was lost: probe at once. */
  suspect(): void;
  /** A read waits for replicas to catch up: they are looked at more often for a while. */
  wanted(): void;
}

/** What every session of a proxy shares. */
export interface SessionDeps {
  readonly config: Config;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly topology: TopologyView;
  readonly pool: BackendPool;
  readonly holds: HoldQueue;
  /** What other proxies have acknowledged, and are told of. */
  readonly coordination: Coordination;
  readonly sessions: SessionRegistry;
  readonly credentials: Credentials;
  readonly limiter: LoginLimiter;
  /** Looks whether reads were stale; null where `routing.stalenessSample` is 0. */
  readonly staleness: ReadSampler | null;
  readonly trust: LoginTrust;
  readonly classifier: StatementClassifier;
  readonly policies: StatementPolicies;
  readonly knowledge: Knowledge;
  /** Null where TLS is off. */
  readonly tls: ClientTls | null;
  readonly rsaKeys: RsaKeys;
  /**
   * False only in tests that must find out that they would notice: then replicas serve reads
   * whatever they have.
   */
  readonly keepsPromises: boolean;
  /** [0, 1); seeded in tests. */
  readonly random: () => number;
}
