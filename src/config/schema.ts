import { z } from 'zod';
import { type ServerId, serverId } from '../lib/ids.ts';
import type { Secret } from '../lib/secret.ts';
import {
  durationMs,
  filePath,
  flag,
  host,
  integer,
  list,
  name,
  oneOf,
  secret,
  section,
  sizeBytes,
  tableName,
  text,
  type ValueSources,
} from './leaves.ts';
import { coordination } from './coordination-schema.ts';
import { routing } from './routing-schema.ts';
import { POOL_MODES, rules } from './rule-schema.ts';

/**
 * The one table of the configuration: type, default, range, description and whether a change could
 * be taken over while running (`reloadable`; a listening socket, for one, cannot). The types, the
 * JSON schema for editors and docs/configuration.md are all derived from it.
 */

const fixed = (description: string) => ({ description, reloadable: false });
const live = (description: string) => ({ description, reloadable: true });

function listenTls(sources: ValueSources) {
  return section({
    mode: oneOf(['off', 'preferred', 'required'])
      .default('preferred')
      .meta(live('TLS towards clients: not offered, offered, or demanded before login')),
    certFile: filePath(sources)
      .nullable()
      .prefault(null)
      .meta(live('PEM certificate chain; without one a self-signed certificate is made at start')),
    keyFile: filePath(sources)
      .nullable()
      .prefault(null)
      .meta(live('PEM private key of `certFile`')),
    caFile: filePath(sources)
      .nullable()
      .prefault(null)
      .meta(
        live('PEM authorities: when set, a client that uses TLS must show a certificate of theirs'),
      ),
    minVersion: oneOf(['TLSv1.2', 'TLSv1.3'])
      .default('TLSv1.2')
      .meta(live('Oldest TLS version that clients may use')),
  });
}

function listen(sources: ValueSources) {
  return section({
    host: host().default('127.0.0.1').meta(fixed('Address that clients connect to')),
    port: integer(0, 65_535).default(6033).meta(fixed('Port of it; 0 takes any free one')),
    backlog: integer(1, 65_535)
      .default(1024)
      .meta(fixed('Connections that the system may queue before they are accepted')),
    maxConnections: integer(1, 1_000_000)
      .default(10_000)
      .meta(live('Client connections at a time; more are refused with error 1040')),
    loginTimeoutMs: durationMs(100)
      .default(10_000)
      .meta(live('From the connection to the end of the login')),
    idleTimeoutMs: durationMs(1000)
      .default(28_800_000)
      .meta(live('A client that is silent for so long is disconnected')),
    stallTimeoutMs: durationMs(100)
      .default(10_000)
      .meta(live('A client that stops so long in the middle of a command or file is disconnected')),
    gatherMaxBytes: sizeBytes(16_384, 1_073_741_824)
      .default(1_048_576)
      .meta(live('Longest client packet that is held whole in memory; longer ones are streamed')),
    compression: list(oneOf(['zlib', 'zstd']), 2)
      .default(['zlib', 'zstd'])
      .meta(live('Compression that clients may use, `[]` for none')),
    tls: listenTls(sources).prefault({}).meta({ description: 'TLS towards clients' }),
  });
}

function server() {
  return section({
    id: name('a server name')
      .optional()
      .meta(live('Name in metrics, logs and commands; `host:port` when absent')),
    host: host().meta(live('Address of the server')),
    port: integer(1, 65_535).default(3306).meta(live('Port of the server')),
    tags: list(name('a tag'), 32)
      .default([])
      .meta(live('Labels of your own, for reads that ask for them (`replica_tags`)')),
    reserved: flag()
      .default(false)
      .meta(live('Only reads that ask for its tags are for this server')),
    zone: name('a zone')
      .nullable()
      .prefault(null)
      .meta(live('Where it stands, see `routing.zone`')),
    weight: integer(0, 1000)
      .default(1)
      .meta(live('Share of the reads, relative to the other replicas; 0 takes none')),
  }).transform(({ id, ...rest }) => ({ id: serverId(id ?? addressOf(rest)), ...rest }));
}

