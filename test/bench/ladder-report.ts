import { READ_RUNGS } from '../../src/telemetry/labels.ts';
import type { Flavor } from '../../src/topology/snapshot.ts';
import { boundMs, type Compared, quantile, readsOf, type RungFigures } from './ladder-load.ts';
import type { BenchResult } from './result.ts';
import { show, showPercent, table } from './table.ts';

/** What a run measures. */
export interface LadderOptions {
  readonly flavors: readonly Flavor[];
  readonly clients: number;
  readonly pauseMs: number;
  readonly seconds: number;
  readonly rounds: number;
  readonly lagMs: number;
}

/** All rounds of one level while replicas were so far behind. */
export interface Scenario {
  readonly flavor: string;
  readonly replicas: string;
  readonly level: Compared;
  /** Reads that did not show the client's own last write. */
  readonly stale: number;
  readonly foreignShare: number | null;
  /** As the proxy counted. */
  readonly figures: RungFigures;
  /** As the clients measured. */
  readonly reads: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Reads behind no write. */
export interface FirstRung {
  readonly flavor: string;
  readonly clients: number;
  /** Reads of level session that were served at once, and those that were not. */
  readonly reads: number;
  readonly others: number;
  readonly foreignShare: number | null;
  readonly eventual: Quantiles;
  readonly session: Quantiles;
  /** What level session adds, ms, in each group of blocks that ran one after the other. */
  readonly addedP50: readonly number[];
  readonly addedP99: readonly number[];
}

interface Quantiles {
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** A run of the bench, as its file has it. */
export interface LadderResult {
  readonly format: 1;
  readonly bench: 'ladder';
  readonly at: string;
  readonly commit: string;
  readonly machine: BenchResult['machine'];
  readonly versions: Record<string, string>;
  readonly options: LadderOptions;
  readonly scenarios: Scenario[];
  readonly firstRung: FirstRung[];
}

/** The result in Markdown. */
export function reportLadder(result: LadderResult): string {
  const { machine, options, versions, scenarios, firstRung } = result;
  const about = [
    `Ladder of ${result.at.slice(0, 16)} at ${result.commit}`,
    `${machine.cores} × ${machine.cpu}, ${machine.memoryGiB} GiB`,
    `versions: ${Object.entries(versions)
      .map(([name, version]) => `${name} ${version}`)
      .join(', ')}`,
    `${options.clients} clients, each writes its row, reads it back and pauses for ${options.pauseMs} ms; ${options.rounds} × ${options.seconds} s, levels in turn; lag ${options.lagMs} ms`,
  ].join('\n');
  return [
    about,
    table(SCENARIO_HEADER, scenarios.map(scenarioRow)),
    table(RUNG_HEADER, scenarios.flatMap(rungRows)),
    table(FIRST_HEADER, firstRung.map(firstRow)),
  ].join('\n\n');
}

const SCENARIO_HEADER = [
  'flavor',
  'replicas',
  'level',
  'reads',
  'known',
  'waited',
  'primary',
  'stale',
  'p50 ms',
  'p99 ms',
  'other load',
];

function scenarioRow(scenario: Scenario): string[] {
  const { flavor, replicas, level, stale, foreignShare, figures, reads } = scenario;
  const all = readsOf(figures);
  const shares = READ_RUNGS.map((rung) => showPercent(figures[rung].reads / Math.max(1, all)));
  const stalePercent = showPercent(stale / Math.max(1, reads));
  return [
    flavor,
    replicas,
    level,
    String(reads),
    ...shares,
    stalePercent,
    show(scenario.p50Ms),
    show(scenario.p99Ms),
    showPercent(foreignShare),
  ];
}

const RUNG_HEADER = [
  'flavor',
  'replicas',
  'level',
  'rung',
  'reads',
  'mean ms',
  'p50 ≤ ms',
  'p99 ≤ ms',
];

function rungRows({ flavor, replicas, level, figures }: Scenario): string[][] {
  return READ_RUNGS.filter((rung) => figures[rung].reads > 0).map((rung) => {
    const figure = figures[rung];
    return [
      flavor,
      replicas,
      level,
      rung,
      String(figure.reads),
      show((figure.sumSeconds / figure.reads) * 1000),
      show(boundMs(figure, 0.5)),
      show(boundMs(figure, 0.99)),
    ];
  });
}

const FIRST_HEADER = [
  'flavor',
  'clients',
  'reads of each',
  'not at once',
  'eventual p50 ms',
  'session p50 ms',
  'added p50 ms',
  'eventual p99 ms',
  'session p99 ms',
  'added p99 ms',
  'other load',
];

/** Of what is added, the median over the groups and, as the noise, the range of their middle half. */
function firstRow(first: FirstRung): string[] {
  const { flavor, clients, reads, others, eventual, session, addedP50, addedP99 } = first;
  const added = (groups: readonly number[]) => {
    const [low, middle, high] = [0.25, 0.5, 0.75].map((share) => show(quantile(groups, share), 3));
    return `${middle} (${low} … ${high})`;
  };
  return [
    flavor,
    String(clients),
    String(reads),
    String(others),
    show(eventual.p50Ms, 3),
    show(session.p50Ms, 3),
    added(addedP50),
    show(eventual.p99Ms, 3),
    show(session.p99Ms, 3),
    added(addedP99),
    showPercent(first.foreignShare),
  ];
}
