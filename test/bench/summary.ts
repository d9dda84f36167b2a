import type { Cell, CellKey, Round } from './result.ts';

type MeasuredRound = Extract<Round, { t: 'measured' }>;

/** The rounds of one cell taken together; null where no round has the figure. */
export interface Summary {
  readonly qps: number | null;
  readonly minQps: number | null;
  readonly maxQps: number | null;
  /** (max − min) / mean: how far rounds under equal circumstances lie apart. */
  readonly spread: number | null;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  readonly proxyCpuUs: number | null;
  readonly serverCpuUs: number | null;
  readonly rssBytes: number | null;
  readonly ignoredErrors: number;
  readonly reconnects: number;
  readonly failures: readonly string[];
}

/** Means over the measured rounds; failed rounds are listed, never averaged. */
export function summarize(rounds: readonly Round[]): Summary {
  const measured = rounds.filter((round): round is MeasuredRound => round.t === 'measured');
  const failures = rounds.flatMap((round) => (round.t === 'failed' ? [round.reason] : []));
  const averageOf = (pick: (round: MeasuredRound) => number | null) =>
    mean(measured.map(pick).filter((value) => value !== null));
  const all = measured.map((round) => round.qps);
  const qps = mean(all);
  const minQps = all.length === 0 ? null : Math.min(...all);
  const maxQps = all.length === 0 ? null : Math.max(...all);
  return {
    qps,
    minQps,
    maxQps,
    spread: qps && minQps !== null && maxQps !== null ? (maxQps - minQps) / qps : null,
    p50Ms: averageOf((round) => round.p50Ms),
    p99Ms: averageOf((round) => round.p99Ms),
    proxyCpuUs: averageOf((round) => round.proxyCpuUs),
    serverCpuUs: averageOf((round) => round.serverCpuUs),
    rssBytes: averageOf((round) => round.rssBytes),
    ignoredErrors: measured.reduce((sum, round) => sum + round.ignoredErrors, 0),
    reconnects: measured.reduce((sum, round) => sum + round.reconnects, 0),
    failures,
  };
}

/** What a target has more than another, as the mean over the rounds with its standard error. */
export interface Difference {
  readonly rounds: number;
  /** As a share of what the other has. */
  readonly qps: Estimate | null;
  /** In microseconds per query. */
  readonly proxyCpuUs: Estimate | null;
}

/** A mean, and how far it may be off: two standard errors hold 95 % of the truth. */
export interface Estimate {
  readonly mean: number;
  readonly error: number;
}

/**
 * Compares two cells round by round. A machine's mood changes slowly against a round, so pairs tell
 * differences apart that are a tenth of what rounds lie apart.
 */
export function differenceOf(rounds: readonly Round[], others: readonly Round[]): Difference {
  const pairs = rounds.flatMap((round, at): (readonly [MeasuredRound, MeasuredRound])[] => {
    const other = others[at];
    return round.t === 'measured' && other?.t === 'measured' ? [[round, other]] : [];
  });
  const otherQps = mean(pairs.map(([, other]) => other.qps));
  const cpuUs = pairs.flatMap(([{ proxyCpuUs: one }, { proxyCpuUs: other }]) =>
    one === null || other === null ? [] : [one - other],
  );
  return {
    rounds: pairs.length,
    qps: otherQps ? estimate(pairs.map(([one, other]) => (one.qps - other.qps) / otherQps)) : null,
    proxyCpuUs: estimate(cpuUs),
  };
}

/** Null for fewer than three values, whose scatter says nothing. */
function estimate(values: readonly number[]): Estimate | null {
  const average = mean(values);
  if (average === null || values.length < 3) return null;
  const variance =
    values.reduce((sum, value) => sum + (value - average) ** 2, 0) / (values.length - 1);
  return { mean: average, error: Math.sqrt(variance / values.length) };
}

/** The machine's noise during a run. */
export interface Noise {
  /** Median and largest spread of a cell. */
  readonly medianSpread: number | null;
  readonly maxSpread: number | null;
  /** Mean and largest share of the machine that foreign processes used. */
  readonly meanForeign: number | null;
  readonly maxForeign: number | null;
}

/** How much the figures of a run can be trusted. */
export function noiseOf(cells: readonly Cell[]): Noise {
  const spreads = cells
    .filter((cell) => cell.rounds.length > 1)
    .map((cell) => summarize(cell.rounds).spread)
    .filter((spread) => spread !== null)
    .sort((a, b) => a - b);
  const foreign = cells
    .flatMap((cell) => cell.rounds)
    .map((round) => (round.t === 'measured' ? round.foreignCpuShare : null))
    .filter((share) => share !== null);
  return {
    medianSpread: spreads[Math.floor(spreads.length / 2)] ?? null,
    maxSpread: spreads.at(-1) ?? null,
    meanForeign: mean(foreign),
    maxForeign: foreign.length === 0 ? null : Math.max(...foreign),
  };
}

/** Cells of equal circumstances together, in the order in which they were measured. */
export function groupCells(cells: readonly Cell[]): (readonly Cell[])[] {
  return [...Map.groupBy(cells, keyOf).values()];
}

/** Names a cell's circumstances. */
export function keyOf({ workload, mode, threads }: CellKey): string {
  return `${workload} ${mode} ${threads}`;
}

/** a / b; null when either is missing. */
export function ratio(a: number | null | undefined, b: number | null | undefined): number | null {
  return a === null || a === undefined || !b ? null : a / b;
}

function mean(values: readonly number[]): number | null {
  if (values.length === 0) return null;
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
