import type { Connection } from 'mysql2/promise';
import { beforeAll, describe, expect, it } from 'vitest';
import { FLAVORS } from '../support/flavors.ts';
import { notRun } from '../support/not-run.ts';
import { commandOf, execute, findProgram } from '../support/programs.ts';
import { rowsOf, useCluster, valueOf } from '../support/proxy.ts';

const SOURCE = 'dumped';
const ROWS = 500;

/** The dump program and client that belong to each flavor: each dumps what its own server has. */
const PROGRAMS = {
  mysql: {
    dump: await findProgram('mysqldump'),
    client: await findProgram('mysql'),
    options: ['--set-gtid-purged=OFF'],
  },
  mariadb: {
    dump: await findProgram('mariadb-dump'),
    client: await findProgram('mariadb'),
    options: [],
  },
};

const DEFINITIONS = [
  `CREATE TABLE authors (
     id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
     name VARCHAR(100) CHARACTER SET utf8mb4 NOT NULL,
     born DATE NULL,
     initial CHAR(1) CHARACTER SET utf8mb4 AS (LEFT(name, 1)) STORED,
     name_length INT AS (CHAR_LENGTH(name)) VIRTUAL,
     KEY by_name (name)
   ) ENGINE=InnoDB COMMENT='people; who ''write'''`,
  `CREATE TABLE books (
     id BIGINT NOT NULL PRIMARY KEY,
     author_id INT UNSIGNED NULL,
     title TEXT CHARACTER SET utf8mb4,
     cover LONGBLOB,
     price DECIMAL(20,4),
     weight DOUBLE,
     flags BIT(5),
     kind ENUM('novel', 'drama', 'poésie') CHARACTER SET utf8mb4,
     seen TIMESTAMP(6) NULL,
     detail JSON,
     CONSTRAINT by_author FOREIGN KEY (author_id) REFERENCES authors (id) ON DELETE SET NULL
   ) ENGINE=InnoDB`,
  'CREATE TABLE log (id INT AUTO_INCREMENT PRIMARY KEY, what VARCHAR(200) CHARACTER SET utf8mb4)',
  `CREATE VIEW titles AS SELECT a.name, b.title, b.price FROM books b JOIN authors a ON a.id = b.author_id`,
  'CREATE VIEW dear AS SELECT * FROM titles WHERE price > 100',
  `CREATE TRIGGER book_added AFTER INSERT ON books FOR EACH ROW
     INSERT INTO log (what) VALUES (CONCAT('added ', NEW.id))`,
  `CREATE TRIGGER book_gone BEFORE DELETE ON books FOR EACH ROW
   BEGIN
     INSERT INTO log (what) VALUES (CONCAT('gone; ', OLD.id));
   END`,
  `CREATE FUNCTION doubled(x INT) RETURNS INT DETERMINISTIC RETURN x * 2`,
  `CREATE PROCEDURE cheapen(IN percent INT, OUT changed INT)
   BEGIN
     -- a comment; with a semicolon
     UPDATE books SET price = price * (100 - percent) / 100;
     SET changed = ROW_COUNT();
   END`,
  `CREATE EVENT tidy ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00' DISABLE
     DO DELETE FROM log WHERE id < 0`,
];

/** What makes each kind of object, as the server tells it. */
const SHOWS = [
  ['TABLE', 'authors', 'Create Table'],
  ['TABLE', 'books', 'Create Table'],
  ['VIEW', 'titles', 'Create View'],
  ['VIEW', 'dear', 'Create View'],
  ['TRIGGER', 'book_added', 'SQL Original Statement'],
  ['TRIGGER', 'book_gone', 'SQL Original Statement'],
  ['FUNCTION', 'doubled', 'Create Function'],
  ['PROCEDURE', 'cheapen', 'Create Procedure'],
  ['EVENT', 'tidy', 'Create Event'],
] as const;

