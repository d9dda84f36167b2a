import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { LagwiseError } from '../lib/errors.ts';
import { identify, isAlive, type ProcessIdentity } from './process-identity.ts';

const LOCK_POLL_MS = 100;
/** Packages over a slow line: past this the other process is stuck, not slow. */
const LOCK_DEADLINE_MS = 15 * 60_000;

/**
 * Where fetched programs and data templates are kept between runs:
 * `$LAGWISE_CACHE_DIR`, else `$XDG_CACHE_HOME/lagwise`, else `~/.cache/lagwise`.
 */
export function cacheDir(env: NodeJS.ProcessEnv = process.env): string {
  if (env['LAGWISE_CACHE_DIR']) return env['LAGWISE_CACHE_DIR'];
  if (env['XDG_CACHE_HOME']) return join(env['XDG_CACHE_HOME'], 'lagwise');
  return join(homedir(), '.cache', 'lagwise');
}

/**
 * The folder `target`, built by `build` in a temporary sibling and renamed into place when it is
 * whole: nobody ever sees half of it, and a crash leaves only a sibling that the next build removes.
 * Two processes that need it at once do not both build it.
 */
export async function buildOnce(
  target: string,
  build: (temporary: string) => Promise<void>,
): Promise<string> {
  if (existsSync(target)) return target;
  await mkdir(dirname(target), { recursive: true });
  return withLock(target, async () => {
    if (existsSync(target)) return target;
    // Only the holder of the lock builds here: what stands there is left from a crash.
    const temporary = `${target}.building`;
    await rm(temporary, { recursive: true, force: true });
    await mkdir(temporary);
    try {
      await build(temporary);
      await rename(temporary, target);
    } finally {
      await rm(temporary, { recursive: true, force: true });
    }
    return target;
  });
}

/** Runs `work` while no other process on this machine holds the lock of the same path. */
export async function withLock<T>(path: string, work: () => Promise<T>): Promise<T> {
  const lockPath = `${path}.lock`;
  const deadline = Date.now() + LOCK_DEADLINE_MS;
  while (!(await tryLock(lockPath))) {
    if (Date.now() > deadline) {
      throw new LagwiseError(
        'lab',
        `Another process has held ${lockPath} for too long: end it, or delete that file`,
      );
    }
    await sleep(LOCK_POLL_MS);
  }
  try {
    return await work();
  } finally {
    await rm(lockPath, { force: true });
  }
}

async function tryLock(lockPath: string): Promise<boolean> {
  // Linked into place with its content: a lock file never stands empty, whoever crashes when.
  const prepared = `${lockPath}.${randomBytes(4).toString('hex')}`;
  await writeFile(prepared, JSON.stringify(identify(process.pid)));
  try {
    await link(prepared, lockPath);
    return true;
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  } finally {
    await rm(prepared, { force: true });
  }
  if (!(await isStale(lockPath))) return false;
  // Renamed before it is removed: of several waiters that found it stale only one may take it away.
  const discarded = `${lockPath}.${randomBytes(4).toString('hex')}`;
  await rename(lockPath, discarded).catch(() => undefined);
  await rm(discarded, { force: true });
  return false;
}

async function isStale(lockPath: string): Promise<boolean> {
  const text = await readFile(lockPath, 'utf8').catch(() => null);
  // Released in the meantime: look again.
  if (text === null) return false;
  const holder: unknown = JSON.parse(text);
  return isIdentity(holder) && !isAlive(holder);
}

function isIdentity(value: unknown): value is ProcessIdentity {
  return (
    typeof value === 'object' &&
    value !== null &&
    'pid' in value &&
    typeof value.pid === 'number' &&
    'startedAt' in value &&
    typeof value.startedAt === 'string'
  );
}
