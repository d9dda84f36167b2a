import type { BackendConnection } from '../../pool/backend-connection.ts';
import type { Command } from '../command/command.ts';
import type { SessionState } from './session-state.ts';
import { UserVariableNames } from './user-variables.ts';

/**
 * What ties a session to one of its connections: an open transaction, or state that lives on one
 * server only. And whether what it did there must be waited for elsewhere.
 */
export class SessionBinding {
  /** Where a transaction is open, null when none is. */
  transactionOn: BackendConnection | null = null;
  /** Where the state is that pins the session, null when there is none. */
  pinnedTo: BackendConnection | null = null;
  /** What is set on a replica, where the session is pinned to one. */
  readonly userVariables = new UserVariableNames();
  private readonly state: SessionState;
  private transactionWrote = false;

  constructor(state: SessionState) {
    this.state = state;
  }

  /**
   * The connection that the session is tied to; what is about the session goes there. One that only
   * has a cursor open is not: what is said there is of that statement.
   */
  get tiedTo(): BackendConnection | null {
    return this.transactionOn ?? this.pinnedTo;
  }

  /** @param status the status flags of a reply, -1 where it had none */
  noteReply(connection: BackendConnection, status: number): void {
    // A cursor on a replica may be read in the middle of a transaction on the primary.
    if (status !== -1 && (this.transactionOn ?? connection) === connection) {
      this.state.noteStatus(status);
      this.transactionOn = this.state.inTransaction ? connection : null;
    }
    if (this.state.pins.any) {
      this.pinnedTo ??= connection;
    } else if (this.pinnedTo !== null) {
      this.pinnedTo = null;
      this.userVariables.clear();
    }
  }

  /** Whether something may be committed by the command that is about to run. */
  mayCommit({ cls }: Command): boolean {
    return cls === 'write' || cls === 'unknown' || this.transactionWrote;
  }

  /** Whether replicas must catch up with what the command did on the primary. Call it once. */
  hasWritten({ cls }: Command): boolean {
    const isOpen = this.transactionOn !== null;
    if (cls === 'write' || cls === 'unknown') {
      this.transactionWrote = isOpen;
      return true;
    }
    if (!this.transactionWrote || isOpen) return false;
    // Whatever ended it: COMMIT, SET autocommit=1, a statement that commits by itself.
    this.transactionWrote = false;
    return true;
  }

  /** Whether state of the session is lost with this connection. */
  isPinnedTo(connection: BackendConnection): boolean {
    return this.state.pins.any && this.pinnedTo === connection;
  }

  /** The connection is gone, and a transaction on it rolled back. */
  forget(connection: BackendConnection): void {
    if (this.transactionOn !== connection) return;
    this.transactionOn = null;
    this.transactionWrote = false;
    this.state.inTransaction = false;
    this.state.readOnlyTransaction = false;
  }

  /** COM_RESET_CONNECTION rolled back what was open and dropped the rest. */
  reset(): void {
    this.transactionOn = null;
    this.pinnedTo = null;
    this.userVariables.clear();
    this.transactionWrote = false;
  }
}
