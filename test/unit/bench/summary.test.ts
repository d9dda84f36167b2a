import { describe, expect, it } from 'vitest';
import { comparison } from '../../bench/comparison.ts';
import { readOptions } from '../../bench/options.ts';
import { report } from '../../bench/report.ts';
import type { BenchResult, Cell, Round } from '../../bench/result.ts';
import { differenceOf, noiseOf, summarize } from '../../bench/summary.ts';

const round = (qps: number, more: Partial<Extract<Round, { t: 'measured' }>> = {}): Round => ({
  t: 'measured',
  qps,
  p50Ms: 0.2,
  p99Ms: 1,
  proxyCpuUs: 25,
  serverCpuUs: 20,
  rssBytes: 100 * 2 ** 20,
  ignoredErrors: 0,
  reconnects: 0,
  foreignCpuShare: 0.01,
  ...more,
});

const cell = (target: Cell['target'], rounds: readonly Round[]): Cell => ({
  workload: 'oltp_point_select',
  mode: 'text',
  threads: 8,
  target,
  rounds,
});

const options = readOptions(['--quick']);
const result = (commit: string, cells: readonly Cell[], cpu = 'a processor'): BenchResult => {
  if (options === null) throw new Error('These options ask for no help');
  return {
    format: 1,
    at: '2026-11-20T10:00:00.000Z',
    commit,
    machine: { cpu, cores: 2, memoryGiB: 24 },
    versions: { mysql: '9.7.4' },
    options,
    missing: [{ target: 'mysql-router', reason: 'no such package' }],
    cells,
  };
};

describe('the rounds of a cell', () => {
  it('are averaged, with the range and its spread', () => {
    const summary = summarize([round(900), round(1000), round(1100)]);
    expect(summary).toMatchObject({ qps: 1000, minQps: 900, maxQps: 1100, spread: 0.2 });
  });

  it('that failed are told of and spoil no mean', () => {
    const summary = summarize([round(1000), { t: 'failed', reason: 'lost connection' }]);
    expect(summary).toMatchObject({ qps: 1000, failures: ['lost connection'] });
  });

  it('are compared in pairs, so that the machine’s mood is left out', () => {
    const now = [round(1100), round(550, { proxyCpuUs: 50 }), round(1100, { proxyCpuUs: 24 })];
    const before = [round(1000), round(500, { proxyCpuUs: 51 }), round(900)];
    const { qps, proxyCpuUs, rounds } = differenceOf(now, before);
    expect(rounds).toBe(3);
    // 100, 50 and 200 more than 800 in the mean: 12.5, 6.25 and 25 percent.
    expect(qps?.mean).toBeCloseTo(0.1458, 4);
    expect(qps?.error).toBeCloseTo(0.0551, 4);
    expect(proxyCpuUs?.mean).toBeCloseTo(-0.667, 3);
    expect(proxyCpuUs?.error).toBeCloseTo(0.333, 3);
  });

  it('that failed are not compared, nor are too few', () => {
    const failed: Round = { t: 'failed', reason: 'lost connection' };
    const rounds = [round(1000), failed, round(1000)];
    expect(differenceOf(rounds, [round(900), round(900), round(900)])).toEqual({
      rounds: 2,
      qps: null,
      proxyCpuUs: null,
    });
  });

  it('give no figures when all have failed', () => {
    const summary = summarize([{ t: 'failed', reason: 'lost connection' }]);
    expect(summary).toMatchObject({ qps: null, spread: null, p99Ms: null });
  });

  it('add up the errors after which transactions were repeated', () => {
    const summary = summarize([round(1, { ignoredErrors: 2 }), round(1, { ignoredErrors: 3 })]);
    expect(summary.ignoredErrors).toBe(5);
  });

  it('tell the noise of the machine only where there are several', () => {
    const cells = [cell('direct', [round(900), round(1100)]), cell('haproxy', [round(5)])];
    expect(noiseOf(cells)).toMatchObject({ medianSpread: 0.2, maxSpread: 0.2, maxForeign: 0.01 });
  });
});

describe('the report', () => {
  it('gives ratios to HAProxy within a cell', () => {
    const text = report(
      result('abc', [cell('haproxy', [round(20_000)]), cell('lagwise', [round(21_000)])]),
    );
    expect(text).toMatch(/\| lagwise +\| 21\.0k \| 21\.0k–21\.0k \| +1\.05 \|/);
  });

  it('says what has changed since the version before, in pairs of rounds', () => {
    const now = [1100, 1000, 1000].map((qps) => round(qps, { proxyCpuUs: 24 }));
    const before = [1000, 1000, 1000].map((qps) => round(qps));
    const text = report(result('abc', [cell('lagwise', now), cell('lagwise-before', before)]));
    expect(text).toContain(
      '- 8 threads: +3.3 % QPS ± 3.3 %, −1.00 µs of CPU per query ± 0.00 (3 pairs)',
    );
    expect(report(result('abc', [cell('lagwise', now)]))).not.toContain('round by round');
  });

  it('says which targets are missing and which rounds failed', () => {
    const text = report(result('abc', [cell('lagwise', [{ t: 'failed', reason: 'it died' }])]));
    expect(text).toContain('NOT MEASURED: mysql-router: no such package');
    expect(text).toContain('FAILED: lagwise, oltp_point_select text, 8 threads: it died');
  });
});

describe('the comparison of two runs', () => {
  const before = result('old', [cell('lagwise', [round(900), round(1000)])]);

  it.each([
    [[1001, 1100], 'faster'],
    [[800, 899], 'slower'],
    [[950, 1500], 'within noise'],
  ])('calls rounds of %j against 900 to 1000 "%s"', (rates, verdict) => {
    const after = result('new', [
      cell(
        'lagwise',
        rates.map((qps) => round(qps)),
      ),
    ]);
    expect(comparison(before, after)).toContain(`| ${verdict} `);
  });

  it('names what only one of them has, and a change of machine', () => {
    const after = result('new', [...before.cells, cell('direct', [round(1)])], 'another');
    const text = comparison(before, after);
    expect(text).toContain('Only after: oltp_point_select text 8 direct');
    expect(text).toContain('Different machines');
  });
});

describe('the command line', () => {
  it('narrows the run to what is listed', () => {
    const args = ['--workloads', 'oltp_point_select', '--threads', '8,32', '--modes', 'text'];
    expect(readOptions(args)).toMatchObject({
      workloads: ['oltp_point_select'],
      threads: [8, 32],
      modes: ['text'],
      rounds: 3,
      seconds: 5,
    });
  });

  it.each([
    [['--threads', '8,many'], 'many'],
    [['--rounds', '0'], 'from 1 to 100'],
    [['--workloads', 'oltp_delete'], 'oltp_delete'],
    [['--targets', 'toString'], 'toString'],
  ])('refuses %j', (args, named) => {
    expect(() => readOptions(args)).toThrow(named);
  });
});
