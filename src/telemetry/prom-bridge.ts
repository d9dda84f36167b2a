import {
  Counter,
  Gauge,
  Histogram,
  type MetricObjectWithValues,
  type MetricValueWithName,
  type Registry,
} from 'prom-client';
import type { Log2Histogram } from './plain-counters.ts';

/**
 * Turns plain numbers into Prometheus series at the moment of a scrape, so that counting costs an
 * addition and scraping pays for the rest.
 */

/** Name and help of a metric and the names of its labels. */
export interface SeriesInfo {
  readonly registry: Registry;
  readonly name: string;
  readonly help: string;
  readonly labels?: readonly string[];
}

/** One line of a scrape. */
export interface Sample {
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A counter whose values are read when scraped. They must never shrink. */
export function exposeCounter(info: SeriesInfo, read: () => Iterable<Sample>): void {
  const counter = new Counter<string>({
    ...promConfig(info),
    collect: () => {
      counter.reset();
      for (const { labels, value } of read()) counter.inc({ ...labels }, value);
    },
  });
}

/** A gauge whose values are read when scraped; a series that is not given any more disappears. */
export function exposeGauge(info: SeriesInfo, read: () => Iterable<Sample>): void {
  const gauge = new Gauge<string>({
    ...promConfig(info),
    collect: () => {
      gauge.reset();
      for (const { labels, value } of read()) gauge.set({ ...labels }, value);
    },
  });
}

/** A histogram for each value of one label, read when scraped. */
export function exposeHistograms(
  info: SeriesInfo,
  label: string,
  histograms: Readonly<Record<string, Log2Histogram>>,
): void {
  const series = Object.entries(histograms).map(([value, histogram]) => ({
    labels: { [label]: value },
    histogram,
  }));
  exposeHistogramSeries({ ...info, labels: [label] }, () => series);
}

/** One of the histograms of a scrape. */
export interface HistogramSeries {
  readonly labels: Readonly<Record<string, string>>;
  readonly histogram: Log2Histogram;
}

/**
 * Histograms read when scraped.
 * @param perSecond how many of the metric's unit a second has
 */
export function exposeHistogramSeries(
  info: SeriesInfo,
  read: () => Iterable<HistogramSeries>,
  perSecond = 1,
): void {
  new PlainHistogram(info, read, perSecond).register();
}

function promConfig({ registry, name, help, labels }: SeriesInfo) {
  return { name, help, labelNames: [...(labels ?? [])], registers: [registry] };
}

type HistogramSample = MetricValueWithName<string>;

/** prom-client's histogram can only be observed into; this one shows buckets counted elsewhere. */
class PlainHistogram extends Histogram {
  /** An empty twin: gives the object that the registry expects, but for the values. */
  readonly #twin: Histogram;
  readonly #info: SeriesInfo;
  readonly #read: () => Iterable<HistogramSeries>;
  readonly #perSecond: number;

  constructor(info: SeriesInfo, read: () => Iterable<HistogramSeries>, perSecond: number) {
    const labelNames = [...(info.labels ?? [])];
    super({ name: info.name, help: info.help, labelNames, registers: [] });
    this.#twin = new Histogram({ name: info.name, help: info.help, registers: [] });
    this.#info = info;
    this.#read = read;
    this.#perSecond = perSecond;
  }

  register(): void {
    this.#info.registry.registerMetric(this);
  }

  override async get(): Promise<MetricObjectWithValues<HistogramSample>> {
    return {
      ...(await this.#twin.get()),
      values: [...this.#read()].flatMap(({ labels, histogram }) =>
        this.#samples({ ...labels }, histogram),
      ),
    };
  }

  /** The registry prefers this one when it writes the text format. */
  getForPromString(): Promise<MetricObjectWithValues<HistogramSample>> {
    return this.get();
  }

  #samples(labels: Record<string, string>, histogram: Log2Histogram): HistogramSample[] {
    const { name } = this.#info;
    const { count } = histogram;
    return [
      ...histogram.cumulative().map((bucket) => ({
        metricName: `${name}_bucket`,
        labels: { le: bucket.boundSeconds * this.#perSecond, ...labels },
        value: bucket.count,
      })),
      { metricName: `${name}_bucket`, labels: { le: '+Inf', ...labels }, value: count },
      { metricName: `${name}_sum`, labels, value: histogram.sumSeconds * this.#perSecond },
      { metricName: `${name}_count`, labels, value: count },
    ];
  }
}
