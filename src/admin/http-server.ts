import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { setImmediate as turn } from 'node:timers/promises';
import { LagwiseError, messageOf } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';
import type { MetricsSource } from '../telemetry/metrics.ts';
import type { Snapshot } from '../topology/snapshot.ts';
import type { ServerId } from '../lib/ids.ts';
import { json, type Question, type Reply } from './reply.ts';
import { checkSameSite } from './same-site.ts';
import { type ShownStanding, snapshotJson } from './snapshot-json.ts';
import { type StatementKnowledge, statementRoutes } from './statement-routes.ts';

/** Whether the proxy can serve; the reasons are for people and are empty when it can. */
export interface Readiness {
  readonly ready: boolean;
  readonly reasons: readonly string[];
}

/** What the server shows, and where it listens. */
export interface AdminServerOptions {
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  readonly registry: MetricsSource;
  readonly readiness: () => Readiness;
  readonly snapshot: () => Snapshot;
  /** The proxy's own zone. */
  readonly zone?: string | null;
  /** What a replica's share of reads is and why; absent where nobody knows. */
  readonly standingOf?: (id: ServerId) => ShownStanding;
  /** One plain object for each client connection. */
  readonly sessions: () => readonly object[];
  /** What is known of statements; absent where nothing is kept. */
  readonly statements?: StatementKnowledge;
  readonly logger: Logger;
  /** How long a client may leave its answer where it is; shorter in tests. */
  readonly stallMs?: number;
}

/** A running admin server. */
export interface AdminServer {
  readonly port: number;
  /** Stops at once; requests in flight are cut. */
  close(): Promise<void>;
}

/** Requests are one line and a few headers; whoever needs longer is not a client of ours. */
const REQUEST_TIMEOUT_MS = 5000;
const KEEP_ALIVE_MS = 5000;
/** Whoever asks and does not read would hold one of the few connections for ever. */
const STALL_MS = 10_000;
/** Prometheus, a probe or two, a few people. The rest of the file descriptors is for MySQL. */
const MAX_CONNECTIONS = 64;
const MAX_HEADER_BYTES = 8192;

/** Answers one kind of request to one path. */
type Handler = (options: AdminServerOptions, question: Question) => Reply | Promise<Reply>;

interface Route {
  readonly about: string;
  /** By method; HEAD is answered as GET is. */
  readonly on: Readonly<Partial<Record<'GET' | 'DELETE', Handler>>>;
}

const ROUTES: ReadonlyMap<string, Route> = new Map<string, Route>([
  ['/metrics', { about: 'metrics in the text format of Prometheus', on: { GET: metrics } }],
  ['/healthz', { about: 'the process lives: restart it if this fails', on: { GET: health } }],
  [
    '/readyz',
    { about: 'the proxy can serve: send it clients only if this is 200', on: { GET: ready } },
  ],
  ['/api/servers', { about: 'the servers as the router sees them', on: { GET: servers } }],
  ['/api/sessions', { about: 'the client connections', on: { GET: sessions } }],
  ...statementRoutes((options: AdminServerOptions) => options.statements),
  ['/', { about: 'this list', on: { GET: index } }],
]);

/**
 * Starts the HTTP server for people and machines that look after the proxy. It shows; the one thing
 * that a request can change is to forget what was learned. It asks for no password, so it belongs on
 * a private address.
 *
 * @throws LagwiseError('config') when the address cannot be listened on
 */
export async function startAdminServer(options: AdminServerOptions): Promise<AdminServer> {
  const server = createServer(
    {
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      maxHeaderSize: MAX_HEADER_BYTES,
      connectionsCheckingInterval: 1000,
    },
    (request, response) => {
      void answer(request, response, options);
    },
  );
  server.maxConnections = MAX_CONNECTIONS;
  server.timeout = options.stallMs ?? STALL_MS;
  await listen(server, options);
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : options.port;
  options.logger.info({ host: options.host, port }, 'Admin server listens');
  return { port, close: () => close(server) };
}

