import { spawn } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { LagwiseError } from '../lib/errors.ts';
import { removeContainers } from './container-engine.ts';
import { RELAY_ARGUMENT } from './delay-relay.ts';
import {
  findByArgument,
  isAlive,
  type ProcessIdentity,
  signalProcess,
} from './process-identity.ts';

/** What a watchdog cleans up. */
export interface Watched {
  readonly dir: string;
  readonly socketDir: string;
  /** Whether the lab has containers; asking an engine takes a second that others need not wait. */
  readonly containers: boolean;
}

/** Holds the end of a pipe whose other end is a small process that cleans up when we are gone. */
export interface Watchdog {
  /** Ends the watchdog without cleaning: the lab is to outlive this process. */
  release(): Promise<void>;
  /** Ends the watchdog after its cleaning: nothing of the lab remains. */
  clean(): Promise<void>;
}

const RELEASE = 'release\n';
const CLEAN_DEADLINE_MS = 30_000;
const POLL_MS = 50;

/**
 * Starts the watchdog of a lab. However the caller ends (Ctrl-C, SIGKILL, a crash), the system
 * closes the pipe, and the watchdog ends the servers and deletes the folders.
 */
export function startWatchdog(watched: Watched): Watchdog {
  // Runs as source in development and compiled in the package: the same name beside this file.
  const script = fileURLToPath(import.meta.url);
  const child = spawn(process.execPath, [script, JSON.stringify(watched)], {
    // A session of its own: the Ctrl-C that ends the caller must not end it too.
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  const ended = Promise.withResolvers<void>();
  child.on('error', (error) => ended.reject(new LagwiseError('lab', error.message)));
  child.on('exit', () => ended.resolve());
  // Awaited below; until then a failure to start must not count as unhandled.
  ended.promise.catch(() => undefined);
  child.stdin.on('error', () => undefined);
  // Neither it nor the pipe may keep the caller alive: the caller's end is what it waits for.
  child.unref();
  if (child.stdin instanceof Socket) child.stdin.unref();
  const stop = async (word: string) => {
    child.ref();
    child.stdin.end(word);
    await ended.promise;
  };
  return { release: () => stop(RELEASE), clean: () => stop('') };
}

/**
 * Kills every process whose data folder is below `dir` and deletes the folders. Processes are found
 * by their arguments, not by a list: one that was started a moment ago is on no list yet.
 */
export async function removeLab(dir: string, socketDir: string): Promise<void> {
  const deadline = Date.now() + CLEAN_DEADLINE_MS;
  let ending: ProcessIdentity[] = [];
  // Two empty looks in a row: a process between fork and exec still has its parent's arguments.
  for (let empty = 0; empty < 2; ) {
    const found = [`--datadir=${dir}/`, `${RELAY_ARGUMENT}${dir}/`].flatMap(findByArgument);
    for (const server of found) signalProcess(server, 'SIGKILL');
    // One that is ending has no arguments any more, and yet its ports.
    ending = [...ending, ...found].filter(isAlive);
    empty = found.length + ending.length === 0 ? empty + 1 : 0;
    if (Date.now() > deadline) {
      throw new LagwiseError('lab', `Servers below ${dir} do not end: see "ps", then delete it`);
    }
    if (empty < 2) await sleep(POLL_MS);
  }
  for (const folder of new Set([dir, socketDir])) {
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function watch({ dir, socketDir, containers }: Watched): Promise<void> {
  let word = '';
  process.stdin.setEncoding('utf8');
  for await (const chunk of process.stdin) word = (word + String(chunk)).slice(0, RELEASE.length);
  if (word === RELEASE) return;
  if (containers) await removeContainers(dir);
  await removeLab(dir, socketDir);
}

if (import.meta.main) {
  const watched: Watched = JSON.parse(process.argv[2] ?? '');
  await watch(watched);
}
