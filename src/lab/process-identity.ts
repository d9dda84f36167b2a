import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** A process that cannot be mistaken for a later one with the same number. */
export interface ProcessIdentity {
  readonly pid: number;
  /** When it began, in whatever form the system says it: only ever compared for equality. */
  readonly startedAt: string;
}

/**
 * Who `pid` is now, or null when no such process lives (a zombie does not). Process numbers are
 * reused, so a number read from a file proves nothing without the start time beside it.
 */
export function identify(pid: number): ProcessIdentity | null {
  const found = stat(pid);
  return found === null ? null : { pid, startedAt: found.startedAt };
}

/** Whether exactly this process still lives. */
export function isAlive(identity: ProcessIdentity): boolean {
  return identify(identity.pid)?.startedAt === identity.startedAt;
}

/** Whether exactly this process lives and is paused (SIGSTOP). */
export function isPaused(identity: ProcessIdentity): boolean {
  const found = stat(identity.pid);
  return found?.startedAt === identity.startedAt && found.state === 'T';
}

/** Sends a signal to exactly this process; false when it is gone. */
export function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): boolean {
  if (!isAlive(identity)) return false;
  try {
    process.kill(identity.pid, signal);
    return true;
  } catch (error) {
    // It ended between the look and the signal.
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return false;
    throw error;
  }
}

/** Every living process one of whose arguments begins with `prefix`. */
export function findByArgument(prefix: string): ProcessIdentity[] {
  const found: ProcessIdentity[] = [];
  for (const [pid, args] of allProcesses()) {
    if (!args.some((arg) => arg.startsWith(prefix))) continue;
    const identity = identify(pid);
    if (identity !== null) found.push(identity);
  }
  return found;
}

interface Stat {
  /** `T` is stopped by a signal, `Z` a zombie. */
  readonly state: string;
  readonly startedAt: string;
}

function stat(pid: number): Stat | null {
  const found = process.platform === 'linux' ? statByProc(pid) : statByPs(pid);
  if (found === null || found.state === 'X') return null;
  return found.state === 'Z' && !hasOtherThreads(pid) ? null : found;
}

/**
 * A killed process shows as a zombie when its first thread has ended. Until the last one has, its
 * ports and file locks are still taken.
 */
function hasOtherThreads(pid: number): boolean {
  try {
    return process.platform === 'linux' && readdirSync(`/proc/${pid}/task`).length > 1;
  } catch {
    // Reaped between the two looks: gone.
    return false;
  }
}

function statByProc(pid: number): Stat | null {
  const text = readOrNull(`/proc/${pid}/stat`);
  if (text === null) return null;
  // The program's name stands in parentheses and may hold blanks: fields are counted after it.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  // proc(5): field 3 is the state, field 22 the start time in clock ticks since boot.
  return { state: fields[0] ?? '', startedAt: fields[19] ?? '' };
}

function statByPs(pid: number): Stat | null {
  const done = spawnSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], { encoding: 'utf8' });
  const [state = '', ...started] = (done.stdout ?? '').trim().split(/\s+/);
  return state === '' ? null : { state: state.charAt(0), startedAt: started.join(' ') };
}

function* allProcesses(): Generator<[pid: number, args: string[]]> {
  if (process.platform !== 'linux') {
    const done = spawnSync('ps', ['-axww', '-o', 'pid=,args='], { encoding: 'utf8' });
    for (const line of (done.stdout ?? '').split('\n')) {
      const [pid, ...args] = line.trim().split(/\s+/);
      yield [Number(pid), args];
    }
    return;
  }
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    const commandLine = readOrNull(`/proc/${pid}/cmdline`);
    if (commandLine !== null) yield [pid, commandLine.split('\0')];
  }
}

function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // The process has ended (or is not ours to read): the same answer for every caller.
    return null;
  }
}
