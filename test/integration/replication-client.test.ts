import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Lab } from '../../src/lab/lab.ts';
import { startLab } from '../../src/lab/start-lab.ts';
import { FLAVORS } from '../support/flavors.ts';
import { commandOf, execute, findProgram } from '../support/programs.ts';
import { useCluster } from '../support/proxy.ts';
import { until } from '../support/until.ts';

const PROGRAMS = {
  mysql: { found: await findProgram('mysqlbinlog'), remote: '--read-from-remote-server' },
  mariadb: { found: await findProgram('mariadb-binlog'), remote: '--read-from-remote-server' },
};

/**
 * The proxy's login is `caching_sha2_password`. A MariaDB server that is to use it as a client looks
 * for it in its plugin folder, where distributions do not put it: see docs/compatibility.md.
 */
const PLUGIN_FOLDER = PROGRAMS.mariadb.found.command?.env?.['MARIADB_PLUGIN_DIR'];
const FOLLOWER_OPTIONS = {
  mysql: [],
  mariadb: PLUGIN_FOLDER === undefined ? [] : [`--plugin-dir=${PLUGIN_FOLDER}`],
};

describe.each(FLAVORS)('replication through the proxy, from %s', (flavor) => {
  const cluster = useCluster({ lab: { flavor, replicas: 1 } });
  let folder: string;
  /** A server that is no part of the cluster and is to follow the proxy. */
  let follower: Lab;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lagwise-test-'));
    follower = await startLab({
      flavor,
      replicas: 0,
      serverOptions: ['--server-id=77', ...FOLLOWER_OPTIONS[flavor]],
    });
    await cluster.root('db1', 'CREATE TABLE app.followed (id INT PRIMARY KEY, word LONGTEXT)');
    await cluster.root('db1', "INSERT INTO app.followed VALUES (1, 'the first row')");
    await cluster.lab.waitReplicated();
  });
  afterAll(async () => {
    await follower?.down();
    await rm(folder, { recursive: true, force: true });
  });

  it('a binary log reader gets the primary’s log, whole', async ({ skip }) => {
    const { found, remote } = PROGRAMS[flavor];
    if (found.command === null) skip(found.missing);
    const [status] = await cluster.root('db1', 'SHOW BINARY LOGS');
    const name = String(status?.['Log_name']);
    const result = join(folder, 'raw-');
    const outcome = await execute(
      commandOf(found),
      [
        '--host=127.0.0.1',
        `--port=${cluster.port}`,
        '--user=lagwise_replication',
        remote,
        '--raw',
        `--result-file=${result}`,
        name,
      ],
      { env: { MYSQL_PWD: 'lagwise_replication' } },
    );
    expect(outcome.stderr.replaceAll(/^WARNING.*\n/gm, '')).toBe('');
    expect(outcome.code).toBe(0);
    const { dataDir } = cluster.lab.server('db1');
    const [copied, original] = await Promise.all([
      readFile(`${result}${name}`),
      readFile(join(String(dataDir), name)),
    ]);
    expect(copied.length).toBeGreaterThan(200);
    expect(copied.includes('the first row')).toBe(true);
    // The server marks a log in use by one bit of the header's flags, which the copy has not.
    expect(original.subarray(30, copied.length).equals(copied.subarray(30))).toBe(true);
  });

  it('a replica follows through the proxy, by GTID', async () => {
    const query = (sql: string) => follower.rootQuery('db1', sql);
    const place = (prefix: string) =>
      [
        `${prefix}_HOST='127.0.0.1'`,
        `${prefix}_PORT=${cluster.port}`,
        `${prefix}_USER='lagwise_replication'`,
        `${prefix}_PASSWORD='lagwise_replication'`,
      ].join(', ');
    if (flavor === 'mysql') {
      await query(
        `CHANGE REPLICATION SOURCE TO ${place('SOURCE')}, SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1`,
      );
      await query('START REPLICA');
    } else {
      await query("SET GLOBAL gtid_slave_pos = ''");
      await query(`CHANGE MASTER TO ${place('MASTER')}, MASTER_USE_GTID=slave_pos`);
      await query('START SLAVE');
    }
    const has = (id: number) =>
      until(
        `row ${id} arrives`,
        async () => {
          try {
            const rows = await query(`SELECT 1 FROM app.followed WHERE id = ${id}`);
            return rows.length === 1;
          } catch {
            // The table itself comes by replication.
            return false;
          }
        },
        20_000,
      ).catch(async (error: unknown) => {
        const status = flavor === 'mysql' ? 'SHOW REPLICA STATUS' : 'SHOW SLAVE STATUS';
        throw new Error(JSON.stringify(await query(status), null, 1), { cause: error });
      });
    await has(1);
    // It is connected and waits: what is written now comes as it is written.
    const writer = await cluster.connect();
    await writer.query("INSERT INTO followed VALUES (2, 'the second row')");
    await has(2);
    await writer.query("INSERT INTO followed VALUES (3, REPEAT('large ', 300000))");
    await has(3);
    await query(flavor === 'mysql' ? 'STOP REPLICA' : 'STOP SLAVE');
  });

  it('the stream ends when the replica leaves, and others go on', async () => {
    const dumps = async () => {
      const rows = await cluster.root(
        'db1',
        "SELECT 1 FROM information_schema.PROCESSLIST WHERE COMMAND LIKE 'Binlog Dump%'",
      );
      return rows.length;
    };
    await until('only the cluster’s own replica follows', async () => (await dumps()) === 1);
    const connection = await cluster.connect();
    await connection.query('SELECT COUNT(*) FROM followed');
  });
});
