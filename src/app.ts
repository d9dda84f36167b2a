import { readFileSync } from 'node:fs';
import { type AdminServer, startAdminServer } from './admin/http-server.ts';
import type { Config } from './config/schema.ts';
import { createCoordination } from './coordination/create.ts';
import { ClientTls } from './net/client-tls.ts';
import { createHeartbeat } from './monitor/heartbeat.ts';
import { Monitor } from './monitor/monitor.ts';
import type { ProbeTls } from './monitor/probe-connection.ts';
import { ServerRoutines } from './monitor/routine-source.ts';
import { RoutineWatch } from './monitor/routine-watch.ts';
import { TopologyService } from './monitor/topology-service.ts';
import { BackendPool } from './pool/pool.ts';
import { ReplicaCare } from './pool/replica-care.ts';
import { DigestTable } from './routing/digest-table.ts';
import { LearnedStatements } from './routing/learned-statements.ts';
import { Credentials } from './session/login/credentials.ts';
import { HoldQueue } from './session/servers/hold-queue.ts';
import { LoginLimiter } from './session/login/login-limiter.ts';
import { LoginTrust } from './session/login/login-trust.ts';
import { ProxyServer } from './session/proxy-server.ts';
import { makeRsaKeys } from './session/login/rsa-keys.ts';
import type { SessionDeps } from './session/session-deps.ts';
import { SessionRegistry } from './session/session-registry.ts';
import type { Knowledge } from './session/statement/statement-judge.ts';
import { createSampler } from './session/staleness/staleness-sampler.ts';
import { StatementPolicies } from './session/statement/statement-policy.ts';
import { Classifier } from './sql/classify.ts';
import type { LogDestination } from './telemetry/logger.ts';
import { createTelemetry, type Telemetry } from './telemetry/telemetry.ts';
import type { Snapshot } from './topology/snapshot.ts';
import { VERSION } from './version.ts';

/** A running proxy. */
export interface App {
  /** Where clients connect. */
  readonly port: number;
  /** Where the admin HTTP server listens, null when it is off. */
  readonly adminPort: number | null;
  snapshot(): Snapshot;
  /** The text of `/metrics`. */
  metrics(): Promise<string>;
  /**
   * Stops in order: unready, no new clients, sessions end as their transactions do, whoever is left
   * after `shutdown.drainMs` is cut off.
   */
  stop(): Promise<void>;
}

export interface AppOptions {
  /** Default: standard output. */
  readonly logDestination?: LogDestination;
  /** [0, 1) for choices among replicas; seeded in tests. */
  readonly random?: () => number;
  /** For tests that must find out that they would notice: replicas serve whatever they have. */
  readonly breakConsistency?: boolean;
}

/** How often a stopping proxy looks whether its sessions have ended. */
const DRAIN_POLL_MS = 20;
/** Every server has been probed once by then, or has not answered. */
const FIRST_LOOK_MARGIN_MS = 100;

/**
 * Builds the whole proxy and starts it, lowest parts first; `stop` goes the other way.
 * @throws LagwiseError `config` when something configured cannot be used
 */
export async function startApp(config: Config, options: AppOptions = {}): Promise<App> {
  const telemetry = createTelemetry({
    logLevel: config.log.level,
    version: VERSION,
    ...(options.logDestination === undefined ? {} : { destination: options.logDestination }),
  });
  const { logger, registry } = telemetry;
  const topology = startTopology(config, telemetry);
  const statements = startKnowledge(config, telemetry, topology);
  const deps = await makeDeps(config, options, { telemetry, topology, knowledge: statements });
  const care = startCare(deps);
  followTopology(topology, deps, care);
  topology.start();
  const proxy = new ProxyServer(deps);
  const state = { ready: false };
  const parts = { config, deps, topology, statements, proxy, telemetry, state, care };
  const { admin, port } = await openDoors(parts);
  state.ready = true;
  logger.info(
    { host: config.listen.host, port, adminPort: admin?.port, version: VERSION },
    'Lagwise is ready for clients',
  );
  const stop = () => stopApp({ ...parts, admin });
  return {
    port,
    adminPort: admin?.port ?? null,
    snapshot: () => topology.current(),
    metrics: () => registry.metrics(),
    stop: once(stop),
  };
}