async function fill(connection: Connection): Promise<void> {
  for (const definition of DEFINITIONS) await connection.query(definition);
  await connection.query("INSERT INTO authors (name, born) VALUES ('Ærø Ünïcode', '1900-01-31')");
  await connection.query(
    "INSERT INTO authors (name) VALUES ('🐙 octopus'), ('O''Brien \\\\ \"q\"')",
  );
  const everyByte = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
  const books = Array.from({ length: ROWS }, (_, id) => [
    id,
    (id % 3) + 1,
    `title ${id} — "\n\t\\ 🐬`,
    Buffer.concat(Array.from({ length: id % 40 }, () => everyByte)),
    (id * 7.1234).toFixed(4),
    id / 3,
    id % 32,
    ['novel', 'drama', 'poésie'][id % 3],
    `2026-11-20 10:00:00.${String(id).padStart(6, '0')}`,
    JSON.stringify({ id, tags: ['a', 'ß'] }),
  ]);
  await connection.query('INSERT INTO books VALUES ?', [books]);
}

async function definitionsOf(connection: Connection, schema: string): Promise<string[]> {
  await connection.query(`USE ${schema}`);
  const found: string[] = [];
  for (const [kind, name, column] of SHOWS) {
    const [row] = await rowsOf(connection, `SHOW CREATE ${kind} ${name}`);
    found.push(String(row?.[column]).replaceAll(`\`${schema}\`.`, ''));
  }
  return found;
}

async function checksumsOf(connection: Connection, schema: string): Promise<unknown[]> {
  const tables = ['authors', 'books', 'log'].map((name) => `${schema}.${name}`).join(', ');
  const rows = await rowsOf(connection, `CHECKSUM TABLE ${tables}`);
  return rows.map((row) => row['Checksum']);
}

describe.each(FLAVORS)('a dump of a whole schema on %s', (flavor) => {
  const { dump, client, options } = PROGRAMS[flavor];
  if (dump.command === null || client.command === null) {
    notRun(dump.missing ?? client.missing ?? '');
    return;
  }
  const cluster = useCluster({ lab: { flavor, replicas: 1 } });
  const place = () => ['--host=127.0.0.1', `--port=${cluster.port}`, '--user=app'];
  const env = { MYSQL_PWD: 'app' };

  beforeAll(async () => {
    const connection = await cluster.connect();
    await connection.query(`CREATE DATABASE ${SOURCE} CHARACTER SET utf8mb4`);
    await connection.query(`USE ${SOURCE}`);
    await fill(connection);
    await connection.end();
  });

  it.each([
    ['in one consistent transaction', 'restored_a', ['--single-transaction']],
    ['under table locks', 'restored_b', ['--lock-tables', '--skip-extended-insert']],
  ])('taken %s restores to the same schema', async (_, target, how) => {
    const dumped = await execute(
      commandOf(dump),
      [
        ...place(),
        ...options,
        ...how,
        '--routines',
        '--events',
        '--triggers',
        '--hex-blob',
        '--no-tablespaces',
        '--default-character-set=utf8mb4',
        SOURCE,
      ],
      { env },
    );
    expect(dumped.stderr).toBe('');
    expect(dumped.code).toBe(0);
    expect(dumped.stdout).toMatch(/-- Dump completed/);

    const connection = await cluster.connect();
    await connection.query(`CREATE DATABASE ${target} CHARACTER SET utf8mb4`);
    const restored = await execute(
      commandOf(client),
      [...place(), '--comments', '--default-character-set=utf8mb4', target],
      { env, input: dumped.stdout },
    );
    expect(restored.stderr).toBe('');
    expect(restored.code).toBe(0);

    // Another session's writes: a replica may show them only when it has them.
    await cluster.lab.waitReplicated();
    expect(await checksumsOf(connection, target)).toEqual(await checksumsOf(connection, SOURCE));
    expect(await definitionsOf(connection, target)).toEqual(
      await definitionsOf(connection, SOURCE),
    );
    expect(await valueOf(connection, `SELECT COUNT(*) FROM ${target}.titles`)).toBe(ROWS);

    // The replica has it too, and it is what the servers themselves say.
    const sums = `CHECKSUM TABLE ${target}.authors, ${target}.books, ${target}.log`;
    const checksum = async (id: string) =>
      (await cluster.root(id, sums)).map((row) => row['Checksum']);
    expect(await checksum('db2')).toEqual(await checksum('db1'));
  });
});
