import { type BackendConnection, LEFT } from '../../pool/backend-connection.ts';
import { COM } from '../../wire/command.ts';
import { ServerRefusedError } from '../../pool/server-refused-error.ts';
import { REPLY } from '../../wire/reply-kinds.ts';
import { answerAfterwards, countsAsked, warningsIn, withNumbers } from '../reply/afterwards.ts';
import { goneDiagnostics } from '../client/client-errors.ts';
import type { Command } from '../command/command.ts';
import { packetFor } from '../prepared/execute-packet.ts';
import { PINNING_EFFECTS } from '../state/pins.ts';
import type { SessionBackends } from './session-backends.ts';
import type { SessionBinding } from '../state/session-binding.ts';
import type { SessionDeps } from '../session-deps.ts';
import type { SessionState } from '../state/session-state.ts';

const ROW_COUNT = /\brow_count\b/i;
const RUNS_TEXT: ReadonlySet<number> = new Set([COM.QUERY, COM.STMT_PREPARE, COM.STMT_EXECUTE]);
const COUNTS = /\b(row_count|found_rows)\s*\(/gi;
const EMPTY = Buffer.alloc(0);

/** On which of a session's connections a command must run, where not any of its target will do. */
export class Placement {
  private readonly deps: SessionDeps;
  private readonly command: Command;
  private readonly state: SessionState;
  private readonly binding: SessionBinding;
  private readonly backends: SessionBackends;

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

  /** The connection on which this command must run, null where any of its target will do. */
  boundConnection(): BackendConnection | null {
    const { command } = this;
    const boundTo = command.statement?.boundFor(command.com) ?? null;
    if (boundTo !== null && !this.mustLeave(boundTo)) return boundTo;
    const knowing = command.asksInsertId ? this.oneConnection() : null;
    if (knowing !== null) return knowing;
    if (command.target !== 'same') return null;
    if (command.cause === 'row-count' && this.backends.leftovers.ownError !== null) {
      // The connection knows nothing of what the proxy has refused.
      command.asksAfterwards = true;
      return null;
    }
    if (command.cls === 'same-server' && command.cause !== 'diagnostics') {
      const counting = this.heldThatCounted();
      if (counting !== null) return counting;
      command.asksAfterwards = this.isOnlyRemembered();
      if (command.asksAfterwards) return null;
    }
    if (this.binding.transactionOn !== null) return this.binding.transactionOn;
    if (command.reason === 'same-server') return this.followLast();
    command.target = 'primary';
    if (command.reason === 'pinned') return this.leavesReplica ? null : this.binding.pinnedTo;
    this.leaveLeaderless();
    return null;
  }

  /**
   * Its long data was sent ahead to one server, and then the session began a transaction on another
   * one, or has state there: the statement belongs there, and does not run without that data.
   */
  private mustLeave(boundTo: BackendConnection): boolean {
    const { command, binding } = this;
    const { tiedTo } = binding;
    return command.com === COM.STMT_EXECUTE && tiedTo !== null && tiedTo !== boundTo;
  }

  /**
   * LAST_INSERT_ID() is carried, ROW_COUNT() and FOUND_ROWS() are not: one statement that asks for
   * both needs the connection that knows all of it. Null for a statement that does not.
   * @throws ServerRefusedError when there is none, or it cannot run the statement
   */
  private oneConnection(): BackendConnection | null {
    const { backends, command, binding } = this;
    const asked = this.countsNamed;
    if (asked.length === 0) return null;
    const { ownError } = backends.leftovers;
    // The connection knows nothing of what the proxy has refused.
    if (ownError !== null && asked.includes('row-count')) throw this.lostForGood();
    const again = backends.again();
    const { insertId, found } = backends.leftovers;
    const counts = found.on === again && found.lease === again?.leases;
    if (
      again === null ||
      insertId.isNeededOn(again, true) ||
      (this.isOnlyRemembered() && !counts)
    ) {
      throw this.lostForGood();
    }
    // A SELECT of it is the session's own matter, which any server can tell.
    const writes = command.cls !== 'read' && command.cause !== 'last-insert-id';
    const isReplica = again === backends.replicaConnection;
    if ((writes && isReplica) || (binding.transactionOn ?? again) !== again) {
      throw this.lostForGood();
    }
    return again;
  }

  /** The session is pinned to a replica, which cannot run what may write. */
  private get leavesReplica(): boolean {
    const { command, backends } = this;
    const { pinnedTo } = this.binding;
    if (pinnedTo === null || pinnedTo !== backends.replicaConnection) return false;
    const isStatement = command.isLong || RUNS_TEXT.has(command.com);
    return isStatement && command.cls !== 'read' && command.cls !== 'same-server';
  }

  /** FOUND_ROWS() of an earlier statement is known to a connection that the session still holds. */
  private heldThatCounted(): BackendConnection | null {
    const { leftovers, primaryConnection, replicaConnection } = this.backends;
    const { on, lease, byLast, value } = leftovers.found;
    if (this.command.cause !== 'found-rows' || byLast || on === null) return null;
    const isHeld = on === primaryConnection || on === replicaConnection;
    return isHeld && on.leases === lease && value === null ? on : null;
  }

  /** It asks for a count that the last statement left as it was, so that its connection may lie. */
  private isOnlyRemembered(): boolean {
    const { found, hasRowCount } = this.backends.leftovers;
    if (found.byLast && hasRowCount) return false;
    return this.countsNamed.some((what) => (what === 'found-rows' ? !found.byLast : !hasRowCount));
  }

  /** The counts that the statement asks for, wherever in it. */
  private get countsNamed(): readonly ('row-count' | 'found-rows')[] {
    const { bytes, statement } = this.command;
    const text = (statement?.shape.packet ?? bytes).toString('latin1');
    return Array.from(text.matchAll(COUNTS), ([, name]) =>
      name?.toLowerCase() === 'row_count' ? 'row-count' : 'found-rows',
    );
  }

  private get text(): Buffer {
    const { bytes, textAt, com } = this.command;
    return com === COM.QUERY ? bytes.subarray(textAt) : EMPTY;
  }

  /** What is not the primary's alone may run on a replica while there is no primary. */
  private leaveLeaderless(): void {
    const { command } = this;
    const leaderless = this.deps.topology.current().primary === null;
    if (leaderless && (command.effects & PINNING_EFFECTS) === 0) command.target = 'replica';
  }

  /**
   * Where the statement before ran, if nobody has had that connection since. What it left is gone
   * otherwise; where it left no warnings, any connection that has none either tells the same.
   */
  private followLast(): BackendConnection | null {
    const { backends, command } = this;
    const { ownError } = backends.leftovers;
    const isOwn = command.cause === 'diagnostics' && ownError !== null;
    const again = isOwn ? null : backends.again();
    if (again !== null) return again;
    command.target = 'primary';
    const { left, remembered } = backends.leftovers;
    if (command.cause === 'diagnostics') {
      // Nothing restores a ROW_COUNT above 0, for which GET DIAGNOSTICS may ask.
      const mayAsk = remembered.rowCount > 0 && ROW_COUNT.test(this.text.toString('latin1'));
      command.asksAfterwards = !isOwn && (mayAsk || (left & LEFT.DIAGNOSTICS) !== 0);
    } else {
      // A connection that others have had, or nobody of this session yet, counts for somebody else.
      command.asksAfterwards = true;
    }
    this.leaveLeaderless();
    return null;
  }

  /**
   * Answers from what was saved when the connection went to another client.
   * @throws ServerRefusedError when that does not tell it
   */
  async savedAnswer(caps: number): Promise<Buffer> {
    const { backends, state } = this;
    const { leftovers } = backends;
    await leftovers.saving;
    const counts = countsAsked(this.text);
    if (counts !== null) return await this.savedCounts(counts);
    const options = { caps, status: state.status };
    const answer = answerAfterwards(this.text, leftovers.remembered, options);
    if (answer === null) throw this.lostForGood();
    return answer;
  }

  private lostForGood(): ServerRefusedError {
    this.backends.leftovers.askedInVain();
    return goneDiagnostics();
  }

  /** Any server answers, then the session's numbers take the place of the connection's. */
  private async savedCounts(asked: readonly ('row-count' | 'found-rows')[]): Promise<Buffer> {
    const { backends, command, binding, state } = this;
    const { leftovers } = backends;
    const { found } = leftovers;
    const asksFound = asked.includes('found-rows');
    if (asksFound) await leftovers.fetchFoundRows();
    const rows = found.value;
    if (asksFound && rows === null) throw this.lostForGood();
    const { rowCount } = leftovers.remembered;
    this.leaveLeaderless();
    const connection =
      binding.transactionOn ?? binding.pinnedTo ?? (await backends.obtain(command));
    await backends.restore(connection, state.profile);
    const bytes = packetFor(command, connection);
    const [told] = await backends.swallow(connection, bytes, [REPLY.RESULT]);
    if (told === undefined || told.error !== null) {
      throw told?.error
        ? new ServerRefusedError(connection.server.id, told.error)
        : goneDiagnostics();
    }
    const numbers = asked.map((what) => (what === 'row-count' ? rowCount : rows));
    leftovers.noteEnd(
      connection,
      warningsIn(told.result, connection.caps) > 0 ? LEFT.DIAGNOSTICS : 0,
      -1,
    );
    found.set(1);
    return withNumbers(told.result, numbers, connection.caps);
  }
}
