import { seeded } from '../support/crowd.ts';
import { parseMetrics } from '../../src/demo/metrics-text.ts';
import type { Lab } from '../../src/lab/lab.ts';
import { CheckedClient } from './client.ts';
import { check, type Judgement } from './checks.ts';
import { CheckedConnection } from './connection.ts';
import { History, type Keys, type Kind, type Level } from './history.ts';
import { Nemesis, type NemesisReport } from './nemesis.ts';
import { type Group, noteRoles, startGroup } from './group.ts';
import { type Fault, FAULTS, schedule, SWITCH_EVERY } from './schedule.ts';
import { Shared } from './shared.ts';
import { KEYS_AT_ONCE } from './statements.ts';
import { createTables, endState } from './tables.ts';
import { Timeline } from './timeline.ts';

/** What a run of the checker is. */
export interface CampaignOptions {
  /** What the clients ask for. */
  readonly level: Level;
  /** What the reads are held to; absent: the level asked for. */
  readonly judgedAs?: Level;
  /** The clients end after so many statements, and not before so many rounds of faults. */
  readonly operations: number;
  readonly minRounds: number;
  readonly seed: number;
  readonly clients?: number;
  readonly proxies?: number;
  readonly faults?: readonly Fault[];
  /** The primary changes behind every so many rounds; 0 for never. */
  readonly switchEvery?: number;
  /** Every so many changes of the primary it is killed; 0 for never. Needs a lab with `semiSync`. */
  readonly loseEvery?: number;
  /** Each read asks for one level or another; `level` is what sessions have besides. */
  readonly mixed?: boolean;
  /** Where the lab's own steps are noted, if they are to be told with a violation. */
  readonly timeline?: Timeline;
  /** Turns off what makes reads fresh enough: the checker has to notice. */
  readonly breakConsistency?: boolean;
}

/** What came of it. */
export interface CampaignReport {
  readonly options: CampaignOptions;
  readonly flavor: string;
  readonly version: string;
  readonly proxies: number;
  readonly operations: number;
  readonly reads: number;
  readonly failedReads: number;
  readonly failedWrites: number;
  readonly errors: Readonly<Record<string, number>>;
  /** The first error of each kind, in its own words. */
  readonly messages: readonly string[];
  readonly sessions: number;
  readonly carriedSessions: number;
  readonly renewedSessions: number;
  /** Registers shown by each server, as the reads themselves tell. */
  readonly shownBy: Readonly<Record<string, number>>;
  /** What the proxies say of themselves, summed up: see {@link countsOf}. */
  readonly metrics: Readonly<Record<string, number>>;
  readonly nemesis: NemesisReport;
  readonly judgement: Judgement;
  /** What happened to the servers around the first violation. */
  readonly around: readonly string[];
  /** Of reads and writes, as clients saw them, by percentile (50, 99, 100). */
  readonly latenciesMs: Readonly<Record<Kind, Readonly<Record<string, number>>>>;
  readonly tookMs: number;
  readonly checkMs: number;
}

const CLIENTS = 16;
const REGISTERS_OF_EACH = 3;
const COUNTERS = 6;
/** Past this many times the operations asked for, the clients stop before the faults are through. */
const HARD_FACTOR = 3;
const HARD_MARGIN = 20_000;
const CAUGHT_UP_DEADLINE_MS = 45_000;

/** Runs clients and faults against a lab, and checks what the clients saw. */
export async function runCampaign(lab: Lab, options: CampaignOptions): Promise<CampaignReport> {
  const clients = options.clients ?? CLIENTS;
  const keys: Keys = { registers: clients * REGISTERS_OF_EACH, counters: COUNTERS };
  await createTables(lab, keys);
  const hardLimit = options.operations * HARD_FACTOR + HARD_MARGIN;
  const history = new History(keys, hardLimit * KEYS_AT_ONCE);
  const timeline = options.timeline ?? new Timeline();
  await using group = await startGroup(lab, options);
  const rounds = schedule({
    faults: options.faults ?? FAULTS,
    replicas: lab.servers.length - 1,
    redis: options.faults === undefined,
    random: seeded(options.seed),
    switchEvery: options.switchEvery ?? SWITCH_EVERY,
    loseEvery: options.loseEvery ?? 0,
  });
  const nemesis = new Nemesis({ lab, redis: group.redis, rounds, timeline });
  const shared = new Shared(
    options.operations,
    hardLimit,
    () => nemesis.rounds >= options.minRounds,
  );
  const startedMs = performance.now();
  const unwatch = noteRoles(group.proxies, timeline);
  await runAll({ group, lab, options, history, shared, nemesis, clients }).finally(unwatch);
  const tookMs = performance.now() - startedMs;
  const end = await endState(lab, CAUGHT_UP_DEADLINE_MS);
  const metrics = await countsOf(group);
  const checkedFromMs = performance.now();
  const judgement = check(history, end, options.judgedAs);
  return {
    options,
    flavor: lab.flavor,
    version: lab.version,
    proxies: group.proxies.length,
    operations: shared.operations,
    reads: shared.reads,
    failedReads: shared.failedReads,
    failedWrites: shared.failedWrites,
    errors: Object.fromEntries(shared.errors),
    messages: shared.messages,
    sessions: shared.sessions,
    carriedSessions: shared.carried,
    renewedSessions: shared.renewed,
    shownBy: Object.fromEntries([...shared.byServer].map(([id, n]) => [`db${id}`, n])),
    metrics,
    nemesis: nemesis.report,
    judgement,
    around: aroundFirst(judgement, history, timeline),
    latenciesMs: { read: percentiles(history, 'read'), write: percentiles(history, 'write') },
    tookMs,
    checkMs: performance.now() - checkedFromMs,
  };
}

