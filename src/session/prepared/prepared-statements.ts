import type { BackendConnection } from '../../pool/backend-connection.ts';
import { type OnServer, StatementShape } from '../../pool/statement-cache.ts';
import type { StateProfile } from '../../pool/state-profile.ts';
import type { Classification } from '../../sql/classification.ts';
import type { RoutineFacts } from '../../sql/routine-facts.ts';
import { COM } from '../../wire/command.ts';
import { isServerSchema } from '../state/session-state.ts';

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

/** What the classifier said of a statement when it was prepared. */
export interface Judgement
  extends Pick<
    Classification,
    'cls' | 'reason' | 'effects' | 'digestHi' | 'digestLo' | 'hintStart' | 'hintEnd'
  > {
  /** What was known of routines then. */
  readonly facts: RoutineFacts | null;
}

/** A copy: the classifier uses its object again. */
export function judgementOf(found: Classification, facts: RoutineFacts | null): Judgement {
  const { cls, reason, effects, digestHi, digestLo, hintStart, hintEnd } = found;
  return { cls, reason, effects, digestHi, digestLo, hintStart, hintEnd, facts };
}

/** A prepared statement of a client. What servers know of it is the connections' matter. */
export class PreparedStatement {
  /** What the client calls it. */
  readonly id: number;
  readonly shape: StatementShape;
  /** Its names are those of the schema that it was prepared in, whatever the session's is now. */
  readonly inServerSchema: boolean;
  judgement: Judgement;
  parameterCount = 0;
  /** Types of the parameters as the client last sent them (flag byte included), null never. */
  types: Buffer | null = null;
  /** Parameters that were sent ahead are gone with their connection: it must not run without. */
  longDataLost = false;
  private readonly owner: PreparedStatements;
  private cursor: BackendConnection | null = null;
  private longData: BackendConnection | null = null;

  constructor(
    owner: PreparedStatements,
    given: { id: number; shape: StatementShape; judgement: Judgement },
  ) {
    this.owner = owner;
    this.id = given.id;
    this.shape = given.shape;
    this.inServerSchema = isServerSchema(given.shape.profile.schema);
    this.judgement = given.judgement;
  }

  /** Where a cursor of it is open: rows are fetched there. */
  get cursorOn(): BackendConnection | null {
    return this.cursor;
  }

  /** Where parameters were sent ahead: it must run there. */
  get longDataOn(): BackendConnection | null {
    return this.longData;
  }

  set cursorOn(connection: BackendConnection | null) {
    this.bind(connection, this.longData);
  }

  set longDataOn(connection: BackendConnection | null) {
    this.bind(this.cursor, connection);
  }

  /** The connection on which this command of it must run, null where any will do. */
  boundFor(com: number): BackendConnection | null {
    if (com === COM.STMT_FETCH) return this.cursor;
    if (com === COM.STMT_RESET) return this.cursor ?? this.longData;
    return com === COM.STMT_PREPARE ? null : this.longData;
  }

  on(connection: BackendConnection): OnServer | undefined {
    return connection.prepared.get(this.shape);
  }

  /** It is closed, or the connection is gone. */
  unbind(connection: BackendConnection | null): void {
    if (connection !== null && this.longData === connection) this.longDataLost = true;
    const stays = (bound: BackendConnection | null) =>
      connection === null || bound === connection ? null : bound;
    this.bind(stays(this.cursor), stays(this.longData));
  }

  private bind(cursor: BackendConnection | null, longData: BackendConnection | null): void {
    const was = this.cursor !== null || this.longData !== null;
    const is = cursor !== null || longData !== null;
    for (const connection of [this.cursor, this.longData, cursor, longData]) {
      const known = connection?.prepared.get(this.shape);
      if (known !== undefined) known.held = connection === cursor || connection === longData;
    }
    this.cursor = cursor;
    this.longData = longData;
    if (was !== is) this.owner.bound += is ? 1 : -1;
  }
}

/** The prepared statements of a session, by the client's ids. */
export class PreparedStatements {
  /** How many are bound to a connection, by a cursor or long data. */
  bound = 0;
  private readonly byId = new Map<number, PreparedStatement>();
  /** Of the statements that are listed, each of which has one of its own. */
  private readonly shapes = new Set<StatementShape>();
  /** By the first shape of a text: no copy below this one is free. Left out: 1. */
  private readonly nextCopies = new Map<StatementShape, number>();
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
  create(packet: Buffer, profile: StateProfile, judgement: Judgement): PreparedStatement {
    this.last = null;
    this.lastId = (this.lastId % (LAST_PREPARED - 1)) + 1;
    const shape = this.freeShape(packet, profile);
    return new PreparedStatement(this, { id: this.lastId, shape, judgement });
  }

  private freeShape(packet: Buffer, profile: StateProfile): StatementShape {
    const first = StatementShape.of(packet, profile);
    if (!this.shapes.has(first)) return first;
    for (let copy = this.nextCopies.get(first) ?? 1; ; copy += 1) {
      const shape = StatementShape.of(packet, profile, copy);
      if (this.shapes.has(shape)) continue;
      if (copy > 1) this.nextCopies.set(first, copy);
      return shape;
    }
  }

  private freeCopy({ packet, profile, copy }: StatementShape): void {
    if (copy === 0) return;
    const first = StatementShape.of(packet, profile);
    const next = Math.min(copy, this.nextCopies.get(first) ?? 1);
    if (next === 1) this.nextCopies.delete(first);
    else this.nextCopies.set(first, next);
  }

  add(statement: PreparedStatement): void {
    this.byId.set(statement.id, statement);
    this.shapes.add(statement.shape);
    this.textBytes += statement.shape.packet.length;
    this.last = statement;
  }

  get(id: number): PreparedStatement | undefined {
    return this.byId.get(id);
  }

  remove(statement: PreparedStatement): void {
    if (!this.byId.delete(statement.id)) return;
    this.textBytes -= statement.shape.packet.length;
    this.shapes.delete(statement.shape);
    this.freeCopy(statement.shape);
    statement.unbind(null);
    if (this.last === statement) this.last = null;
  }

  clear(): void {
    for (const statement of this.byId.values()) this.remove(statement);
  }

  /** Whether a statement must go on where it is: an open cursor, or long data sent ahead. */
  holds(connection: BackendConnection): boolean {
    if (this.bound === 0) return false;
    for (const { cursorOn, longDataOn } of this.byId.values()) {
      if (cursorOn === connection || longDataOn === connection) return true;
    }
    return false;
  }

  /** The connection is gone, and all that was prepared on it. */
  forget(connection: BackendConnection): void {
    if (this.bound === 0) return;
    for (const statement of this.byId.values()) statement.unbind(connection);
  }
}