/**
 * What sessions share.
 * @throws LagwiseError `config` when something configured cannot be used
 */
async function makeDeps(
  config: Config,
  options: AppOptions,
  parts: { telemetry: Telemetry; topology: TopologyService; knowledge: Knowledge },
): Promise<SessionDeps> {
  const { telemetry, topology, knowledge } = parts;
  const { metrics, logger } = telemetry;
  const holds = new HoldQueue(config.failover, metrics.holds, () => topology.current());
  const pool = new BackendPool(config, telemetry, (id, why) => topology.reportUnreachable(id, why));
  const random = options.random ?? Math.random;
  return {
    config,
    logger,
    metrics,
    topology,
    pool,
    holds,
    sessions: new SessionRegistry(),
    credentials: new Credentials(config.users),
    limiter: new LoginLimiter(config.auth),
    trust: new LoginTrust(config.pool.trustLoginMs),
    classifier: new Classifier(),
    policies: new StatementPolicies(config, metrics.policyProblems),
    knowledge,
    tls: await ClientTls.create(config.listen.tls, config.listen.loginTimeoutMs),
    rsaKeys: await makeRsaKeys(),
    keepsPromises: options.breakConsistency !== true,
    random,
    staleness: createSampler({ config, pool, topology, telemetry, random }),
    // Last: what fails before leaves no connection to Redis behind.
    coordination: createCoordination(config.coordination, {
      logger,
      metrics: metrics.coordination,
      nowMs: () => performance.now(),
    }),
  };
}

/** Tells whoever has to know of each new snapshot. */
function followTopology(
  topology: TopologyService,
  deps: SessionDeps,
  care: ReturnType<typeof startCare>,
): void {
  const { coordination, metrics, holds, pool, sessions } = deps;
  topology.onChange((snapshot, before) => {
    coordination.observe(snapshot);
    if (snapshot.primary?.id !== before.primary?.id) metrics.topology.primaryChanged();
    care.noteSnapshot(snapshot);
    holds.published(snapshot);
    for (const { id, role } of snapshot.servers) if (role === 'down') pool.dropIdle(id);
    if (snapshot.epoch !== before.epoch || snapshot.primary?.id !== before.primary?.id) {
      for (const session of sessions) session.onTopology();
    }
  });
}

/**
 * Looks at the cluster once, then listens.
 * @throws LagwiseError when it cannot; what was begun is stopped then, since it would keep the
 *   process alive
 */
async function openDoors(
  parts: Omit<Running, 'admin'>,
): Promise<{ admin: AdminServer | null; port: number }> {
  const { config, deps, topology, statements, proxy, telemetry, state, care } = parts;
  let admin: AdminServer | null = null;
  try {
    await firstLook(topology, config);
    statements.routines.start();
    const { registry } = telemetry;
    admin = await startAdmin(config, deps, { registry, state, statements, care });
    return { admin, port: await proxy.listen() };
  } catch (error) {
    await stopApp({ ...parts, admin });
    throw error;
  }
}

function startCare({ config, pool, metrics, logger }: SessionDeps): ReplicaCare {
  const care = new ReplicaCare({
    config,
    loadOf: (id) => pool.loadOf(id),
    resting: pool.resting,
    metrics: metrics.replicas,
    logger,
  });
  care.start();
  return care;
}

function startTopology(config: Config, telemetry: Telemetry): TopologyService {
  const { monitor } = config;
  const { logger, metrics } = telemetry;
  const heartbeat = createHeartbeat(config, {
    tls: probeTls(config),
    logger,
    counted: (outcome) => metrics.topology.heartbeat(outcome),
  });
  const prober = new Monitor({
    servers: config.servers,
    account: { user: monitor.user, password: monitor.password.reveal() },
    tls: probeTls(config),
    intervalMs: monitor.intervalMs,
    idleIntervalMs: monitor.idleIntervalMs,
    fastIntervalMs: config.lag.fastIntervalMs,
    timeoutMs: monitor.timeoutMs,
    heartbeatSql: heartbeat?.readSql ?? null,
    onDenied: (server, why) => {
      logger.warn({ server, why }, "Lag is told without what the monitor's account may not read");
    },
  });
  const topology = new TopologyService({
    servers: config.servers,
    prober,
    heartbeat,
    logger,
    activity: () => metrics.statements.routes.total,
    probed: (id, seconds, outcome) => metrics.topology.probed(id, seconds, outcome),
  });
  metrics.topology.bind(() => topology.current());
  return topology;
}

