import type { ChildProcess } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FLAVORS } from '../support/flavors.ts';
import { notRun } from '../support/not-run.ts';
import {
  commandOf,
  execute,
  type ExecuteOptions,
  findProgram,
  type ProgramName,
} from '../support/programs.ts';
import { direct, rowsOf, useCluster } from '../support/proxy.ts';
import { until } from '../support/until.ts';

/** The options in which the two command lines differ. */
interface CommandLine {
  readonly program: ProgramName;
  readonly tls: readonly string[];
  readonly noTls: readonly string[];
  /** Newer ones know their own commands, such as `status`, only when told to. */
  readonly status: readonly string[];
  readonly compression: readonly (readonly [name: string, options: readonly string[]])[];
}

const COMMAND_LINES: readonly CommandLine[] = [
  {
    program: 'mysql',
    tls: [],
    noTls: ['--ssl-mode=DISABLED', '--get-server-public-key'],
    status: ['--loose-commands'],
    compression: [
      ['zlib', ['--compression-algorithms=zlib']],
      ['zstd', ['--compression-algorithms=zstd']],
    ],
  },
  {
    program: 'mariadb',
    tls: ['--ssl'],
    noTls: ['--skip-ssl'],
    status: [],
    compression: [['zlib', ['--compress']]],
  },
];

const FOUND = {
  mysql: await findProgram('mysql'),
  mariadb: await findProgram('mariadb'),
} as const;

/** MySQL 9 clients have no `mysql_native_password`, which MariaDB's accounts use: only via a proxy. */
const cannotGoDirect = (program: ProgramName, flavor: string) =>
  direct && program === 'mysql' && flavor === 'mariadb';

