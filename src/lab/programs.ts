import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { LagwiseError, messageOf } from '../lib/errors.ts';
import type { Flavor } from '../topology/snapshot.ts';
import { containerImage, ensureImage } from './container-engine.ts';
import { ensureTree, type Tree, type TreeRequest } from './packages.ts';
import { type Command, run } from './run.ts';
import { ensureTemplate } from './template.ts';

/** Server programs that were found and proved to work. Plain data: it is kept in `lab.json`. */
export type Programs =
  | {
      readonly t: 'process';
      readonly flavor: Flavor;
      readonly version: string;
      /** Where they come from, for people. */
      readonly origin: string;
      /** The server with the options that say where its own files are. */
      readonly server: Command;
      /** The command line client that belongs to it; null when there is none. */
      readonly client: Command | null;
      /** An initialised data folder to copy. */
      readonly templateDir: string;
    }
  | {
      readonly t: 'container';
      readonly flavor: Flavor;
      readonly version: string;
      readonly origin: string;
      readonly image: string;
    };

/** What {@link findPrograms} may be told. */
export interface ProgramWishes {
  /** A server program by path; nothing else is tried then. */
  readonly serverPath?: string;
  /** Run in containers, whatever programs there are. */
  readonly containers?: boolean;
  readonly onStep?: (text: string) => void;
}

/** Where servers are installed that an ordinary user's PATH leaves out. */
const FURTHER_FOLDERS = ['/usr/sbin', '/usr/local/sbin', '/opt/homebrew/bin', '/usr/local/bin'];
const CLIENTS: Record<Flavor, string> = { mysql: 'mysql', mariadb: 'mariadb' };
const VERSION_DEADLINE_MS = 10_000;

/** The oldest versions with the statements that the lab uses. */
const OLDEST: Record<Flavor, readonly [number, number, number]> = {
  mysql: [8, 0, 26], // the names "replica" and "source" in options and plugins
  mariadb: [10, 5, 9], // REPLICA MONITOR
};

/** The packages with the server and the command line client of each flavor. */
export const SERVER_TREES: Record<Flavor, TreeRequest> = {
  mysql: {
    name: 'mysql',
    suite: 'sid',
    packages: [
      'mysql-server-core|mysql-server-core-8.4|mysql-server-core-8.0',
      'mysql-client-core|mysql-client-core-8.4|mysql-client-core-8.0',
    ],
  },
  mariadb: {
    name: 'mariadb',
    suite: 'native',
    packages: ['mariadb-server-core', 'mariadb-client-core'],
  },
};

/**
 * Finds a server to run, in this order: the named path, the PATH, unpacked packages of the
 * distribution, containers. "Found" means that its data folder could be initialised: a program that
 * is there but may not run here (AppArmor, a missing library) only counts as tried.
 */
export async function findPrograms(flavor: Flavor, wishes: ProgramWishes): Promise<Programs> {
  const tried: string[] = [];
  for (const [name, attempt] of attempts(flavor, wishes)) {
    try {
      return await attempt();
    } catch (error) {
      tried.push(`${name}: ${messageOf(error)}`);
    }
  }
  throw new LagwiseError(
    'lab',
    `No ${flavor} server can be run here. Tried ${tried.join('; ')}. Name one with ${pathVariable(flavor)}, install one, run as a user who can reach a container engine, or use Debian or Ubuntu, where one is fetched`,
  );
}

type Attempt = readonly [name: string, attempt: () => Promise<Programs>];

function attempts(flavor: Flavor, wishes: ProgramWishes): readonly Attempt[] {
  const inContainers: Attempt = ['containers', () => fromContainers(flavor, wishes)];
  if (wishes.containers === true) return [inContainers];
  const named = wishes.serverPath ?? process.env[pathVariable(flavor)];
  if (named) return [[`the named program ${named}`, () => fromPath(flavor, named, wishes)]];
  return [
    ['the PATH', async () => fromPath(flavor, await searchPath(flavor), wishes)],
    ["the distribution's packages", () => fromPackages(flavor, wishes)],
    inContainers,
  ];
}

/** The environment variable that names the server program of a flavor. */
function pathVariable(flavor: Flavor): string {
  return flavor === 'mysql' ? 'LAGWISE_MYSQLD' : 'LAGWISE_MARIADBD';
}

