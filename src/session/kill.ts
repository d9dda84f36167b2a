import { ServerRefusedError } from '../pool/server-refused-error.ts';
import type { CommandPlanner } from './command-planner.ts';
import type { SessionDeps } from './session-deps.ts';
import type { ClientSession } from './client-session.ts';

/**
 * KILL with the proxy's own connection ids: what a client sees as its id is never a server's
 * thread, and a server's thread id that a client has seen in a process list must not hit a
 * stranger's connection.
 * @throws ServerRefusedError with the error that a server would give
 */
export async function killConnection(
  deps: SessionDeps,
  by: Pick<ClientSession, 'identity'>,
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
