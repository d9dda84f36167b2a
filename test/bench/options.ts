import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { MODES, type Mode, WORKLOADS, type Workload } from './sysbench.ts';
import { PEERS, type TargetName } from './target.ts';

/** What a run of the bench measures. */
export interface BenchOptions {
  readonly workloads: readonly Workload[];
  readonly modes: readonly Mode[];
  readonly threads: readonly number[];
  readonly targets: readonly TargetName[];
  /** Where another version of Lagwise is checked out, to be measured too; null for none. */
  readonly before: string | null;
  /** How often each target is measured in each cell of the table. */
  readonly rounds: number;
  /** Length of one measurement. */
  readonly seconds: number;
  /** Unmeasured load on each target before each workload and mode; 0 for none. */
  readonly warmupSeconds: number;
}

export const USAGE = `Usage: npm run bench -- [options]

  --workloads LIST   ${Object.keys(WORKLOADS).join(',')}
  --modes LIST       ${Object.keys(MODES).join(',')}
  --threads LIST     1,8,32,128
  --targets LIST     ${PEERS.join(',')}
  --before DIR       another checkout of Lagwise, with its packages, measured as lagwise-before
  --rounds N         measurements of each target in each cell (3)
  --seconds N        length of one measurement (5)
  --warmup N         seconds of unmeasured load before each workload and mode (2)
  --quick            point selects as text, 8 and 32 threads, one round of 2 seconds
  --help

LIST is separated by commas; the default is all of them.
`;

const FULL: BenchOptions = {
  workloads: ['oltp_point_select', 'oltp_read_only', 'oltp_read_write'],
  modes: ['text', 'prepared'],
  threads: [1, 8, 32, 128],
  targets: PEERS,
  before: null,
  rounds: 3,
  seconds: 5,
  warmupSeconds: 2,
};

const QUICK: BenchOptions = {
  ...FULL,
  workloads: ['oltp_point_select'],
  modes: ['text'],
  threads: [8, 32],
  rounds: 1,
  seconds: 2,
  warmupSeconds: 1,
};

const MAX_THREADS = 1000;
const MAX_ROUNDS = 100;
const MAX_SECONDS = 600;

/**
 * Reads the command line; null when help was asked for.
 * @throws Error that names the option and what it may be
 */
export function readOptions(args: readonly string[]): BenchOptions | null {
  const { values } = parseArgs({
    args: [...args],
    options: {
      workloads: { type: 'string' },
      modes: { type: 'string' },
      threads: { type: 'string' },
      targets: { type: 'string' },
      before: { type: 'string' },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      warmup: { type: 'string' },
      quick: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return null;
  const base = values.quick ? QUICK : FULL;
  const { workloads, modes, threads, rounds, seconds, warmup } = values;
  const before = values.before === undefined ? null : resolve(values.before);
  const peers =
    values.targets === undefined ? base.targets : choices('targets', values.targets, isPeer);
  return {
    workloads:
      workloads === undefined ? base.workloads : choices('workloads', workloads, isWorkload),
    modes: modes === undefined ? base.modes : choices('modes', modes, isMode),
    targets: before === null ? peers : [...peers, 'lagwise-before'],
    before,
    threads: threads === undefined ? base.threads : numbers('threads', threads, MAX_THREADS),
    rounds: rounds === undefined ? base.rounds : integer('rounds', rounds, 1, MAX_ROUNDS),
    seconds: seconds === undefined ? base.seconds : integer('seconds', seconds, 1, MAX_SECONDS),
    warmupSeconds:
      warmup === undefined ? base.warmupSeconds : integer('warmup', warmup, 0, MAX_SECONDS),
  };
}

/** Reads a list of thread counts, as `--threads` takes it. */
export function numbers(option: string, text: string, max = MAX_THREADS): number[] {
  return split(text).map((item) => integer(option, item, 1, max));
}

/** Reads a whole number of an option. */
export function integer(option: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= min && value <= max) return value;
  throw new Error(`--${option} takes whole numbers from ${min} to ${max}, not "${text}"`);
}

function choices<T extends string>(
  option: string,
  text: string,
  isKnown: (item: string) => item is T,
): T[] {
  return split(text).map((item) => {
    if (isKnown(item)) return item;
    throw new Error(`--${option} does not know "${item}":\n\n${USAGE}`);
  });
}

function split(text: string): string[] {
  return [...new Set(text.split(',').map((item) => item.trim()))];
}

/** Whether `item` names a workload of the bench. */
export const isWorkload = (item: string): item is Workload => Object.hasOwn(WORKLOADS, item);
/** Whether `item` names a mode. */
export const isMode = (item: string): item is Mode => Object.hasOwn(MODES, item);
const isPeer = (item: string): item is TargetName => PEERS.some((name) => name === item);
