import { type BackendConnection, LEFT } from '../pool/backend-connection.ts';
import { COM } from '../wire/command.ts';
import { answerAfterwards } from './afterwards.ts';
import { goneDiagnostics } from './client-errors.ts';
import type { Command } from './command.ts';
import { PINNING_EFFECTS } from './pins.ts';
import type { SessionBackends } from './session-backends.ts';
import type { SessionBinding } from './session-binding.ts';
import type { SessionDeps } from './session-deps.ts';
import type { SessionState } from './session-state.ts';

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
    if (boundTo !== null) return boundTo;
    if (command.target !== 'same') return null;
    if (this.binding.transactionOn !== null) return this.binding.transactionOn;
    if (command.reason === 'same-server') return this.followLast();
    command.target = 'primary';
    if (command.reason === 'pinned') return this.binding.pinnedTo;
    this.leaveLeaderless();
    return null;
  }

  /** What is not the primary's alone may run on a replica while there is no primary. */
  private leaveLeaderless(): void {
    const { command } = this;
    const leaderless = this.deps.topology.current().primary === null;
    if (leaderless && (command.effects & PINNING_EFFECTS) === 0) command.target = 'replica';
  }

  /**
   * Where the statement before ran, if nobody has had that connection since. What it left is gone
   * otherwise; where it left nothing, any connection that has nothing either tells the same.
   */
  private followLast(): BackendConnection | null {
    const { backends, command } = this;
    const again = backends.again();
    if (again !== null) return again;
    command.target = 'primary';
    const { left, connection } = backends.leftovers;
    command.asksAfterwards =
      command.cause === 'diagnostics' ? (left & LEFT.DIAGNOSTICS) !== 0 : connection !== null;
    this.leaveLeaderless();
    return null;
  }

  /**
   * Answers from what was saved when the connection went to another client.
   * @throws ServerRefusedError when that does not tell it
   */
  async savedAnswer(caps: number): Promise<Buffer> {
    const { backends, command, state } = this;
    const { leftovers } = backends;
    await leftovers.saving;
    const { bytes, textAt, com } = command;
    const text = com === COM.QUERY ? bytes.subarray(textAt) : EMPTY;
    const options = { caps, status: state.status };
    const answer = answerAfterwards(text, leftovers.remembered, options);
    if (answer === null) {
      backends.askedInVain();
      throw goneDiagnostics();
    }
    return answer;
  }
}