describe.each(FLAVORS)('%s', (flavor) => {
  const cluster = useCluster({ lab: { flavor, replicas: 1 } });
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lagwise-test-'));
    for (const statement of [
      'CREATE TABLE app.words (id INT PRIMARY KEY, word VARCHAR(100) CHARACTER SET utf8mb4)',
      'CREATE TABLE app.files (id INT PRIMARY KEY, word VARCHAR(100))',
    ]) {
      await cluster.root('db1', statement);
    }
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  describe.each(COMMAND_LINES)('command line $program', (line) => {
    const { program } = line;
    const found = FOUND[program as keyof typeof FOUND];
    if (found.command === null || cannotGoDirect(program, flavor)) {
      notRun(found.missing ?? 'it cannot log in to MariaDB itself');
      return;
    }

    const client = (args: readonly string[], options: ExecuteOptions = {}, user = 'app') =>
      execute(
        commandOf(found),
        ['--host=127.0.0.1', `--port=${cluster.port}`, `--user=${user}`, '--batch', ...args],
        { env: { MYSQL_PWD: 'app' }, ...options },
      );
    const sql = (statement: string, ...args: string[]) =>
      client([...line.tls, ...args, `--execute=${statement}`, 'app']);

    it('logs in with TLS', async () => {
      const { code, stdout, stderr } = await sql('status', ...line.status);
      expect(stderr).toBe('');
      expect(code).toBe(0);
      // The proxy makes itself a certificate; MariaDB 10.11 does not.
      if (!direct || flavor === 'mysql') expect(stdout).toMatch(/SSL:\s+Cipher in use is \S+/);
      expect(stdout).toMatch(/Current user:\s+app@/);
      expect(stdout).toMatch(/Server version:\s+(9\.|10\.11|1[12]\.)/);
    });

    it('logs in without TLS, the password under the RSA key', async () => {
      const { code, stdout, stderr } = await client([
        ...line.noTls,
        '--skip-column-names',
        "--execute=SHOW STATUS LIKE 'Uptime'",
      ]);
      expect(stderr).toBe('');
      expect(code).toBe(0);
      expect(stdout).toMatch(/^Uptime\t\d+$/m);
    });

    it.each(line.compression)('%s compression carries large results whole', async (_, options) => {
      const { code, stdout, stderr } = await sql(
        "SELECT SHA2(REPEAT('lagwise ', 400000), 256) AS small, REPEAT('lagwise ', 400000) AS large",
        '--skip-column-names',
        ...options,
      );
      expect(stderr).toBe('');
      expect(code).toBe(0);
      const [hash, text] = stdout.trimEnd().split('\t');
      expect(hash).toMatch(/^[0-9a-f]{64}$/);
      expect(text).toBe('lagwise '.repeat(400_000).trimEnd());
    });

    it('runs a batch of several statements in their order', async () => {
      const input = `
        DELETE FROM words;
        INSERT INTO words VALUES (1, 'eins'), (2, 'zwei 🐬');
        UPDATE words SET word = CONCAT(word, '!') WHERE id = 2;
        SELECT word FROM words ORDER BY id;
        DELIMITER //
        SELECT COUNT(*) FROM words //
        DELIMITER ;
        START TRANSACTION; DELETE FROM words; ROLLBACK;
        SELECT COUNT(*) FROM words;
      `;
      const { code, stdout, stderr } = await client(
        [...line.tls, '--default-character-set=utf8mb4', '--skip-column-names', 'app'],
        { input },
      );
      expect(stderr).toBe('');
      expect(code).toBe(0);
      expect(stdout).toBe('eins\nzwei 🐬!\n2\n2\n');
    });

    it('shows the error of a statement and its line, and stops there', async () => {
      const { code, stdout, stderr } = await client([...line.tls, 'app'], {
        input: 'SELECT 1;\nSELECT * FROM no_such_table;\nSELECT 2;\n',
      });
      expect(code).toBe(1);
      expect(stdout).toBe('1\n1\n');
      expect(stderr).toMatch(
        /ERROR 1146 \(42S02\) at line 2: Table 'app\.no_such_table' doesn't exist/,
      );
    });

    it("shows the server's own words for a wrong password", async () => {
      const { code, stderr } = await client([...line.tls], { env: { MYSQL_PWD: 'wrong' } });
      expect(code).toBe(1);
      expect(stderr).toMatch(
        /ERROR 1045 \(28000\): Access denied for user 'app'@'[^']+' \(using password: YES\)/,
      );
      const unknown = await client([...line.tls], {}, 'nobody');
      expect(unknown.stderr).toMatch(/ERROR 1045 \(28000\): Access denied for user 'nobody'@'/);
    });

    it("shows the server's own words for an unknown database", async () => {
      const { code, stderr } = await client([...line.tls, 'no_such_schema']);
      expect(code).toBe(1);
      expect(stderr).toMatch(/ERROR 1049 \(42000\): Unknown database 'no_such_schema'/);
    });

    it('sends a local file', async () => {
      const path = join(folder, `${program}.txt`);
      const rows = Array.from({ length: 20_000 }, (_, id) => `${id}\tword ${id}\n`);
      await writeFile(path, rows.join(''));
      const { code, stdout, stderr } = await sql(
        `DELETE FROM files; LOAD DATA LOCAL INFILE '${path}' INTO TABLE files; SHOW WARNINGS;
         SELECT COUNT(*), SUM(id), MAX(word) FROM files`,
        '--local-infile=1',
        '--skip-column-names',
      );
      expect(stderr).toBe('');
      expect(code).toBe(0);
      expect(stdout).toBe(`20000\t${(19_999 * 20_000) / 2}\tword 9999\n`);
    });

    it('says which file the client could not read, and the session lives', async () => {
      const { stdout, stderr } = await client(
        [...line.tls, '--local-infile=1', '--force', '--skip-column-names', 'app'],
        { input: `LOAD DATA LOCAL INFILE '${folder}/none' INTO TABLE files; SELECT 'alive';` },
      );
      expect(stderr).toMatch(/none/);
      expect(stdout).toContain('alive');
    });

    it('Ctrl-C ends the running statement, not the session', async () => {
      const children: ChildProcess[] = [];
      const started = performance.now();
      const marker = `slow_${program}`;
      const running = client([...line.tls, '--force', '--skip-column-names', 'app'], {
        input: `SELECT SLEEP(30) AS ${marker}; SELECT 'alive';`,
        onStart: (child) => children.push(child),
      });
      await until('the statement runs on a server', () => runsSomewhere(marker));
      children[0]?.kill('SIGINT');
      const { stdout, stderr } = await running;
      expect(performance.now() - started).toBeLessThan(20_000);
      // A killed SLEEP is no error to MySQL: it returns 1, early.
      expect(`${stdout}${stderr}`).toMatch(/^1$|ERROR 1317|Query execution was interrupted/m);
      await until('it runs nowhere any longer', async () => !(await runsSomewhere(marker)));
    });

    it('KILL QUERY and KILL take the ids that clients see', async () => {
      const victim = await cluster.connect();
      const running = victim.query('SELECT SLEEP(30) AS killed_by_id').then(
        () => 'ended early',
        (error: unknown) => String(error),
      );
      await until('the statement runs on a server', () => runsSomewhere('killed_by_id'));
      const { code, stderr } = await sql(`KILL QUERY ${victim.threadId}`);
      expect(stderr).toBe('');
      expect(code).toBe(0);
      expect(await running).toMatch(/ended early|interrupted/);
      expect(await rowsOf(victim, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
      expect((await sql(`KILL ${victim.threadId}`)).code).toBe(0);
      await expect(victim.query('SELECT 1')).rejects.toThrow(/./);
      const again = await sql(`KILL ${victim.threadId}`);
      expect(again.stderr).toMatch(/ERROR 1094 \(HY000\)[^:]*: Unknown thread id: \d+/);
    });
  });

  /** Whether any server runs a statement with this text. */
  async function runsSomewhere(marker: string): Promise<boolean> {
    for (const { id } of cluster.lab.servers) {
      const rows = await cluster.root(
        id,
        `SELECT 1 FROM information_schema.PROCESSLIST
         WHERE INFO LIKE '%${marker}%' AND INFO NOT LIKE '%PROCESSLIST%'`,
      );
      if (rows.length > 0) return true;
    }
    return false;
  }
});
