import { createNonce } from '../../auth/nonce.ts';
import { PLUGIN } from '../../auth/plugin.ts';
import { LagwiseError } from '../../lib/errors.ts';
import type { ConnId } from '../../lib/ids.ts';
import { SocketStream } from '../../net/byte-stream.ts';
import type { PacketChannel } from '../../net/packet-channel.ts';
import { offeredCaps, versionNumber } from '../../pool/backend-caps.ts';
import type { Identity } from '../../pool/identity.ts';
import type { PoolAccount } from '../../pool/account.ts';
import { ServerRefusedError } from '../../pool/server-refused-error.ts';
import type { ServerView } from '../../topology/snapshot.ts';
import { CAP, common, has } from '../../wire/capability.ts';
import { decodeHandshakeResponse } from '../../wire/packets/handshake-response.ts';
import { encodeHandshakeV10 } from '../../wire/packets/handshake-v10.ts';
import { encodeOk } from '../../wire/packets/ok.ts';
import { isSslRequest } from '../../wire/packets/ssl-request.ts';
import { STATUS } from '../../wire/status.ts';
import { type ClientClaim, obtainPassword } from './client-auth.ts';
import type { ProvenLogin } from './login-trust.ts';
import { proveLogin } from './prove-login.ts';
import type { SessionDeps } from '../session-deps.ts';
import { stateAtLogin } from '../state/shown-state.ts';

/** utf8mb4_0900_ai_ci, and utf8mb4_general_ci for MariaDB, which lacks the former. */
const COLLATION = { mysql: 255, mariadb: 45 } as const;
/** What a client sees before any server was ever reached. */
const UNKNOWN_VERSION = '8.4.0-lagwise';

/** What a login came to. */
export interface Login {
  readonly identity: Identity;
  /** The client uses TLS. */
  readonly secured: boolean;
  /** Entered at the pool: to be left when the session ends. */
  readonly account: PoolAccount;
  readonly proof: ProvenLogin;
  /** Compression to switch on behind the OK, null for none. */
  readonly compression: { algorithm: 'zlib' | 'zstd'; level: number } | null;
}

/**
 * A client's login, in the manual's order: greeting, TLS, handshake response, password, a real
 * server's judgement, OK. The channel's deadline bounds it all.
 * @throws LagwiseError when it fails; the caller tells the client
 */
export async function logIn(
  deps: SessionDeps,
  channel: PacketChannel,
  client: { id: ConnId; address: string },
): Promise<Login> {
  const nonce = createNonce();
  const offered = greet(deps, channel, client.id, nonce);
  const { payload, secured } = await readResponse(deps, channel);
  const response = decodeHandshakeResponse(payload);
  const caps = common(response.caps, offered);
  requireCapabilities(response.caps);
  const claim: ClientClaim = {
    user: response.user,
    plugin: response.pluginName === '' ? PLUGIN.NATIVE : response.pluginName,
    response: response.authResponse,
    nonce,
    secured,
    canSwitch: has(response.caps, CAP.PLUGIN_AUTH),
  };
  const password = await obtainPassword(channel, claim, deps.rsaKeys, deps.credentials);
  const identity: Identity = {
    user: response.user,
    password,
    schema: response.database === '' ? null : response.database,
    collationId: response.collationId === 0 ? COLLATION[flavorOf(deps)] : response.collationId,
    caps,
    attributes: response.attributes === null ? null : Buffer.from(response.attributes),
  };
  const entered = await enter(deps, channel, identity, client.address);
  return { identity, secured, ...entered, compression: compressionOf(caps, response.zstdLevel) };
}

/**
 * The last step of a login: a server judges it, and the client is told.
 * @throws what {@link proveLogin} throws
 */
export async function enter(
  deps: SessionDeps,
  channel: PacketChannel,
  identity: Identity,
  address: string,
): Promise<Pick<Login, 'account' | 'proof'>> {
  const account = deps.pool.enter(identity);
  try {
    const { gone, deadlineAtMs } = channel;
    const mode = deps.policies.poolModeOf(identity.user, address, identity.schema);
    const keepsOwn = mode === 'session';
    const login = { identity, account, keepsOwn };
    const proof = await proveLogin(deps, login, { address, gone, deadlineAtMs });
    const { status, schema } = proof.state;
    const ok = { status, sessionState: stateAtLogin(schema) };
    channel.send(encodeOk(ok, channel.nextSeq, { caps: identity.caps }));
    return { account, proof };
  } catch (error) {
    deps.pool.leave(account);
    throw error;
  }
}

function flavorOf(deps: SessionDeps): 'mysql' | 'mariadb' {
  return modelServer(deps)?.flavor ?? 'mysql';
}

/** The server whose version clients see: the primary, else any that is known. */
function modelServer(deps: SessionDeps): ServerView | null {
  const { primary, servers } = deps.topology.current();
  return primary ?? servers.find(({ version }) => version !== null) ?? null;
}

function greet(deps: SessionDeps, channel: PacketChannel, id: ConnId, nonce: Buffer): number {
  const { compression } = deps.config.listen;
  const server = modelServer(deps);
  const version = server?.version ?? UNKNOWN_VERSION;
  const flavor = server?.flavor ?? 'mysql';
  const caps = offeredCaps({
    flavor,
    versionNumber: versionNumber(version),
    tls: deps.tls !== null,
    zlib: compression.includes('zlib'),
    zstd: compression.includes('zstd'),
  });
  channel.send(
    encodeHandshakeV10({
      serverVersion: version,
      versionPrefix: false,
      threadId: id,
      nonce,
      caps,
      extendedCaps: 0,
      collationId: COLLATION[flavor],
      status: STATUS.AUTOCOMMIT,
      pluginName: PLUGIN.CACHING_SHA2,
    }),
  );
  return caps;
}

async function readResponse(
  deps: SessionDeps,
  channel: PacketChannel,
): Promise<{ payload: Buffer; secured: boolean }> {
  const first = await channel.read();
  if (isSslRequest(first.payload) && deps.tls !== null) {
    const socket = (channel.stream as SocketStream).release(channel.takeUnread());
    const secured = await deps.tls.accept(socket);
    channel.moveTo(new SocketStream(secured));
    const { payload } = await channel.read();
    return { payload, secured: true };
  }
  if (deps.config.listen.tls.mode === 'required') {
    throw new LagwiseError(
      'client-auth',
      'Connections must use TLS (listen.tls.mode is "required"): connect with --ssl-mode=REQUIRED',
    );
  }
  return { payload: first.payload, secured: false };
}

function requireCapabilities(caps: number): void {
  if (has(caps, CAP.SECURE_CONNECTION)) return;
  throw new LagwiseError(
    'client-auth',
    'The client is too old: it sends passwords as clients before MySQL 4.1 did',
  );
}

function compressionOf(caps: number, zstdLevel: number | null): Login['compression'] {
  // Both may be negotiated; the server prefers zlib then, and clients expect what it prefers.
  if (has(caps, CAP.COMPRESS)) return { algorithm: 'zlib', level: ZLIB_LEVEL };
  if (has(caps, CAP.ZSTD_COMPRESSION)) return { algorithm: 'zstd', level: zstdLevel ?? ZSTD_LEVEL };
  return null;
}

const ZLIB_LEVEL = 6;
const ZSTD_LEVEL = 3;

/** Whether a failed login counts against the client's address. */
export function isRefusal(error: unknown): boolean {
  if (error instanceof ServerRefusedError) return error.source === 'backend-auth';
  return error instanceof LagwiseError && error.source === 'client-auth';
}
