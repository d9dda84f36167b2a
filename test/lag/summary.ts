import type { LagSample, Run } from './measure.ts';

/** What was promised of the accuracy: the greater of the two. */
const ALLOWED_MS = 50;
const ALLOWED_SHARE = 0.1;

/** One line of the accuracy table. Times in ms; errors are absolute. */
export interface RunSummary {
  readonly where: string;
  readonly injectedMs: number;
  readonly samples: number;
  /** Samples whose lag was not known. */
  readonly unknown: number;
  readonly truthMeanMs: number;
  readonly reportedMeanMs: number;
  readonly errorP50Ms: number;
  readonly errorP95Ms: number;
  readonly errorMaxMs: number;
  /** Share of the samples within 50 ms or 10 %. */
  readonly withinShare: number;
  readonly methods: Readonly<Record<string, number>>;
  /** `Seconds_Behind_Source` in the same time: mean in ms, and the greatest error it had. */
  readonly secondsBehindMeanMs: number | null;
}

/** How far a figure may be from the truth, ms. */
function allowedMs(truthMs: number): number {
  return Math.max(ALLOWED_MS, truthMs * ALLOWED_SHARE);
}

/** The truth as one figure, ms: the middle of what it may have been. */
export function truthOf({ leastMs, mostMs }: LagSample): number {
  return (leastMs + mostMs) / 2;
}

/** How far a figure is from all that may have been true, ms. */
function errorOf({ leastMs, mostMs }: LagSample, reportedMs: number): number {
  return Math.max(0, leastMs - reportedMs, reportedMs - mostMs);
}

/** The figures of one run. */
export function summarise({ injection, samples, secondsBehind }: Run): RunSummary {
  const known = samples.flatMap((sample) => {
    const { reportedMs } = sample;
    const truthMs = truthOf(sample);
    return reportedMs === null
      ? []
      : [{ reportedMs, truthMs, errorMs: errorOf(sample, reportedMs) }];
  });
  const errors = known.map(({ errorMs }) => errorMs).sort((left, right) => left - right);
  const methods: Record<string, number> = {};
  for (const { method } of samples) methods[method] = (methods[method] ?? 0) + 1;
  const seconds = secondsBehind.flatMap((each) => (each.seconds === null ? [] : [each.seconds]));
  return {
    where: injection.where,
    injectedMs: injection.lagMs,
    samples: samples.length,
    unknown: samples.length - known.length,
    truthMeanMs: mean(known.map(({ truthMs }) => truthMs)),
    reportedMeanMs: mean(known.map(({ reportedMs }) => reportedMs)),
    errorP50Ms: quantile(errors, 0.5),
    errorP95Ms: quantile(errors, 0.95),
    errorMaxMs: quantile(errors, 1),
    withinShare:
      known.filter(({ errorMs, truthMs }) => errorMs <= allowedMs(truthMs)).length /
      Math.max(1, samples.length),
    methods,
    secondsBehindMeanMs: seconds.length === 0 ? null : mean(seconds) * 1000,
  };
}

/** The table as Markdown. */
export function tableOf(summaries: readonly RunSummary[]): string {
  const head = [
    '| injected | samples | truth | reported | error p50 | p95 | max | within | Seconds_Behind | by |',
    '| --- | --: | --: | --: | --: | --: | --: | --: | --: | --- |',
  ];
  const ms = (value: number) => Math.round(value).toString();
  const lines = summaries.map((run) => {
    const cells = [
      `${run.injectedMs} ms, ${run.where}`,
      `${run.samples}${run.unknown === 0 ? '' : ` (${run.unknown} unknown)`}`,
      ms(run.truthMeanMs),
      ms(run.reportedMeanMs),
      ms(run.errorP50Ms),
      ms(run.errorP95Ms),
      ms(run.errorMaxMs),
      `${(run.withinShare * 100).toFixed(1)} %`,
      run.secondsBehindMeanMs === null ? '–' : ms(run.secondsBehindMeanMs),
      Object.entries(run.methods)
        .map(([method, count]) => `${method} ${count}`)
        .join(', '),
    ];
    return `| ${cells.join(' | ')} |`;
  });
  return [...head, ...lines].join('\n');
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
