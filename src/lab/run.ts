import { spawn } from 'node:child_process';
import { LagwiseError } from '../lib/errors.ts';

/** A program to start, ready for `spawn`: the file, its arguments and additional environment. */
export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Options of {@link run}. */
export interface RunOptions {
  /** What is being done, for the error: "Fetching packages". */
  readonly what: string;
  /** The program is killed after this time. */
  readonly deadlineMs: number;
  /** Written to its standard input. */
  readonly input?: string;
  /** Called for each line that it prints on standard output. */
  readonly onLine?: (line: string) => void;
}

/** Enough for a package listing; output past it is a defect of the caller, not worth the memory. */
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024;
const SHOWN_ERROR_LINES = 5;

/** Runs a program to its end and returns what it printed on standard output. */
export function run(command: Command, options: RunOptions): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const child = spawn(command.file, command.args, {
    env: { ...process.env, ...command.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), options.deadlineMs);
  const out = collect(child.stdout, options.onLine);
  const err = collect(child.stderr);
  const fail = (how: string, cause?: unknown) => {
    const shown = err().trim().split('\n').slice(-SHOWN_ERROR_LINES).join('; ');
    const text = `${options.what} failed: ${command.file} ${how}${shown === '' ? '' : `: ${shown}`}`;
    reject(new LagwiseError('lab', text, { cause }));
  };
  child.on('error', (error) => {
    clearTimeout(timer);
    fail(`could not be started (${error.message})`, error);
  });
  child.on('close', (code, signal) => {
    clearTimeout(timer);
    if (code === 0) resolve(out());
    else if (signal === 'SIGKILL') fail(`was ended after ${options.deadlineMs} ms`);
    else fail(`ended with ${signal ?? `code ${code}`}`);
  });
  // A program that ends without reading its input is judged by its exit code, not by EPIPE.
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.input ?? '');
  return promise;
}

function collect(stream: NodeJS.ReadableStream, onLine?: (line: string) => void): () => string {
  let text = '';
  let partial = '';
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    if (text.length < MAX_OUTPUT_BYTES) text += chunk;
    if (onLine === undefined) return;
    const lines = (partial + chunk).split('\n');
    partial = (lines.pop() ?? '').slice(-MAX_OUTPUT_BYTES);
    for (const line of lines) onLine(line);
  });
  return () => text;
}
