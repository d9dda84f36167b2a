import type { ConnId } from '../lib/ids.ts';
import type { Identity } from '../pool/identity.ts';
import { COM } from '../wire/command.ts';
import { REPLY } from '../wire/reply-kinds.ts';
import { encodeTextResultset } from '../wire/text-resultset.ts';
import { PacketWriter } from '../wire/writer.ts';
import type { Command } from './command.ts';
import type { CommandRunner } from './command-runner.ts';
import type { PreparedStatements } from './prepared-statements.ts';
import type { SessionInfo, SessionPhase } from './session-registry.ts';
import type { SessionState } from './session-state.ts';

const RESET_PACKET = new PacketWriter().u8(COM.RESET_CONNECTION).finish(0);

/** COM_STMT_CLOSE: closes the statement wherever it was prepared. Has no answer. */
export function closeStatement(session: {
  readonly command: Command;
  readonly prepared: PreparedStatements;
}): void {
  const { statement } = session.command;
  if (statement === null) return;
  for (const [connection, { id }] of statement) {
    if (connection.isClosed) continue;
    connection.stream.write(new PacketWriter(5).u8(COM.STMT_CLOSE).u32(id).finish(0));
  }
  session.prepared.remove(statement.id);
}

/** COM_RESET_CONNECTION: everything but identity and schema is as after login. */
export async function resetConnection(session: {
  readonly runner: CommandRunner;
  readonly state: SessionState;
  readonly prepared: PreparedStatements;
}): Promise<'ok'> {
  const { runner, state, prepared } = session;
  const { backends } = runner;
  const connection = backends.primaryConnection;
  backends.releaseReplica('reuse');
  if (connection !== null) {
    const [done] = await backends.swallow(connection, RESET_PACKET, [REPLY.SIMPLE]);
    // A server that cannot reset (5.7.2 and older) is left: the next command logs in anew.
    if (done?.error !== null) backends.releasePrimary('discard');
    connection.trackersOn = false;
  }
  prepared.clear();
  runner.resetTransaction();
  state.reset();
  return 'ok';
}

/** The answer to `SELECT CONNECTION_ID()`, its column called as the client wrote it. */
export function connectionIdResult(session: {
  readonly id: ConnId;
  readonly identity: Identity;
  readonly command: Command;
  readonly state: SessionState;
}): Buffer {
  const text = session.command.bytes.toString('latin1');
  const written = /connection_id\s*\(\s*\)/i.exec(text)?.[0] ?? 'CONNECTION_ID()';
  const result = { columns: [{ integer: written }], rows: [[String(session.id)]] };
  const { caps } = session.identity;
  return encodeTextResultset(result, { seq: 1, caps, status: session.state.status });
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
    pins: state.pins,
    idleMs: now.idleMs,
  };
}
