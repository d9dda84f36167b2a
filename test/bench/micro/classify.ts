import { Bench } from 'tinybench';
import { CHARSET_KIND } from '../../../src/sql/charset-kind.ts';
import { Classifier } from '../../../src/sql/classify.ts';
import type { ClassifyContext } from '../../../src/sql/classification.ts';

/**
 * How many statements a second one core classifies: `node test/bench/micro/classify.ts`.
 * The statements are those of sysbench, and of web applications by length.
 */
const CONTEXT: ClassifyContext = {
  noBackslashEscapes: false,
  ansiQuotes: false,
  ignoreSpace: false,
  charsetKind: CHARSET_KIND.UTF8,
  routines: null,
  flavor: 'mysql',
  serverVersion: 90704,
};

const ROW = "(5012, 5000, '68487932199-96439406143-93774651418', '67847967377-48000963322')";
const STATEMENTS: Readonly<Record<string, readonly string[]>> = {
  'sysbench point select': ['SELECT c FROM sbtest1 WHERE id=5012'],
  'sysbench read write': [
    'BEGIN',
    'SELECT c FROM sbtest1 WHERE id=5012',
    'SELECT c FROM sbtest1 WHERE id BETWEEN 4981 AND 5080',
    'SELECT SUM(k) FROM sbtest1 WHERE id BETWEEN 4981 AND 5080',
    'SELECT c FROM sbtest1 WHERE id BETWEEN 4981 AND 5080 ORDER BY c',
    'SELECT DISTINCT c FROM sbtest1 WHERE id BETWEEN 4981 AND 5080 ORDER BY c',
    'UPDATE sbtest1 SET k=k+1 WHERE id=5012',
    "UPDATE sbtest1 SET c='68487932199-96439406143-93774651418-41631865787' WHERE id=5012",
    'DELETE FROM sbtest1 WHERE id=5012',
    `INSERT INTO sbtest1 (id, k, c, pad) VALUES ${ROW}`,
    'COMMIT',
  ],
  'mapper join, 500 bytes': [
    'SELECT `o`.`id`, `o`.`customer_id`, `o`.`state`, `o`.`created_at`, `o`.`total_cents`, ' +
      '`c`.`name` AS `customer_name`, COUNT(`i`.`id`) AS `items`, COALESCE(SUM(`i`.`price`), 0) ' +
      'FROM `orders` AS `o` INNER JOIN `customers` AS `c` ON `c`.`id` = `o`.`customer_id` ' +
      'LEFT OUTER JOIN `order_items` AS `i` ON `i`.`order_id` = `o`.`id` ' +
      "WHERE `o`.`state` IN ('paid', 'shipped', 'returned') AND `o`.`created_at` >= '2026-01-01' " +
      'GROUP BY `o`.`id` ORDER BY `o`.`created_at` DESC LIMIT 50 OFFSET 100',
  ],
  'bulk insert, 100 rows': [
    `INSERT INTO sbtest1 (id, k, c, pad) VALUES ${Array.from({ length: 100 }, () => ROW).join(',')}`,
  ],
};

const classifier = new Classifier();
const bench = new Bench({ time: 1000, warmupTime: 500 });
const counts = new Map<string, { statements: number; bytes: number }>();
for (const [name, texts] of Object.entries(STATEMENTS)) {
  const buffers = texts.map((text) => Buffer.from(text));
  counts.set(name, {
    statements: texts.length,
    bytes: buffers.reduce((sum, buffer) => sum + buffer.length, 0),
  });
  let sum = 0;
  bench.add(name, () => {
    for (const buffer of buffers) {
      sum += classifier.classify(buffer, 0, buffer.length, CONTEXT).digestLo;
    }
    if (sum < 0) throw new Error('Digests are unsigned');
  });
}
await bench.run();
for (const task of bench.tasks) {
  const count = counts.get(task.name);
  const result = task.result;
  if (count === undefined || !('throughput' in result)) continue;
  const perSecond = result.throughput.mean;
  console.log(
    `${task.name.padEnd(24)} ${Math.round(perSecond * count.statements)} statements/s, ` +
      `${Math.round((perSecond * count.bytes) / 1e6)} MB/s`,
  );
}
