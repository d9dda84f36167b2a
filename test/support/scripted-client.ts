import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import * as cachingSha2 from '../../src/auth/caching-sha2.ts';
import { CAP, common, has, union } from '../../src/wire/capability.ts';
import { COM } from '../../src/wire/command.ts';
import { AUTH_MORE_DATA } from '../../src/wire/packets/auth-more-data.ts';
import {
  AUTH_SWITCH,
  decodeAuthSwitchRequest,
} from '../../src/wire/packets/auth-switch-request.ts';
import { encodeChangeUser } from '../../src/wire/packets/change-user.ts';
import { decodeErr, ERR, type ErrPacket } from '../../src/wire/packets/err.ts';
import { decodeEof, EOF } from '../../src/wire/packets/eof.ts';
import { encodeHandshakeResponse } from '../../src/wire/packets/handshake-response.ts';
import { decodeHandshakeV10, type HandshakeV10 } from '../../src/wire/packets/handshake-v10.ts';
import { decodeOk, OK, type OkPacket } from '../../src/wire/packets/ok.ts';
import { encodeQuery } from '../../src/wire/packets/query.ts';
import { encodeSslRequest } from '../../src/wire/packets/ssl-request.ts';
import { decodeStmtPrepareOk } from '../../src/wire/packets/stmt-prepare-ok.ts';
import { STATUS } from '../../src/wire/status.ts';
import { frame, PacketWriter } from '../../src/wire/writer.ts';
import { PacketPipe } from './packet-pipe.ts';
import { PASSWORD } from './scripted-server.ts';
import { within } from './until.ts';

/** What drivers of today ask for, but for session state. */
export const CLIENT_CAPS = union(
  CAP.LONG_PASSWORD,
  CAP.LONG_FLAG,
  CAP.LOCAL_FILES,
  CAP.PROTOCOL_41,
  CAP.TRANSACTIONS,
  CAP.SECURE_CONNECTION,
  CAP.MULTI_STATEMENTS,
  CAP.MULTI_RESULTS,
  CAP.PS_MULTI_RESULTS,
  CAP.PLUGIN_AUTH,
  CAP.PLUGIN_AUTH_LENENC_DATA,
  CAP.DEPRECATE_EOF,
);

/** A reply must have ended by then: a test that hangs should say where. */
const REPLY_DEADLINE_MS = 3_000;

export interface ClientOptions {
  readonly port: number;
  readonly user?: string;
  readonly password?: string;
  readonly database?: string | null;
  readonly caps?: number;
  readonly tls?: boolean;
  /** Called with the connection before the login begins. */
  readonly onPipe?: (pipe: PacketPipe) => void;
}

/** One reply, taken apart. */
export interface Reply {
  readonly error: ErrPacket | null;
  /** The last OK packet, null where the reply ended with EOF or an error. */
  readonly ok: OkPacket | null;
  /** Status flags of the last OK or EOF. */
  readonly status: number;
  /** Payloads of the rows of all results. */
  readonly rows: readonly Buffer[];
  /** First column of each row, as text. */
  readonly values: readonly string[];
  /** Sequence ids of all packets. */
  readonly seqs: readonly number[];
}

/** A client that speaks the protocol by hand, and sees every packet. */
export class ScriptedClient {
  readonly pipe: PacketPipe;
  readonly greeting: HandshakeV10;
  readonly caps: number;

  private constructor(pipe: PacketPipe, greeting: HandshakeV10, caps: number) {
    this.pipe = pipe;
    this.greeting = greeting;
    this.caps = caps;
  }

  /** Connects and logs in by `caching_sha2_password`. @throws the ErrPacket's text when refused */
  static async connect(options: ClientOptions): Promise<ScriptedClient> {
    const pipe = new PacketPipe(connect({ port: options.port, host: '127.0.0.1' }));
    options.onPipe?.(pipe);
    try {
      return await within('login', REPLY_DEADLINE_MS, ScriptedClient.#login(pipe, options));
    } catch (error) {
      pipe.destroy();
      throw error;
    }
  }

  static async #login(pipe: PacketPipe, options: ClientOptions): Promise<ScriptedClient> {
    const first = await pipe.read();
    throwIfErr(first.payload);
    const greeting = decodeHandshakeV10(first.payload);
    const wanted = union(
      options.caps ?? CLIENT_CAPS,
      (options.database ?? null) === null ? 0 : CAP.CONNECT_WITH_DB,
      options.tls === true ? CAP.SSL : 0,
    );
    const header = { caps: wanted, extendedCaps: 0, maxPacketBytes: 1 << 30, collationId: 45 };
    let seq = 1;
    if (options.tls === true) {
      pipe.write(encodeSslRequest(header, seq));
      seq += 1;
      pipe.upgrade((socket) => connectTls({ socket, rejectUnauthorized: false }));
    }
    const password = Buffer.from(options.password ?? PASSWORD);
    pipe.write(
      encodeHandshakeResponse(
        {
          ...header,
          user: options.user ?? 'app',
          authResponse: cachingSha2.scramble(password, greeting.nonce),
          database: options.database ?? null,
          pluginName: 'caching_sha2_password',
          attributes: null,
          zstdLevel: null,
        },
        seq,
      ),
    );
    const client = new ScriptedClient(pipe, greeting, common(wanted, greeting.caps));
    await client.#authenticate(password, greeting.nonce, options.tls === true);
    return client;
  }

