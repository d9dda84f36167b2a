import { Resvg } from '@resvg/resvg-js';
import * as echarts from 'echarts';
import type { Run } from './measure.ts';
import { truthOf } from './summary.ts';

/** Everything that was measured on one flavor. */
export interface FlavorRuns {
  readonly title: string;
  readonly runs: readonly Run[];
}

const WIDTH = 1200;
const ROW_HEIGHT = 420;
const FONT = 'DejaVu Sans';
const COLORS = { reported: '#2563eb', seconds: '#f59e0b', truth: '#111827', band: '#dbeafe' };
/** 0 has no place on a logarithmic axis. */
const LEAST_MS = 1;
const MOST_MS = 10_000;
/** The promise: 50 ms or 10 %, whichever is greater. */
const ALLOWED_MS = 50;
const ALLOWED_SHARE = 0.1;

/**
 * A picture of the runs, as PNG: a row for each flavor, on the left reported against true lag, on the
 * right a lag that moves. Letters are drawn with a font of the system (DejaVu Sans, if it is there).
 */
export function drawAccuracy(flavors: readonly FlavorRuns[]): Buffer {
  const height = ROW_HEIGHT * flavors.length;
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height });
  const rows = flavors.map((flavor, row) => rowOf(flavor, row));
  chart.setOption({
    animation: false,
    backgroundColor: '#ffffff',
    textStyle: { fontFamily: FONT },
    title: rows.flatMap(({ titles }) => titles),
    legend: {
      top: 6,
      left: 'center',
      itemGap: 60,
      data: ['reported by Lagwise', 'Seconds_Behind of the server', 'truth', 'allowed error'],
      textStyle: { fontFamily: FONT },
    },
    grid: rows.flatMap(({ grids }) => grids),
    xAxis: rows.flatMap(({ xAxes }) => xAxes),
    yAxis: rows.flatMap(({ yAxes }) => yAxes),
    series: rows.flatMap(({ series }) => series),
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return new Resvg(svg, { font: { loadSystemFonts: true, defaultFontFamily: FONT } })
    .render()
    .asPng();
}

function rowOf({ title, runs }: FlavorRuns, row: number) {
  const top = row * ROW_HEIGHT;
  const grid = (left: number, width: number) => ({
    left,
    width,
    top: top + 80,
    height: ROW_HEIGHT - 140,
  });
  const [left, right] = [2 * row, 2 * row + 1];
  const heading = (text: string, at: number) => ({
    text,
    left: at,
    top: top + 40,
    textStyle: { fontSize: 15, fontFamily: FONT },
  });
  const moving = runs.find(({ injection }) => injection.where === 'applier');
  const steady = runs.filter((run) => run !== moving);
  return {
    titles: [
      heading(`${title}: reported against true lag`, 70),
      heading(`${title}: a lag that moves`, 690),
    ],
    grids: [grid(80, 480), grid(700, 470)],
    xAxes: [logAxis('true lag, ms', left), { ...valueAxis('time, s', right), max: 5 }],
    yAxes: [logAxis('reported lag, ms', left), valueAxis('lag, ms', right)],
    series: [...scatterOf(steady, left), ...(moving === undefined ? [] : linesOf(moving, right))],
  };
}

function logAxis(name: string, gridIndex: number) {
  return {
    type: 'log',
    name,
    gridIndex,
    min: LEAST_MS,
    max: MOST_MS,
    nameLocation: 'middle',
    nameGap: 32,
    nameTextStyle: { fontFamily: FONT },
    axisLabel: { fontFamily: FONT },
  };
}

function valueAxis(name: string, gridIndex: number) {
  return {
    type: 'value',
    name,
    gridIndex,
    min: 0,
    nameLocation: 'middle',
    nameGap: 36,
    nameTextStyle: { fontFamily: FONT },
    axisLabel: { fontFamily: FONT },
  };
}

function scatterOf(runs: readonly Run[], axis: number) {
  const at = (value: number) => Math.max(LEAST_MS, value);
  const places = Array.from({ length: 81 }, (_, index) => 10 ** (index / 20));
  const allowed = (truth: number) => Math.max(ALLOWED_MS, truth * ALLOWED_SHARE);
  const line = (name: string, valueAt: (truth: number) => number, color: string, type: string) => ({
    type: 'line',
    name,
    xAxisIndex: axis,
    yAxisIndex: axis,
    showSymbol: false,
    lineStyle: { color, width: 1, type },
    itemStyle: { color },
    data: places.map((truth) => [truth, at(valueAt(truth))]),
  });
  const dots = (name: string, color: string, size: number, data: number[][]) => ({
    type: 'scatter',
    name,
    xAxisIndex: axis,
    yAxisIndex: axis,
    symbolSize: size,
    itemStyle: { color, opacity: 0.5 },
    data,
  });
  return [
    line('truth', (truth) => truth, COLORS.truth, 'solid'),
    line('allowed error', (truth) => truth + allowed(truth), '#94a3b8', 'dashed'),
    line('allowed error', (truth) => truth - allowed(truth), '#94a3b8', 'dashed'),
    dots(
      'Seconds_Behind of the server',
      COLORS.seconds,
      5,
      runs.flatMap((run) => secondsOf(run).map(({ truthMs, ms }) => [at(truthMs), at(ms)])),
    ),
    dots(
      'reported by Lagwise',
      COLORS.reported,
      6,
      runs.flatMap(({ samples }) =>
        samples.flatMap((sample) =>
          sample.reportedMs === null ? [] : [[at(truthOf(sample)), at(sample.reportedMs)]],
        ),
      ),
    ),
  ];
}

/** The server's own figure beside the truth of the nearest sample. */
function secondsOf({ samples, secondsBehind }: Run): { truthMs: number; ms: number }[] {
  return secondsBehind.flatMap(({ atMs, seconds }) => {
    const near = samples.find((sample) => sample.atMs >= atMs);
    return near === undefined || seconds === null
      ? []
      : [{ truthMs: truthOf(near), ms: seconds * 1000 }];
  });
}

function linesOf({ samples, secondsBehind, course }: Run, axis: number) {
  const beginMs = samples[0]?.atMs ?? 0;
  const seconds = (atMs: number) => (atMs - beginMs) / 1000;
  const series = (name: string, color: string, data: (number | null)[][], more: object) => ({
    type: 'line',
    name,
    xAxisIndex: axis,
    yAxisIndex: axis,
    showSymbol: false,
    clip: true,
    itemStyle: { color },
    lineStyle: { color, width: 1.5 },
    data,
    ...more,
  });
  return [
    series(
      'truth',
      COLORS.truth,
      course.map(({ atMs, lagMs }) => [seconds(atMs), lagMs]),
      {},
    ),
    series(
      'Seconds_Behind of the server',
      COLORS.seconds,
      secondsBehind.map(({ atMs, seconds: behind }) => [
        seconds(atMs),
        behind === null ? null : behind * 1000,
      ]),
      { step: 'end' },
    ),
    series(
      'reported by Lagwise',
      COLORS.reported,
      samples.map(({ atMs, reportedMs }) => [seconds(atMs), reportedMs]),
      { lineStyle: { width: 0 }, showSymbol: true, symbol: 'circle', symbolSize: 5 },
    ),
  ];
}
