import { LagwiseError } from '../../lib/errors.ts';
import type { BackendConnection } from '../../pool/backend-connection.ts';
import type { BackendPool } from '../../pool/pool.ts';
import { encodeStatementClose } from '../../pool/statement-cache.ts';
import { ServerRefusedError } from '../../pool/server-refused-error.ts';
import { COM } from '../../wire/command.ts';
import { REPLY } from '../../wire/reply-kinds.ts';
import { STATUS } from '../../wire/status.ts';
import { opensCursor } from './execute-packet.ts';
import type { Command } from '../command/command.ts';
import type { PreparedStatement, PreparedStatements } from './prepared-statements.ts';
import type { SessionBackends } from '../servers/session-backends.ts';

/** ER_MAX_PREPARED_STMT_COUNT_REACHED. */
export const TOO_MANY_STATEMENTS = 1461;

/** Sees to it that a prepared statement is known to the connection that is to run it. */
export class StatementPreparer {
  private readonly command: Command;
  private readonly prepared: PreparedStatements;
  private readonly backends: SessionBackends;
  private readonly pool: BackendPool;

  constructor(
    command: Command,
    prepared: PreparedStatements,
    backends: SessionBackends,
    pool: BackendPool,
  ) {
    this.command = command;
    this.prepared = prepared;
    this.backends = backends;
    this.pool = pool;
  }

  /** Whether the command runs a statement that this connection does not know yet. */
  isNeededOn(connection: BackendConnection): boolean {
    const { statement, com } = this.command;
    if (statement === null || com === COM.STMT_PREPARE) return false;
    const known = statement.on(connection);
    if (known === undefined) return true;
    return known.ranCursor && com === COM.STMT_EXECUTE && !opensCursor(this.command.bytes);
  }

  /**
   * Prepares the command's statement, in the state that its client prepared it in. False: the
   * replica refused, so it is the primary's turn.
   * @throws ServerRefusedError with the primary's error
   */
  async prepareOn(connection: BackendConnection): Promise<boolean> {
    const { statement } = this.command;
    if (statement === null) return true;
    try {
      await this.backends.restore(connection, statement.shape.profile);
      await this.prepare(connection, statement);
      return true;
    } catch (error) {
      const onReplica = connection === this.backends.replicaConnection;
      if (!onReplica || !(error instanceof ServerRefusedError)) throw error;
      // The replica may not know the table yet: the primary does, or has the error to show.
      this.command.target = 'primary';
      return false;
    }
  }

  private async prepare(connection: BackendConnection, statement: PreparedStatement) {
    for (let attempt = 0; ; attempt += 1) {
      this.pool.makeRoomForStatement(connection);
      const { packet } = statement.shape;
      const [done] = await this.backends.swallow(connection, packet, [REPLY.PREPARE]);
      if (done === undefined) throw new LagwiseError('internal', 'PREPARE had no reply');
      if (done.error === null) {
        this.note(connection, statement, done.statementId);
        return;
      }
      if (done.error.code !== TOO_MANY_STATEMENTS || attempt > 0) {
        throw new ServerRefusedError(connection.server.id, done.error);
      }
      this.pool.lowerStatementLimit(connection);
    }
  }

  /** The server has prepared it under this id. */
  note(connection: BackendConnection, statement: PreparedStatement, id: number): void {
    const older = connection.prepared.add(statement.shape, id);
    if (older !== 0) connection.stream.write(encodeStatementClose(older));
  }

  /** Draws the conclusions from a reply to a command of the binary protocol. */
  conclude(connection: BackendConnection, reply: { status: number; succeeded: boolean }): void {
    const { statement, com } = this.command;
    if (statement === null) return;
    if (com === COM.STMT_PREPARE) {
      if (reply.succeeded) this.prepared.add(statement);
      return;
    }
    const { status } = reply;
    const isOpen =
      com !== COM.STMT_RESET &&
      status !== -1 &&
      (status & STATUS.CURSOR_EXISTS) !== 0 &&
      (status & STATUS.LAST_ROW_SENT) === 0;
    if (isOpen) statement.cursorOn = connection;
    else if (statement.cursorOn !== null) statement.cursorOn = null;
    if (com === COM.STMT_FETCH) return;
    if (statement.longDataOn !== null) statement.longDataOn = null;
    statement.longDataLost = false;
  }
}
