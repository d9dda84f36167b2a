import { Bench } from 'tinybench';
import { DigestTable, RUN } from '../../../src/routing/digest-table.ts';
import { LearnedStatements } from '../../../src/routing/learned-statements.ts';

/**
 * What a statement pays for the table of digests and for what was learned:
 * `node test/bench/micro/digest-table.ts`. Each task goes once over 1 000 digests.
 */
const DIGESTS = 1000;
const halves = new Uint32Array(2 * DIGESTS);
let seed = 42;
for (let n = 0; n < halves.length; n += 1) {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
  halves[n] = seed ^ (seed >>> 11);
}

const table = new DigestTable();
const learned = new LearnedStatements();
for (let n = 0; n < DIGESTS; n += 1) {
  const digestHi = halves[2 * n] ?? 0;
  const digestLo = halves[2 * n + 1] ?? 0;
  table.admit({ cls: 'read', reason: 'select', digestHi, digestLo }, 'SELECT ?', 0);
  if (n < 10) learned.learn(digestHi, digestLo, 'read-only', 0, 'SELECT ?');
}

let sum = 0;
const bench = new Bench({ time: 1000, warmupTime: 300 });
bench.add('note', () => {
  for (let n = 0; n < DIGESTS; n += 1) {
    table.note(halves[2 * n] ?? 0, halves[2 * n + 1] ?? 0, 25.5, RUN.ON_REPLICA, n);
  }
});
bench.add('wants', () => {
  for (let n = 0; n < DIGESTS; n += 1) {
    sum += table.wants(halves[2 * n] ?? 0, halves[2 * n + 1] ?? 0, n) ? 1 : 0;
  }
});
bench.add('isLearned', () => {
  for (let n = 0; n < DIGESTS; n += 1) {
    sum += learned.isLearned(halves[2 * n] ?? 0, halves[2 * n + 1] ?? 0) ? 1 : 0;
  }
});
await bench.run();
if (sum < 0) throw new Error('Counts are not negative');
for (const task of bench.tasks) {
  const { result } = task;
  if (!('throughput' in result)) continue;
  const nanoseconds = 1e9 / (result.throughput.mean * DIGESTS);
  console.log(`${task.name.padEnd(12)} ${nanoseconds.toFixed(1)} ns`);
}
