import { LagwiseError } from '../lib/errors.ts';
import type { LabState, ServerRecord } from './lab-state.ts';
import { waitThreadsRun } from './replication.ts';
import type { ReplicationDialect } from './replication-dialect.ts';
import type { Query } from './root-connection.ts';
import type { ServerHost } from './server-host.ts';

/** What a promotion works on; the functions are the lab's own. */
export interface Promotion {
  readonly candidate: ServerRecord;
  readonly state: LabState;
  readonly host: ServerHost;
  readonly dialect: ReplicationDialect;
  readonly say: (text: string) => void;
  readonly root: <T>(server: ServerRecord, work: (query: Query) => Promise<T>) => Promise<T>;
  readonly open: (server: ServerRecord) => Promise<void>;
  readonly follow: (server: ServerRecord) => Promise<void>;
  readonly save: () => void;
}

const CATCH_UP_DEADLINE_MS = 30_000;
const THREADS_DEADLINE_MS = 10_000;

/**
 * Makes the candidate the primary without losing anything that any running server has, then points
 * every other running server to it.
 */
export async function promote(promotion: Promotion): Promise<void> {
  const { candidate, state, host, dialect, say, root } = promotion;
  if (candidate.id === state.primary) {
    throw new LagwiseError('lab', `${candidate.id} is the primary already`);
  }
  if ((await host.state(candidate)) !== 'running') {
    throw new LagwiseError('lab', `${candidate.id} does not run: start it first`);
  }
  const others = await runningOthers(promotion);
  // A lag that somebody has set must not hold up the promotion.
  await root(candidate, (query) => dialect.endDelay(query));
  await fenceOldPrimary(promotion, others);
  await collect(promotion, others);
  await root(candidate, (query) => dialect.unfollow(query));
  host.endDetour(candidate);
  await promotion.open(candidate);
  state.primary = candidate.id;
  promotion.save();
  say(`${candidate.id} is the primary`);
  await Promise.all(others.map((server) => promotion.follow(server)));
}

async function runningOthers({ candidate, state, host }: Promotion): Promise<ServerRecord[]> {
  const others = state.servers.filter((server) => server !== candidate);
  const states = await Promise.all(others.map((server) => host.state(server)));
  return others.filter((_, index) => states[index] === 'running');
}

async function fenceOldPrimary(
  { candidate, state, dialect, say, root }: Promotion,
  others: readonly ServerRecord[],
): Promise<void> {
  const old = others.find((server) => server.id === state.primary);
  if (old === undefined) return;
  const position = await root(old, async (query) => {
    await dialect.setReadOnly(query, true);
    return dialect.position(query);
  });
  say(`${old.id} is read-only`);
  const level = await root(candidate, (query) =>
    dialect.waitFor(query, position, CATCH_UP_DEADLINE_MS),
  );
  if (level) return;
  await root(old, (query) => dialect.setReadOnly(query, false));
  throw new LagwiseError(
    'lab',
    `${candidate.id} did not catch up with ${old.id} in ${CATCH_UP_DEADLINE_MS} ms: ${old.id} stays the primary`,
  );
}

/** Executes what the candidate has received, then fetches what other replicas have beyond that. */
async function collect(
  { candidate, state, host, dialect, say, root }: Promotion,
  others: readonly ServerRecord[],
): Promise<void> {
  const replicas = others.filter((server) => server.id !== state.primary);
  await Promise.all(
    [candidate, ...replicas].map(async (server) => {
      const drained = await root(server, async (query) => {
        await dialect.endDelay(query);
        return dialect.drainRelay(query, CATCH_UP_DEADLINE_MS);
      });
      if (!drained) say(`${server.id} did not execute all that it had received`);
    }),
  );
  for (const server of replicas) {
    const [history, position] = await root(server, async (query) => [
      await dialect.history(query),
      await dialect.position(query),
    ]);
    const missing = await root(candidate, (query) => dialect.missing(query, history));
    if (missing === '') continue;
    say(`${candidate.id} fetches ${missing} from ${server.id}`);
    await root(candidate, async (query) => {
      await dialect.follow(query, host.source(server), 0);
      await waitThreadsRun(dialect, query, THREADS_DEADLINE_MS);
      await dialect.waitFor(query, position, CATCH_UP_DEADLINE_MS);
    });
  }
}
