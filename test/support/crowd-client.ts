import { connect, type Socket } from 'node:net';
import * as cachingSha2 from '../../src/auth/caching-sha2.ts';
import { CAP, common, union } from '../../src/wire/capability.ts';
import { COM } from '../../src/wire/command.ts';
import { ByteCursor } from '../../src/wire/cursor.ts';
import { Framer } from '../../src/wire/framer.ts';
import { AUTH_MORE_DATA } from '../../src/wire/packets/auth-more-data.ts';
import {
  AUTH_SWITCH,
  decodeAuthSwitchRequest,
} from '../../src/wire/packets/auth-switch-request.ts';
import { decodeErr, ERR } from '../../src/wire/packets/err.ts';
import { encodeHandshakeResponse } from '../../src/wire/packets/handshake-response.ts';
import { decodeHandshakeV10 } from '../../src/wire/packets/handshake-v10.ts';
import { decodeOk, OK } from '../../src/wire/packets/ok.ts';
import { encodeQuery } from '../../src/wire/packets/query.ts';
import { STATUS } from '../../src/wire/status.ts';
import { frame } from '../../src/wire/writer.ts';

const CAPS = union(
  CAP.LONG_PASSWORD,
  CAP.LONG_FLAG,
  CAP.PROTOCOL_41,
  CAP.TRANSACTIONS,
  CAP.SECURE_CONNECTION,
  CAP.MULTI_RESULTS,
  CAP.PS_MULTI_RESULTS,
  CAP.PLUGIN_AUTH,
  CAP.PLUGIN_AUTH_LENENC_DATA,
  CAP.CONNECT_WITH_DB,
  CAP.DEPRECATE_EOF,
);
/** utf8mb4_general_ci: both flavors have it. */
const COLLATION_ID = 45;
const MAX_PACKET_BYTES = 1 << 20;
/** A text row's NULL. */
const NULL_VALUE = 0xfb;

