import { LagwiseError } from '../../lib/errors.ts';
import type { BackendConnection } from '../../pool/backend-connection.ts';
import { runSwallowed } from '../../pool/swallow.ts';
import { encodeQuery } from '../../wire/packets/query.ts';
import type { ReplyFacts } from '../../wire/reply-fields.ts';
import { REPLY } from '../../wire/reply-kinds.ts';
import { decodeOnlyValue } from '../../wire/text-resultset.ts';
import { goneInsertId } from '../client/client-errors.ts';
import type { Command } from '../command/command.ts';
import type { SessionState } from '../state/session-state.ts';

/** Stands on a connection whose LAST_INSERT_ID() is of interest to nobody, but is not 0 either. */
const NOBODY = {};
const NUMBER = /^\d{1,20}$/;

/**
 * A session's LAST_INSERT_ID(). It lives on the connection that inserted. When another session
 * needs that one the number is saved, and set again where a statement asks for it.
 */
export class InsertId {
  private readonly state: SessionState;
  private readonly timeoutMs: number;
  private on: BackendConnection | null = null;
  private saving: Promise<void> | null = null;
  /** Its server has closed the connection that had it, and nobody has asked since. */
  private gone = false;

  constructor(state: SessionState, timeoutMs: number) {
    this.state = state;
    this.timeoutMs = timeoutMs;
  }

  /** The connection that has it, null for none. */
  get connection(): BackendConnection | null {
    return this.on;
  }

  isOn(connection: BackendConnection): boolean {
    return connection.insertIdOf === this.state;
  }

  /** A statement there has set it. */
  noteSet(connection: BackendConnection): void {
    if (this.on !== null && this.on !== connection) this.leave(this.on);
    this.on = connection;
    this.gone = false;
    connection.insertIdOf = this.state;
    this.state.savedInsertId = null;
  }

  /**
   * Whether the connection must be told before a statement that it concerns.
   * @param asks the statement may ask for it, not only set it
   */
  isNeededOn(connection: BackendConnection, asks: boolean): boolean {
    if (this.isOn(connection)) return false;
    if (this.gone && asks) return true;
    return connection.insertIdOf !== null || this.state.savedInsertId !== null || this.on !== null;
  }

  /**
   * Reads it from the connection that has it, which others will use now.
   * @throws LagwiseError when the server is lost
   */
  async save(connection: BackendConnection): Promise<void> {
    this.saving = this.ask(connection);
    try {
      await this.saving;
    } finally {
      this.saving = null;
    }
  }

  /**
   * The statement that gives a connection this session's number.
   * @throws ServerRefusedError where that is lost and the statement may ask for it: once
   */
  async restoration(asks: boolean): Promise<string> {
    await this.saving;
    if (this.state.savedInsertId === null && this.on?.isClosed === true) {
      this.on = null;
      this.gone = true;
    }
    // 0 would be a wrong answer; who does not ask need not know.
    if (this.gone && asks) {
      this.gone = false;
      throw goneInsertId();
    }
    return `SET last_insert_id=${this.state.savedInsertId ?? '0'}`;
  }

  /** The connection was told this session's number, and has no other one's any more. */
  noteTold(connection: BackendConnection): void {
    if (this.state.savedInsertId === null) connection.insertIdOf = null;
    else this.noteSet(connection);
  }

  /** The session starts anew: it is 0. */
  forget(): void {
    if (this.on !== null) this.leave(this.on);
    this.on = null;
    this.gone = false;
  }

  private async ask(connection: BackendConnection): Promise<void> {
    // In one write: whoever has the connection next must not take this number for his own, which
    // an INSERT that gives its ids itself leaves as it was.
    const query = Buffer.concat([
      encodeQuery('SELECT LAST_INSERT_ID()', connection.caps),
      encodeQuery('DO LAST_INSERT_ID(0)', connection.caps),
    ]);
    const kinds = [REPLY.RESULT, REPLY.RESULT];
    const [told] = await runSwallowed(connection, query, kinds, this.timeoutMs);
    const value = told === undefined ? null : decodeOnlyValue(told.result, connection.caps);
    if (value === null || !NUMBER.test(value)) {
      throw new LagwiseError('backend-protocol', 'LAST_INSERT_ID() is no number');
    }
    const isCurrent = this.isOn(connection);
    connection.insertIdOf = null;
    // Meanwhile the session may have inserted elsewhere.
    if (!isCurrent) return;
    this.state.savedInsertId = value;
    this.on = null;
  }

  private leave(connection: BackendConnection): void {
    if (connection.insertIdOf === this.state) connection.insertIdOf = NOBODY;
  }
}

/** Whether a command that succeeded may have set LAST_INSERT_ID(). */
export function maySetInsertId({ cause, asksInsertId }: Command, facts: ReplyFacts): boolean {
  if (facts.hasInsertId || asksInsertId) return true;
  // INSERT … RETURNING does not tell the id, nor does MariaDB's LOAD DATA.
  return cause === 'load-data' || (cause === 'dml' && facts.rows >= 0);
}
