import { parseConfig } from '../../src/config/load.ts';
import { RoutineCatalogue } from '../../src/monitor/routine-catalogue.ts';
import { DigestTable } from '../../src/routing/digest-table.ts';
import { LearnedStatements } from '../../src/routing/learned-statements.ts';
import { POLICY_PROBLEMS } from '../../src/routing/policy.ts';
import { ClassifierContext } from '../../src/session/statement/classifier-context.ts';
import { StatementJudge } from '../../src/session/statement/statement-judge.ts';
import { StatementPolicies } from '../../src/session/statement/statement-policy.ts';
import { SessionState, type LoginState } from '../../src/session/state/session-state.ts';
import { Classifier } from '../../src/sql/classify.ts';
import type { PinReason } from '../../src/telemetry/labels.ts';
import { ClosedCounter } from '../../src/telemetry/plain-counters.ts';
import type { ServerView } from '../../src/topology/snapshot.ts';
import { STATUS } from '../../src/wire/status.ts';
import { aServer } from './snapshots.ts';

/** Counts pins as the metrics do. */
export class FakePinCounter {
  readonly counts = new Map<PinReason, number>();

  pinned(reason: PinReason): void {
    this.counts.set(reason, (this.counts.get(reason) ?? 0) + 1);
  }

  unpinned(reason: PinReason): void {
    this.counts.set(reason, (this.counts.get(reason) ?? 0) - 1);
  }
}

/** The state of a session whose login left nothing but what is given. */
export function aSessionState(given: Partial<LoginState> = {}): SessionState {
  return new SessionState(
    {
      schema: null,
      status: STATUS.AUTOCOMMIT,
      sqlMode: '',
      variables: new Map(),
      flavor: 'mysql',
      multiStatements: false,
      ...given,
    },
    new FakePinCounter(),
  );
}

/** Nothing is known of any routine. */
const NO_ROUTINES = {
  facts: RoutineCatalogue.EMPTY,
  noteDdl: () => undefined,
  noteUnknown: () => undefined,
};

/** How the statements of a session are to be read, of whose login only what is given is special. */
export function aContext(
  state: SessionState,
  given: { server?: ServerView; collationId?: number } = {},
): ClassifierContext {
  const { server = aServer(), collationId = 45 } = given;
  return new ClassifierContext(server, { collationId }, { state, routines: NO_ROUTINES });
}

/** A judge of statements without rules, who has learned nothing yet. */
export function aJudge(state: SessionState, context = aContext(state)): StatementJudge {
  const config = parseConfig(
    { servers: [{ host: 'db1' }], monitor: { user: 'm', password: 'x' } },
    { env: {} },
  );
  const policies = new StatementPolicies(config, new ClosedCounter(POLICY_PROBLEMS));
  return new StatementJudge({
    classifier: new Classifier(),
    context,
    policy: policies.forSession({ user: 'app', clientAddr: '127.0.0.1', state, context }),
    knowledge: {
      digests: new DigestTable(),
      learned: new LearnedStatements(),
      routines: NO_ROUTINES,
    },
  });
}