/** Where a crowd's clients connect, and as whom. */
export interface CrowdLogin {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

/** The reply to one text statement. */
export interface CrowdReply {
  /** `1062 Duplicate entry …`, null where there was none. */
  readonly error: string | null;
  /** First column of each row; NULL as null. */
  readonly values: readonly (string | null)[];
  readonly affectedRows: number;
}

interface Waiter {
  readonly resolve: (packet: Buffer) => void;
  readonly reject: (error: Error) => void;
}

/**
 * A client of the least weight: one socket, no driver, text statements one at a time. Thousands of
 * them fit in a process that must not be what a measurement of the proxy measures.
 */
export class CrowdClient {
  /** Why the connection ended, null while it lives. */
  lost: Error | null = null;
  readonly #socket: Socket;
  readonly #framer = new Framer(MAX_PACKET_BYTES);
  #caps = 0;
  #seq = 0;
  #waiter: Waiter | null = null;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => {
      this.#framer.push(Buffer.from(chunk));
      this.#wake();
    });
    socket.on('error', (error) => this.#end(error));
    socket.on('close', () => this.#end(new Error('The proxy closed the connection')));
  }

  /** Connects and logs in. @throws Error with the server's words when it is refused */
  static async connect(login: CrowdLogin): Promise<CrowdClient> {
    const client = new CrowdClient(connect({ host: login.host, port: login.port }));
    try {
      await client.#logIn(login);
      return client;
    } catch (error) {
      client.close();
      throw error;
    }
  }

  /** Runs a statement of one result. @throws Error when the connection is lost */
  async query(sql: string): Promise<CrowdReply> {
    if (this.lost !== null) throw this.lost;
    this.#socket.write(encodeQuery(sql, this.#caps));
    const first = await this.#packet();
    if (first[0] === ERR) return { error: wordsOf(first), values: [], affectedRows: 0 };
    if (first[0] === OK) {
      const { affectedRows } = decodeOk(first, this.#caps);
      return { error: null, values: [], affectedRows: Number(affectedRows) };
    }
    return await this.#readRows(new ByteCursor(first).lenenc());
  }

  /** Says goodbye and closes. */
  close(): void {
    if (this.lost === null) this.#socket.end(frame(Buffer.from([COM.QUIT]), 0));
    this.#end(new Error('The client has closed'));
  }

  async #readRows(columns: number): Promise<CrowdReply> {
    for (let left = columns; left > 0; left -= 1) await this.#packet();
    const values: (string | null)[] = [];
    for (;;) {
      const packet = await this.#packet();
      if (packet[0] === ERR) return { error: wordsOf(packet), values, affectedRows: 0 };
      if (packet[0] === 0xfe) {
        const { status } = decodeOk(packet, this.#caps);
        if ((status & STATUS.MORE_RESULTS_EXISTS) !== 0) throw new Error('More than one result');
        return { error: null, values, affectedRows: 0 };
      }
      values.push(firstValue(packet));
    }
  }

  async #logIn(login: CrowdLogin): Promise<void> {
    const hello = await this.#packet();
    if (hello[0] === ERR) throw new Error(wordsOf(hello));
    const greeting = decodeHandshakeV10(hello);
    this.#caps = common(CAPS, greeting.caps);
    const password = Buffer.from(login.password);
    this.#socket.write(
      encodeHandshakeResponse(
        {
          caps: CAPS,
          extendedCaps: 0,
          maxPacketBytes: 1 << 24,
          collationId: COLLATION_ID,
          user: login.user,
          authResponse: cachingSha2.scramble(password, greeting.nonce),
          database: login.database,
          pluginName: 'caching_sha2_password',
          attributes: null,
          zstdLevel: null,
        },
        1,
      ),
    );
    await this.#authenticate(password, greeting.nonce);
  }

  async #authenticate(password: Buffer, greeted: Buffer): Promise<void> {
    let nonce = greeted;
    for (;;) {
      const packet = await this.#packet();
      if (packet[0] === ERR) throw new Error(wordsOf(packet));
      if (packet[0] === OK) return;
      if (packet[0] === AUTH_SWITCH) {
        nonce = decodeAuthSwitchRequest(packet).nonce;
        this.#answer(cachingSha2.scramble(password, nonce));
      } else if (packet[0] === AUTH_MORE_DATA && packet[1] === cachingSha2.FULL_AUTH_NEEDED) {
        this.#answer(Buffer.from([cachingSha2.REQUEST_PUBLIC_KEY]));
        const key = await this.#packet();
        if (key[0] === ERR) throw new Error(wordsOf(key));
        this.#answer(cachingSha2.rsaEncryptPassword(password, nonce, key.subarray(1)));
      } else if (packet[0] !== AUTH_MORE_DATA) {
        throw new Error(`Unexpected packet at login: ${packet.toString('hex')}`);
      }
    }
  }

  #answer(payload: Buffer): void {
    this.#socket.write(frame(payload, (this.#seq + 1) & 0xff));
  }

  async #packet(): Promise<Buffer> {
    const ready = this.#framer.next();
    if (ready !== null) {
      this.#seq = ready.seq;
      return ready.payload;
    }
    if (this.lost !== null) throw this.lost;
    return await new Promise<Buffer>((resolve, reject) => {
      this.#waiter = { resolve, reject };
    });
  }

  #wake(): void {
    const waiter = this.#waiter;
    if (waiter === null) return;
    const packet = this.#framer.next();
    if (packet === null) return;
    this.#waiter = null;
    this.#seq = packet.seq;
    waiter.resolve(packet.payload);
  }

  #end(why: Error): void {
    this.lost ??= why;
    this.#waiter?.reject(this.lost);
    this.#waiter = null;
    if (!this.#socket.writableEnded) this.#socket.destroy();
  }
}

function wordsOf(packet: Buffer): string {
  const { code, message } = decodeErr(packet);
  return `${code} ${message}`;
}

function firstValue(row: Buffer): string | null {
  if (row[0] === NULL_VALUE) return null;
  const cursor = new ByteCursor(row);
  return cursor.bytes(cursor.lenenc()).toString('utf8');
}