  /** Sends framed bytes as they are. */
  send(bytes: Buffer): void {
    this.pipe.write(bytes);
  }

  /** Sends a command (sequence id 0) and waits for its whole reply. */
  async command(com: number, body: Buffer = Buffer.alloc(0), kind: ReplyShape = 'result') {
    this.post(com, body);
    return await this.reply(kind);
  }

  /** Sends a command and waits for nothing. */
  post(com: number, body: Buffer = Buffer.alloc(0)): void {
    this.send(frame(Buffer.concat([Buffer.from([com]), body]), 0));
  }

  postQuery(sql: string): void {
    this.send(encodeQuery(sql, this.caps));
  }

  async query(sql: string): Promise<Reply> {
    this.postQuery(sql);
    return await this.reply();
  }

  /** COM_STMT_PREPARE. @throws the server's error */
  async prepare(sql: string): Promise<{ id: number; parameters: number }> {
    this.post(COM.STMT_PREPARE, Buffer.from(sql));
    return await within('the answer to PREPARE', REPLY_DEADLINE_MS, this.#readPrepared());
  }

  /** COM_STMT_EXECUTE with string parameters; `types` says whether their types are sent too. */
  async execute(id: number, values: readonly string[], types: boolean): Promise<Reply> {
    this.send(encodeExecute({ id, values, types, caps: this.caps }));
    return await this.reply();
  }

  /** COM_CHANGE_USER with the whole exchange that follows. */
  async changeUser(user: string, password: string, database = ''): Promise<void> {
    this.send(
      encodeChangeUser(
        {
          user,
          authResponse: Buffer.alloc(0),
          database,
          collationId: 45,
          pluginName: 'caching_sha2_password',
          attributes: null,
        },
        { caps: this.caps, collationId: 45 },
      ),
    );
    await within(
      'COM_CHANGE_USER',
      REPLY_DEADLINE_MS,
      this.#authenticate(Buffer.from(password), Buffer.alloc(20), false),
    );
  }

  /** The whole reply to what was sent last. */
  async reply(kind: ReplyShape = 'result'): Promise<Reply> {
    return await within('a reply', REPLY_DEADLINE_MS, this.#readReply(kind));
  }

  /** The next packet, whatever it is. */
  async packet(): Promise<Buffer> {
    const { payload } = await within('a packet', REPLY_DEADLINE_MS, this.pipe.read());
    return payload;
  }

  /** Waits until the proxy has closed the connection. */
  async untilClosed(): Promise<void> {
    await within('the end of the connection', REPLY_DEADLINE_MS, this.pipe.closed);
  }

  close(): void {
    this.pipe.destroy();
  }

  async #authenticate(password: Buffer, firstNonce: Buffer, secured: boolean): Promise<void> {
    let nonce = firstNonce;
    for (;;) {
      const { payload, seq } = await this.pipe.read();
      throwIfErr(payload);
      if (payload[0] === OK) return;
      if (payload[0] === AUTH_SWITCH) {
        nonce = decodeAuthSwitchRequest(payload).nonce;
        this.send(frame(cachingSha2.scramble(password, nonce), seq + 1));
      } else if (payload[0] === AUTH_MORE_DATA && payload[1] === cachingSha2.FULL_AUTH_NEEDED) {
        this.send(await this.#fullAnswer(password, nonce, { secured, seq: seq + 1 }));
      } else if (payload[0] !== AUTH_MORE_DATA) {
        throw new Error(`Unexpected packet at login: ${payload.toString('hex')}`);
      }
    }
  }

  async #fullAnswer(
    password: Buffer,
    nonce: Buffer,
    { secured, seq }: { secured: boolean; seq: number },
  ): Promise<Buffer> {
    if (secured) return frame(cachingSha2.clearPassword(password), seq);
    this.send(frame(Buffer.from([cachingSha2.REQUEST_PUBLIC_KEY]), seq));
    const key = await this.pipe.read();
    throwIfErr(key.payload);
    const answer = cachingSha2.rsaEncryptPassword(password, nonce, key.payload.subarray(1));
    return frame(answer, key.seq + 1);
  }

  async #readPrepared(): Promise<{ id: number; parameters: number }> {
    const { payload } = await this.pipe.read();
    throwIfErr(payload);
    const { statementId, parameterCount, columnCount } = decodeStmtPrepareOk(payload, this.caps);
    for (const count of [parameterCount, columnCount]) {
      for (let left = count; left > 0; left -= 1) await this.pipe.read();
      if (count > 0 && !has(this.caps, CAP.DEPRECATE_EOF)) {
        decodeEof((await this.pipe.read()).payload);
      }
    }
    return { id: statementId, parameters: parameterCount };
  }

