import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** What a process has used so far. */
export interface Usage {
  /** User and system time of all its threads, the ended ones too. */
  readonly cpuUs: number;
  readonly rssBytes: number;
}

/** What all processors of the machine have done since it was started. */
export interface MachineUsage {
  readonly busyUs: number;
  readonly totalUs: number;
}

/** Clock ticks per second of /proc; 100 on every Linux one meets, but the system can say. */
const TICKS_PER_SECOND = process.platform === 'linux' ? readTicksPerSecond() : 100;
const US_PER_TICK = 1_000_000 / TICKS_PER_SECOND;

/** The usage of process `pid`; null when it has ended, or where there is no /proc. */
export function processUsage(pid: number): Usage | null {
  const stat = readOrNull(`/proc/${pid}/stat`);
  const status = readOrNull(`/proc/${pid}/status`);
  if (stat === null || status === null) return null;
  // The program's name stands in parentheses and may hold blanks: fields are counted after it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // proc(5): fields 14 and 15 are utime and stime; the first of `fields` is field 3.
  const ticks = Number(fields[11]) + Number(fields[12]);
  const rssKb = Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0);
  return { cpuUs: ticks * US_PER_TICK, rssBytes: rssKb * 1024 };
}

/** CPU time of several processes together; those that have ended count nothing. */
export function cpuUsOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + (processUsage(pid)?.cpuUs ?? 0), 0);
}

/** The machine's counters; null where there is no /proc. */
export function machineUsage(): MachineUsage | null {
  const line = readOrNull('/proc/stat')?.split('\n')[0];
  if (line === undefined || !line.startsWith('cpu ')) return null;
  // proc(5): user nice system idle iowait irq softirq steal; guest time is in user already.
  const ticks = line.trim().split(/\s+/).slice(1, 9).map(Number);
  const total = ticks.reduce((sum, value) => sum + value, 0);
  const idle = (ticks[3] ?? 0) + (ticks[4] ?? 0);
  return { busyUs: (total - idle) * US_PER_TICK, totalUs: total * US_PER_TICK };
}

function readTicksPerSecond(): number {
  return Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
}

function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // The process has ended, or this system has no /proc: the same answer for every caller.
    return null;
  }
}
