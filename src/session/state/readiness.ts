import { LagwiseError } from '../../lib/errors.ts';
import { type BackendConnection, LEFT } from '../../pool/backend-connection.ts';
import { ServerRefusedError } from '../../pool/server-refused-error.ts';
import { EFFECT } from '../../sql/classification.ts';
import { COM } from '../../wire/command.ts';
import { encodeQuery } from '../../wire/packets/query.ts';
import { REPLY } from '../../wire/reply-kinds.ts';
import { CLEARING, CLEARING_QUERY } from '../reply/afterwards.ts';
import { signalOf } from '../reply/afterwards.ts';
import { primaryCheck } from '../reads/catch-up.ts';
import type { Command } from '../command/command.ts';
import { opensCursor } from '../prepared/execute-packet.ts';
import { separateAssignments } from './restore.ts';
import type { SessionBackends } from '../servers/session-backends.ts';
import type { SessionBinding } from './session-binding.ts';
import type { SessionDeps } from '../session-deps.ts';
import type { SessionState } from './session-state.ts';
import type { StatementPreparer } from '../prepared/statement-preparer.ts';

/** Whether a connection is as a command wants it, and what to do where it is not. */
export class Readiness {
  private readonly command: Command;
  private readonly state: SessionState;
  private readonly binding: SessionBinding;
  private readonly backends: SessionBackends;
  private readonly preparer: StatementPreparer;
  private readonly deps: SessionDeps;
  /** Other proxies may know of another primary first. */
  private readonly inGroup: boolean;

  constructor(parts: {
    deps: SessionDeps;
    command: Command;
    state: SessionState;
    binding: SessionBinding;
    backends: SessionBackends;
    preparer: StatementPreparer;
  }) {
    this.command = parts.command;
    this.state = parts.state;
    this.binding = parts.binding;
    this.backends = parts.backends;
    this.preparer = parts.preparer;
    this.deps = parts.deps;
    this.inGroup = parts.deps.config.coordination.redis !== null;
  }

  /** Nothing has to be done. Runs for each statement. */
  isReady(connection: BackendConnection): boolean {
    const { command } = this;
    // They go on with what is there already; a PING tells of it, restored state would leave its own.
    if (command.isContinuation || command.com === COM.PING) return true;
    if (connection.profile !== this.state.profile || this.preparer.isNeededOn(connection)) {
      return false;
    }
    if (command.concernsInsertId && this.needsInsertId(connection)) return false;
    if (this.comesFromReplica(connection)) return false;
    return !command.tellsWarnings || this.diagnosticsFor(connection) === null;
  }

  /**
   * Whether what restores the state may go in one write with the command: the command runs even if
   * the server refuses the state, so it must be one that changes nothing, whose answer can be dropped.
   */
  isPipelinable(connection: BackendConnection): boolean {
    const { command } = this;
    if (command.com !== COM.QUERY || !command.isRepeatable || connection.profile === null) {
      return false;
    }
    return this.guardOn(connection) === null;
  }

  /**
   * What must not fail on the server right before the command, null for nothing: a replica has to
   * catch up, or a server among several proxies still to be the primary.
   */
  guardOn(connection: BackendConnection): Buffer | null {
    const { command, backends } = this;
    let guard: string | null = null;
    if (connection === backends.replicaConnection) guard = command.awaits;
    else if (command.cls === 'read') {
      guard = primaryCheck(connection.flavor, {
        isWritable: this.inGroup && !this.state.inTransaction && this.mustBePrimary,
        showsAll: this.mustShowAll,
      });
    }
    command.isGuarded = guard !== null;
    return guard === null ? null : encodeQuery(guard, connection.caps);
  }

  /** Its session may have been shown, by a replica, what the primary does not show yet. */
  private get mustShowAll(): boolean {
    const { deps, command, backends } = this;
    const { primary } = deps.topology.current();
    if (command.isPartial) return false;
    // Without GTIDs there is nothing to wait for.
    if (primary === null || primary.position === null || !deps.keepsPromises) return false;
    return (
      backends.reads.horizon.mayOvertake(primary.id) &&
      backends.reads.levelOf(command) !== 'eventual'
    );
  }

  /** It would be stale on a former primary. */
  private get mustBePrimary(): boolean {
    const { command, backends } = this;
    const level = backends.reads.levelOf(command);
    return level === 'strong' || level === 'global' || backends.reads.horizon.hasToken;
  }

  /**
   * Whether the command may be sent behind something that may fail: it runs then all the same, and
   * its answer is dropped.
   */
  get isDroppable(): boolean {
    const { command } = this;
    if (!command.isRepeatable) return false;
    if (command.com === COM.QUERY) return true;
    return command.com === COM.STMT_EXECUTE && !opensCursor(command.bytes);
  }