  async #readReply(kind: ReplyShape): Promise<Reply> {
    const rows: Buffer[] = [];
    const seqs: number[] = [];
    let end: End = { error: null, ok: null, status: 0 };
    const next = async (): Promise<Buffer> => {
      const { payload, seq } = await this.pipe.read();
      seqs.push(seq);
      return payload;
    };
    if (kind === 'text') rows.push(await next());
    else if (kind === 'rows') end = await this.#readRows(next, rows);
    else {
      do end = await this.#readResult(next, rows);
      while ((end.status & STATUS.MORE_RESULTS_EXISTS) !== 0);
    }
    return { ...end, rows, seqs, values: rows.map(firstColumn) };
  }

  async #readResult(next: () => Promise<Buffer>, rows: Buffer[]): Promise<End> {
    const first = await next();
    if (first[0] === ERR) return { error: decodeErr(first), ok: null, status: 0 };
    if (first[0] === OK) return okEnd(decodeOk(first, this.caps));
    if (first[0] === EOF) return { error: null, ok: null, status: decodeEof(first).status };
    // The server asks for a file: the test goes on from here.
    if (first[0] === 0xfb) return { error: null, ok: null, status: 0 };
    for (let left = first[0] ?? 0; left > 0; left -= 1) await next();
    if (!has(this.caps, CAP.DEPRECATE_EOF)) decodeEof(await next());
    return await this.#readRows(next, rows);
  }

  async #readRows(next: () => Promise<Buffer>, rows: Buffer[]): Promise<End> {
    const modern = has(this.caps, CAP.DEPRECATE_EOF);
    for (;;) {
      const payload = await next();
      if (payload[0] === ERR) return { error: decodeErr(payload), ok: null, status: 0 };
      if (payload[0] === EOF && payload.length < (modern ? 0xff_ffff : 9)) {
        return modern
          ? okEnd(decodeOk(payload, this.caps))
          : { error: null, ok: null, status: decodeEof(payload).status };
      }
      rows.push(payload);
    }
  }
}

/** How a reply's end is found: results; rows alone (FETCH, FIELD_LIST); one packet of any content. */
export type ReplyShape = 'result' | 'rows' | 'text';

type End = Pick<Reply, 'error' | 'ok' | 'status'>;

const okEnd = (packet: OkPacket): End => ({ error: null, ok: packet, status: packet.status });

function throwIfErr(payload: Buffer): void {
  if (payload[0] !== ERR) return;
  const { code, message } = decodeErr(payload);
  throw new Error(`${code} ${message}`);
}

function firstColumn(payload: Buffer): string {
  const first = payload[0] ?? 0;
  return first < 0xfb ? payload.toString('utf8', 1, 1 + first) : '';
}

/** A whole COM_STMT_EXECUTE of VAR_STRING parameters. */
export function encodeExecute(given: {
  id: number;
  values: readonly string[];
  types: boolean;
  caps: number;
  flags?: number;
}): Buffer {
  const { id, values, types, caps } = given;
  const named = has(caps, CAP.QUERY_ATTRIBUTES);
  const writer = new PacketWriter()
    .u8(COM.STMT_EXECUTE)
    .u32(id)
    .u8((given.flags ?? 0) | (named ? 0x08 : 0))
    .u32(1);
  if (named) writer.lenenc(values.length);
  if (values.length > 0) {
    writer.zeros((values.length + 7) >>> 3).u8(types ? 1 : 0);
    for (const _ of types ? values : []) {
      writer.u16(0xfd);
      if (named) writer.lenencString('');
    }
    for (const value of values) writer.lenencString(value);
  }
  return writer.finish(0);
}

/** A four-byte statement id, the body of several commands. */
export function idBody(id: number, ...rest: number[]): Buffer {
  return new PacketWriter().u32(id).bytes(Buffer.from(rest)).finish(0).subarray(4);
}