/** `host:port`, with brackets around an IPv6 address. */
export function addressOf(server: { readonly host: string; readonly port: number }): string {
  return server.host.includes(':')
    ? `[${server.host}]:${server.port}`
    : `${server.host}:${server.port}`;
}

function serverTls(sources: ValueSources) {
  return section({
    mode: oneOf(['off', 'preferred', 'required', 'verify-ca', 'verify-identity'])
      .default('preferred')
      .meta(live('TLS towards servers; the words mean what `--ssl-mode` of `mysql` means')),
    caFile: filePath(sources)
      .nullable()
      .prefault(null)
      .meta(live("PEM authorities for the verify modes; null: the system's")),
  });
}

function monitor(sources: ValueSources) {
  return section({
    user: text('an account name', 80).meta(live('Account that probes the servers')),
    password: secret(sources).meta(live('Its password')),
    intervalMs: durationMs(10, 60_000).default(250).meta(live('Between two probes of a server')),
    idleIntervalMs: durationMs(10, 60_000)
      .default(1000)
      .meta(live('The same while nothing is written and no client does anything')),
    timeoutMs: durationMs(50, 60_000)
      .default(1000)
      .meta(live('A server that has not answered a probe by then is down')),
  });
}

function lag(sources: ValueSources) {
  const heartbeat = section({
    enabled: flag()
      .default(false)
      .meta(live('Write a row to the primary at an interval, and tell lag by it too')),
    table: tableName()
      .default('lagwise.heartbeat')
      .meta(live('Table of that row, made where it is missing')),
    intervalMs: durationMs(10, 60_000).default(250).meta(live('Between two heartbeats')),
    user: text('an account name', 80)
      .nullable()
      .prefault(null)
      .meta(live("Account that writes it; null: the monitor's")),
    password: secret(sources).nullable().prefault(null).meta(live('Its password')),
  });
  return section({
    fastIntervalMs: durationMs(5, 60_000)
      .default(25)
      .meta(live('Between two light probes while a read waits for a replica, or lag changes')),
    heartbeat: heartbeat.prefault({}).meta({ description: 'Heartbeats' }),
  });
}

function users(sources: ValueSources) {
  const user = section({
    user: text('an account name', 80).meta(live('Account, the same on proxy and servers')),
    password: secret(sources).meta(live('Its password')),
    poolMode: oneOf(POOL_MODES)
      .nullable()
      .prefault(null)
      .meta(live('`pool.mode` for this account; rules come before it')),
  });
  return z
    .union([oneOf(['passthrough']), list(user, 10_000, 1)], {
      error: '"passthrough" or a list of {"user", "password"}',
    })
    .prefault('passthrough');
}

const auth = () =>
  section({
    maxFailures: integer(1, 1_000_000)
      .default(20)
      .meta(live('Failed logins of one client address within `windowMs` before it is blocked')),
    windowMs: durationMs(100).default(60_000).meta(live('Length of that window')),
    blockMs: durationMs(100).default(30_000).meta(live('How long the address stays blocked')),
  });

const failover = () =>
  section({
    mode: oneOf(['observe'])
      .default('observe')
      .meta(fixed('`observe`: follow the roles that the servers report')),
    holdMs: durationMs(0, 600_000)
      .default(10_000)
      .meta(live('How long a write waits for a primary when there is none; 0 fails it at once')),
    holdMaxStatements: integer(0, 1_000_000)
      .default(10_000)
      .meta(live('Writes that may wait at a time; more fail at once')),
  });