async function fromPath(flavor: Flavor, path: string, wishes: ProgramWishes): Promise<Programs> {
  const server = { file: path, args: ['--no-defaults'] };
  // Installed as <prefix>/sbin or <prefix>/bin with the files it needs under the same prefix.
  const shareDir = join(dirname(dirname(path)), 'share', flavor === 'mysql' ? 'mysql' : 'mariadb');
  const clientPath = join(dirname(dirname(path)), 'bin', CLIENTS[flavor]);
  const client = (await canRun(clientPath)) ? { file: clientPath, args: [] } : null;
  return proved({ flavor, server, client, origin: path, shareDir, wishes });
}

async function searchPath(flavor: Flavor): Promise<string> {
  const names = flavor === 'mysql' ? ['mysqld'] : ['mariadbd', 'mysqld'];
  const folders = [...(process.env['PATH'] ?? '').split(':'), ...FURTHER_FOLDERS];
  for (const name of names) {
    for (const folder of folders) {
      const path = join(folder, name);
      if (folder !== '' && (await canRun(path))) return path;
    }
  }
  throw new LagwiseError('lab', `no ${names.join(' or ')} there`);
}

function canRun(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

async function fromPackages(flavor: Flavor, wishes: ProgramWishes): Promise<Programs> {
  const { onStep } = wishes;
  const request = SERVER_TREES[flavor];
  const tree = await ensureTree(onStep ? { ...request, onProgress: onStep } : request);
  const server = treeServer(flavor, tree);
  const shareDir = tree.path('usr/share/mysql');
  const client = tree.command(`usr/bin/${CLIENTS[flavor]}`, ['--no-defaults']);
  return proved({ flavor, server, client, origin: basename(tree.dir), shareDir, wishes });
}

function treeServer(flavor: Flavor, tree: Tree): Command {
  return tree.command(flavor === 'mysql' ? 'usr/sbin/mysqld' : 'usr/sbin/mariadbd', [
    '--no-defaults',
    `--basedir=${tree.path('usr')}`,
    `--lc-messages-dir=${tree.path('usr/share/mysql')}`,
    `--character-sets-dir=${tree.path('usr/share/mysql/charsets')}`,
    `--plugin-dir=${tree.path('usr/lib/mysql/plugin')}`,
  ]);
}

interface Candidate {
  readonly flavor: Flavor;
  readonly server: Command;
  readonly client: Command | null;
  readonly origin: string;
  /** Where MariaDB's SQL files for a new data folder are. */
  readonly shareDir: string;
  readonly wishes: ProgramWishes;
}

async function proved(candidate: Candidate): Promise<Programs> {
  const { flavor, server, client, origin, shareDir, wishes } = candidate;
  const text = await run(
    { ...server, args: [...server.args, '--version'] },
    { what: 'Asking for the version', deadlineMs: VERSION_DEADLINE_MS },
  );
  const version = checkVersion(flavor, text);
  const templateDir = await ensureTemplate({
    flavor,
    version,
    server,
    shareDir,
    onStep: wishes.onStep ?? (() => undefined),
  });
  return { t: 'process', flavor, version, origin, server, client, templateDir };
}

/** The version in what `mysqld --version` prints, if it is of the flavor and new enough. */
export function checkVersion(flavor: Flavor, printed: string): string {
  const [, version, suffix] = /Ver (\d+\.\d+\.\d+)(\S*)/.exec(printed) ?? [];
  if (version === undefined) throw new LagwiseError('lab', `no version in "${printed.trim()}"`);
  const found: Flavor = suffix?.includes('MariaDB') ? 'mariadb' : 'mysql';
  if (found !== flavor) throw new LagwiseError('lab', `it is ${found} ${version}, not ${flavor}`);
  const numbers = version.split('.').map(Number);
  const oldest = OLDEST[flavor];
  const differing = oldest.findIndex((number, index) => numbers[index] !== number);
  if (differing >= 0 && (numbers[differing] ?? 0) < (oldest[differing] ?? 0)) {
    throw new LagwiseError('lab', `${version} is older than ${oldest.join('.')}`);
  }
  return version;
}

async function fromContainers(flavor: Flavor, { onStep }: ProgramWishes): Promise<Programs> {
  const image = containerImage(flavor);
  await ensureImage(image, onStep ?? (() => undefined));
  return { t: 'container', flavor, version: image, origin: `image ${image}`, image };
}
