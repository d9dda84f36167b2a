import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { LAB_ACCOUNTS } from '../../src/lab/accounts.ts';
import { messageOf } from '../../src/lib/errors.ts';
import type { Lab } from '../../src/lab/lab.ts';
import { startLab } from '../../src/lab/start-lab.ts';
import { benchCrowd, CROWD_USAGE } from './crowd.ts';
import { abortOnSignals } from './interrupt.ts';
import { benchLadder, LADDER_USAGE } from './ladder.ts';
import { classifierRates } from './micro-rates.ts';
import { type BenchOptions, readOptions, USAGE } from './options.ts';
import { report } from './report.ts';
import {
  type BenchResult,
  type Cell,
  describeCommit,
  describeMachine,
  describeRuntime,
  saveResult,
} from './result.ts';
import { measureAll } from './rounds.ts';
import { findSysbench, type Sysbench } from './sysbench.ts';
import type { Target } from './target.ts';
import { startTargets } from './targets.ts';

/**
 * The macro bench: sysbench against a real cluster, directly and through each proxy. Tables go to
 * standard output, progress to standard error, the figures to a file (see README.md).
 */
async function main(options: BenchOptions, signal: AbortSignal): Promise<void> {
  await using resources = new AsyncDisposableStack();
  const at = new Date().toISOString();
  process.stdout.write(`${await classifierRates(signal)}\n`);
  const sysbench = await findSysbench(LAB_ACCOUNTS.app, say);
  const lab = resources.use(await startLab({ onStep: say }));
  signal.throwIfAborted();
  // In the lab's folder, which is removed however this process ends.
  const dir = join(lab.dir, 'bench');
  await mkdir(dir);
  await sysbench.prepare(lab, signal);

  const { targets, missing } = await startTargets(options.targets, {
    lab,
    dir,
    before: options.before,
    onProgress: say,
  });
  resources.defer(async () => {
    await Promise.all(targets.map((target) => target.stop()));
  });
  signal.throwIfAborted();
  await requirePlainText({ lab, sysbench, targets, signal });
  say(`Measuring takes about ${estimateMinutes(options, targets.length)} min`);

  const cells: Cell[] = [];
  const result: BenchResult = {
    format: 1,
    at,
    commit: describeCommit(),
    machine: describeMachine(),
    versions: versionsOf(lab, sysbench, targets),
    options,
    missing,
    cells,
  };
  try {
    const context = { options, lab, sysbench, targets, signal, onProgress: say };
    for await (const cell of measureAll(context)) cells.push(cell);
  } finally {
    // What was measured before an interruption is still worth reading.
    if (cells.length > 0) process.stdout.write(`${report(result)}\n`);
  }
  say(`Figures: ${await saveResult(result)}`);
  if (hasFailures(result)) process.exitCode = 1;
}

/** What {@link requirePlainText} looks at. */
interface PlainTextCheck {
  readonly lab: Lab;
  readonly sysbench: Sysbench;
  readonly targets: readonly Target[];
  readonly signal: AbortSignal;
}

/**
 * Client libraries differ in whether they use TLS unasked. A comparison of one target with TLS and
 * one without is worth nothing, so the servers are asked whether a short run made TLS connections.
 */
async function requirePlainText({ lab, sysbench, targets, signal }: PlainTextCheck): Promise<void> {
  for (const { name, readPort: port } of targets) {
    const before = await tlsLogins(lab);
    const load = { workload: 'oltp_point_select', mode: 'text', threads: 1, seconds: 1 } as const;
    await sysbench.run({ ...load, port }, { signal });
    if ((await tlsLogins(lab)) === before) continue;
    throw new Error(
      `${name}: TLS was used towards the servers: another sysbench is needed, whose client library does not use TLS unasked`,
    );
  }
}

async function tlsLogins(lab: Lab): Promise<number> {
  const counts = await Promise.all(
    lab.servers.map(async ({ id }) => {
      const rows = await lab.rootQuery(id, "SHOW GLOBAL STATUS LIKE 'Ssl_finished_accepts'");
      return Number(rows[0]?.['Value'] ?? 0);
    }),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}

function versionsOf(
  lab: Lab,
  sysbench: Sysbench,
  targets: readonly Target[],
): Record<string, string> {
  const proxies = targets.filter((target) => target.pid !== null);
  return {
    ...describeRuntime(),
    [lab.flavor]: lab.version,
    sysbench: sysbench.version,
    ...Object.fromEntries(proxies.map(({ name, version }) => [name, version])),
  };
}

function estimateMinutes(options: BenchOptions, targets: number): number {
  const { workloads, modes, threads, rounds, seconds, warmupSeconds } = options;
  const loads = workloads.length * modes.length;
  const each = threads.length * rounds * (seconds + 0.5) + warmupSeconds;
  return Math.ceil((loads * targets * each) / 60);
}

function hasFailures({ cells, missing }: BenchResult): boolean {
  return missing.length > 0 || cells.some(({ rounds }) => rounds.some(({ t }) => t === 'failed'));
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

const signal = abortOnSignals();
try {
  const args = process.argv.slice(2);
  if (args.includes('--crowd')) {
    if (!(await benchCrowd(args, signal))) process.exitCode = 1;
  } else if (args.includes('--ladder')) {
    if (!(await benchLadder(args, signal))) process.exitCode = 1;
  } else {
    const options = readOptions(args);
    if (options === null) process.stdout.write(`${USAGE}\n${CROWD_USAGE}\n${LADDER_USAGE}`);
    else await main(options, signal);
  }
} catch (error) {
  say(messageOf(error));
  process.exitCode ??= 1;
}