function probeTls({ serverTls: { mode, caFile } }: Config): ProbeTls {
  return { mode, ca: caFile === null ? null : readFileSync(caFile, 'utf8') };
}

/** What is known of statements beyond their text. */
interface Statements extends Knowledge {
  readonly routines: RoutineWatch;
}

function startKnowledge(
  config: Config,
  { logger, metrics }: Telemetry,
  topology: TopologyService,
): Statements {
  const { user, password } = config.monitor;
  const account = { user, password: password.reveal() };
  const routines = new RoutineWatch({
    source: new ServerRoutines({ account, tls: probeTls(config) }),
    snapshot: () => topology.current(),
    logger,
  });
  const knowledge = { digests: new DigestTable(), learned: new LearnedStatements(), routines };
  metrics.knowledge.bind(knowledge);
  topology.onChange((snapshot) => routines.topologyChanged(snapshot));
  return knowledge;
}

/** Waits until there is a primary, or until every server had its chance to answer. */
async function firstLook(topology: TopologyService, config: Config): Promise<void> {
  if (topology.current().primary !== null) return;
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(resolve, config.monitor.timeoutMs + FIRST_LOOK_MARGIN_MS, undefined);
  const forget = topology.onChange(({ primary }) => {
    if (primary !== null) resolve(undefined);
  });
  await promise;
  clearTimeout(timer);
  forget();
}

async function startAdmin(
  config: Config,
  deps: SessionDeps,
  shown: {
    registry: Telemetry['registry'];
    state: { ready: boolean };
    statements: Statements;
    care: ReplicaCare;
  },
): Promise<AdminServer | null> {
  if (!config.admin.enabled) return null;
  const { topology, sessions } = deps;
  return await startAdminServer({
    host: config.admin.host,
    port: config.admin.port,
    registry: shown.registry,
    readiness: () => readiness(shown.state.ready, topology.current()),
    snapshot: () => topology.current(),
    zone: config.routing.zone,
    standingOf: (id) => shown.care.standingOf(id),
    sessions: () => [...sessions].map((session) => session.info(performance.now())),
    statements: shown.statements,
    logger: deps.logger,
  });
}

function readiness(started: boolean, snapshot: Snapshot) {
  const serves = snapshot.servers.some(
    ({ role, ineligible }) => role === 'primary' || (role === 'replica' && ineligible === null),
  );
  const reasons: string[] = [];
  if (!started) reasons.push('The proxy is starting or stopping');
  if (!serves) reasons.push(snapshot.noPrimary ?? 'No server can serve');
  return { ready: reasons.length === 0, reasons };
}

interface Running {
  readonly config: Config;
  readonly deps: SessionDeps;
  readonly topology: TopologyService;
  readonly statements: Statements;
  readonly proxy: ProxyServer;
  readonly admin: AdminServer | null;
  readonly care: ReplicaCare;
  readonly telemetry: Telemetry;
  readonly state: { ready: boolean };
}

async function stopApp(running: Running): Promise<void> {
  const { config, deps, topology, statements, proxy, admin, telemetry, state, care } = running;
  const { sessions, holds, logger } = deps;
  state.ready = false;
  logger.info({ sessions: sessions.size, drainMs: config.shutdown.drainMs }, 'Stopping');
  proxy.stopAccepting();
  holds.shutdown();
  for (const session of sessions) session.drain();
  const deadlineMs = performance.now() + config.shutdown.drainMs;
  while (sessions.size > 0 && performance.now() < deadlineMs) {
    await new Promise((resolve) => setTimeout(resolve, DRAIN_POLL_MS));
  }
  if (sessions.size > 0) logger.warn({ sessions: sessions.size }, 'Cutting off sessions');
  for (const session of sessions) session.end('shutdown', null);
  care.stop();
  deps.staleness?.stop();
  deps.pool.close();
  await Promise.all([statements.routines.stop(), topology.stop(), deps.coordination.stop()]);
  await admin?.close();
  logger.info({}, 'Stopped');
  await telemetry.flush();
}

function once(work: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | null = null;
  return () => {
    running ??= work();
    return running;
  };
}
