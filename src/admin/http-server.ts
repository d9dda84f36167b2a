import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { setImmediate as turn } from 'node:timers/promises';
import { LagwiseError, messageOf } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';
import type { MetricsSource } from '../telemetry/metrics.ts';
import type { Snapshot } from '../topology/snapshot.ts';
import { snapshotJson } from './snapshot-json.ts';

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
  /** One plain object for each client connection. */
  readonly sessions: () => readonly object[];
  readonly logger: Logger;
}

/** A running admin server. */
export interface AdminServer {
  readonly port: number;
  /** Stops at once; requests in flight are cut. */
  close(): Promise<void>;
}

interface Reply {
  readonly status: number;
  readonly body: string;
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
}
type Route = (options: AdminServerOptions) => Reply | Promise<Reply>;

/** Requests are one line and a few headers; whoever needs longer is not a client of ours. */
const REQUEST_TIMEOUT_MS = 5000;
const KEEP_ALIVE_MS = 5000;
/** Prometheus, a probe or two, a few people. The rest of the file descriptors is for MySQL. */
const MAX_CONNECTIONS = 64;
const MAX_HEADER_BYTES = 8192;

const ROUTES: ReadonlyMap<string, { readonly about: string; readonly run: Route }> = new Map([
  ['/metrics', { about: 'metrics in the text format of Prometheus', run: metrics }],
  ['/healthz', { about: 'the process lives: restart it if this fails', run: health }],
  ['/readyz', { about: 'the proxy can serve: send it clients only if this is 200', run: ready }],
  ['/api/servers', { about: 'the servers as the router sees them', run: servers }],
  ['/api/sessions', { about: 'the client connections', run: sessions }],
  ['/', { about: 'this list', run: index }],
]);

/**
 * Starts the HTTP server for people and machines that look after the proxy. It only shows: no
 * request changes anything. It asks for no password, so it belongs on a private address.
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
  const route = ROUTES.get(path);
  if (route === undefined) {
    return json(404, { error: `No such path, expected one of ${[...ROUTES.keys()].join(', ')}` });
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    const error = `Method ${request.method ?? ''} is not allowed, expected GET`;
    return { ...json(405, { error }), headers: { allow: 'GET, HEAD' } };
  }
  return route.run(options);
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? '/').split('?', 1)[0] ?? '/';
}

function json(status: number, value: unknown): Reply {
  return { status, body: `${JSON.stringify(value, null, 2)}\n` };
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

function servers({ snapshot }: AdminServerOptions): Reply {
  return json(200, snapshotJson(snapshot(), performance.now()));
}

function sessions(options: AdminServerOptions): Reply {
  return json(200, { sessions: options.sessions() });
}

function index(): Reply {
  const lines = [...ROUTES].map(([path, { about }]) => `${path.padEnd(16)}${about}`);
  const body = `Lagwise, a MySQL replication proxy\n\n${lines.join('\n')}\n`;
  return { status: 200, body, contentType: 'text/plain; charset=utf-8' };
}
