import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Flavor } from '../../src/topology/snapshot.ts';
import { COM } from '../../src/wire/command.ts';
import { encodeChangeUser } from '../../src/wire/packets/change-user.ts';
import { ERR } from '../../src/wire/packets/err.ts';
import { STATUS } from '../../src/wire/status.ts';
import { frame, PacketWriter } from '../../src/wire/writer.ts';
import { PacketPipe } from '../support/packet-pipe.ts';
import { authenticate, type Login, logIn } from './login.ts';
import { errorLine, type Observation, okLine, type ReplyKind, ReplyReader } from './observe.ts';
import { encodeExecution } from './parameters.ts';
import { type Action, type Place, placed } from './script.ts';

/** Longer than any wait for a lock that the servers of the harness allow. */
const REPLY_DEADLINE_MS = 8_000;
/** An id that no server has given out. */
const UNKNOWN_STATEMENT = 4_000_000;

/** Behind these the server ends the connection. */
const RELEASES = /^(commit|rollback)\b.*\brelease$/i;
const CLOSE_DEADLINE_MS = 2_000;

/** Commands that tell of warnings and leave them. */
const TELLING: ReadonlySet<Action['do']> = new Set(['ping', 'setOption', 'initDb']);

interface Prepared {
  readonly id: number;
  readonly parameters: number;
  /** Types of parameters as they were sent last, empty where they never were. */
  types: string;
  readonly long: Set<number>;
}

/** Where clients of a system connect, and with what accounts. */
export interface Endpoint {
  readonly flavor: Flavor;
  readonly port: number;
  readonly passwords: Readonly<Record<'app' | 'other', string>>;
}

/** One client of a script on one of the two systems. */
export class WireClient {
  /** Status flags that the server sent last. */
  status: number = STATUS.AUTOCOMMIT;
  readonly #endpoint: Endpoint;
  readonly #login: Login;
  readonly #place: Place;
  readonly #statements = new Map<string, Prepared>();
  #pipe: PacketPipe | null = null;
  #caps = 0;
  /** The last command that was no mere question ended in an error. */
  #failed = false;

  constructor(endpoint: Endpoint, login: Login, place: Place) {
    this.#endpoint = endpoint;
    this.#login = login;
    this.#place = place;
  }

  /** Whether a transaction is open, or the next statement opens one. */
  get inTransaction(): boolean {
    return (this.status & STATUS.IN_TRANS) !== 0 || (this.status & STATUS.AUTOCOMMIT) === 0;
  }

  get isConnected(): boolean {
    return this.#pipe !== null && !this.#pipe.isClosed;
  }

  /** Logs in. */
  async connect(): Promise<Observation> {
    const pipe = new PacketPipe(connect({ port: this.#endpoint.port, host: '127.0.0.1' }));
    this.#pipe = pipe;
    this.#statements.clear();
    return await this.#watched(async () => {
      const { caps, end } = await logIn(pipe, this.#login);
      this.#caps = caps;
      return this.#loginEnd(end);
    });
  }

  close(): void {
    this.#pipe?.destroy();
    this.#pipe = null;
  }

  /** Does one thing and tells what came back. A lost connection is an observation, too. */
  async act(action: Action): Promise<Observation> {
    if (!this.isConnected) {
      return ['(was disconnected)', ...(await this.connect())];
    }
    const lines = await this.#watched(() => this.#act(action));
    if (lines.length > 0 && !TELLING.has(action.do)) {
      this.#failed = lines.some((line) => line.startsWith('error'));
    }
    return lines;
  }

  /**
   * Behind an error MySQL counts all that it has noted on the way, which only the connection knows;
   * a proxy that has no connection at hand knows of one error.
   */
  #counted(lines: Observation): Observation {
    return this.#failed ? withoutWarnings(lines) : lines;
  }

  async #act(action: Action): Promise<Observation> {
    switch (action.do) {
      case 'query':
        return await this.#query(action.sql);
      case 'infile':
        return await this.#command(COM.QUERY, this.#text(action.sql), 'result', action.data);
      case 'initDb':
        return withoutWarnings(await this.#command(COM.INIT_DB, this.#text(action.schema)));
      case 'fieldList':
        return await this.#command(COM.FIELD_LIST, this.#text(`${action.table}\0`), 'fields');
      case 'ping':
        return this.#counted(await this.#command(COM.PING));
      case 'resetConnection':
        this.#statements.clear();
        return await this.#command(COM.RESET_CONNECTION);
      case 'setOption':
        return this.#counted(
          await this.#command(COM.SET_OPTION, Buffer.from([action.multi ? 0 : 1, 0])),
        );
      case 'changeUser':
        return await this.#changeUser(action.user, action.schema);
      case 'reconnect':
        return await this.#reconnect();
      case 'settle':
        return [];
      default:
        return await this.#statement(action);
    }
  }

