import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { lintSelftest } from './lint-selftest.ts';

/**
 * `npm run check`: everything that can be known without running the product. All steps run even
 * when one fails, so that one look shows all there is to repair.
 */
const root = fileURLToPath(new URL('..', import.meta.url));
/** No step takes a tenth of it; a hanging one must not hang the whole run. */
const STEP_TIMEOUT_MS = 300_000;

interface Outcome {
  readonly ok: boolean;
  readonly output: string;
}
interface Step {
  readonly name: string;
  readonly cure: string;
  readonly run: () => Outcome;
}

const STEPS: readonly Step[] = [
  { name: 'format', cure: 'npm run format', run: () => command('biome', ['format', '.']) },
  {
    name: 'lint (layers, cycles, promises, switches)',
    cure: 'see the findings above',
    run: () => command('oxlint', ['--type-aware', '--deny-warnings']),
  },
  {
    name: 'lint can fail (planted breaches are found)',
    cure: 'a law of oxlint.config.ts does not work any more: see tools/lint-selftest.ts',
    run: selftest,
  },
  { name: 'types', cure: 'see the errors above', run: () => command('tsc', []) },
  {
    name: 'dead code',
    cure: 'remove what is unused, or import it',
    run: () => command('knip', ['--no-progress', '--treat-config-hints-as-errors']),
  },
  {
    name: 'generated files (schema, docs)',
    cure: 'npm run schema',
    run: () => command(process.execPath, ['tools/schema.ts', '--check']),
  },
];

function command(program: string, args: readonly string[]): Outcome {
  const done = spawnSync(program, args, {
    cwd: root,
    encoding: 'utf8',
    timeout: STEP_TIMEOUT_MS,
    maxBuffer: 64 * 1024 * 1024,
  });
  if (done.error !== undefined) {
    return { ok: false, output: `${program} did not run: ${done.error.message}\n` };
  }
  return { ok: done.status === 0, output: `${done.stdout}${done.stderr}` };
}

function selftest(): Outcome {
  try {
    const failures = lintSelftest(root);
    return { ok: failures.length === 0, output: failures.map((line) => `${line}\n`).join('') };
  } catch (thrown) {
    // No report at all is the failure that this step is there to find.
    return { ok: false, output: `oxlint gave no report: ${String(thrown)}\n` };
  }
}

function main(): number {
  const lines: string[] = [];
  let failed = 0;
  for (const { name, cure, run } of STEPS) {
    const startedAt = performance.now();
    const { ok, output } = run();
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    if (!ok) {
      failed += 1;
      console.log(`── ${name} ──\n${output}`);
    }
    lines.push(`${ok ? 'ok    ' : 'FAILED'}  ${name}  ${seconds} s${ok ? '' : `  → ${cure}`}`);
  }
  console.log(lines.join('\n'));
  console.log(failed === 0 ? 'check: all clean' : `check: ${failed} of ${STEPS.length} failed`);
  return failed === 0 ? 0 : 1;
}

process.exitCode = main();
