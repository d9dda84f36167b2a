import { createServer, type Server, type Socket } from 'node:net';
import { LagwiseError } from '../lib/errors.ts';
import { blockedError, ERROR_POLICY, sourceOf, toClientError } from '../lib/error-policy.ts';
import type { ConnId } from '../lib/ids.ts';
import type { ByteStream, SocketStream } from '../net/byte-stream.ts';
import { CompressedStream } from '../net/compressed-stream.ts';
import { PacketChannel } from '../net/packet-channel.ts';
import { acceptedStream } from '../net/shared-read.ts';
import { ServerRefusedError } from '../pool/server-refused-error.ts';
import type { LoginFailure } from '../telemetry/labels.ts';
import { MalformedPacketError } from '../wire/malformed.ts';
import { encodeErr, type ErrPacket } from '../wire/packets/err.ts';
import { MAX_LOGIN_PACKET_BYTES } from '../wire/packets/handshake-response.ts';
import { changeUser, type Survivors, survivorsOf } from './login/change-user.ts';
import { ClientSession } from './client-session.ts';
import { isRefusal, type Login, logIn } from './login/login.ts';
import type { SessionDeps } from './session-deps.ts';

const SILENCE_SWEEP_MS = 1_000;
const EMPTY = Buffer.alloc(0);

/** Listens for clients and makes a session of each that logs in. */
export class ProxyServer {
  private readonly deps: SessionDeps;
  private readonly server: Server;
  /** Connections that are still logging in. */
  private readonly loggingIn = new Set<ByteStream>();
  private sweep: NodeJS.Timeout | null = null;

  constructor(deps: SessionDeps) {
    this.deps = deps;
    this.server = createServer({ pauseOnConnect: true, noDelay: true }, (socket) =>
      this.accept(socket),
    );
  }

  /** @returns the port that is listened on */
  async listen(): Promise<number> {
    const { host, port, backlog } = this.deps.config.listen;
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    this.server.once('error', (error) => {
      const message = `listen: cannot listen on ${host}:${port}: ${error.message}`;
      reject(new LagwiseError('config', message, { cause: error }));
    });
    this.server.listen({ host, port, backlog }, () => {
      const address = this.server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    });
    const listening = await promise;
    this.server.on('error', (error) => {
      this.deps.logger.error({ err: error }, 'Listening socket failed');
    });
    this.sweep = setInterval(() => this.endSilentSessions(), SILENCE_SWEEP_MS);
    this.sweep.unref();
    return listening;
  }

  /** Takes no new clients; those that are logging in are let go. */
  stopAccepting(): void {
    this.server.close();
    if (this.sweep !== null) clearInterval(this.sweep);
    for (const stream of this.loggingIn) stream.destroy();
  }

  private accept(socket: Socket): void {
    const { deps } = this;
    const address = socket.remoteAddress ?? 'unknown';
    deps.metrics.clients.accepted();
    const stream = acceptedStream(socket);
    const blockedMs = deps.limiter.blockedForMs(address, performance.now());
    if (blockedMs > 0) {
      this.turnAway(stream, 'blocked', blockedError(blockedMs));
      return;
    }
    const open = deps.sessions.size + this.loggingIn.size;
    if (open >= deps.config.listen.maxConnections) {
      const message = `Too many connections (listen.maxConnections is ${deps.config.listen.maxConnections})`;
      this.turnAway(stream, 'full', toClientError(new LagwiseError('limit', message)));
      return;
    }
    this.loggingIn.add(stream);
    this.login(stream, address).catch((error: unknown) => {
      deps.logger.error({ err: error, clientAddr: address }, 'Login failed by a defect');
      stream.destroy();
    });
  }

  private turnAway(stream: ByteStream, reason: LoginFailure, packet: ErrPacket): void {
    this.deps.metrics.clients.loginFailed(reason);
    this.deps.metrics.clients.closed(reason === 'full' ? 'limit' : 'client-auth');
    // Before the greeting the capabilities are not known: such errors carry no SQL state.
    stream.write(encodeErr(packet, 0, { withState: false }));
    stream.end();
  }

  private async login(stream: SocketStream, address: string): Promise<void> {
    const { deps } = this;
    const id = deps.sessions.nextId();
    const channel = this.openChannel(stream, address);
    stream.socket.resume();
    let login: Login;
    try {
      login = await logIn(deps, channel, { id, address });
    } catch (error) {
      this.loginFailed(channel, { id, address }, error);
      return;
    } finally {
      this.loggingIn.delete(stream);
    }
    this.startSession(login, channel, { id, address });
  }

