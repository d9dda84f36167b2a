import { assertNever } from '../../lib/errors.ts';
import type { ConnId } from '../../lib/ids.ts';
import type { CommandPlanner } from './command-planner.ts';
import { PLAN } from './command-planner.ts';
import { killConnection } from './kill.ts';
import { answerProcessList } from './process-list.ts';
import type { SessionDeps } from '../session-deps.ts';
import { settingAnswer } from '../statement/setting-answer.ts';
import { tokenOf } from '../reads/token.ts';

/** Plans that the proxy itself answers, if need be with a question to a server. */
export type SlowPlan = typeof PLAN.KILL | typeof PLAN.PROCESS_LIST | typeof PLAN.SETTING;

type Asking = Parameters<typeof answerProcessList>[1] & {
  readonly id: ConnId;
  readonly planner: Pick<CommandPlanner, 'killTarget' | 'killQueryOnly'>;
};

/** The answer to a command that is the proxy's own affair. */
export async function slowAnswer(
  plan: SlowPlan,
  deps: SessionDeps,
  session: Asking,
): Promise<'ok' | Buffer> {
  switch (plan) {
    case PLAN.KILL:
      return await killConnection(deps, session, session.planner);
    case PLAN.PROCESS_LIST:
      return await answerProcessList(deps.sessions, session);
    case PLAN.SETTING:
      return await answerSetting(session);
    default:
      return assertNever(plan);
  }
}

/** `SET @lagwise_…` and `SELECT @lagwise_…`. */
async function answerSetting(session: Asking): Promise<Buffer> {
  const { command, identity, judge, state, runner, flavor } = session;
  const answer = await settingAnswer({
    policy: judge.policy,
    packet: command.bytes,
    textAt: command.textAt,
    context: judge.context,
    caps: identity.caps,
    status: state.status,
    token: tokenOf(runner.backends, flavor),
  });
  runner.settle();
  return answer;
}