  /**
   * Brings the connection to what the command needs. False: it is another server's turn.
   * @throws ServerRefusedError with the primary's error
   */
  async make(connection: BackendConnection): Promise<boolean> {
    const { command, backends, preparer } = this;
    if (command.isContinuation || command.com === COM.PING) return true;
    if (preparer.isNeededOn(connection) && !(await preparer.prepareOn(connection))) return false;
    if (!(await this.restore(connection))) return false;
    if (this.comesFromReplica(connection)) await this.carryVariables(connection);
    if (command.concernsInsertId && this.needsInsertId(connection)) {
      const { insertId } = backends.leftovers;
      await backends.leftovers.fetchInsertId(backends.held);
      await this.tell(connection, await insertId.restoration(command.asksInsertId));
      insertId.noteTold(connection);
    }
    if (command.tellsWarnings) await this.giveDiagnostics(connection);
    return true;
  }

  private needsInsertId(connection: BackendConnection): boolean {
    return this.backends.leftovers.insertId.isNeededOn(connection, this.command.asksInsertId);
  }

  /** Brings the connection to have the diagnostics of the session's last command. */
  private async giveDiagnostics(connection: BackendConnection): Promise<void> {
    const { backends } = this;
    const statement = this.diagnosticsFor(connection);
    if (statement === null) return;
    if (backends.leftovers.ownError === null) await this.tell(connection, statement);
    // It is the error that is wanted.
    else
      await backends.swallow(connection, encodeQuery(statement, connection.caps), [REPLY.SIMPLE]);
  }

  /** The session is pinned to a replica, and this is the primary's connection. */
  private comesFromReplica(connection: BackendConnection): boolean {
    const { pinnedTo } = this.binding;
    if (pinnedTo === null || this.command.reason !== 'pinned') return false;
    const { primaryConnection, replicaConnection } = this.backends;
    return pinnedTo === replicaConnection && connection === primaryConnection;
  }

  /**
   * The session goes to the primary with all that it has set on the replica.
   * @throws LagwiseError `limit` where it has other state there, or too much of it
   */
  private async carryVariables(primary: BackendConnection): Promise<void> {
    const { binding, backends, state } = this;
    const { pinnedTo, userVariables } = binding;
    const others = state.pins.reasons.filter((reason) => reason !== 'user-variable');
    if (pinnedTo === null || others.length > 0) {
      throw new LagwiseError(
        'limit',
        `This session has state on a replica (${others.join(', ')}) that cannot be carried to the primary; the statement has not run: begin a transaction first`,
      );
    }
    if (userVariables.any) {
      const query = encodeQuery(userVariables.question(), pinnedTo.caps);
      const [told] = await backends.swallow(pinnedTo, query, [REPLY.RESULT]);
      if (told?.error) throw new ServerRefusedError(pinnedTo.server.id, told.error);
      if (told === undefined || told.tooLong) {
        throw new LagwiseError(
          'limit',
          'What this session has set on a replica is too long to be carried to the primary; the statement has not run: begin a transaction first',
        );
      }
      const { result } = told;
      await this.tell(primary, userVariables.assignments(result, pinnedTo.caps));
    }
    binding.pinnedTo = primary;
    userVariables.clear();
    backends.release(pinnedTo, 'reset');
  }

  private async restore(connection: BackendConnection): Promise<boolean> {
    const { backends, command, state } = this;
    try {
      await backends.restore(connection, state.profile);
      return true;
    } catch (error) {
      if (!(error instanceof ServerRefusedError)) throw error;
      if (connection !== backends.replicaConnection) {
        await this.dropRefused(connection);
        throw error;
      }
      backends.refusedBy(connection, command);
      command.target = 'primary';
      return false;
    }
  }

  /**
   * Finds which variables the primary does not take from the proxy, and forgets them: one refusal
   * must not become the answer to every later statement.
   */
  private async dropRefused(connection: BackendConnection): Promise<void> {
    const { backends, state } = this;
    const separate = separateAssignments(state.profile);
    const bytes = separate.map(({ statement }) => encodeQuery(statement, connection.caps));
    const kinds = separate.map(() => REPLY.SIMPLE);
    const results =
      separate.length === 0 ? [] : await backends.swallow(connection, Buffer.concat(bytes), kinds);
    const refused = separate.filter((_, index) => results[index]?.error !== null);
    const names = refused.map(({ name }) => name);
    connection.profile = null;
    if (names.length > 0) state.dropVariables(names);
  }

  /**
   * What replaces the diagnostics that are there: by those of the proxy's own refusal, or, where
   * another session's statement left them, by none. Null where nothing must be done.
   */
  private diagnosticsFor(connection: BackendConnection): string | null {
    const { leftovers } = this.backends;
    if (leftovers.ownError !== null) return signalOf(leftovers.ownError);
    if (connection === leftovers.connection) return null;
    // GET DIAGNOSTICS, alone among those who ask, can ask for ROW_COUNT too.
    const asksRowCount = (this.command.effects & EFFECT.SETS_USER_VARIABLE) !== 0;
    if (!asksRowCount && (connection.leftovers & LEFT.DIAGNOSTICS) === 0) return null;
    return asksRowCount && leftovers.remembered.rowCount === -1 ? CLEARING_QUERY : CLEARING;
  }

  private async tell(connection: BackendConnection, statement: string): Promise<void> {
    const query = encodeQuery(statement, connection.caps);
    const [done] = await this.backends.swallow(connection, query, [REPLY.RESULT]);
    if (done?.error) throw new ServerRefusedError(connection.server.id, done.error);
  }
}
