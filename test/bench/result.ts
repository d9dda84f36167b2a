import { execFileSync } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BenchOptions } from './options.ts';
import type { Mode, Workload } from './sysbench.ts';
import type { TargetName } from './target.ts';

/** One measurement of one target. */
export type Round =
  | {
      readonly t: 'measured';
      readonly qps: number;
      readonly p50Ms: number;
      readonly p99Ms: number;
      /** CPU time of the proxy per query, microseconds; null without a proxy or without /proc. */
      readonly proxyCpuUs: number | null;
      /** CPU time of all database servers per query, replication included. */
      readonly serverCpuUs: number | null;
      /** Resident memory of the proxy at the end of the round. */
      readonly rssBytes: number | null;
      /** Deadlocks and lock time-outs, after which sysbench repeats the transaction. */
      readonly ignoredErrors: number;
      readonly reconnects: number;
      /** Share of the machine that processes foreign to the bench used, 0 to 1. */
      readonly foreignCpuShare: number | null;
    }
  | { readonly t: 'failed'; readonly reason: string };

/** What is measured under the same circumstances for every target. */
export interface CellKey {
  readonly workload: Workload;
  readonly mode: Mode;
  readonly threads: number;
}

/** All rounds of one target in one cell of the table. */
export interface Cell extends CellKey {
  readonly target: TargetName;
  readonly rounds: readonly Round[];
}

/** A target that could not take part, and why. */
export interface Missing {
  readonly target: TargetName;
  readonly reason: string;
}

/** A whole run, as it is kept in a file. */
export interface BenchResult {
  readonly format: 1;
  /** When it began, ISO 8601. */
  readonly at: string;
  /** Short hash of the commit; `+` after it when the work tree had changes. */
  readonly commit: string;
  readonly machine: { readonly cpu: string; readonly cores: number; readonly memoryGiB: number };
  /** Versions of the kernel, Node, the server, sysbench and every target. */
  readonly versions: Readonly<Record<string, string>>;
  readonly options: BenchOptions;
  readonly missing: readonly Missing[];
  readonly cells: readonly Cell[];
}

const RESULTS = fileURLToPath(new URL('./results/', import.meta.url));

/** The machine that this runs on. */
export function describeMachine(): BenchResult['machine'] {
  const all = cpus();
  return {
    cpu: all[0]?.model ?? 'unknown',
    cores: all.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
  };
}

/** The versions of what is neither server nor target. */
export function describeRuntime(): Record<string, string> {
  return { kernel: release(), node: process.versions.node };
}

/** The short hash of the commit, with `+` when the work tree differs from it. */
export function describeCommit(): string {
  try {
    const git = (...args: string[]) =>
      execFileSync('git', args, {
        cwd: RESULTS.replace(/results\/$/, ''),
        encoding: 'utf8',
      }).trim();
    const changed = git('status', '--porcelain', '--untracked-files=no', ':/src') !== '';
    return `${git('rev-parse', '--short', 'HEAD')}${changed ? '+' : ''}`;
  } catch {
    // Unpacked from an archive, or no git here: the figures are as good.
    return 'unknown';
  }
}

/** Writes the result to its file and returns the path. */
export async function saveResult(result: BenchResult): Promise<string> {
  await mkdir(RESULTS, { recursive: true });
  const time = result.at.slice(0, 16).replaceAll(':', '');
  const path = join(RESULTS, `${time}-${result.commit.replace('+', '-changed')}.json`);
  await writeFile(path, `${JSON.stringify(result, null, 1)}\n`);
  return path;
}

/** Reads a result file. */
export async function loadResult(path: string): Promise<BenchResult> {
  const value: unknown = JSON.parse(await readFile(path, 'utf8'));
  if (isResult(value)) return value;
  throw new Error(`${path} is not a result of this bench (format 1)`);
}

/** Only what tells our files from others: nobody else writes format 1 with cells. */
function isResult(value: unknown): value is BenchResult {
  return (
    typeof value === 'object' &&
    value !== null &&
    'format' in value &&
    value.format === 1 &&
    'cells' in value &&
    Array.isArray(value.cells)
  );
}
