import { describe, expect, it } from 'vitest';
import { fatalOf, parseSysbench } from '../../bench/sysbench-output.ts';

/** What sysbench 1.0.20 prints, with a short histogram of 100 events. */
const PRINTED = `sysbench 1.0.20 (using system LuaJIT 2.1.0-beta3)

Running the test with following options:
Number of threads: 8

Latency histogram (values are in milliseconds)
       value  ------------- distribution ------------- count
       0.021 |                                         1
       0.163 |**************************************** 49
       0.182 |************************                 48
     137.350 |                                         1
     325.984 |                                         1
 
SQL statistics:
    queries performed:
        read:                            1400
        write:                           400
        other:                           200
        total:                           2000
    transactions:                        100    (50.01 per sec.)
    queries:                             2000   (1000.25 per sec.)
    ignored errors:                      3      (1.50 per sec.)
    reconnects:                          2      (1.00 per sec.)

General statistics:
    total time:                          1.9995s
    total number of events:              100

Latency (ms):
         min:                                    0.02
         99th percentile:                        1.93
`;

describe('the report of sysbench', () => {
  it('gives queries, their rate, and what went wrong', () => {
    expect(parseSysbench(PRINTED)).toMatchObject({
      queries: 2000,
      qps: 1000.25,
      ignoredErrors: 3,
      reconnects: 2,
    });
  });

  it('gives percentiles from the histogram', () => {
    const { p50Ms, p99Ms } = parseSysbench(PRINTED);
    expect(p50Ms).toBe(0.163);
    expect(p99Ms).toBe(137.35);
  });

  it.each([
    ['a histogram', /^.* \|.*$/gm, 'histogram'],
    ['a rate', /^ {4}queries:.*$/m, 'queries per second'],
    ['a total', /^ {8}total:.*$/m, 'number of queries'],
  ])('is refused without %s', (_, part, named) => {
    expect(() => parseSysbench(PRINTED.replace(part, ''))).toThrow(named);
  });
});

describe('a run that failed', () => {
  it('is explained by the error of the server', () => {
    const printed = [
      "FATAL: `thread_run' function failed: oltp_common.lua:419: SQL error",
      'FATAL: mysql_drv_query() returned error 2013 (Lost connection) for query',
    ].join('\n');
    expect(fatalOf(printed)).toContain('2013 (Lost connection)');
  });

  it('has no explanation where sysbench gave none', () => {
    expect(fatalOf('Killed')).toBeNull();
  });
});
