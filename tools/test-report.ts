import type { SerializedError } from 'vitest';
import type { Reporter, TestCase, TestModule } from 'vitest/node';

/** A test with what there is to say of it. */
interface Named {
  readonly project: string;
  readonly file: string;
  readonly test: string;
  /** The beginning of the error, or why it was skipped. */
  readonly why: string;
}

/** Counts of one project. */
interface Counts {
  passed: number;
  failed: number;
  skipped: number;
  /** Sum over its files, which partly run at the same time. */
  seconds: number;
}

/** What a run of all tests came to; `npm test` writes it as JSON. */
export interface TestReport {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly seconds: number;
  readonly projects: Readonly<Record<string, Counts>>;
  readonly failures: readonly Named[];
  readonly skips: readonly Named[];
}

const MAX_ERROR_LINES = 8;
const NO_REASON = 'no reason was given';

/** Adds up what vitest reports, over several runs of it. */
export class TestCollector implements Reporter {
  readonly #projects: Record<string, Counts> = {};
  readonly #failures: Named[] = [];
  readonly #skips: Named[] = [];

  /** Counts a project even when it turns out to have no tests. */
  expect(project: string): void {
    this.#countsOf(project);
  }

  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    for (const module of modules) this.#addModule(module);
    // Thrown outside of every test: nobody's failure, and a failure all the same.
    for (const error of unhandled) {
      this.#fail({
        project: 'unhandled',
        file: '',
        test: 'unhandled error',
        why: headOf(error),
      });
    }
  }

  report(seconds: number): TestReport {
    const total = (column: 'passed' | 'failed' | 'skipped') =>
      Object.values(this.#projects).reduce((sum, counts) => sum + counts[column], 0);
    return {
      passed: total('passed'),
      failed: total('failed'),
      skipped: total('skipped'),
      seconds,
      projects: this.#projects,
      failures: this.#failures,
      skips: this.#skips,
    };
  }

  #addModule(module: TestModule): void {
    const project = module.project.name;
    const file = module.relativeModuleId;
    this.#countsOf(project).seconds += module.diagnostic().duration / 1000;
    for (const test of module.children.allTests()) this.#addTest(test, project, file);
    // A file that does not load, or a hook that fails, leaves tests that never ran.
    const above = [module, ...module.children.allSuites()].flatMap((task) => task.errors());
    for (const error of above) {
      this.#fail({ project, file, test: 'outside of its tests', why: headOf(error) });
    }
  }

  #addTest(test: TestCase, project: string, file: string): void {
    const result = test.result();
    const named = { project, file, test: test.fullName };
    switch (result.state) {
      case 'passed':
        this.#countsOf(project).passed += 1;
        return;
      case 'failed':
        this.#fail({ ...named, why: headOf(result.errors[0]) });
        return;
      case 'skipped':
        this.#skip({ ...named, why: result.note ?? NO_REASON });
        return;
      case 'pending':
        this.#fail({ ...named, why: 'it never ended' });
        return;
      default:
        result satisfies never;
    }
  }

  #fail(failure: Named): void {
    this.#countsOf(failure.project).failed += 1;
    this.#failures.push(failure);
  }

  #skip(skip: Named): void {
    this.#countsOf(skip.project).skipped += 1;
    this.#skips.push(skip);
  }

  #countsOf(project: string): Counts {
    this.#projects[project] ??= { passed: 0, failed: 0, skipped: 0, seconds: 0 };
    return this.#projects[project];
  }
}

/** What a server's log says comes on the lines behind the first; a difference of values fills pages. */
function headOf(error: { readonly message?: string } | undefined): string {
  return error?.message?.split('\n', MAX_ERROR_LINES).join('\n    ') ?? 'no message';
}

/** The report for people: counts of each project, what failed, and why things were skipped. */
export function reportText(report: TestReport): string {
  const rows = Object.entries(report.projects).map(([project, counts]) => [
    project,
    String(counts.passed),
    String(counts.failed),
    String(counts.skipped),
    counts.seconds.toFixed(1),
  ]);
  const table = [['project', 'passed', 'failed', 'skipped', 'seconds'], ...rows].map(
    ([project = '', ...figures]) =>
      project.padEnd(12) + figures.map((figure) => figure.padStart(9)).join(''),
  );
  return [
    '',
    ...table,
    ...report.failures.map(({ project, file, test, why }) =>
      `FAILED   ${project}  ${file}  ${test}: ${why}`.replaceAll('  ', ' '),
    ),
    ...skipLines(report.skips),
    `${report.passed} passed, ${report.failed} failed, ${report.skipped} skipped in ${report.seconds.toFixed(0)} s`,
  ].join('\n');
}

/** One line for each reason of a project: fifty tests that lack one engine are one piece of news. */
function skipLines(skips: readonly Named[]): string[] {
  const groups = Map.groupBy(skips, ({ project, why }) => `${project}: ${why}`);
  return [...groups].map(([reason, tests]) => {
    const names = reason.endsWith(NO_REASON)
      ? ` (${tests.map(({ file, test }) => `${file} ${test}`).join('; ')})`
      : '';
    return `NOT RUN  ${tests.length} of ${reason}${names}`;
  });
}
