import { ServerRefusedError } from '../pool/server-refused-error.ts';
import type { CommandPlanner } from './command-planner.ts';
import type { SessionDeps } from './session-deps.ts';
import type { CommandRunner } from './command-runner.ts';
import type { Killer } from './session-registry.ts';
import type { Identity } from '../pool/identity.ts';
import type { ConnId } from '../lib/ids.ts';
import type { Logger } from '../lib/logger.ts';

/**
 * KILL with the proxy's own connection ids: what a client sees as its id is never a server's
 * thread, and a server's thread id that a client has seen in a process list must not hit a
 * stranger's connection.
 * @throws ServerRefusedError with the error that a server would give
 */
export async function killConnection(
  deps: SessionDeps,
  by: { readonly identity: Identity },
  planner: Pick<CommandPlanner, 'killTarget' | 'killQueryOnly'>,
): Promise<'ok'> {
  const { killTarget, killQueryOnly } = planner;
  const target = killTarget === null ? undefined : deps.sessions.get(killTarget);
  if (target === undefined) {
    const message =
      killTarget === null
        ? 'lagwise: KILL takes a plain connection id here'
        : `Unknown thread id: ${killTarget}`;
    throw new ServerRefusedError('(none)', { code: 1094, sqlState: 'HY000', message });
  }
  const { user, password } = by.identity;
  await target.kill(killQueryOnly ? 'QUERY' : 'CONNECTION', { user, password });
  return 'ok';
}

/**
 * Kills what a session runs, or its connections, on the servers. The killer's own account does it,
 * so that the server judges whether it may.
 * @throws ServerRefusedError with the server's error
 */
export async function killBackend(
  deps: SessionDeps,
  target: { readonly id: ConnId; readonly identity: Identity; readonly runner: CommandRunner },
  what: 'QUERY' | 'CONNECTION',
  by: Killer,
): Promise<void> {
  const { exchange, backends } = target.runner;
  const held = exchange.current ?? backends.primaryConnection ?? backends.replicaConnection;
  if (held !== null && (what === 'CONNECTION' || exchange.current !== null)) {
    await deps.pool.kill(held.server, { ...target.identity, ...by }, what, held.threadId);
    return;
  }
  if (by.user === target.identity.user) return;
  throw new ServerRefusedError('(none)', {
    code: 1095,
    sqlState: 'HY000',
    message: `You are not owner of thread ${target.id}`,
  });
}

/** The client has left: nobody waits for what runs, and it would hold locks for nothing. */
export function killAbandoned(
  deps: SessionDeps,
  session: { readonly identity: Identity; readonly runner: CommandRunner },
  logger: Logger,
): void {
  const running = session.runner.exchange.current;
  if (running === null) return;
  const { server, threadId } = running;
  deps.pool.kill(server, session.identity, 'QUERY', threadId).catch((error: unknown) => {
    logger.debug({ err: error, server: server.id }, 'Could not kill an abandoned statement');
  });
}
