import { LagwiseError } from '../lib/errors.ts';
import type { BackendConnection } from '../pool/backend-connection.ts';
import { ServerRefusedError } from '../pool/server-refused-error.ts';
import { COM } from '../wire/command.ts';
import { REPLY } from '../wire/reply-kinds.ts';
import { STATUS } from '../wire/status.ts';
import type { Command } from './command.ts';
import type { PreparedStatements } from './prepared-statements.ts';
import type { SessionBackends } from './session-backends.ts';

/** Sees to it that a prepared statement is known to the connection that is to run it. */
export class StatementPreparer {
  private readonly command: Command;
  private readonly prepared: PreparedStatements;
  private readonly backends: SessionBackends;

  constructor(command: Command, prepared: PreparedStatements, backends: SessionBackends) {
    this.command = command;
    this.prepared = prepared;
    this.backends = backends;
  }

  /** Whether the command runs a statement that this connection does not know yet. */
  isNeededOn(connection: BackendConnection): boolean {
    const { statement, com } = this.command;
    return statement !== null && com !== COM.STMT_PREPARE && statement.on(connection) === undefined;
  }

  /**
   * Prepares the command's statement. False: the replica refused, so it is the primary's turn.
   * @throws ServerRefusedError with the primary's error
   */
  async prepareOn(connection: BackendConnection): Promise<boolean> {
    const { statement } = this.command;
    if (statement === null) return true;
    const [done] = await this.backends.swallow(connection, statement.packet, [REPLY.PREPARE]);
    if (done === undefined) throw new LagwiseError('internal', 'PREPARE had no reply');
    if (done.error === null) {
      statement.preparedOn(connection, done.statementId);
      return true;
    }
    if (connection !== this.backends.replicaConnection) {
      throw new ServerRefusedError(connection.server.id, done.error);
    }
    // The replica may not know the table yet: the primary does, or has the error to show.
    this.command.target = 'primary';
    return false;
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
    statement.cursorOn = isOpen ? connection : null;
    if (com !== COM.STMT_FETCH) statement.longDataOn = null;
  }
}
