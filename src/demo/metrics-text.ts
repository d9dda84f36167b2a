/** One line of the text format of Prometheus. */
export interface MetricSample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g;

/** Reads what `/metrics` answers; comments and lines that are no samples are left out. */
export function parseMetrics(text: string): readonly MetricSample[] {
  return text.split('\n').flatMap((line) => {
    const [, name, labels = '', value] = LINE.exec(line) ?? [];
    if (name === undefined || value === undefined) return [];
    return [{ name, labels: parseLabels(labels), value: Number(value) }];
  });
}

function parseLabels(text: string): Record<string, string> {
  const pairs = [...text.matchAll(LABEL)].map(([, key = '', value = '']): [string, string] => [
    key,
    value.replace(/\\(.)/g, (_, escaped: string) => (escaped === 'n' ? '\n' : escaped)),
  ]);
  return Object.fromEntries(pairs);
}

/** What Lagwise says of one server. */
export interface ProxyCounts {
  readonly reads: number;
  readonly writes: number;
  /** Of every class. */
  readonly statements: number;
  /** Statements sent there as reads that the server refused as writes. */
  readonly misroutes: number;
}

/** The statement counters of each server, by its id. */
export function countsByServer(
  samples: readonly MetricSample[],
  servers: readonly string[],
): Record<string, ProxyCounts> {
  const sum = (server: string, name: string, cls?: string) =>
    samples
      .filter((sample) => sample.name === name && sample.labels['server'] === server)
      .filter((sample) => cls === undefined || sample.labels['class'] === cls)
      .reduce((total, { value }) => total + value, 0);
  return Object.fromEntries(
    servers.map((server) => [
      server,
      {
        reads: sum(server, 'lagwise_statements_total', 'read'),
        writes: sum(server, 'lagwise_statements_total', 'write'),
        statements: sum(server, 'lagwise_statements_total'),
        misroutes: sum(server, 'lagwise_misroutes_total'),
      },
    ]),
  );
}
