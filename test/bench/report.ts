import type { BenchResult, Cell } from './result.ts';
import { differenceOf, groupCells, noiseOf, ratio, type Summary, summarize } from './summary.ts';
import { show, showChange, showPercent, showQps, table } from './table.ts';
import type { TargetName } from './target.ts';

const HEADER =
  'threads,target,QPS,min–max,× HAProxy,× Router,p50 ms,p99 ms,CPU µs/query,servers µs/query,RSS MiB,errors'.split(
    ',',
  );
const MIB = 2 ** 20;

/** The whole result in Markdown. */
export function report(result: BenchResult): string {
  const { machine, options, versions, missing, cells } = result;
  const about = [
    `Bench of ${result.at.slice(0, 16)} at ${result.commit}`,
    `${machine.cores} × ${machine.cpu}, ${machine.memoryGiB} GiB`,
    `versions: ${Object.entries(versions)
      .map(([name, version]) => `${name} ${version}`)
      .join(', ')}`,
    `${options.rounds} × ${options.seconds} s each, targets in turn; TLS off; oltp_read_only without transactions`,
    ...missing.map(({ target, reason }) => `NOT MEASURED: ${target}: ${reason}`),
  ];
  const byTable = Map.groupBy(cells, ({ workload, mode }) => `${workload}, ${mode}`);
  const tables = [...byTable].map(([title, of]) =>
    [title, tableOf(of), ...changesOf(of)].join('\n\n'),
  );
  return [about.join('\n'), ...tables, ...failuresOf(cells), noiseLine(cells)].join('\n\n');
}

function tableOf(cells: readonly Cell[]): string {
  const rows = groupCells(cells).flatMap((group) => {
    const summaries = new Map<TargetName, Summary>(
      group.map((cell) => [cell.target, summarize(cell.rounds)]),
    );
    return group.map((cell) => rowOf(cell, summaries));
  });
  return table(HEADER, rows);
}

function rowOf(cell: Cell, summaries: ReadonlyMap<TargetName, Summary>): string[] {
  const summary = summaries.get(cell.target) ?? summarize(cell.rounds);
  const against = (peer: TargetName) => show(ratio(summary.qps, summaries.get(peer)?.qps), 2);
  return [
    String(cell.threads),
    cell.target,
    showQps(summary.qps),
    rangeOf(summary),
    against('haproxy'),
    against('mysql-router'),
    show(summary.p50Ms),
    show(summary.p99Ms),
    show(summary.proxyCpuUs, 1),
    show(summary.serverCpuUs, 1),
    show(summary.rssBytes === null ? null : summary.rssBytes / MIB, 0),
    errorsOf(summary),
  ];
}

function rangeOf({ minQps, maxQps }: Summary): string {
  return minQps === null ? show(null) : `${showQps(minQps)}–${showQps(maxQps)}`;
}

function errorsOf({ ignoredErrors, reconnects, failures }: Summary): string {
  const parts = [
    ...(failures.length > 0 ? [`${failures.length} failed`] : []),
    ...(ignoredErrors > 0 ? [`${ignoredErrors} repeated`] : []),
    ...(reconnects > 0 ? [`${reconnects} reconnects`] : []),
  ];
  return parts.length === 0 ? '0' : parts.join(', ');
}

/** What has changed since `--before`, where there is one. */
function changesOf(cells: readonly Cell[]): string[] {
  const lines = groupCells(cells).flatMap((group) => {
    const [now, before] = (['lagwise', 'lagwise-before'] as const).map((target) =>
      group.find((cell) => cell.target === target),
    );
    if (now === undefined || before === undefined) return [];
    const { rounds, qps, proxyCpuUs } = differenceOf(now.rounds, before.rounds);
    if (qps === null || proxyCpuUs === null) return [];
    const more = `${showChange(qps.mean)} QPS ± ${showPercent(qps.error)}`;
    const cpu = `${proxyCpuUs.mean < 0 ? '−' : '+'}${show(Math.abs(proxyCpuUs.mean), 2)} µs of CPU per query ± ${show(proxyCpuUs.error, 2)}`;
    return [`- ${now.threads} threads: ${more}, ${cpu} (${rounds} pairs)`];
  });
  if (lines.length === 0) return [];
  return [
    ['lagwise against lagwise-before, round by round, ± standard error:', ...lines].join('\n'),
  ];
}

function failuresOf(cells: readonly Cell[]): string[] {
  const lines = cells.flatMap(({ workload, mode, threads, target, rounds }) => {
    const reasons = new Set(summarize(rounds).failures);
    return [...reasons].map(
      (reason) => `FAILED: ${target}, ${workload} ${mode}, ${threads} threads: ${reason}`,
    );
  });
  return lines.length === 0 ? [] : [lines.join('\n')];
}

function noiseLine(cells: readonly Cell[]): string {
  const { medianSpread, maxSpread, meanForeign, maxForeign } = noiseOf(cells);
  return [
    `Noise: rounds of one cell lie ${showPercent(medianSpread)} apart (median), ${showPercent(maxSpread)} at most;`,
    `other processes used ${showPercent(meanForeign)} of the machine (mean), ${showPercent(maxForeign)} at most.`,
  ].join(' ');
}
