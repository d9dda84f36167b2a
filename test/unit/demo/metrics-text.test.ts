import { describe, expect, it } from 'vitest';
import { countsByServer, parseMetrics } from '../../../src/demo/metrics-text.ts';

const TEXT = `# HELP lagwise_statements_total Statements sent to servers
# TYPE lagwise_statements_total counter
lagwise_statements_total{server="db1",role="primary",class="write"} 7
lagwise_statements_total{server="db1",role="primary",class="read"} 2
lagwise_statements_total{server="db1",role="replica",class="read"} 1
lagwise_statements_total{server="db2",role="replica",class="read"} 40
lagwise_statements_total{server="db2",role="replica",class="transaction"} 4
lagwise_misroutes_total{server="db2"} 3
lagwise_build_info{version="1 \\"x\\", {y}\\n"} 1
process_start_time_seconds 1.5e9
`;

describe('the text of /metrics', () => {
  it('is read with labels, escapes and numbers', () => {
    const samples = parseMetrics(TEXT);
    expect(samples).toHaveLength(8);
    expect(samples.at(-2)?.labels).toEqual({ version: '1 "x", {y}\n' });
    expect(samples.at(-1)).toEqual({
      name: 'process_start_time_seconds',
      labels: {},
      value: 1.5e9,
    });
  });

  it('is added up by server, whatever role it had; a silent server has zeros', () => {
    expect(countsByServer(parseMetrics(TEXT), ['db1', 'db2', 'db3'])).toEqual({
      db1: { reads: 3, writes: 7, statements: 10, misroutes: 0 },
      db2: { reads: 40, writes: 0, statements: 44, misroutes: 3 },
      db3: { reads: 0, writes: 0, statements: 0, misroutes: 0 },
    });
  });
});
