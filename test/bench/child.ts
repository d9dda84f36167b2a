import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from '../../src/lab/run.ts';

/** A program that runs until it is told to stop. */
export interface Child {
  readonly pid: number;
  /** How it ended, in words; null while it runs. */
  ended(): string | null;
  /** SIGTERM, then SIGKILL after `graceMs`. Returns when it has ended. */
  stop(graceMs: number): Promise<void>;
  /** The last lines that it wrote, for an error. */
  logTail(): Promise<string>;
}

const MAX_OUTPUT_BYTES = 4 * 1024 * 1024;
const MAX_LINE_CHARS = 64 * 1024;
const TAIL_LINES = 8;
const POLL_MS = 20;
const SETPRIV = '/usr/bin/setpriv';

/** Starts `command` with both outputs in the file `logPath`. */
export async function startChild(command: Command, logPath: string): Promise<Child> {
  const log = await open(logPath, 'a');
  const { file, args } = boundToUs(command);
  const child = spawn(file, args, {
    // A session of its own: Ctrl-C in the terminal is for the bench to answer, in order.
    detached: true,
    stdio: ['ignore', log.fd, log.fd],
    env: { ...process.env, ...command.env },
  });
  let how: string | null = null;
  const over = new Promise<void>((resolve) => {
    child.once('error', (error) => {
      how = `could not be started (${error.message})`;
      resolve();
    });
    child.once('exit', (code, signal) => {
      how = `ended with ${signal ?? `code ${code}`}`;
      resolve();
    });
  });
  await log.close();
  if (child.pid === undefined) {
    await over;
    throw new Error(`${command.file} ${how ?? 'could not be started'}`);
  }
  return {
    pid: child.pid,
    ended: () => how,
    stop: async (graceMs) => {
      if (how !== null) return;
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
      await over;
      clearTimeout(timer);
    },
    logTail: () => tailOf(logPath),
  };
}

/** How {@link runToEnd} ended. */
export interface Finished {
  /** 0 is success; null when a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** What {@link runToEnd} may be told. */
export interface RunToEndOptions {
  /** It is killed after this time. */
  readonly deadlineMs: number;
  /** It is killed when this aborts, and the promise rejects. */
  readonly signal: AbortSignal;
  /** Called now and then while it runs, for meters that read what is gone when it has ended. */
  readonly onPoll?: (pid: number) => void;
  /** Called for each line on its standard output, as it comes. */
  readonly onLine?: (line: string, pid: number) => void;
}

/** How often {@link RunToEndOptions.onPoll} is called. */
const METER_POLL_MS = 250;

/** Runs a program to its end. A bad exit code is for the caller to judge. */
export async function runToEnd(command: Command, options: RunToEndOptions): Promise<Finished> {
  options.signal.throwIfAborted();
  const { file, args } = boundToUs(command);
  const child = spawn(file, args, {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...command.env },
  });
  const { pid } = child;
  const stdout = collect(child.stdout, (line) => {
    if (pid !== undefined) options.onLine?.(line, pid);
  });
  const stderr = collect(child.stderr);
  const { promise, resolve, reject } = Promise.withResolvers<number | null>();
  child.once('error', reject);
  child.once('close', resolve);
  const kill = () => child.kill('SIGKILL');
  options.signal.addEventListener('abort', kill);
  const deadline = setTimeout(kill, options.deadlineMs);
  const meter = setInterval(() => {
    if (pid !== undefined) options.onPoll?.(pid);
  }, METER_POLL_MS);
  try {
    const code = await promise;
    options.signal.throwIfAborted();
    return { code, stdout: stdout(), stderr: stderr() };
  } finally {
    options.signal.removeEventListener('abort', kill);
    clearTimeout(deadline);
    clearInterval(meter);
  }
}

/** Polls `reached` until it is true; throws after `deadlineMs`, or when the child has ended. */
export async function waitUntil(
  reached: () => Promise<boolean>,
  child: Child,
  what: string,
  deadlineMs = 15_000,
): Promise<void> {
  const deadline = Date.now() + deadlineMs;
  while (!(await reached())) {
    const ended = child.ended();
    if (ended !== null || Date.now() > deadline) {
      throw new Error(
        `${what}: ${ended ?? `not ready in ${deadlineMs} ms`}\n${await child.logTail()}`,
      );
    }
    await sleep(POLL_MS);
  }
}

/** The system kills the child when we are gone, even where we were killed and could not. */
function boundToUs({ file, args }: Command): { file: string; args: readonly string[] } {
  if (!existsSync(SETPRIV)) return { file, args };
  return { file: SETPRIV, args: ['--pdeathsig', 'KILL', file, ...args] };
}

function collect(stream: NodeJS.ReadableStream, onLine?: (line: string) => void): () => string {
  let text = '';
  let partial = '';
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    if (text.length < MAX_OUTPUT_BYTES) text += chunk;
    const lines = (partial + chunk).split('\n');
    partial = (lines.pop() ?? '').slice(-MAX_LINE_CHARS);
    for (const line of lines) onLine?.(line);
  });
  return () => text;
}

async function tailOf(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return text.trim().split('\n').slice(-TAIL_LINES).join('\n');
}
