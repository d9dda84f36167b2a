import { LagwiseError } from '../../lib/errors.ts';
import type { BackendConnection } from '../../pool/backend-connection.ts';
import { ServerRefusedError } from '../../pool/server-refused-error.ts';
import type { CommandPlanner } from './command-planner.ts';
import type { SessionDeps } from '../session-deps.ts';
import type { StatementWaits } from '../servers/statement-waits.ts';
import type { CommandRunner } from './command-runner.ts';
import type { SessionState } from '../state/session-state.ts';
import type { Killer } from '../session-registry.ts';
import type { Identity } from '../../pool/identity.ts';
import type { ConnId } from '../../lib/ids.ts';
import type { Logger } from '../../lib/logger.ts';
import type { Flavor } from '../../topology/snapshot.ts';

/**
 * KILL with the proxy's own connection ids: what a client sees as its id is never a server's
 * thread, and a server's thread id that a client has seen in a process list must not hit a
 * stranger's connection.
 * @throws ServerRefusedError with the error that a server would give
 */
export async function killConnection(
  deps: SessionDeps,
  by: { readonly id: ConnId; readonly identity: Identity },
  planner: Pick<CommandPlanner, 'killTarget' | 'killQueryOnly'>,
): Promise<'ok'> {
  const { killTarget, killQueryOnly } = planner;
  const target = killTarget === null ? undefined : deps.sessions.get(killTarget);
  if (target === undefined) {
    const message =
      killTarget === null
        ? 'lagwise: KILL takes a plain connection id here, and is a statement of its own'
        : `Unknown thread id: ${killTarget}`;
    throw new ServerRefusedError('(none)', { code: 1094, sqlState: 'HY000', message });
  }
  // The statement that a session interrupts by it is the KILL itself.
  const isOwn = target.id === by.id;
  if (isOwn && killQueryOnly) throw interrupted();
  const { user, password } = by.identity;
  await target.kill(killQueryOnly ? 'QUERY' : 'CONNECTION', { user, password, isOwn });
  return 'ok';
}

/** The session that is to be killed. */
interface Target {
  readonly id: ConnId;
  readonly identity: Identity;
  readonly state: SessionState;
  readonly runner: CommandRunner;
  readonly waits: StatementWaits;
}

/** ER_QUERY_INTERRUPTED in the server's words. */
const INTERRUPTED = {
  code: 1317,
  sqlState: '70100',
  message: 'Query execution was interrupted',
} as const;
/** MariaDB's ER_CONNECTION_KILLED. */
const KILLED = { code: 1927, sqlState: '70100', message: 'Connection was killed' } as const;

const interrupted = (): ServerRefusedError => new ServerRefusedError('(none)', INTERRUPTED);

/** What a server answers to a session that kills itself, before it closes the connection. */
export const killedItself = (flavor: Flavor): ServerRefusedError =>
  flavor === 'mariadb' ? new ServerRefusedError('(none)', KILLED) : interrupted();

/**
 * Kills what a session runs, or its connections, on the servers. The killer's own account does it,
 * so that the server judges whether it may. A statement that waits for a connection ends too.
 * @throws ServerRefusedError with the server's error; LagwiseError when no server can judge
 */
export async function killBackend(
  deps: SessionDeps,
  target: Target,
  what: 'QUERY' | 'CONNECTION',
  by: Killer,
): Promise<void> {
  const { exchange, backends } = target.runner;
  const held = exchange.current ?? backends.primaryConnection ?? backends.replicaConnection;
  if (held !== null && (what === 'CONNECTION' || exchange.current !== null)) {
    await killThread(deps, target, held, { what, by });
    return;
  }
  if (by.user !== target.identity.user) await judgeKill(deps, target, what, by);
  if (exchange.current === null) {
    target.waits.interrupt(interrupted());
  }
}

/** No server has a thread of it. One of its account stands in, for the server to judge by. */
async function judgeKill(
  deps: SessionDeps,
  target: Target,
  what: 'QUERY' | 'CONNECTION',
  by: Killer,
): Promise<void> {
  const standIn = await openStandIn(deps, target);
  try {
    await killThread(deps, target, standIn, { what, by });
  } finally {
    deps.pool.release(standIn, 'discard', performance.now());
  }
}

async function openStandIn(deps: SessionDeps, target: Target): Promise<BackendConnection> {
  const { identity, state } = target;
  const { primary, servers } = deps.topology.current();
  const server = primary ?? servers.find(({ role }) => role === 'replica');
  if (server === undefined) {
    const message = 'No server is there to judge whether this connection may be killed';
    throw new LagwiseError('no-eligible-server', message);
  }
  const account = deps.pool.enter(identity);
  try {
    const gone = new AbortController().signal;
    const wish = { server, account, profile: state.profile, gone, fresh: null };
    return await deps.pool.acquire(wish);
  } finally {
    deps.pool.leave(account);
  }
}

async function killThread(
  deps: SessionDeps,
  target: Target,
  on: BackendConnection,
  kill: { what: 'QUERY' | 'CONNECTION'; by: Killer },
): Promise<void> {
  const { user, password } = kill.by;
  const identity = { ...target.identity, user, password };
  const work = deps.pool.kill(on.server, identity, kill.what, on.threadId);
  const arrived = Promise.allSettled([on.killing, work]);
  on.killing = arrived;
  try {
    await work;
  } catch (error) {
    if (!(error instanceof ServerRefusedError)) throw error;
    // The killer knows the session by the proxy's id.
    const message = error.packet.message.replaceAll(String(on.threadId), String(target.id));
    throw new ServerRefusedError(on.server.id, { ...error.packet, message });
  } finally {
    await arrived;
    if (on.killing === arrived) on.killing = null;
  }
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
