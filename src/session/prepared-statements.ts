import { COM } from '../wire/command.ts';
import type { BackendConnection } from '../pool/backend-connection.ts';
import type { StatementClass } from '../sql/classification.ts';

/** Statements that one session may have prepared at a time; servers stop at 16 382 for all. */
const MAX_STATEMENTS = 16_382;
/** Their texts together: they are kept to prepare them on other servers. */
const MAX_TEXT_BYTES = 64 * 1024 * 1024;

/**
 * In MariaDB's protocol the id that means "the one prepared last": clients send it to pipeline
 * PREPARE and EXECUTE.
 * @see https://mariadb.com/docs/server/reference/clientserver-protocol/3-binary-protocol-prepared-statements/com_stmt_execute
 */
export const LAST_PREPARED = 0xffff_ffff;

/** A statement as one server connection has it. */
export interface OnServer {
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
  /** Where a cursor of it is open: rows are fetched there. */
  cursorOn: BackendConnection | null = null;
  /** Where parameters were sent ahead: it must run there. */
  longDataOn: BackendConnection | null = null;
  private readonly servers = new Map<BackendConnection, OnServer>();

  constructor(id: number, packet: Buffer, cls: StatementClass, effects: number) {
    this.id = id;
    this.packet = packet;
    this.cls = cls;
    this.effects = effects;
  }

  /** The connection on which this command of it must run, null where any will do. */
  boundFor(com: number): BackendConnection | null {
    if (com === COM.STMT_FETCH) return this.cursorOn;
    if (com === COM.STMT_RESET) return this.cursorOn ?? this.longDataOn;
    return com === COM.STMT_PREPARE ? null : this.longDataOn;
  }

  on(connection: BackendConnection): OnServer | undefined {
    return this.servers.get(connection);
  }

  preparedOn(connection: BackendConnection, id: number): void {
    this.servers.set(connection, { id, typesVersion: 0 });
  }

  forget(connection: BackendConnection): void {
    this.servers.delete(connection);
    if (this.cursorOn === connection) this.cursorOn = null;
    if (this.longDataOn === connection) this.longDataOn = null;
  }

  [Symbol.iterator](): IterableIterator<[BackendConnection, OnServer]> {
    return this.servers.entries();
  }
}

/** The prepared statements of a session, by the client's ids. */
export class PreparedStatements {
  private readonly byId = new Map<number, PreparedStatement>();
  private lastId = 0;
  private textBytes = 0;
  /** The statement prepared last, null where that PREPARE failed or it was closed. */
  last: PreparedStatement | null = null;

  /** Why one more of this length cannot be prepared, null if it can. */
  whyFull(packetBytes: number): string | null {
    if (this.byId.size >= MAX_STATEMENTS) {
      return `This session has ${MAX_STATEMENTS} prepared statements`;
    }
    if (this.textBytes + packetBytes > MAX_TEXT_BYTES) {
      return `The prepared statements of this session are longer than ${MAX_TEXT_BYTES} bytes`;
    }
    return null;
  }

  /** A new statement; not listed until `add`, since preparing it may fail. */
  create(packet: Buffer, cls: StatementClass, effects: number): PreparedStatement {
    this.last = null;
    this.lastId = (this.lastId % (LAST_PREPARED - 1)) + 1;
    return new PreparedStatement(this.lastId, packet, cls, effects);
  }

  add(statement: PreparedStatement): void {
    this.byId.set(statement.id, statement);
    this.textBytes += statement.packet.length;
    this.last = statement;
  }

  get(id: number): PreparedStatement | undefined {
    return this.byId.get(id);
  }

  remove(id: number): void {
    this.textBytes -= this.byId.get(id)?.packet.length ?? 0;
    this.byId.delete(id);
    if (this.last?.id === id) this.last = null;
  }

  clear(): void {
    this.last = null;
    this.textBytes = 0;
    this.byId.clear();
  }

  /** Whether a statement must go on where it is: an open cursor, or long data sent ahead. */
  holds(connection: BackendConnection): boolean {
    for (const { cursorOn, longDataOn } of this.byId.values()) {
      if (cursorOn === connection || longDataOn === connection) return true;
    }
    return false;
  }

  /** The connection is gone, and all that was prepared on it. */
  forget(connection: BackendConnection): void {
    for (const statement of this.byId.values()) statement.forget(connection);
  }
}
