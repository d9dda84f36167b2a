import { backendThreadId } from '../../src/lib/ids.ts';
import { PoolAccount } from '../../src/pool/account.ts';
import { BackendConnection, type BackendParts } from '../../src/pool/backend-connection.ts';
import type { Identity } from '../../src/pool/identity.ts';
import { ServerLoad } from '../../src/pool/server-load.ts';
import { type CarriedState, StateProfile } from '../../src/pool/state-profile.ts';
import { StatementBudget } from '../../src/pool/statement-cache.ts';
import { createTelemetry } from '../../src/telemetry/telemetry.ts';
import { STATUS } from '../../src/wire/status.ts';
import { FakeStream } from './fake-stream.ts';
import { NEW_CAPS } from './replies.ts';
import { aServer } from './snapshots.ts';

/** Metrics and a logger that writes nowhere. */
export const quietTelemetry = () =>
  createTelemetry({ logLevel: 'silent', version: '0', destination: { write: () => undefined } });

const { metrics } = quietTelemetry();

/** As whom connections to nobody are logged in. */
export function anIdentity(given: Partial<Identity> = {}): Identity {
  return {
    user: 'app',
    password: Buffer.alloc(0),
    schema: null,
    collationId: 45,
    caps: NEW_CAPS,
    attributes: null,
    ...given,
  };
}

/** An account that is known by `key` alone. */
export const anAccount = (key = 'app'): PoolAccount => new PoolAccount(key, anIdentity());

/** A state; but for what is given that of a login without schema and variables. */
export const aProfile = (given: Partial<CarriedState> = {}): StateProfile =>
  StateProfile.of({ schema: null, variables: new Map(), multiStatements: false, ...given });

/** System variables as states have them. */
export const vars = (given: Readonly<Record<string, string>>): ReadonlyMap<string, string> =>
  new Map(Object.entries(given));

/** A logged-in connection to nobody, with the stream under it. */
export function fakeBackend(given: Partial<Omit<BackendParts, 'stream'>> = {}): {
  connection: BackendConnection;
  stream: FakeStream;
  load: ServerLoad;
} {
  const server = given.server ?? aServer();
  const stream = new FakeStream();
  const load = given.load ?? new ServerLoad(server.id);
  const connection = new BackendConnection({
    server,
    caps: NEW_CAPS,
    flavor: server.flavor ?? 'mysql',
    threadId: backendThreadId(77),
    status: STATUS.AUTOCOMMIT,
    sqlMode: '',
    profile: aProfile(),
    statements: metrics.statements.forServer(server.id),
    account: anAccount(),
    budget: new StatementBudget(1000),
    home: { closed: () => undefined },
    bornMs: 0,
    ...given,
    load,
    stream,
  });
  return { connection, stream, load };
}
