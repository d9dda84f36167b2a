import { messageOf } from '../../src/lib/errors.ts';
import { comparison } from './comparison.ts';
import { loadResult } from './result.ts';

/** What changed between two runs of the bench: `node tools/run.mjs test/bench/compare.ts A.json B.json`. */
try {
  const [before, after, ...rest] = process.argv.slice(2);
  if (before === undefined || after === undefined || rest.length > 0) {
    throw new Error('Usage: node tools/run.mjs test/bench/compare.ts BEFORE.json AFTER.json');
  }
  const text = comparison(await loadResult(before), await loadResult(after));
  process.stdout.write(`${text}\n`);
} catch (error) {
  process.stderr.write(`${messageOf(error)}\n`);
  process.exitCode = 1;
}
