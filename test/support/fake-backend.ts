import { backendThreadId } from '../../src/lib/ids.ts';
import { BackendConnection } from '../../src/pool/backend-connection.ts';
import { ServerLoad } from '../../src/pool/server-load.ts';
import { createTelemetry } from '../../src/telemetry/telemetry.ts';
import type { ServerView } from '../../src/topology/snapshot.ts';
import { STATUS } from '../../src/wire/status.ts';
import { FakeStream } from './fake-stream.ts';
import { NEW_CAPS } from './replies.ts';
import { aServer } from './snapshots.ts';

/** Metrics and a logger that writes nowhere. */
export const quietTelemetry = () =>
  createTelemetry({ logLevel: 'silent', version: '0', destination: { write: () => undefined } });

const { metrics } = quietTelemetry();

/** A logged-in connection to nobody, with the stream under it. */
export function fakeBackend(
  given: { server?: ServerView; caps?: number; load?: ServerLoad; status?: number } = {},
): { connection: BackendConnection; stream: FakeStream; load: ServerLoad } {
  const server = given.server ?? aServer();
  const stream = new FakeStream();
  const load = given.load ?? new ServerLoad(server.id);
  const connection = new BackendConnection({
    server,
    stream,
    caps: given.caps ?? NEW_CAPS,
    flavor: server.flavor ?? 'mysql',
    threadId: backendThreadId(77),
    status: given.status ?? STATUS.AUTOCOMMIT,
    sqlMode: '',
    load,
    statements: metrics.statements.forServer(server.id),
  });
  return { connection, stream, load };
}
