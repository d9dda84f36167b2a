import { createHash } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LagwiseError, messageOf } from '../lib/errors.ts';
import {
  type AptSpace,
  download,
  hasApt,
  openAptSpace,
  resolvePackages,
  type Suite,
  updateIndex,
} from './apt.ts';
import { buildOnce, cacheDir, withLock } from './cache.ts';
import { type Command, run } from './run.ts';

/** What {@link ensureTree} is asked for. */
export interface TreeRequest {
  /** Names the folder in the cache; one name, one set of packages. */
  readonly name: string;
  readonly suite: Suite;
  /** Package names; `a|b` is the first that exists. All they depend on comes along. */
  readonly packages: readonly string[];
  /** Told in words what is going on; silent when the tree is there already. */
  readonly onProgress?: (text: string) => void;
}

/** Distribution packages unpacked into a folder, runnable by the loader and libraries in it. */
export interface Tree {
  readonly dir: string;
  /** A path inside the tree, given from its root: `usr/sbin/mysqld`. */
  path(relative: string): string;
  has(relative: string): boolean;
  /** How to run a program of the tree; `relative` as in {@link Tree.path}. */
  command(relative: string, args?: readonly string[]): Command;
}

/** An index older than this is fetched anew before packages are downloaded. */
const INDEX_MAX_AGE_MS = 6 * 60 * 60_000;
/** Touched after each fetch of the index. */
const INDEX_STAMP = 'index-fetched';
const UNPACK_DEADLINE_MS = 120_000;
/** `dpkg -x` is decompression: one core each. */
const UNPACK_AT_ONCE = 2;
/** Folders with private libraries of the packages that we use, below the library folder. */
const PRIVATE_LIBRARIES = ['mysql', 'mysql/private', 'mysql-router', 'mysql-router/plugin'];

/**
 * Fetches packages of the distribution and unpacks them into the cache folder, without touching
 * the system and without root: own package manager state, download only, no package script run.
 * Signatures are checked against the keys that the machine already trusts.
 */
export async function ensureTree(request: TreeRequest): Promise<Tree> {
  const dir = await buildOnce(treeDir(request), (temporary) => build(request, temporary));
  return openTree(dir);
}

function treeDir(request: TreeRequest): string {
  const key = createHash('sha256')
    .update([...request.packages].sort().join(' '))
    .digest('hex');
  return join(cacheDir(), 'trees', `${request.name}-${request.suite}-${key.slice(0, 8)}`);
}

async function build(request: TreeRequest, temporary: string): Promise<void> {
  if (!hasApt()) {
    throw new LagwiseError('lab', 'Packages can be fetched only on Debian and Ubuntu (no apt-get)');
  }
  const suite = request.suite === 'sid' && isUbuntu() ? 'native' : request.suite;
  const spaceDir = join(cacheDir(), 'apt', suite);
  await mkdir(spaceDir, { recursive: true });
  const say = request.onProgress ?? (() => undefined);
  await withLock(spaceDir, async () => {
    const space = await openAptSpace(spaceDir, suite);
    say(`Fetching ${request.name} from the distribution's packages (once)`);
    const files = await downloadFresh(space, suite, request.packages);
    const bytes = files.reduce((sum, file) => sum + statSync(file).size, 0);
    say(`Unpacking ${files.length} packages (${Math.round(bytes / 1e6)} MB)`);
    await unpackAll(files, temporary);
    await rm(join(spaceDir, 'archives'), { recursive: true, force: true });
  });
}

async function downloadFresh(
  space: AptSpace,
  suite: Suite,
  packages: readonly string[],
): Promise<string[]> {
  if (indexAgeMs(space) > INDEX_MAX_AGE_MS) await refreshIndex(space, suite);
  try {
    return await download(space, await resolvePackages(space, packages));
  } catch {
    // An index that has aged names files that the mirror has replaced: one more try with a new one,
    // whose error is the one to show.
    await refreshIndex(space, suite);
    return download(space, await resolvePackages(space, packages));
  }
}

async function refreshIndex(space: AptSpace, suite: Suite): Promise<void> {
  await updateIndex(space, suite);
  await writeFile(join(space.dir, INDEX_STAMP), '');
}

function indexAgeMs(space: AptSpace): number {
  const stamp = statSync(join(space.dir, INDEX_STAMP), { throwIfNoEntry: false });
  return stamp === undefined ? Number.POSITIVE_INFINITY : Date.now() - stamp.mtimeMs;
}

async function unpackAll(files: readonly string[], target: string): Promise<void> {
  const waiting = [...files];
  const unpackNext = async (): Promise<void> => {
    for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
      await run(
        { file: 'dpkg', args: ['-x', file, target] },
        { what: 'Unpacking packages', deadlineMs: UNPACK_DEADLINE_MS },
      );
    }
  };
  await Promise.all(Array.from({ length: UNPACK_AT_ONCE }, unpackNext));
  const names = files.map((file) => file.replace(/^.*\//, '')).sort();
  await writeFile(join(target, 'lagwise-packages.txt'), `${names.join('\n')}\n`);
}

function openTree(dir: string): Tree {
  const runtime = findRuntime(dir);
  const path = (relative: string) => join(dir, relative);
  return {
    dir,
    path,
    has: (relative) => existsSync(path(relative)),
    command: (relative, args = []) => ({
      file: runtime.loader,
      args: ['--library-path', runtime.libraryPath, path(relative), ...args],
      env: runtimeEnv(dir),
    }),
  };
}

/** What programs of a tree look up by absolute paths on a system where they are installed. */
function runtimeEnv(dir: string): Record<string, string> {
  return { LUA_PATH: `${dir}/usr/share/sysbench/?.lua;;` };
}

interface Runtime {
  readonly loader: string;
  readonly libraryPath: string;
}

/**
 * The tree's own loader and library folders. Programs that were built against a newer C library
 * than the system's run only by the loader that belongs to theirs.
 */
function findRuntime(dir: string): Runtime {
  const triplet = process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu';
  const name = process.arch === 'arm64' ? 'ld-linux-aarch64.so.1' : 'ld-linux-x86-64.so.2';
  // Releases before the merge of /lib into /usr/lib have the C library in the former.
  const folders = [`${dir}/usr/lib/${triplet}`, `${dir}/lib/${triplet}`].filter((folder) =>
    existsSync(folder),
  );
  const loader = folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
  if (loader === undefined) {
    throw new LagwiseError('lab', `${dir} has no program loader (${name}): delete it and retry`);
  }
  const own = folders.flatMap((folder) => PRIVATE_LIBRARIES.map((name) => join(folder, name)));
  const router = `${dir}/usr/lib/mysql-router`;
  return { loader, libraryPath: [...folders, ...own, router].filter(existsSync).join(':') };
}

function isUbuntu(): boolean {
  try {
    return /^ID=ubuntu$/m.test(readFileSync('/etc/os-release', 'utf8'));
  } catch (error) {
    throw new LagwiseError('lab', `Cannot tell this distribution: ${messageOf(error)}`);
  }
}
