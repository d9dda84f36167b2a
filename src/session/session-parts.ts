import type { ByteStream } from '../net/byte-stream.ts';
import type { Identity } from '../pool/identity.ts';
import type { Lease } from '../pool/pool.ts';
import { ClassifierContext } from './classifier-context.ts';
import { Command } from './command.ts';
import { CommandPlanner } from './command-planner.ts';
import { CommandRunner, type RunnerOwner } from './command-runner.ts';
import { Exchange } from './exchange.ts';
import { PreparedStatements } from './prepared-statements.ts';
import { SessionBackends } from './session-backends.ts';
import type { SessionDeps } from './session-deps.ts';
import { SessionState } from './session-state.ts';

/** What a login gave. */
export interface LoggedIn {
  readonly stream: ByteStream;
  /** Bytes that came behind the login. */
  readonly rest: Buffer;
  readonly identity: Identity;
  /** The client uses TLS. */
  readonly secured: boolean;
  readonly lease: Lease;
  readonly leaseRole: 'primary' | 'replica';
}

/** The parts of one session that know nothing of the client's socket but where to write. */
export interface SessionParts {
  readonly command: Command;
  readonly state: SessionState;
  readonly prepared: PreparedStatements;
  readonly planner: CommandPlanner;
  readonly runner: CommandRunner;
}

/** Builds the parts of a session that has just logged in; its first connection is taken over. */
export function buildParts(
  deps: SessionDeps,
  login: LoggedIn,
  session: { owner: RunnerOwner; gone: AbortSignal },
): SessionParts {
  const { identity, stream, lease } = login;
  const { connection } = lease;
  const { caps } = identity;
  const command = new Command();
  const prepared = new PreparedStatements();
  const state = new SessionState({
    schema: identity.schema,
    status: connection.initialStatus,
    sqlMode: connection.sqlMode,
  });
  const context = new ClassifierContext(connection.server, identity.collationId, state);
  const { classifier, metrics } = deps;
  const planner = new CommandPlanner({ state, prepared, classifier, context, caps, command });
  const runner = new CommandRunner({
    owner: session.owner,
    deps,
    command,
    state,
    prepared,
    makeExchange: (owner) => new Exchange(owner, command, { stream, caps }, metrics.traffic),
    makeBackends: (user) =>
      new SessionBackends({ deps, identity, state, prepared, user, gone: session.gone }),
  });
  runner.adopt(lease, login.leaseRole);
  return { command, state, prepared, planner, runner };
}
