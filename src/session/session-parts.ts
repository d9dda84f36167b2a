import type { ByteStream } from '../net/byte-stream.ts';
import type { Identity } from '../pool/identity.ts';
import type { PoolAccount } from '../pool/account.ts';
import type { Survivors } from './login/change-user.ts';
import { ClassifierContext } from './statement/classifier-context.ts';
import { Command } from './command/command.ts';
import { CommandPlanner } from './command/command-planner.ts';
import { CommandRunner, type RunnerOwner } from './command/command-runner.ts';
import { Exchange } from './reply/exchange.ts';
import { Horizon } from './reads/horizon.ts';
import { PreparedStatements } from './prepared/prepared-statements.ts';
import type { ProvenLogin } from './login/login-trust.ts';
import { SessionBackends } from './servers/session-backends.ts';
import type { Leaving } from './servers/statement-waits.ts';
import type { SessionDeps } from './session-deps.ts';
import { SessionState } from './state/session-state.ts';
import { StatementJudge } from './statement/statement-judge.ts';

/** What a login gave. */
export interface LoggedIn {
  readonly stream: ByteStream;
  /** Bytes that came behind the login. */
  readonly rest: Buffer;
  readonly identity: Identity;
  /** The client uses TLS. */
  readonly secured: boolean;
  readonly account: PoolAccount;
  readonly proof: ProvenLogin;
  /** Of the session before it on the same client connection, where there was one. */
  readonly survivors?: Survivors;
}

/** The parts of one session that know nothing of the client's socket but where to write. */
export interface SessionParts {
  readonly command: Command;
  readonly state: SessionState;
  readonly prepared: PreparedStatements;
  readonly judge: StatementJudge;
  readonly planner: CommandPlanner;
  readonly runner: CommandRunner;
}

/** Builds the parts of a session that has just logged in; its first connection is taken over. */
export function buildParts(
  deps: SessionDeps,
  login: LoggedIn,
  session: { owner: RunnerOwner; gone: Leaving; clientAddr: string },
): SessionParts {
  const { identity, account, stream, proof } = login;
  const { caps, collationId, attributes } = identity;
  const { classifier, knowledge, metrics } = deps;
  const command = new Command();
  const prepared = new PreparedStatements();
  const state = new SessionState(proof.state, deps.metrics.statements);
  const context = new ClassifierContext(
    proof.server,
    { collationId },
    { state, routines: knowledge.routines },
  );
  const own = proof.connection === null ? null : { schema: null, collationId, attributes };
  const policy = deps.policies.forSession({
    user: identity.user,
    clientAddr: session.clientAddr,
    state,
    context,
  });
  const judge = new StatementJudge({ classifier, context, policy, knowledge });
  const planner = new CommandPlanner({ state, prepared, judge, caps, command });
  const client = { stream, caps, tracksItself: () => state.pins.has('opaque') };
  const horizon = login.survivors?.horizon ?? new Horizon();
  const shared = { deps, account, own, state, prepared, horizon, gone: session.gone };
  const runner = new CommandRunner({
    owner: session.owner,
    deps,
    command,
    state,
    prepared,
    judge,
    caps,
    gone: session.gone,
    makeExchange: (owner) => new Exchange(owner, command, client, metrics.traffic),
    makeBackends: (user) => new SessionBackends({ ...shared, user }),
  });
  if (login.survivors !== undefined) {
    state.setMultiStatements(login.survivors.multiStatements);
    runner.backends.leftovers.found.set(login.survivors.foundRows);
  }
  if (proof.connection !== null) {
    runner.backends.adopt(
      proof.connection,
      proof.server.role === 'primary' ? 'primary' : 'replica',
    );
  }
  return { command, state, prepared, judge, planner, runner };
}
