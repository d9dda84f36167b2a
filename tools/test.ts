import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseCLI, startVitest } from 'vitest/node';
import { findPrograms } from '../src/lab/programs.ts';
import { messageOf } from '../src/lib/errors.ts';
import { reportText, TestCollector } from './test-report.ts';

/**
 * `npm test`: fetches the servers, runs all tests, and says what could not be run and why. Further
 * arguments are vitest's: `npm test -- test/unit/sql`, `npm test -- --project unit -t framer`.
 */
const root = fileURLToPath(new URL('..', import.meta.url));
const REPORT_PATH = process.env['LAGWISE_TEST_REPORT'] || join(root, 'coverage', 'tests.json');

/**
 * One after another: what has real servers would otherwise compete for the cores with what measures
 * milliseconds in memory.
 */
const BATCHES: readonly (readonly string[])[] = [
  ['unit', 'traces', 'protocol'],
  ['integration'],
  ['containers'],
];
const FLAVORS = ['mysql', 'mariadb'] as const;

/** Finds or fetches the servers before any test waits for them, where progress can be seen. */
async function prepareServers(): Promise<void> {
  const asked = process.env['LAGWISE_TEST_FLAVOR'];
  for (const flavor of FLAVORS.filter((name) => !asked || name === asked)) {
    try {
      const { version, origin } = await findPrograms(flavor, {
        onStep: (text) => console.log(text),
      });
      console.log(`${flavor} ${version} (${origin})`);
    } catch (error) {
      // Its tests will fail with this reason; those of the other flavor can still be run.
      console.log(`${flavor}: ${messageOf(error)}`);
    }
  }
}

/** The batches that are left of the projects that were named, all when none was. */
function batchesOf(named: string | string[] | undefined): readonly (readonly string[])[] {
  if (named === undefined) return BATCHES;
  const wanted = new Set([named].flat());
  return BATCHES.map((batch) => batch.filter((project) => wanted.has(project))).filter(
    (batch) => batch.length > 0,
  );
}

/** Whether real servers can be among what was asked for. */
function wantsServers(projects: readonly string[], filters: readonly string[]): boolean {
  if (!projects.includes('integration')) return false;
  return !filters.length || filters.some((path) => !/test\/(unit|traces|protocol)\b/.test(path));
}

async function main(): Promise<number> {
  const startedMs = performance.now();
  const { filter, options } = parseCLI(['vitest', 'run', ...process.argv.slice(2)]);
  const batches = batchesOf(options.project);
  if (batches.length === 0) {
    console.error(`No such project: there are ${BATCHES.flat().join(', ')}`);
    return 1;
  }
  if (wantsServers(batches.flat(), filter)) await prepareServers();
  const collector = new TestCollector();
  for (const batch of batches) {
    console.log(`\n── ${batch.join(', ')} ──`);
    for (const project of batch) collector.expect(project);
    const vitest = await startVitest(filter, {
      ...options,
      root,
      watch: false,
      run: true,
      project: [...batch],
      passWithNoTests: true,
      reporters: ['default', collector],
    });
    await vitest.close();
  }
  const report = collector.report((performance.now() - startedMs) / 1000);
  mkdirSync(dirname(REPORT_PATH), { recursive: true });
  writeFileSync(REPORT_PATH, `${JSON.stringify(report, null, 2)}\n`);
  console.log(reportText(report));
  console.log(`Report: ${REPORT_PATH}`);
  if (report.passed + report.failed === 0) console.error('No test ran');
  return report.failed === 0 && report.passed > 0 ? 0 : 1;
}

// A worker or socket that somebody forgot must not keep a finished run alive.
process.exit(await main());
