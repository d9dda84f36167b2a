import { createPublicKey, generateKeyPairSync, type KeyObject, verify } from 'node:crypto';
import { createServer, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { createSecureContext, type SecureContext, TLSSocket } from 'node:tls';
import * as cachingSha2 from '../../src/auth/caching-sha2.ts';
import { ed25519PublicKey } from '../../src/auth/ed25519.ts';
import * as native from '../../src/auth/native-password.ts';
import { CAP, common, union, without } from '../../src/wire/capability.ts';
import { COM } from '../../src/wire/command.ts';
import { encodeAuthMoreData } from '../../src/wire/packets/auth-more-data.ts';
import { encodeAuthSwitchRequest } from '../../src/wire/packets/auth-switch-request.ts';
import { encodeErr } from '../../src/wire/packets/err.ts';
import {
  decodeHandshakeResponse,
  type HandshakeResponse,
} from '../../src/wire/packets/handshake-response.ts';
import { encodeHandshakeV10 } from '../../src/wire/packets/handshake-v10.ts';
import { encodeOk } from '../../src/wire/packets/ok.ts';
import { queryTextOffset } from '../../src/wire/packets/query.ts';
import { isSslRequest } from '../../src/wire/packets/ssl-request.ts';
import { STATUS } from '../../src/wire/status.ts';
import { PacketPipe } from './packet-pipe.ts';
import { err, ok, prepared, row, rows, several } from './scripted-replies.ts';

/** The one password of all accounts of scripted servers. */
export const PASSWORD = 'the-s3cret';
/** The account by which the monitor comes. */
export const MONITOR_USER = 'monitor';

/** What MySQL 9 offers, less what the proxy never asks for. */
const MYSQL_CAPS = union(
  without(0x00ff_ffff, CAP.COMPRESS, CAP.SSL),
  CAP.DEPRECATE_EOF,
  CAP.QUERY_ATTRIBUTES,
);

/** How an account proves its password. */
export type AuthPath =
  /** `caching_sha2_password`, the server has the account cached. */
  | 'fast'
  /** … and has not: the password itself is asked for, by TLS or RSA. */
  | 'full'
  /** The greeting names `mysql_native_password`. */
  | 'native'
  | 'switch-to-native'
  | 'switch-to-sha256'
  /** MariaDB's, with a nonce of its own length. */
  | 'switch-to-ed25519'
  | 'switch-to-clear'
  | 'switch-to-unknown'
  /** ERROR 1045. */
  | 'deny'
  /** The server greets and then says nothing. */
  | 'silent'
  /** The server does not even greet. */
  | 'mute';

/** What the monitor is told. */
export interface ProbeAnswers {
  readOnly: boolean;
  gtid: string;
  /** The server that this one replicates from, null for none. */
  source: ScriptedServer | null;
  /** Instead of an answer the connection is closed. */
  fails: boolean;
  /** A client that waits for transactions is told that they have come. */
  catchesUp: boolean;
}

/** One command that reached a server. */
export interface ServerCommand {
  readonly com: number;
  /** Statement, schema or nothing, by the command. */
  readonly text: string;
  /** The whole payload, command byte included. */
  readonly payload: Buffer;
  readonly session: ServerSession;
}

/** What a server does about a command. Buffers are framed. */
export type Answer =
  | Buffer
  /** Nothing is said; the connection stays. */
  | 'silence'
  | 'close'
  | ((session: ServerSession, command: ServerCommand) => Buffer | Promise<void> | void);

/** Changes what a scripted server is; read anew for each connection. */
export interface ServerTraits {
  version: string;
  caps: number;
  auth: AuthPath;
  tls: SecureContext | null;
  /** Sent to clients in place of the greeting, null for none. */
  greetError: Buffer | null;
  /** Waited for before a login of a client is answered: to do something in its middle. */
  loginGate: Promise<void> | null;
  /** Replies to commands of clients go out in pieces of so many bytes; 0 whole. */
  pieceBytes: number;
}

/** One logged-in connection, as the server sees it. */
export class ServerSession {
  readonly server: ScriptedServer;
  readonly pipe: PacketPipe;
  readonly threadId: number;
  readonly login: HandshakeResponse;
  readonly secured: boolean;
  readonly caps: number;
  status: number = STATUS.AUTOCOMMIT;
  /** The pool has not ended yet what it begins a connection with. */
  isBeginning = false;

  constructor(server: ScriptedServer, pipe: PacketPipe, login: LoggedIn) {
    this.server = server;
    this.pipe = pipe;
    this.threadId = login.threadId;
    this.login = login.response;
    this.secured = login.secured;
    this.caps = common(login.response.caps, server.traits.caps);
  }

  /** Sends in pieces of `pieceBytes` where that is set. */
  async send(bytes: Buffer): Promise<void> {
    const { pieceBytes } = this.server.traits;
    if (pieceBytes === 0) {
      this.pipe.write(bytes);
      return;
    }
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      this.pipe.write(bytes.subarray(at, at + pieceBytes));
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

interface LoggedIn {
  readonly threadId: number;
  readonly response: HandshakeResponse;
  readonly secured: boolean;
}

interface Rule {
  readonly match: RegExp | number;
  readonly answer: Answer;
  left: number;
}

const NONCE = Buffer.from('abcdefghijklmnopqrst');
/** No NUL ends a nonce of this length: its own last byte is one. */
const LONG_NONCE = Buffer.concat([Buffer.alloc(31, 0x42), Buffer.alloc(1)]);
/** What stands in front of an Ed25519 key in its DER form. */
const ED25519_DER = Buffer.from('302a300506032b6570032100', 'hex');
/** What the pool sends on each connection of its own accord, right behind the login. */
const TRACKERS = /^SET SESSION session_track_/;
const ASKS_POSITION = /^SELECT CONCAT_WS\(',', @@GLOBAL\.gtid_owned/;
const WAITS = /^DO IF\(WAIT_FOR_EXECUTED_GTID_SET\('/;
const ABOUT_LOGIN = /^SELECT @@character_set_client, .*@@GLOBAL\.max_prepared_stmt_count$/;
const CHARSETS = ['utf8mb4', 'utf8mb4', 'utf8mb4_general_ci'];
let rsa: { privateKey: KeyObject; publicPem: Buffer } | null = null;

/** Made when first needed: it takes longer than all else here. */
function rsaKeys(): { privateKey: KeyObject; publicPem: Buffer } {
  if (rsa === null) {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    rsa = { privateKey, publicPem: Buffer.from(publicKey.export({ type: 'spki', format: 'pem' })) };
  }
  return rsa;
}

/**
 * A server of the MySQL protocol that knows no SQL: it greets, checks a login in the way it is told,
 * answers the monitor from a table and clients from a script, and remembers what reached it.
 */
export class ScriptedServer {
  readonly id: string;
  readonly uuid: string;
  readonly number: number;
  readonly traits: ServerTraits = {
    version: '9.7.4',
    caps: MYSQL_CAPS,
    auth: 'fast',
    tls: null,
    greetError: null,
    loginGate: null,
    pieceBytes: 0,
  };
  readonly probe: ProbeAnswers = {
    readOnly: false,
    gtid: '',
    source: null,
    fails: false,
    catchesUp: false,
  };
  /** `max_prepared_stmt_count`; null: the server does not know that variable. */
  maxPrepared: number | null = 16_382;
  /** Commands of clients in order; what a new connection begins with is left out. */
  readonly received: ServerCommand[] = [];
  /** Tracker statements that were received. */
  trackerStatements = 0;
  readonly sessions = new Set<ServerSession>();
  port = 0;
  /** Clients' connections that greeted, monitor's left out. */
  logins = 0;
  readonly #listener: Server;
  readonly #pipes = new Set<PacketPipe>();
  readonly #rules: Rule[] = [];
  #lastThreadId: number;
  #lastStatementId: number;

  constructor(id: string, number: number) {
    this.id = id;
    this.number = number;
    this.uuid = `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`;
    this.probe.gtid = '00000000-0000-4000-8000-000000000001:1-5';
    // Ids of different servers differ, as they do in life.
    this.#lastThreadId = number * 1000;
    this.#lastStatementId = number * 100;
    this.#listener = createServer({ noDelay: true }, (socket) => this.#accept(socket));
  }

  /** Listens on a free port, or again on the one it had. */
  async start(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#listener.once('error', reject);
    this.#listener.listen(this.port, '127.0.0.1', resolve);
    await promise;
    this.port = (this.#listener.address() as AddressInfo).port;
  }

  /** Like a killed process: no listener, no connections. */
  async kill(): Promise<void> {
    for (const pipe of this.#pipes) pipe.destroy();
    if (!this.#listener.listening) return;
    await new Promise((resolve) => this.#listener.close(resolve));
  }

  /** Closes the connections of clients, but goes on. */
  cutClients(): void {
    for (const session of this.sessions) session.pipe.destroy();
  }

  /**
   * Answers commands that match: a statement by its text, others by their command byte. The latest
   * rule that matches counts; with `times` it counts so often only.
   */
  when(match: RegExp | number, answer: Answer, times = Number.POSITIVE_INFINITY): void {
    this.#rules.unshift({ match, answer, left: times });
  }

  /** Forgets the script and what was received; connections stay. */
  reset(): void {
    this.#rules.length = 0;
    this.received.length = 0;
    this.traits.loginGate = null;
    this.traits.pieceBytes = 0;
  }

  /** Texts of the statements received, those that set state up for the session included. */
  texts(): string[] {
    return this.received.filter(({ com }) => com === COM.QUERY).map(({ text }) => text);
  }

  /** How many statements with these words were received. */
  count(match: RegExp | number): number {
    return this.received.filter((command) => matches(match, command)).length;
  }

  #accept(socket: Socket): void {
    const pipe = new PacketPipe(socket);
    this.#pipes.add(pipe);
    void pipe.closed.then(() => this.#pipes.delete(pipe));
    this.#serve(pipe).catch(() => pipe.destroy());
  }

  async #serve(pipe: PacketPipe): Promise<void> {
    if (this.traits.auth === 'mute') return;
    if (this.traits.greetError !== null) {
      pipe.socket.end(this.traits.greetError);
      return;
    }
    this.#lastThreadId += 1;
    const threadId = this.#lastThreadId;
    pipe.write(
      encodeHandshakeV10({
        serverVersion: this.traits.version,
        versionPrefix: false,
        threadId,
        nonce: NONCE,
        caps: this.traits.tls === null ? this.traits.caps : union(this.traits.caps, CAP.SSL),
        extendedCaps: 0,
        collationId: 255,
        status: STATUS.AUTOCOMMIT,
        pluginName:
          this.traits.auth === 'native' ? 'mysql_native_password' : 'caching_sha2_password',
      }),
    );
    let { payload } = await pipe.read();
    let secured = false;
    const { tls } = this.traits;
    if (isSslRequest(payload) && tls !== null) {
      pipe.upgrade((bare) => new TLSSocket(bare, { isServer: true, secureContext: tls }));
      ({ payload } = await pipe.read());
      secured = true;
    }
    const response = decodeHandshakeResponse(payload);
    const login = { threadId, response: { ...response }, secured };
    if (response.user === MONITOR_USER) await this.#serveMonitor(pipe, login);
    else await this.#serveClient(pipe, login);
  }

  async #serveMonitor(pipe: PacketPipe, login: LoggedIn): Promise<void> {
    this.#sayFastOk(pipe, login.response.caps);
    const form = { caps: common(login.response.caps, this.traits.caps), status: STATUS.AUTOCOMMIT };
    for (;;) {
      const { payload } = await pipe.read();
      if (payload[0] === COM.QUIT || this.probe.fails) break;
      const sql = payload.toString('utf8', queryTextOffset(payload, 0, payload.length, form.caps));
      pipe.write(
        sql.includes('VERSION()')
          ? several(form, [
              ({ caps, status, seq }) => encodeOk({ status }, seq, { caps }),
              (part) => reseq(rows(part, ['version'], [[this.traits.version]]), part.seq),
            ])
          : several(
              form,
              this.#probeResults().map(
                ([columns, values]) =>
                  (part) =>
                    reseq(rows(part, columns, values), part.seq),
              ),
            ),
      );
    }
    pipe.destroy();
  }

  #probeResults(): [string[], (string | null)[][]][] {
    const { readOnly, gtid, source } = this.probe;
    const flag = readOnly ? '1' : '0';
    const isReplica = source !== null;
    return [
      [
        [
          'readOnly',
          'superReadOnly',
          'serverUuid',
          'serverNumber',
          'gtidMode',
          'logBin',
          'gtidSet',
        ],
        [[flag, flag, this.uuid, String(this.number), 'ON', '1', gtid]],
      ],
      [
        [
          'Channel_Name',
          'Source_Host',
          'Source_Port',
          'Source_UUID',
          'Source_Server_Id',
          'Replica_IO_Running',
          'Replica_SQL_Running',
          'Seconds_Behind_Source',
        ],
        isReplica
          ? [
              [
                '',
                '127.0.0.1',
                String(source.port),
                source.uuid,
                String(source.number),
                'Yes',
                'Yes',
                '0',
              ],
            ]
          : [],
      ],
      [
        ['channel', 'appliedAll', 'queuedAgoUs', 'applyingAgoUs', 'schedulingAgoUs'],
        isReplica ? [['', '1', null, null, null]] : [],
      ],
    ];
  }

  async #serveClient(pipe: PacketPipe, login: LoggedIn): Promise<void> {
    this.logins += 1;
    await this.traits.loginGate;
    if (!(await this.#authenticate(pipe, login))) {
      pipe.destroy();
      return;
    }
    const session = new ServerSession(this, pipe, login);
    this.sessions.add(session);
    try {
      for (;;) {
        const { payload } = await pipe.read();
        if (payload[0] === COM.QUIT) break;
        await this.#command(session, payload);
      }
    } finally {
      this.sessions.delete(session);
      pipe.destroy();
    }
  }

  async #authenticate(pipe: PacketPipe, { response, secured }: LoggedIn): Promise<boolean> {
    const { auth } = this.traits;
    const password = Buffer.from(PASSWORD);
    const { caps } = response;
    const switchTo = async (pluginName: string, nonce = NONCE): Promise<Buffer> => {
      pipe.write(encodeAuthSwitchRequest({ pluginName, nonce }, pipe.lastSeq + 1));
      return (await pipe.read()).payload;
    };
    const sayOk = (isRight: boolean): boolean => {
      pipe.write(
        isRight
          ? encodeOk({ status: STATUS.AUTOCOMMIT }, pipe.lastSeq + 1, { caps })
          : encodeErr(denied(response.user), pipe.lastSeq + 1),
      );
      return isRight;
    };
    switch (auth) {
      case 'fast':
        if (!cachingSha2.verifyFast(response.authResponse, password, NONCE)) return sayOk(false);
        this.#sayFastOk(pipe, caps);
        return true;
      case 'full':
        return sayOk(password.equals(await this.#fullExchange(pipe, secured)));
      case 'native':
        return sayOk(native.verify(response.authResponse, password, NONCE));
      case 'switch-to-native':
        return sayOk(native.verify(await switchTo('mysql_native_password'), password, NONCE));
      case 'switch-to-sha256': {
        const asked = await switchTo('sha256_password');
        return sayOk(password.equals(await this.#sha256Exchange(pipe, asked, secured)));
      }
      case 'switch-to-ed25519':
        return sayOk(isSignedBy(password, await switchTo('client_ed25519', LONG_NONCE)));
      case 'switch-to-clear':
        return sayOk(
          cachingSha2.readClearPassword(await switchTo('mysql_clear_password')).equals(password),
        );
      case 'switch-to-unknown':
        await switchTo('authentication_of_another_kind');
        return sayOk(false);
      case 'deny':
        return sayOk(false);
      case 'silent':
      case 'mute':
        await pipe.closed;
        return false;
    }
  }

  /** The clear password over TLS, else encrypted by the key that the client asked for with 0x01. */
  async #sha256Exchange(pipe: PacketPipe, asked: Buffer, secured: boolean): Promise<Buffer> {
    if (secured) return cachingSha2.readClearPassword(asked);
    if (asked.length !== 1 || asked[0] !== 1) return Buffer.from('no key was asked for');
    const { privateKey, publicPem } = rsaKeys();
    pipe.write(encodeAuthMoreData(publicPem, pipe.lastSeq + 1));
    return cachingSha2.rsaDecryptPassword((await pipe.read()).payload, NONCE, privateKey);
  }

  #sayFastOk(pipe: PacketPipe, caps: number): void {
    const { lastSeq } = pipe;
    pipe.write(encodeAuthMoreData(Buffer.from([cachingSha2.FAST_AUTH_OK]), lastSeq + 1));
    pipe.write(encodeOk({ status: STATUS.AUTOCOMMIT }, lastSeq + 2, { caps }));
  }

  async #fullExchange(pipe: PacketPipe, secured: boolean): Promise<Buffer> {
    pipe.write(encodeAuthMoreData(Buffer.from([cachingSha2.FULL_AUTH_NEEDED]), pipe.lastSeq + 1));
    let { payload } = await pipe.read();
    if (secured) return cachingSha2.readClearPassword(payload);
    const { privateKey, publicPem } = rsaKeys();
    if (payload.length === 1 && payload[0] === cachingSha2.REQUEST_PUBLIC_KEY) {
      pipe.write(encodeAuthMoreData(publicPem, pipe.lastSeq + 1));
      ({ payload } = await pipe.read());
    }
    return cachingSha2.rsaDecryptPassword(payload, NONCE, privateKey);
  }

  async #command(session: ServerSession, payload: Buffer): Promise<void> {
    const com = payload[0] ?? 0;
    const copy = Buffer.from(payload);
    const command: ServerCommand = {
      com,
      payload: copy,
      text: textOf(copy, session.caps),
      session,
    };
    const rule = this.#rules.find((each) => each.left > 0 && matches(each.match, command));
    const ofPool = rule === undefined && com === COM.QUERY ? this.#ofPool(session, command) : null;
    if (ofPool !== null) {
      await session.send(ofPool);
      return;
    }
    this.received.push(command);
    if (rule !== undefined) rule.left -= 1;
    const answer = rule?.answer ?? this.#usual(session, command);
    const said = typeof answer === 'function' ? await answer(session, command) : answer;
    if (said === 'close') session.pipe.destroy();
    else if (Buffer.isBuffer(said)) await session.send(said);
  }

  /** The answer to what the pool begins a connection with, or a reset; null for anything else. */
  #ofPool(session: ServerSession, { text }: ServerCommand): Buffer | null {
    if (TRACKERS.test(text)) {
      this.trackerStatements += 1;
      session.isBeginning = true;
      return ok(session);
    }
    if (ABOUT_LOGIN.test(text)) {
      const { maxPrepared } = this;
      if (maxPrepared === null) return err(1193, 'Unknown system variable');
      const names = ['client', 'results', 'collation', 'prepared'];
      return rows(session, names, [[...CHARSETS, String(maxPrepared)]]);
    }
    if (!session.isBeginning || text !== 'DO 0') return null;
    session.isBeginning = false;
    return ok(session);
  }

  /** What a server without a script says: its own name to a SELECT, OK to nearly all else. */
  #usual(session: ServerSession, { com, text }: ServerCommand): Answer {
    switch (com) {
      case COM.QUERY:
        return this.#usualQuery(session, text);
      case COM.STMT_PREPARE:
        this.#lastStatementId += 1;
        return prepared(session, {
          statementId: this.#lastStatementId,
          parameters: text.split('?').length - 1,
          columns: text.startsWith('SELECT') ? 1 : 0,
        });
      case COM.STMT_CLOSE:
      case COM.STMT_SEND_LONG_DATA:
        return 'silence';
      case COM.RESET_CONNECTION:
        session.status = STATUS.AUTOCOMMIT;
        return ok(session);
      case COM.STMT_EXECUTE:
        return ok(session);
      default:
        return ok(session);
    }
  }

  #usualQuery(session: ServerSession, text: string): Buffer {
    if (/^(BEGIN|START)/i.test(text)) session.status |= STATUS.IN_TRANS;
    if (/^(COMMIT|ROLLBACK)/i.test(text)) session.status &= ~STATUS.IN_TRANS;
    if (WAITS.test(text)) return this.probe.catchesUp ? ok(session) : err(1242);
    if (ASKS_POSITION.test(text)) return row(session, this.probe.gtid);
    if (/^(SELECT|SHOW)/i.test(text)) return row(session, this.id);
    return /^(INSERT|UPDATE|DELETE)/i.test(text) ? ok(session, { affectedRows: 1 }) : ok(session);
  }
}

function isSignedBy(password: Buffer, signature: Buffer): boolean {
  const der = Buffer.concat([ED25519_DER, ed25519PublicKey(password)]);
  const key = createPublicKey({ key: der, format: 'der', type: 'spki' });
  return verify(null, LONG_NONCE, key, signature);
}

function matches(match: RegExp | number, { com, text }: ServerCommand): boolean {
  if (typeof match === 'number') return com === match;
  return (com === COM.QUERY || com === COM.STMT_PREPARE) && match.test(text);
}

function textOf(payload: Buffer, caps: number): string {
  switch (payload[0]) {
    case COM.QUERY:
      return payload.toString('utf8', queryTextOffset(payload, 0, payload.length, caps));
    case COM.STMT_PREPARE:
    case COM.INIT_DB:
      return payload.toString('utf8', 1);
    default:
      return '';
  }
}

function denied(user: string): { code: number; sqlState: string; message: string } {
  return {
    code: 1045,
    sqlState: '28000',
    message: `Access denied for user '${user}'@'127.0.0.1' (using password: YES)`,
  };
}

/** The same packets, counted on from `seq`. */
function reseq(bytes: Buffer, seq: number): Buffer {
  const copy = Buffer.from(bytes);
  let next = seq;
  for (let at = 0; at < copy.length; at += 4 + copy.readUIntLE(at, 3)) {
    copy[at + 3] = next & 0xff;
    next += 1;
  }
  return copy;
}

/** A context for the server's side of TLS. */
export function serverTls(pem: { key: string; cert: string }): SecureContext {
  return createSecureContext(pem);
}
