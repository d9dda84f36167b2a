import type { BenchResult, Cell } from './result.ts';
import { keyOf, ratio, type Summary, summarize } from './summary.ts';
import { show, showChange, showQps, table } from './table.ts';

const HEADER = [
  'cell',
  'target',
  'QPS before',
  'QPS after',
  'change',
  'verdict',
  '× HAProxy before',
  'after',
  'p99',
  'CPU/query',
];

const SHOWN_LEFT_OUT = 6;

/** What two runs have in common, cell by cell, in Markdown. */
export function comparison(before: BenchResult, after: BenchResult): string {
  const old = new Map(before.cells.map((cell) => [nameOf(cell), cell]));
  const shared = after.cells.filter((cell) => old.has(nameOf(cell)));
  const rows = shared.map((cell) => rowOf(cell, before.cells, after.cells));
  const title = `${before.commit} (${before.at.slice(0, 16)}) → ${after.commit} (${after.at.slice(0, 16)})`;
  const only = [
    ...leftOut(before.cells, after.cells, 'before'),
    ...leftOut(after.cells, before.cells, 'after'),
  ];
  if (rows.length === 0) return `${title}\n\nThe runs have no cell in common`;
  return [title, ...machineWarning(before, after), table(HEADER, rows), ...only].join('\n\n');
}

function rowOf(cell: Cell, before: readonly Cell[], after: readonly Cell[]): string[] {
  const was = summaryOf(before, cell, cell.target);
  const is = summaryOf(after, cell, cell.target);
  const againstHaproxy = (cells: readonly Cell[], own: Summary | null) =>
    show(ratio(own?.qps, summaryOf(cells, cell, 'haproxy')?.qps), 2);
  return [
    keyOf(cell),
    cell.target,
    showQps(was?.qps),
    showQps(is?.qps),
    showChange(change(was?.qps, is?.qps)),
    verdict(was, is),
    againstHaproxy(before, was),
    againstHaproxy(after, is),
    showChange(change(was?.p99Ms, is?.p99Ms)),
    showChange(change(was?.proxyCpuUs, is?.proxyCpuUs)),
  ];
}

/** A change counts only where the worst round of one run beats the best of the other. */
function verdict(was: Summary | null, is: Summary | null): string {
  if (was === null || is === null) return '–';
  if (was.minQps === null || was.maxQps === null) return 'failed before';
  if (is.minQps === null || is.maxQps === null) return 'fails now';
  if (is.minQps > was.maxQps) return 'faster';
  if (is.maxQps < was.minQps) return 'slower';
  return 'within noise';
}

function summaryOf(cells: readonly Cell[], key: Cell, target: Cell['target']): Summary | null {
  const found = cells.find((cell) => nameOf(cell) === nameOf({ ...key, target }));
  return found === undefined ? null : summarize(found.rounds);
}

function change(was: number | null | undefined, is: number | null | undefined): number | null {
  const factor = ratio(is, was);
  return factor === null ? null : factor - 1;
}

function nameOf(cell: Cell): string {
  return `${keyOf(cell)} ${cell.target}`;
}

function leftOut(cells: readonly Cell[], others: readonly Cell[], when: string): string[] {
  const known = new Set(others.map(nameOf));
  const names = cells.map(nameOf).filter((name) => !known.has(name));
  if (names.length === 0) return [];
  const more = names.length > SHOWN_LEFT_OUT ? ` and ${names.length - SHOWN_LEFT_OUT} more` : '';
  return [`Only ${when}: ${names.slice(0, SHOWN_LEFT_OUT).join('; ')}${more}`];
}

function machineWarning(before: BenchResult, after: BenchResult): string[] {
  const same =
    before.machine.cpu === after.machine.cpu && before.machine.cores === after.machine.cores;
  const warning = 'Different machines: only the ratios to HAProxy can be compared';
  return same ? [] : [warning];
}
