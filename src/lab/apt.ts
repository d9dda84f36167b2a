import { existsSync } from 'node:fs';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LagwiseError } from '../lib/errors.ts';
import { run } from './run.ts';

/**
 * `sid` is Debian's unstable suite, which has the newest MySQL; `native` are the suites that the
 * machine is set up with.
 */
export type Suite = 'sid' | 'native';

/** A package manager's state of its own: nothing of the system's is read for or changed by it. */
export interface AptSpace {
  readonly dir: string;
  readonly configPath: string;
}

const UPDATE_DEADLINE_MS = 5 * 60_000;
const DOWNLOAD_DEADLINE_MS = 10 * 60_000;
const QUERY_DEADLINE_MS = 60_000;
/** Debian's own signing keys, by the names that its releases give the file. */
const KEYRINGS = [
  '/usr/share/keyrings/debian-archive-keyring.pgp',
  '/usr/share/keyrings/debian-archive-keyring.gpg',
];

/** Whether this machine has the programs that fetching packages needs. */
export function hasApt(): boolean {
  return existsSync('/usr/bin/apt-get') && existsSync('/usr/bin/dpkg');
}

/** Makes the state folders and settings of `suite` under `dir`. Fetches no index yet. */
export async function openAptSpace(dir: string, suite: Suite): Promise<AptSpace> {
  for (const name of ['lists/partial', 'archives/partial']) {
    await mkdir(join(dir, name), { recursive: true });
  }
  // An empty status: nothing counts as installed, so the whole closure is fetched and the
  // unpacked tree does not lean on libraries of the system, which may be older.
  await writeFile(join(dir, 'status'), '');
  const configPath = join(dir, 'apt.conf');
  await writeFile(configPath, settings(dir, suite));
  return { dir, configPath };
}

function settings(dir: string, suite: Suite): string {
  const own = [
    `Dir::Etc::sourcelist "${dir}/sources.list";`,
    'Dir::Etc::sourceparts "/dev/null";',
    'Dir::Etc::preferences "/dev/null";',
    'Dir::Etc::preferencesparts "/dev/null";',
  ];
  return [
    ...(suite === 'native' ? [] : own),
    `Dir::State::Lists "${dir}/lists";`,
    `Dir::State::status "${dir}/status";`,
    `Dir::State::extended_states "${dir}/extended_states";`,
    `Dir::Cache "${dir}";`,
    `Dir::Cache::archives "${dir}/archives";`,
    // A mirror may be some days behind; what it serves is still checked against the signature.
    'Acquire::Check-Valid-Until "false";',
    'Acquire::Languages "none";',
    'Acquire::PDiffs "false";',
    'Acquire::Retries "3";',
    'APT::Install-Recommends "false";',
    'APT::Get::Download-Only "true";',
    // The folders belong to whoever runs this: the sandbox user of a root run cannot write there.
    'APT::Sandbox::User "root";',
    // Images for containers clean the system's package cache after each update: not on our behalf.
    '#clear APT::Update::Pre-Invoke;',
    '#clear APT::Update::Post-Invoke;',
    '#clear APT::Update::Post-Invoke-Success;',
    '#clear DPkg::Pre-Invoke;',
    '#clear DPkg::Post-Invoke;',
    '#clear DPkg::Pre-Install-Pkgs;',
    '',
  ].join('\n');
}

/** Fetches the package index of the space. */
export async function updateIndex(space: AptSpace, suite: Suite): Promise<void> {
  if (suite === 'sid') {
    const keyring = KEYRINGS.find((path) => existsSync(path));
    const signed = keyring === undefined ? '' : `[signed-by=${keyring}] `;
    const mirror = await debianMirror(space.dir);
    await writeFile(join(space.dir, 'sources.list'), `deb ${signed}${mirror} sid main\n`);
  }
  await aptGet(space, ['update'], 'Fetching the package index', UPDATE_DEADLINE_MS);
}

/** Of each `a|b` the first package that the index has. */
export async function resolvePackages(
  space: AptSpace,
  wanted: readonly string[],
): Promise<string[]> {
  const names = await run(
    { file: 'apt-cache', args: ['-c', space.configPath, '--generate', 'pkgnames'] },
    { what: 'Reading the package index', deadlineMs: QUERY_DEADLINE_MS },
  );
  const known = new Set(names.split('\n'));
  return wanted.map((alternatives) => {
    const name = alternatives.split('|').find((candidate) => known.has(candidate));
    if (name !== undefined) return name;
    throw new LagwiseError('lab', `No configured package source has ${alternatives}`);
  });
}

/** Downloads packages with everything they depend on; returns the files. */
export async function download(space: AptSpace, packages: readonly string[]): Promise<string[]> {
  await aptGet(
    space,
    ['--yes', 'install', ...packages],
    `Downloading ${packages.join(', ')}`,
    DOWNLOAD_DEADLINE_MS,
  );
  const archives = join(space.dir, 'archives');
  const files = (await readdir(archives)).filter((name) => name.endsWith('.deb'));
  return files.map((name) => join(archives, name));
}

/**
 * The address of the Debian mirror that this machine is set up with: the mirror that is near and
 * allowed, which no list in this repository could know.
 */
async function debianMirror(dir: string): Promise<string> {
  const bySystem = await mirrorOf([]);
  if (bySystem !== null) return bySystem;
  // The origin is known only from fetched indexes; a fresh container image has none.
  const space = await openAptSpace(join(dir, 'probe'), 'native');
  await updateIndex(space, 'native');
  const byUpdate = await mirrorOf(['-c', space.configPath]);
  if (byUpdate !== null) return byUpdate;
  throw new LagwiseError('lab', 'This machine has no Debian package source to fetch servers from');
}

async function mirrorOf(options: readonly string[]): Promise<string | null> {
  const text = await run(
    {
      file: 'apt-get',
      args: [...options, 'indextargets', '--format', '$(ORIGIN)|$(REPO_URI)|$(SUITE)'],
    },
    { what: 'Reading the package sources', deadlineMs: QUERY_DEADLINE_MS },
  );
  for (const line of text.split('\n')) {
    const [origin, uri, suite] = line.split('|');
    // The security archive has a mirror of its own, which does not carry sid.
    if (origin === 'Debian' && uri && !suite?.endsWith('-security')) return uri;
  }
  return null;
}

async function aptGet(
  space: AptSpace,
  args: readonly string[],
  what: string,
  deadlineMs: number,
): Promise<void> {
  await run(
    {
      file: 'apt-get',
      args: ['-c', space.configPath, '-q', ...args],
      env: { DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' },
    },
    { what, deadlineMs },
  );
}