function listen(server: Server, { host, port, logger }: AdminServerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const refused = (error: Error) => {
      reject(
        new LagwiseError(
          'config',
          `Cannot listen on admin ${host}:${port} (${messageOf(error)}): choose another admin.host or admin.port`,
          { cause: error },
        ),
      );
    };
    server.once('error', refused);
    server.listen({ host, port }, () => {
      server.off('error', refused);
      server.on('error', (error) => logger.error({ err: error }, 'Admin server failed'));
      resolve();
    });
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    // The callback's error only says that it was closed before: that is what was asked for.
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  options: AdminServerOptions,
): Promise<void> {
  let reply: Reply;
  try {
    reply = await routeRequest(request, options);
  } catch (thrown) {
    options.logger.error({ err: thrown, path: pathOf(request) }, 'Admin request failed');
    reply = json(500, { error: 'Internal error, see the log of the proxy' });
  }
  // Nothing here takes a body; reading one on would let a slow sender hold the connection.
  request.resume();
  response.writeHead(reply.status, {
    'content-type': reply.contentType ?? 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(reply.body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...reply.headers,
  });
  response.end(request.method === 'HEAD' ? undefined : reply.body);
}

function routeRequest(
  request: IncomingMessage,
  options: AdminServerOptions,
): Reply | Promise<Reply> {
  const path = pathOf(request);
  const found = findRoute(path);
  if (found === null) {
    return json(404, { error: `No such path, expected one of ${[...ROUTES.keys()].join(', ')}` });
  }
  const { route, rest } = found;
  const method = request.method === 'HEAD' ? 'GET' : request.method;
  const handler = method === 'GET' || method === 'DELETE' ? route.on[method] : undefined;
  if (handler === undefined) return notAllowed(request.method, Object.keys(route.on));
  if (method !== 'GET') {
    const error = checkSameSite(request.headers);
    if (error !== null) return json(403, { error });
  }
  return handler(options, { rest, query: queryOf(request) });
}

/** The route of a path: its own, or the one that ends with `/*` and has the rest as a parameter. */
function findRoute(path: string): { readonly route: Route; readonly rest: string } | null {
  const own = ROUTES.get(path);
  if (own !== undefined && !path.endsWith('*')) return { route: own, rest: '' };
  const cut = path.lastIndexOf('/') + 1;
  const parent = ROUTES.get(`${path.slice(0, cut)}*`);
  return parent === undefined || cut === path.length
    ? null
    : { route: parent, rest: path.slice(cut) };
}

function notAllowed(method: string | undefined, allowed: readonly string[]): Reply {
  const error = `Method ${method ?? ''} is not allowed, expected ${allowed.join(' or ')}`;
  const allow = allowed.flatMap((each) => (each === 'GET' ? ['GET', 'HEAD'] : [each])).join(', ');
  return { ...json(405, { error }), headers: { allow } };
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? '/').split('?', 1)[0] ?? '/';
}

function queryOf(request: IncomingMessage): URLSearchParams {
  const url = request.url ?? '/';
  const cut = url.indexOf('?');
  return new URLSearchParams(cut < 0 ? '' : url.slice(cut + 1));
}

async function metrics({ registry }: AdminServerOptions): Promise<Reply> {
  return { status: 200, body: await registry.metrics(), contentType: registry.contentType };
}

/**
 * A stuck event loop cannot answer at all, and the asker's own timeout finds that; how long one
 * turn of it takes shows an overloaded one.
 */
async function health(): Promise<Reply> {
  const before = performance.now();
  await turn();
  return json(200, {
    status: 'ok',
    uptimeSeconds: Math.floor(process.uptime()),
    eventLoopTurnMs: Math.round((performance.now() - before) * 1000) / 1000,
  });
}

function ready({ readiness }: AdminServerOptions): Reply {
  const state = readiness();
  return json(state.ready ? 200 : 503, state);
}

function servers({ snapshot, zone, standingOf }: AdminServerOptions): Reply {
  const shown = snapshotJson(snapshot(), performance.now(), standingOf);
  return json(200, { zone: zone ?? null, ...shown });
}

function sessions(options: AdminServerOptions): Reply {
  return json(200, { sessions: options.sessions() });
}

function index(): Reply {
  const lines = [...ROUTES].map(([path, { about }]) => `${path.padEnd(20)}${about}`);
  const body = `Lagwise, a MySQL replication proxy\n\n${lines.join('\n')}\n`;
  return { status: 200, body, contentType: 'text/plain; charset=utf-8' };
}
