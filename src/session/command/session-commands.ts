import type { ConnId } from '../../lib/ids.ts';
import { ServerRefusedError } from '../../pool/server-refused-error.ts';
import { closeOn } from '../../pool/statement-cache.ts';
import { encodeQuery } from '../../wire/packets/query.ts';
import { REPLY } from '../../wire/reply-kinds.ts';
import { decodeOnlyValue } from '../../wire/text-resultset.ts';
import type { Command } from './command.ts';
import type { CommandRunner } from './command-runner.ts';
import type { PreparedStatements } from '../prepared/prepared-statements.ts';
import type { SessionInfo, SessionPhase } from '../session-registry.ts';
import type { SessionState } from '../state/session-state.ts';

/** COM_STMT_CLOSE. Has no answer. Servers keep the statement for whoever prepares it next. */
export function closeStatement(session: {
  readonly command: Command;
  readonly prepared: PreparedStatements;
  readonly runner: CommandRunner;
}): void {
  const { statement } = session.command;
  if (statement === null) return;
  // An open cursor, or half of its parameters, would meet whoever runs it next.
  for (const connection of [statement.cursorOn, statement.longDataOn]) {
    if (connection !== null) closeOn(connection, statement.shape);
  }
  session.prepared.remove(statement);
  session.runner.settle();
}

/** COM_RESET_CONNECTION: everything but identity and schema is as after login. */
export async function resetConnection(session: {
  readonly runner: CommandRunner;
  readonly state: SessionState;
  readonly prepared: PreparedStatements;
}): Promise<'ok'> {
  const { runner, state, prepared } = session;
  if (state.setsTrackers) await learnSchema(runner, state);
  await runner.backends.reset();
  prepared.clear();
  runner.resetTransaction();
  // Drivers' pools do this between two users: what was read concerns the one before.
  runner.backends.reads.horizon.forgetReads();
  state.reset();
  runner.settle();
  return 'ok';
}

/** It outlives the reset, and USE is no longer reported where the client has turned that off. */
async function learnSchema({ backends, binding }: CommandRunner, state: SessionState) {
  const { pinnedTo } = binding;
  if (pinnedTo === null || pinnedTo.isClosed) return;
  const query = encodeQuery('SELECT DATABASE()', pinnedTo.caps);
  const [told] = await backends.swallow(pinnedTo, query, [REPLY.RESULT]);
  if (told?.error) throw new ServerRefusedError(pinnedTo.server.id, told.error);
  if (told !== undefined) state.setSchema(decodeOnlyValue(told.result, pinnedTo.caps));
}

/** What the list of sessions shows of one. */
export function describeSession(
  session: {
    readonly id: ConnId;
    readonly user: string;
    readonly clientAddr: string;
    readonly state: SessionState;
    readonly runner: CommandRunner;
  },
  now: { phase: SessionPhase; idleMs: number },
): SessionInfo {
  const { state, runner } = session;
  return {
    id: session.id,
    user: session.user,
    clientAddr: session.clientAddr,
    phase: now.phase,
    schema: state.schema,
    primary: runner.backends.primaryConnection?.server.id ?? null,
    replica: runner.backends.replicaConnection?.server.id ?? null,
    inTransaction: state.inTransaction,
    pins: state.pins.reasons,
    idleMs: now.idleMs,
  };
}