  private openChannel(stream: ByteStream, address: string): PacketChannel {
    return new PacketChannel(
      stream,
      {
        network: 'client-network',
        protocol: 'client-protocol',
        timeout: 'client-timeout',
        peer: `Client ${address}`,
      },
      {
        deadlineMs: this.deps.config.listen.loginTimeoutMs,
        maxPacketBytes: MAX_LOGIN_PACKET_BYTES,
      },
    );
  }

  private startSession(
    login: Login & { readonly survivors?: Survivors },
    channel: PacketChannel,
    client: { id: ConnId; address: string },
  ): void {
    const { compression } = login;
    const rest = channel.detach();
    const compressed =
      compression === null
        ? null
        : new CompressedStream(channel.stream, compression.algorithm, compression.level);
    const stream = compressed ?? channel.stream;
    try {
      const session = new ClientSession(
        this.deps,
        { ...client, onChangeUser: (old, ask) => this.changeUser(old, ask, client.address) },
        { ...login, stream, rest },
      );
      this.deps.sessions.add(session);
      session.start(compressed === null ? rest : EMPTY);
      // What came behind the handshake response is in compressed frames already.
      if (rest.length > 0) compressed?.onBytes(rest);
    } catch (error) {
      // The client has its OK already: there is nothing more to be said to it.
      login.proof.connection?.destroy();
      this.deps.pool.leave(login.account);
      this.deps.sessions.remove(client.id);
      this.deps.metrics.clients.closed('internal');
      throw error;
    }
  }

  private changeUser(old: ClientSession, payload: Buffer, address: string): void {
    const { stream, identity, secured, flavor } = old;
    const survivors = survivorsOf(old);
    const unread = old.handOver();
    const channel = this.openChannel(stream, address);
    channel.nextSeq = 1;
    if (unread.length > 0) channel.onBytes(unread);
    const client = { id: old.id, address };
    changeUser(this.deps, channel, { identity, secured, flavor, payload }, address).then(
      // The stream is compressed already where it was negotiated.
      (login) => this.startSession({ ...login, compression: null, survivors }, channel, client),
      (error: unknown) => this.loginFailed(channel, client, error),
    );
  }

  private loginFailed(
    channel: PacketChannel,
    { id, address }: { id: ConnId; address: string },
    thrown: unknown,
  ): void {
    const { deps } = this;
    const error = translate(thrown);
    const source = sourceOf(error);
    channel.detach();
    if (isRefusal(error) && deps.limiter.failed(address, performance.now())) {
      deps.logger.warn({ clientAddr: address }, 'Address is blocked after too many failed logins');
    }
    deps.metrics.clients.loginFailed(failureOf(error));
    deps.metrics.clients.closed(source);
    const level = ERROR_POLICY[source].logLevel;
    deps.logger[level](
      { connId: id, clientAddr: address, source, err: error },
      'Client login failed',
    );
    if (source !== 'client-network' && !channel.stream.destroyed) {
      const packet = error instanceof ServerRefusedError ? error.packet : toClientError(error);
      channel.send(encodeErr(packet, channel.nextSeq));
    }
    channel.stream.end();
  }

  private endSilentSessions(): void {
    const nowMs = performance.now();
    for (const session of this.deps.sessions) session.endIfSilent(nowMs);
  }
}

function translate(thrown: unknown): unknown {
  if (!(thrown instanceof MalformedPacketError)) return thrown;
  const message = `The client sent a malformed packet at login: ${thrown.message}`;
  return new LagwiseError('client-protocol', message, { cause: thrown });
}

function failureOf(error: unknown): LoginFailure {
  if (error instanceof ServerRefusedError) {
    return error.source === 'backend-auth' ? 'denied' : 'no-server';
  }
  if (!(error instanceof LagwiseError)) return 'internal';
  return FAILURES[error.source] ?? 'internal';
}

const FAILURES: Partial<Record<LagwiseError['source'], LoginFailure>> = {
  'client-auth': 'denied',
  'client-protocol': 'malformed',
  'client-timeout': 'timeout',
  'client-network': 'gone',
  'no-eligible-server': 'no-server',
  'backend-connect': 'no-server',
  'backend-network': 'no-server',
  'backend-protocol': 'no-server',
  'backend-auth': 'unsupported',
  limit: 'full',
};
