import type { BackendConnection } from '../../pool/backend-connection.ts';
import { CAP, has } from '../../wire/capability.ts';
import { COM } from '../../wire/command.ts';
import type { ReplyFacts } from '../../wire/reply-fields.ts';
import type { ReplyTracker } from '../../wire/reply-tracker.ts';
import { STATUS } from '../../wire/status.ts';
import type { Command } from '../command/command.ts';
import type { SessionBackends } from '../servers/session-backends.ts';
import type { SessionDeps } from '../session-deps.ts';
import type { SessionBinding } from '../state/session-binding.ts';
import type { SessionState } from '../state/session-state.ts';
import { TRAIT } from '../statement/cause-traits.ts';

/** What a reply tells of commits, or cannot tell. */
export class Commits {
  private readonly deps: SessionDeps;
  private readonly command: Command;
  private readonly state: SessionState;
  private readonly binding: SessionBinding;
  private readonly backends: SessionBackends;
  /** The reply has told so far that these were committed. */
  private gtids: string | null = null;
  /** The packet in hand has told some of them. */
  private isTold = false;
  /** There may be more, of which it could not tell. */
  private isUntold = false;

  constructor(parts: {
    deps: SessionDeps;
    command: Command;
    state: SessionState;
    binding: SessionBinding;
    backends: SessionBackends;
  }) {
    this.deps = parts.deps;
    this.command = parts.command;
    this.state = parts.state;
    this.binding = parts.binding;
    this.backends = parts.backends;
  }

  /** Of several results in one reply, each may tell of commits. */
  noteGtids(gtids: string): void {
    this.gtids = this.gtids === null ? gtids : `${this.gtids},${gtids}`;
    this.isTold = true;
  }

  /**
   * The command may commit something of which the reply cannot tell: the end of a result has no room
   * for it without DEPRECATE_EOF, and no OK has where the client has turned that off.
   */
  mayBeUntold(connection: BackendConnection): boolean {
    const { command, binding, backends, state } = this;
    if (!binding.mayCommit(command) || command.isPartial) return false;
    if (connection === backends.replicaConnection) return false;
    return state.setsTrackers || !has(connection.caps, CAP.DEPRECATE_EOF);
  }

  /**
   * The group is told of a commit before the client is: whoever reads with `global` sees it.
   * @returns what the OK has to wait for, null for nothing
   */
  acknowledged(connection: BackendConnection, tracker: ReplyTracker): Promise<void> | null {
    const { gtids, isTold, deps } = this;
    this.isTold = false;
    if (connection === this.backends.replicaConnection) return null;
    if (isTold) return deps.coordination.acknowledged(gtids);
    if (!tracker.heldEndsResult || !this.hidesCommit(connection, tracker.facts)) return null;
    this.isUntold = true;
    return deps.coordination.acknowledged(null);
  }

  /** This end of a result tells of no commit, and there may have been one. */
  private hidesCommit(connection: BackendConnection, facts: ReplyFacts): boolean {
    const { command, state } = this;
    const isOpen = facts.status !== -1 && (facts.status & STATUS.IN_TRANS) !== 0;
    if (isOpen || command.isPartial || !this.binding.mayCommit(command)) return false;
    if (facts.affectedRows > 0 || state.setsTrackers) return true;
    // What is reported in MariaDB's SET STATEMENT … FOR … is not looked at.
    if (connection.flavor === 'mariadb' && command.isSetStatement) return true;
    if (facts.rows < 0 || has(connection.caps, CAP.DEPRECATE_EOF)) return false;
    // Behind the results of a procedure comes an OK, which tells.
    return command.cause !== 'call' && !command.is(TRAIT.COMMITS_NOTHING);
  }

  /** The reply has ended: later reads of the session have to see what was committed. */
  conclude(connection: BackendConnection, nowMs: number): void {
    const { gtids, isUntold, binding, command, backends } = this;
    this.gtids = null;
    this.isTold = false;
    this.isUntold = false;
    const mayHave = binding.hasWritten(command) && command.com !== COM.STMT_PREPARE;
    // Nothing is committed yet: reads stay with the transaction, and its end tells.
    const isOpen = binding.transactionOn !== null;
    // What was read may have written all the same: the server says so.
    if (gtids === null && (!mayHave || isOpen)) return;
    backends.reads.noteWrite(nowMs, gtids, connection.flavor);
    if (isUntold && gtids !== null) backends.reads.noteWrite(nowMs, null, connection.flavor);
  }
}
