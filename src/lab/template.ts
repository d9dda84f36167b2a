import { createHash } from 'node:crypto';
import { constants, existsSync } from 'node:fs';
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { LagwiseError } from '../lib/errors.ts';
import type { Flavor } from '../topology/snapshot.ts';
import { accountStatements } from './accounts.ts';
import { buildOnce, cacheDir } from './cache.ts';
import { type Command, run } from './run.ts';

/** What a data folder template is made with and from. */
export interface TemplateRequest {
  readonly flavor: Flavor;
  readonly version: string;
  readonly server: Command;
  /** MariaDB's SQL files for a new data folder. */
  readonly shareDir: string;
  readonly onStep: (text: string) => void;
}

const INITIALISE_DEADLINE_MS = 120_000;

/** What MariaDB's own installation script feeds to the server, in its order. */
const MARIADB_SYSTEM_SQL = [
  'system_tables.sql',
  'performance_tables.sql',
  'system_tables_data.sql',
  'fill_help_tables.sql',
  'maria_add_gis_sp_bootstrap.sql',
  'sys_schema.sql',
];

/**
 * An initialised data folder with the accounts in it and no transaction in its history: every
 * server of a lab starts as a copy, so replicas need no dump. Made once per version, in the cache.
 */
export async function ensureTemplate(request: TemplateRequest): Promise<string> {
  const { flavor, version, server } = request;
  const statements = accountStatements(flavor);
  const key = createHash('sha256')
    .update(JSON.stringify([server.file, server.args, statements]))
    .digest('hex');
  const dir = join(cacheDir(), 'templates', `${flavor}-${version}-${key.slice(0, 8)}`);
  return buildOnce(dir, async (temporary) => {
    request.onStep(`Initialising a data folder for ${flavor} ${version} (once)`);
    const sql = `${statements.join(';\n')};\n`;
    await (flavor === 'mysql' ? initialiseMysql : initialiseMariadb)(request, temporary, sql);
  });
}

/** Copies the template to a new data folder. */
export async function copyTemplate(templateDir: string, dataDir: string): Promise<void> {
  await cp(join(templateDir, 'data'), dataDir, {
    recursive: true,
    // A file system that can share blocks makes this free.
    mode: constants.COPYFILE_FICLONE,
  });
  // It holds the server's UUID, which must differ between servers that replicate from each other.
  await rm(join(dataDir, 'auto.cnf'), { force: true });
}

async function initialiseMysql(
  { server }: TemplateRequest,
  dir: string,
  sql: string,
): Promise<void> {
  const initPath = join(dir, 'accounts.sql');
  await writeFile(initPath, sql);
  const args = [
    '--initialize-insecure',
    `--datadir=${join(dir, 'data')}`,
    `--init-file=${initPath}`,
    `--log-error=${join(dir, 'initialise.log')}`,
    `--tmpdir=${dir}`,
    // The log is part of every copy; servers grow theirs to the usual size when they start.
    '--innodb-redo-log-capacity=8M',
    ...asRoot(),
  ];
  await run(
    { ...server, args: [...server.args, ...args] },
    { what: 'Initialising the data folder', deadlineMs: INITIALISE_DEADLINE_MS },
  );
}

async function initialiseMariadb(
  { server, shareDir }: TemplateRequest,
  dir: string,
  sql: string,
): Promise<void> {
  const dataDir = join(dir, 'data');
  await mkdir(join(dataDir, 'mysql'), { recursive: true });
  const system = await Promise.all(
    MARIADB_SYSTEM_SQL.map((name) => readFile(mariadbSqlPath(shareDir, name), 'utf8')),
  );
  const args = [
    '--bootstrap',
    `--datadir=${dataDir}`,
    `--log-error=${join(dir, 'initialise.log')}`,
    `--tmpdir=${dir}`,
    '--enforce-storage-engine=',
    '--max-allowed-packet=8M',
    '--net-buffer-length=16K',
    '--innodb-log-file-size=8M',
    ...asRoot(),
  ];
  await run(
    { ...server, args: [...server.args, ...args] },
    {
      what: 'Initialising the data folder',
      deadlineMs: INITIALISE_DEADLINE_MS,
      // Root logs in by the socket without a password; FLUSH loads the tables that were just
      // made, without which the bootstrap refuses every statement about accounts.
      input: `USE mysql;\nSET @auth_root_socket=NULL;\n${system.join('\n')}\nFLUSH PRIVILEGES;\n${sql}`,
    },
  );
}

/** The files were called mysql_*.sql up to 10.11 and mariadb_*.sql later. */
function mariadbSqlPath(shareDir: string, name: string): string {
  const folders = [shareDir, shareDir.replace(/mariadb$/, 'mysql'), dirname(shareDir)];
  const found = folders
    .flatMap((folder) => ['', 'mysql_', 'mariadb_'].map((prefix) => join(folder, prefix + name)))
    .find((path) => existsSync(path));
  if (found !== undefined) return found;
  throw new LagwiseError(
    'lab',
    `${name} is not in ${shareDir}, where the server's files should be`,
  );
}

function asRoot(): string[] {
  return process.getuid?.() === 0 ? ['--user=root'] : [];
}
