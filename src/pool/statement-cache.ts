import { createHash } from 'node:crypto';
import { Interned } from '../lib/interned.ts';
import { COM } from '../wire/command.ts';
import { PacketWriter } from '../wire/writer.ts';
import type { StateProfile } from './state-profile.ts';

/**
 * A statement to be prepared: its text, and the state that it was prepared under, which decides
 * what it means. Equal ones are one object, so that sessions share what a connection has prepared.
 */
export class StatementShape {
  /** The COM_STMT_PREPARE packet as the client sent it. */
  readonly packet: Buffer;
  readonly profile: StateProfile;
  /**
   * 0, or which one more of the same it is: a session that has prepared a text twice has two
   * statements, each with a cursor and long data of its own.
   */
  readonly copy: number;

  private constructor(packet: Buffer, profile: StateProfile, copy: number) {
    this.packet = packet;
    this.profile = profile;
    this.copy = copy;
  }

  /** The one shape of this text, state and copy; `packet` is copied where it is new. */
  static of(packet: Buffer, profile: StateProfile, copy = 0): StatementShape {
    const hash = createHash('sha256').update(packet).digest('base64');
    const key = `${profile.id}:${copy}:${hash}`;
    return shapes.get(key, () => new StatementShape(Buffer.from(packet), profile, copy));
  }
}

const shapes = new Interned<StatementShape>();

/** A statement as one server connection has it. */
export interface OnServer {
  readonly id: number;
  /** Parameter types that the server was last told for it (flag byte included), null none. */
  types: Buffer | null;
  /** A cursor or long data of it is open: it must not be closed. */
  held: boolean;
  /** It was run with a cursor: MySQL 9.7 then answers wrongly when it is run without one. */
  ranCursor: boolean;
  usedAt: number;
}

/** How many statements may be open on one server, over all connections to it. */
export class StatementBudget {
  limit: number;
  open = 0;
  /** Counts uses, so that the least recent one can be told. */
  clock = 0;

  constructor(limit: number) {
    this.limit = limit;
  }
}

/** What is prepared on one connection. */
export class StatementCache {
  private readonly byShape = new Map<StatementShape, OnServer>();
  private readonly budget: StatementBudget;

  constructor(budget: StatementBudget) {
    this.budget = budget;
  }

  get size(): number {
    return this.byShape.size;
  }

  /** The statement as this connection has it; counts as a use. */
  get(shape: StatementShape): OnServer | undefined {
    const known = this.byShape.get(shape);
    if (known !== undefined) {
      this.budget.clock += 1;
      known.usedAt = this.budget.clock;
    }
    return known;
  }

  /** A PREPARE succeeded. Returns the id of an older one of the same shape, to be closed; 0 none. */
  add(shape: StatementShape, id: number): number {
    const before = this.byShape.get(shape);
    if (before === undefined) this.budget.open += 1;
    this.budget.clock += 1;
    this.byShape.set(shape, {
      id,
      types: null,
      held: false,
      ranCursor: false,
      usedAt: this.budget.clock,
    });
    return before?.id ?? 0;
  }

  /** The statement is no longer open there. */
  remove(shape: StatementShape): void {
    if (this.byShape.delete(shape)) this.budget.open -= 1;
  }

  /** The connection is gone, or was reset: nothing is open any more. */
  clear(): void {
    this.budget.open -= this.byShape.size;
    this.byShape.clear();
  }

  *[Symbol.iterator](): Generator<[StatementShape, OnServer]> {
    yield* this.byShape;
  }
}

/** The packet that closes a prepared statement; it has no answer. */
export const encodeStatementClose = (id: number): Buffer =>
  new PacketWriter(5).u8(COM.STMT_CLOSE).u32(id).finish(0);

/** Has a server forget a statement, with its cursor and long data: the next one prepares it anew. */
export function closeOn(connection: StatementHolder, shape: StatementShape): void {
  const known = connection.prepared.get(shape);
  if (known === undefined) return;
  connection.prepared.remove(shape);
  connection.stream.write(encodeStatementClose(known.id));
}

/** A connection as far as its prepared statements go. */
export interface StatementHolder {
  readonly prepared: StatementCache;
  readonly stream: { write(bytes: Buffer): boolean };
}

/** Of the limit so much is freed at a time, so that the search for the oldest is not run for each. */
const FREED_SHARE = 0.05;

/**
 * Closes the least recently used statements on `connections`, none of which may be running a
 * command, until there is room for one more.
 */
export function makeRoom(budget: StatementBudget, connections: Iterable<StatementHolder>): void {
  if (budget.open < budget.limit) return;
  const wanted = budget.open - budget.limit + Math.max(1, Math.floor(budget.limit * FREED_SHARE));
  const found: { connection: StatementHolder; shape: StatementShape; known: OnServer }[] = [];
  for (const connection of connections) {
    for (const [shape, known] of connection.prepared) {
      if (!known.held) found.push({ connection, shape, known });
    }
  }
  found.sort((a, b) => a.known.usedAt - b.known.usedAt);
  for (const { connection, shape, known } of found.slice(0, wanted)) {
    connection.prepared.remove(shape);
    connection.stream.write(encodeStatementClose(known.id));
  }
}