const pool = () =>
  section({
    mode: oneOf(POOL_MODES)
      .default('transaction')
      .meta(
        live(
          '`transaction`: server connections are lent for a statement, a transaction or state that cannot be carried; `session`: each client keeps its own',
        ),
      ),
    connectTimeoutMs: durationMs(50, 600_000)
      .default(3000)
      .meta(live('To connect and log in to a server')),
    maxPerServer: integer(1, 100_000)
      .default(128)
      .meta(live('Connections to one server at most, all accounts together')),
    maxPerAccount: integer(0, 100_000)
      .default(0)
      .meta(live('Connections of one account to one server at most; 0: as many as the server may')),
    minIdle: integer(0, 10_000)
      .default(1)
      .meta(live('Idle connections kept to each server for each account in use')),
    idleMs: durationMs(0, 86_400_000)
      .default(60_000)
      .meta(live('A connection that nobody used for so long is closed, but for `minIdle`')),
    maxAgeMs: durationMs(0, 604_800_000)
      .default(3_600_000)
      .meta(
        live('A connection older than this is closed when it is given back; 0: at any age kept'),
      ),
    waitMs: durationMs(0, 600_000)
      .default(10_000)
      .meta(live('How long a statement waits for a connection when all are in use')),
    keepMs: durationMs(0, 600_000)
      .default(2000)
      .meta(
        live(
          'A connection whose last statement left something to ask for (warnings, an insert id, a row count) stays with its client so long if others need it, else until the next statement',
        ),
      ),
    maxPreparedPerServer: integer(0, 1_000_000)
      .default(0)
      .meta(
        live(
          'Prepared statements open on one server at most; 0: half of its `max_prepared_stmt_count`',
        ),
      ),
    trustLoginMs: durationMs(0, 600_000)
      .default(1000)
      .meta(
        live('A login that a server has just accepted is taken from others without asking again'),
      ),
  });

/** Builds the schema around where secrets and files are read from. */
export function makeConfigSchema(sources: ValueSources) {
  const described = (description: string) => ({ description });
  return section({
    $schema: text('a path or address').optional().meta(fixed('The JSON schema, for editors')),
    listen: listen(sources).prefault({}).meta(described('Where clients connect')),
    admin: section({
      enabled: flag().default(true).meta(fixed('Serve `/metrics`, `/healthz`, `/readyz`, `/api`')),
      host: host()
        .default('127.0.0.1')
        .meta(fixed('Address of the admin HTTP server; it asks for no password, keep it private')),
      port: integer(0, 65_535).default(6080).meta(fixed('Port of it; 0 takes any free one')),
    })
      .prefault({})
      .meta(described('Admin HTTP server')),
    servers: list(server(), 256, 1).meta(
      live('The servers of one cluster; which of them is the primary is found by asking them'),
    ),
    serverTls: serverTls(sources).prefault({}).meta(described('TLS towards servers')),
    monitor: monitor(sources).meta(described('How servers are watched')),
    lag: lag(sources).prefault({}).meta(described('How lag is measured')),
    users: users(sources).meta(
      live('Who may log in: every account of the servers (`"passthrough"`), or a list'),
    ),
    auth: auth().prefault({}).meta(described('Rate limit of failed logins')),
    routing: routing().prefault({}).meta(described('Where reads go')),
    rules: rules(),
    failover: failover().prefault({}).meta(described('What happens when the primary changes')),
    pool: pool().prefault({}).meta(described('Connections to servers')),
    coordination: coordination(sources)
      .prefault({})
      .meta(described('Several proxies as one, for reads of consistency `global`')),
    shutdown: section({
      drainMs: durationMs(0, 3_600_000)
        .default(10_000)
        .meta(live('How long open transactions may take to end after SIGTERM')),
    })
      .prefault({})
      .meta(described('Orderly stop')),
    log: section({
      level: oneOf(['debug', 'info', 'warn', 'error', 'silent'])
        .default('info')
        .meta(live('Least severe log lines that are written')),
    })
      .prefault({})
      .meta(described('Logs: JSON lines on standard output')),
  });
}

type DeepReadonly<T> = T extends Secret | ServerId | string | number | boolean | null | undefined
  ? T
  : T extends readonly (infer Item)[]
    ? readonly DeepReadonly<Item>[]
    : { readonly [Key in keyof T]: DeepReadonly<T[Key]> };

/** The whole configuration, every default filled in, deep-frozen. */
export type Config = DeepReadonly<z.output<ReturnType<typeof makeConfigSchema>>>;
