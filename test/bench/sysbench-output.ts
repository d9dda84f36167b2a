/** What one run of sysbench measured. */
export interface SysbenchFigures {
  readonly queries: number;
  /** Queries per second. */
  readonly qps: number;
  /** Latency of an event in milliseconds: a query for point selects, else a whole transaction. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Errors after which sysbench repeated the transaction (deadlock, lock wait time-out). */
  readonly ignoredErrors: number;
  readonly reconnects: number;
}

interface Bucket {
  readonly ms: number;
  readonly count: number;
}

/**
 * Reads the report that `sysbench … --histogram=on run` prints.
 * @throws Error when a figure is missing: a table with a guessed number is worse than none
 */
export function parseSysbench(text: string): SysbenchFigures {
  const buckets = readHistogram(text);
  return {
    queries: figure(text, /^\s+total:\s+(\d+)$/m, 'the number of queries'),
    qps: figure(text, /^\s+queries:\s+\d+\s+\(([\d.]+) per sec\.\)$/m, 'queries per second'),
    p50Ms: percentile(buckets, 0.5),
    p99Ms: percentile(buckets, 0.99),
    ignoredErrors: figure(text, /^\s+ignored errors:\s+(\d+) /m, 'ignored errors'),
    reconnects: figure(text, /^\s+reconnects:\s+(\d+) /m, 'reconnects'),
  };
}

/** The first line that says why sysbench gave up, shortened; null when none does. */
export function fatalOf(text: string): string | null {
  const lines = text.split('\n').filter((line) => line.includes('FATAL:'));
  // "mysql_stmt_execute() returned error 2013 (…)" says more than "thread_run function failed".
  const line = lines.find((each) => /error \d+/.test(each)) ?? lines[0];
  return line === undefined ? null : line.replace(/^.*?FATAL:\s*/, '').slice(0, 200);
}

/** The value below which `share` of all events lie; buckets are about 2 % wide. */
function percentile(buckets: readonly Bucket[], share: number): number {
  const total = buckets.reduce((sum, bucket) => sum + bucket.count, 0);
  let seen = 0;
  for (const { ms, count } of buckets) {
    seen += count;
    if (seen >= total * share) return ms;
  }
  throw new Error('sysbench printed no latency histogram');
}

function readHistogram(text: string): Bucket[] {
  const lines = text.matchAll(/^\s+([\d.]+) \|[* ]* (\d+)$/gm);
  return [...lines].map(([, ms, count]) => ({ ms: Number(ms), count: Number(count) }));
}

function figure(text: string, pattern: RegExp, what: string): number {
  const found = pattern.exec(text)?.[1];
  if (found === undefined) throw new Error(`sysbench did not print ${what}`);
  return Number(found);
}