function percentiles(history: History, kind: Kind): Record<string, number> {
  const durations = history.durationsMs(kind);
  const at = (percent: number) =>
    durations[Math.min(durations.length - 1, Math.floor((durations.length * percent) / 100))] ?? 0;
  return { p50: at(50), p99: at(99), max: at(100) };
}

function aroundFirst({ examples }: Judgement, history: History, timeline: Timeline): string[] {
  const [first = null] = examples;
  const at = first?.operations.at(-1);
  return at === undefined ? [] : timeline.around(history.at(at).invokedMs);
}

interface Run {
  readonly group: Group;
  readonly lab: Lab;
  readonly options: CampaignOptions;
  readonly history: History;
  readonly shared: Shared;
  readonly nemesis: Nemesis;
  readonly clients: number;
}

/** Lets the clients work and the nemesis break until both have done enough. */
async function runAll(run: Run): Promise<void> {
  const { lab, options, group, nemesis, shared } = run;
  const login = { ...lab.accounts.app, level: options.level };
  const tokens = await givesTokens(run);
  const working = Array.from({ length: run.clients }, (_, at) =>
    new CheckedClient({
      number: at + 1,
      own: Array.from({ length: REGISTERS_OF_EACH }, (_each, own) => at * REGISTERS_OF_EACH + own),
      endpoints: group.endpoints,
      login,
      history: run.history,
      shared,
      random: seeded(options.seed * 1000 + at + 1),
      tokens,
      mixed: options.mixed ?? false,
    }).run(),
  );
  const breaking = nemesis.run().catch((error: unknown) => {
    shared.abort();
    throw error;
  });
  const ended = await Promise.allSettled([
    Promise.all(working).finally(() => {
      shared.abort();
      nemesis.stop();
    }),
    breaking,
  ]);
  for (const end of ended) if (end.status === 'rejected') throw end.reason;
}

/** Whether the proxies give a token that another session takes. */
async function givesTokens({ group, lab, options }: Run): Promise<boolean> {
  const [endpoint] = group.endpoints;
  if (endpoint === undefined) throw new Error('There is no proxy');
  const login = { ...lab.accounts.app, level: options.level };
  const connection = await CheckedConnection.open(endpoint, login, 'comment');
  try {
    await connection.run('text', 'UPDATE consistency.registers SET n = n WHERE k = 0', []);
    const token = await connection.token();
    return token !== null && (await connection.carryOn(token));
  } finally {
    connection.destroy();
  }
}

/** Samples of the proxies that tell where reads ran and why. */
const SHOWN_METRICS = [
  'lagwise_replica_fallbacks_total',
  'lagwise_reads_total',
  'lagwise_read_waits_late_total',
  'lagwise_session_positions_lost_total',
  'lagwise_coordination_questions_total',
  'lagwise_coordination_releases_total',
] as const;

/**
 * What the proxies counted: reads by role, fallbacks to the primary by reason, and whatever else
 * they tell of consistency.
 */
async function countsOf({ proxies }: Group): Promise<Record<string, number>> {
  const sums: Record<string, number> = {};
  for (const proxy of proxies) {
    for (const { name, labels, value } of parseMetrics(await proxy.metrics())) {
      const shown = metricName(name, labels);
      if (shown !== null && value !== 0) sums[shown] = (sums[shown] ?? 0) + value;
    }
  }
  return sums;
}

function metricName(name: string, labels: Readonly<Record<string, string>>): string | null {
  if (name === 'lagwise_statements_total') {
    return labels['class'] === 'read' ? `reads on a ${labels['role'] ?? ''}` : null;
  }
  if (name.endsWith('_bucket') || !SHOWN_METRICS.some((start) => name.startsWith(start)))
    return null;
  return `${name}{${Object.values(labels).join(',')}}`;
}