  async #query(sql: string): Promise<Observation> {
    const lines = await this.#command(COM.QUERY, this.#text(sql));
    if (!RELEASES.test(sql) || lines.some((line) => line.startsWith('error'))) return lines;
    const gone = await Promise.race([
      this.#open().closed.then(() => true),
      sleep(CLOSE_DEADLINE_MS, false),
    ]);
    return [...lines, gone ? '(closed)' : '(still open)'];
  }

  async #statement(action: Extract<Action, { readonly name: string }>): Promise<Observation> {
    const prepared = this.#statements.get(action.name);
    const id = prepared?.id ?? UNKNOWN_STATEMENT;
    switch (action.do) {
      case 'prepare':
        return await this.#prepare(action.name, action.sql);
      case 'execute':
        return await this.#execute(action, prepared);
      case 'fetch':
        return await this.#command(COM.STMT_FETCH, numbers(id, action.rows), 'rows');
      case 'resetStatement':
        prepared?.long.clear();
        return await this.#command(COM.STMT_RESET, numbers(id));
      case 'longData':
        // Without an answer; a parameter that is not there would only fail at EXECUTE.
        if (prepared === undefined || action.index >= prepared.parameters) return [];
        prepared.long.add(action.index);
        this.#post(COM.STMT_SEND_LONG_DATA, longData(prepared.id, action.index, action.data));
        return [];
      case 'closeStatement':
        this.#statements.delete(action.name);
        this.#post(COM.STMT_CLOSE, numbers(id));
        return [];
    }
  }

  async #prepare(name: string, sql: string): Promise<Observation> {
    const old = this.#statements.get(name);
    if (old !== undefined) this.#post(COM.STMT_CLOSE, numbers(old.id));
    this.#statements.delete(name);
    this.#post(COM.STMT_PREPARE, this.#text(sql));
    const seen = await this.#reader('').read('prepare');
    if (seen.statement !== null) {
      this.#statements.set(name, { ...seen.statement, types: '', long: new Set() });
    }
    return seen.lines;
  }

  async #execute(
    action: Extract<Action, { readonly do: 'execute' }>,
    prepared: Prepared | undefined,
  ): Promise<Observation> {
    const count = action.params.length === 0 ? 0 : (prepared?.parameters ?? 0);
    const params = Array.from(
      { length: count },
      (_, index) => action.params[index % action.params.length] ?? (['long', null] as const),
    );
    // Values of other types than the server was told of would be noise.
    const names = params.map(([type]) => type).join(' ');
    const types = action.types || prepared?.types !== names;
    const long = new Set(prepared?.long);
    this.#send(
      encodeExecution({
        id: prepared?.id ?? UNKNOWN_STATEMENT,
        params,
        long,
        types,
        cursor: action.cursor,
        caps: this.#caps,
      }),
    );
    if (prepared !== undefined) {
      prepared.types = names;
      prepared.long.clear();
    }
    return await this.#reply('binary');
  }

  async #changeUser(user: 'app' | 'other', schema: string | null): Promise<Observation> {
    this.#statements.clear();
    const pipe = this.#open();
    pipe.write(
      encodeChangeUser(
        {
          user,
          authResponse: Buffer.alloc(0),
          database: schema === null ? '' : placed(schema, this.#place),
          collationId: this.#login.collation,
          pluginName: '',
          attributes: null,
        },
        { caps: this.#caps, collationId: this.#login.collation },
      ),
    );
    const password = Buffer.from(this.#endpoint.passwords[user]);
    return this.#loginEnd(await authenticate(pipe, password, Buffer.alloc(20)));
  }

  /**
   * Locks and transactions are ended in order first: when a server gives them up after a client has
   * left is its own affair, on any system.
   */
  async #reconnect(): Promise<Observation> {
    await this.#command(COM.QUERY, Buffer.from('DO RELEASE_ALL_LOCKS()'));
    await this.#command(COM.QUERY, Buffer.from('ROLLBACK'));
    await this.#command(COM.QUERY, Buffer.from('UNLOCK TABLES'));
    this.close();
    return await this.connect();
  }

  #loginEnd(payload: Buffer): Observation {
    if (payload[0] === ERR) return [errorLine(payload)];
    const { line, status } = okLine(payload, this.#caps);
    this.status = status;
    // MariaDB leaves there what another connection had.
    return this.#endpoint.flavor === 'mariadb' ? [line.replace(/ warnings=\d+/, '')] : [line];
  }

  async #command(
    com: number,
    body: Buffer = Buffer.alloc(0),
    kind: ReplyKind = 'result',
    file = '',
  ): Promise<Observation> {
    this.#post(com, body);
    return await this.#reply(kind, file);
  }

  async #reply(kind: ReplyKind, file = ''): Promise<Observation> {
    const seen = await this.#reader(file).read(kind);
    if (seen.status !== -1) this.status = seen.status;
    return seen.lines;
  }

  #reader(file: string): ReplyReader {
    return new ReplyReader(this.#open(), this.#caps, (seq) => {
      const content = file === '' ? [] : [frame(Buffer.from(file), seq)];
      const end = frame(Buffer.alloc(0), seq + content.length);
      this.#send(Buffer.concat([...content, end]));
      return content.length + 1;
    });
  }

  /** An error of the connection, or silence, is what the client saw. */
  async #watched(work: () => Promise<Observation>): Promise<Observation> {
    const pipe = this.#open();
    const timer = setTimeout(() => {
      timedOut = true;
      pipe.destroy();
    }, REPLY_DEADLINE_MS);
    let timedOut = false;
    try {
      return await work();
    } catch (error) {
      pipe.destroy();
      if (timedOut) return [`(no answer within ${REPLY_DEADLINE_MS} ms)`];
      return [`(lost: ${error instanceof Error ? error.message : String(error)})`];
    } finally {
      clearTimeout(timer);
    }
  }

  #text(text: string): Buffer {
    return Buffer.from(placed(text, this.#place));
  }

  #post(com: number, body: Buffer): void {
    this.#send(frame(Buffer.concat([Buffer.from([com]), body]), 0));
  }

  #send(bytes: Buffer): void {
    this.#open().write(bytes);
  }

  #open(): PacketPipe {
    if (this.#pipe === null) throw new Error('The client is not connected');
    return this.#pipe;
  }
}

function numbers(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [index, value] of values.entries()) bytes.writeUInt32LE(value, index * 4);
  return bytes;
}

function longData(id: number, index: number, data: string): Buffer {
  return new PacketWriter().u32(id).u16(index).string(data).finish(0).subarray(4);
}

/** COM_INIT_DB tells of the number of warnings of the statement before, wherever that ran. */
const withoutWarnings = (lines: Observation): Observation =>
  lines.map((line) => line.replace(/warnings=\d+/, 'warnings=*'));
