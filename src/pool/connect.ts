import { backendThreadId } from '../lib/ids.ts';
import { LagwiseError } from '../lib/errors.ts';
import type { SocketStream } from '../net/byte-stream.ts';
import { dial } from '../net/dial.ts';
import { PacketChannel } from '../net/packet-channel.ts';
import { dialTls, type ServerTlsMode } from '../net/server-tls.ts';
import type { ServerView } from '../topology/snapshot.ts';
import { CAP, has, union } from '../wire/capability.ts';
import { decodeErr, ERR } from '../wire/packets/err.ts';
import { decodeHandshakeV10, type HandshakeV10, isMariaDb } from '../wire/packets/handshake-v10.ts';
import { encodeHandshakeResponse } from '../wire/packets/handshake-response.ts';
import { decodeOk } from '../wire/packets/ok.ts';
import { encodeSslRequest } from '../wire/packets/ssl-request.ts';
import { answerChallenges, firstAnswer } from './backend-auth.ts';
import { missingCaps, wantedCaps } from './backend-caps.ts';
import type { BackendParts } from './backend-connection.ts';
import type { Identity } from './identity.ts';
import { ServerRefusedError } from './server-refused-error.ts';
import { askState, type LoginFacts } from './login-facts.ts';

/** Longest packet of a server's login; errors and challenges are far shorter. */
const MAX_LOGIN_REPLY_BYTES = 64 * 1024;
const MAX_PACKET_BYTES = 1 << 30;

export interface ConnectOptions {
  readonly timeoutMs: number;
  readonly tls: { readonly mode: ServerTlsMode; readonly ca: Buffer | null };
}

/** What a login gave: everything of a connection that the pool does not add itself. */
export type Connected = Pick<
  BackendParts,
  'server' | 'stream' | 'caps' | 'flavor' | 'threadId' | 'status'
> &
  LoginFacts;

/**
 * Opens a connection to a server and logs in, in the manual's order: greeting, TLS, response,
 * challenges, OK; then turns the session trackers on.
 * @throws ServerRefusedError when the server says no; LagwiseError when it cannot be reached
 */
export async function connectBackend(
  server: ServerView,
  identity: Identity,
  options: ConnectOptions,
): Promise<Connected> {
  const started = performance.now();
  const target = { host: server.host, port: server.port, deadlineMs: options.timeoutMs };
  const stream = await dial(target);
  const left = Math.max(1, options.timeoutMs - (performance.now() - started));
  const channel = new PacketChannel(
    stream,
    {
      network: 'backend-network',
      protocol: 'backend-protocol',
      timeout: 'backend-connect',
      peer: `Server ${server.id}`,
    },
    { deadlineMs: left, maxPacketBytes: MAX_LOGIN_REPLY_BYTES },
  );
  try {
    return await login(channel, server, identity, options);
  } catch (error) {
    channel.stream.destroy();
    throw error;
  } finally {
    channel.detach();
  }
}

async function login(
  channel: PacketChannel,
  server: ServerView,
  identity: Identity,
  options: ConnectOptions,
): Promise<Connected> {
  const greeting = await readGreeting(channel, server);
  const caps = negotiate(server, identity, greeting);
  const secured = await upgrade(channel, server, greeting, { caps, identity, options });
  const first = firstAnswer(greeting.pluginName, identity.password, greeting.nonce);
  channel.send(
    encodeHandshakeResponse(
      {
        caps: secured ? union(caps, CAP.SSL) : caps,
        extendedCaps: 0,
        maxPacketBytes: MAX_PACKET_BYTES,
        collationId: identity.collationId,
        user: identity.user,
        authResponse: first.response,
        database: identity.schema,
        pluginName: first.plugin,
        attributes: identity.attributes,
        zstdLevel: null,
      },
      channel.nextSeq,
    ),
  );
  const okPayload = await answerChallenges(channel, server.id, {
    password: identity.password,
    nonce: greeting.nonce,
    plugin: first.plugin,
    secured,
  });
  const ok = decodeOk(okPayload, caps);
  const told = await askState(channel, { server, caps, flavor: flavorOf(greeting) });
  return {
    server,
    stream: channel.stream,
    caps,
    flavor: flavorOf(greeting),
    threadId: backendThreadId(greeting.threadId),
    status: ok.status,
    ...told,
  };
}

async function readGreeting(channel: PacketChannel, server: ServerView): Promise<HandshakeV10> {
  const { payload } = await channel.read();
  if (payload[0] === ERR) throw new ServerRefusedError(server.id, decodeErr(payload));
  return decodeHandshakeV10(payload);
}

function negotiate(server: ServerView, identity: Identity, greeting: HandshakeV10): number {
  const wanted = wantedCaps(identity.caps, {
    schema: identity.schema !== null,
    attributes: identity.attributes !== null,
  });
  if (missingCaps(wanted, greeting.caps) !== 0) {
    throw new LagwiseError(
      'backend-protocol',
      `Server ${server.id} (${greeting.serverVersion}) lacks protocol features that the client was offered: run servers of one version behind one proxy`,
    );
  }
  // PLUGIN_AUTH_LENENC_DATA and the like: only what this server has.
  return (wanted & greeting.caps) >>> 0;
}

/** Goes over to TLS where configured. Returns whether the connection is encrypted. */
async function upgrade(
  channel: PacketChannel,
  server: ServerView,
  greeting: HandshakeV10,
  login: { caps: number; identity: Identity; options: ConnectOptions },
): Promise<boolean> {
  const { mode, ca } = login.options.tls;
  if (mode === 'off') return false;
  if (!has(greeting.caps, CAP.SSL)) {
    if (mode === 'preferred') return false;
    throw new LagwiseError(
      'backend-connect',
      `Server ${server.id} offers no TLS, but serverTls.mode is "${mode}": give the server a certificate, or set the mode to "preferred"`,
    );
  }
  channel.send(
    encodeSslRequest(
      {
        caps: union(login.caps, CAP.SSL),
        extendedCaps: 0,
        maxPacketBytes: MAX_PACKET_BYTES,
        collationId: login.identity.collationId,
      },
      channel.nextSeq,
    ),
  );
  // The server sends nothing between its greeting and its part of the TLS handshake: what came
  // in clear must not pass for something that came by TLS.
  if (channel.takeUnread().length > 0) {
    throw new LagwiseError('backend-protocol', `Server ${server.id} sent bytes ahead of TLS`);
  }
  const socket = (channel.stream as SocketStream).release(Buffer.alloc(0));
  const secured = await dialTls(socket, { mode, ca, host: server.host }, login.options.timeoutMs);
  channel.moveTo(secured);
  channel.nextSeq += 1;
  return true;
}

const flavorOf = (greeting: HandshakeV10) => (isMariaDb(greeting) ? 'mariadb' : 'mysql');
