import type { BackendConnection } from '../pool/backend-connection.ts';
import type { StatementClass } from '../sql/classification.ts';
import { CAP, has } from '../wire/capability.ts';
import { ByteCursor } from '../wire/cursor.ts';
import { MalformedPacketError } from '../wire/malformed.ts';
import { HEADER_BYTES } from '../wire/writer.ts';

/** Statements that one session may have prepared at a time; servers stop at 16 382 for all. */
export const MAX_STATEMENTS = 16_382;

/** A statement as one server connection has it. */
interface OnServer {
  readonly id: number;
  /** Which of the statement's parameter types the server was last told; 0 none. */
  typesVersion: number;
}

/** A prepared statement of a client: its text and what each connection of the session knows. */
export class PreparedStatement {
  /** What the client calls it. */
  readonly id: number;
  /** The COM_STMT_PREPARE packet as the client sent it, to prepare it elsewhere. */
  readonly packet: Buffer;
  readonly cls: StatementClass;
  readonly effects: number;
  parameterCount = 0;
  /** Types of the parameters as the client last sent them (flag byte included), null never. */
  types: Buffer | null = null;
  typesVersion = 0;
  /** Where it opened a cursor or was sent long data: there it must go on. */
  boundTo: BackendConnection | null = null;
  private readonly servers = new Map<BackendConnection, OnServer>();

  constructor(id: number, packet: Buffer, cls: StatementClass, effects: number) {
    this.id = id;
    this.packet = packet;
    this.cls = cls;
    this.effects = effects;
  }

  on(connection: BackendConnection): OnServer | undefined {
    return this.servers.get(connection);
  }

  preparedOn(connection: BackendConnection, id: number): void {
    this.servers.set(connection, { id, typesVersion: 0 });
  }

  forget(connection: BackendConnection): void {
    this.servers.delete(connection);
    if (this.boundTo === connection) this.boundTo = null;
  }

  [Symbol.iterator](): IterableIterator<[BackendConnection, OnServer]> {
    return this.servers.entries();
  }
}

/** The prepared statements of a session, by the client's ids. */
export class PreparedStatements {
  private readonly byId = new Map<number, PreparedStatement>();
  private lastId = 0;

  get size(): number {
    return this.byId.size;
  }

  /** A new statement; not listed until `add`, since preparing it may fail. */
  create(packet: Buffer, cls: StatementClass, effects: number): PreparedStatement {
    this.lastId = (this.lastId % 0xffff_ffff) + 1;
    return new PreparedStatement(this.lastId, packet, cls, effects);
  }

  add(statement: PreparedStatement): void {
    this.byId.set(statement.id, statement);
  }

  get(id: number): PreparedStatement | undefined {
    return this.byId.get(id);
  }

  remove(id: number): void {
    this.byId.delete(id);
  }

  clear(): void {
    this.byId.clear();
  }

  /** Whether a statement must go on where it is: an open cursor, or long data sent ahead. */
  holds(connection: BackendConnection): boolean {
    for (const statement of this.byId.values()) if (statement.boundTo === connection) return true;
    return false;
  }

  /** The connection is gone, and all that was prepared on it. */
  forget(connection: BackendConnection): void {
    for (const statement of this.byId.values()) statement.forget(connection);
  }
}

const ID_AT = HEADER_BYTES + 1;
const FLAGS_AT = ID_AT + 4;
const AFTER_ITERATIONS_AT = FLAGS_AT + 5;
/** PARAMETER_COUNT_AVAILABLE: the count stands in the packet though there may be no parameters. */
const FLAG_COUNT_AVAILABLE = 0x08;

/**
 * Makes a COM_STMT_EXECUTE fit the connection it goes to: the server's own statement id, and the
 * parameter types where that server was not told them (they travel only with the first EXECUTE).
 * The id is written into `packet`; a new buffer is returned only where types must be put in.
 * @see https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_stmt_execute.html
 */
export function fitExecute(
  packet: Buffer,
  statement: PreparedStatement,
  server: OnServer,
  caps: number,
): Buffer {
  packet.writeUInt32LE(server.id, ID_AT);
  const flagAt = typesFlagAt(packet, statement.parameterCount, caps);
  if (flagAt === -1) return packet;
  const named = has(caps, CAP.QUERY_ATTRIBUTES);
  if (packet[flagAt] === 1) {
    const types = packet.subarray(flagAt, typesEnd(packet, flagAt + 1, { statement, named }));
    if (statement.types?.equals(types) !== true) {
      statement.types = Buffer.from(types);
      statement.typesVersion += 1;
    }
    server.typesVersion = statement.typesVersion;
    return packet;
  }
  if (statement.types === null || server.typesVersion === statement.typesVersion) return packet;
  server.typesVersion = statement.typesVersion;
  const fitted = Buffer.concat([
    packet.subarray(0, flagAt),
    statement.types,
    packet.subarray(flagAt + 1),
  ]);
  fitted.writeUIntLE(fitted.length - HEADER_BYTES, 0, 3);
  return fitted;
}

/** Index of the new-params-bound flag, -1 where the packet has none. */
function typesFlagAt(packet: Buffer, parameterCount: number, caps: number): number {
  let count = parameterCount;
  let at = AFTER_ITERATIONS_AT;
  if (packet.length < at) throw new MalformedPacketError('COM_STMT_EXECUTE is too short');
  if (has(caps, CAP.QUERY_ATTRIBUTES)) {
    const counted = ((packet[FLAGS_AT] as number) & FLAG_COUNT_AVAILABLE) !== 0;
    if (count === 0 && !counted) return -1;
    if (counted) {
      const cursor = new ByteCursor(packet, at);
      count = cursor.lenenc();
      at = cursor.pos;
    }
  }
  if (count === 0) return -1;
  at += (count + 7) >>> 3;
  if (at >= packet.length) throw new MalformedPacketError('COM_STMT_EXECUTE is too short');
  return at;
}

/** Index behind the types that begin at `at`: two bytes each, with a name where named. */
function typesEnd(
  packet: Buffer,
  at: number,
  of: { statement: PreparedStatement; named: boolean },
): number {
  let count = of.statement.parameterCount;
  const cursor = new ByteCursor(packet, at);
  if (of.named && ((packet[FLAGS_AT] as number) & FLAG_COUNT_AVAILABLE) !== 0) {
    count = new ByteCursor(packet, AFTER_ITERATIONS_AT).lenenc();
    for (let index = 0; index < count; index += 1) {
      cursor.skip(2);
      cursor.skip(cursor.lenenc());
    }
    return cursor.pos;
  }
  cursor.skip(count * 2);
  return cursor.pos;
}
