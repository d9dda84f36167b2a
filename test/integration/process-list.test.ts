import type { Connection } from 'mysql2/promise';
import { beforeAll, describe, expect, it } from 'vitest';
import { FLAVORS } from '../support/flavors.ts';
import { direct, errorOf, rowsOf, useCluster, valueOf } from '../support/proxy.ts';
import { until } from '../support/until.ts';

/** Accounts of the tests; each one's password is its name. */
const login = (user: string) => ({ user, password: user });

describe.skipIf(direct).each(FLAVORS)('on %s, the list of sessions, and KILL', (flavor) => {
  const cluster = useCluster({
    lab: { flavor, replicas: 1 },
    config: { pool: { maxPerServer: 6, keepMs: 50, waitMs: 5_000 } },
  });

  beforeAll(async () => {
    const admin = flavor === 'mysql' ? 'CONNECTION_ADMIN' : 'CONNECTION ADMIN';
    for (const statement of [
      'CREATE TABLE app.t (n INT)',
      ...['plain', 'looker', 'killer', 'by_role'].flatMap((user) => [
        `CREATE USER ${user}@'%' IDENTIFIED BY '${user}'`,
        `GRANT SELECT, INSERT ON app.* TO ${user}@'%'`,
      ]),
      "GRANT PROCESS ON *.* TO looker@'%'",
      `GRANT ${admin} ON *.* TO killer@'%'`,
      'CREATE ROLE lookers',
      'GRANT PROCESS ON *.* TO lookers',
      "GRANT lookers TO by_role@'%'",
      flavor === 'mysql'
        ? "SET DEFAULT ROLE lookers TO by_role@'%'"
        : "SET DEFAULT ROLE lookers FOR by_role@'%'",
      'FLUSH PRIVILEGES',
    ]) {
      await cluster.root('db1', statement);
    }
    await cluster.lab.waitReplicated();
  });

  const idOf = (connection: Connection) => valueOf(connection, 'SELECT CONNECTION_ID()');
  const list = (connection: Connection, full = '') =>
    rowsOf(connection, `SHOW ${full} PROCESSLIST`.replace('  ', ' '));
  const isGone = async (connection: Connection): Promise<void> => {
    await until('it is killed', () =>
      connection.query('DO 0').then(
        () => false,
        () => true,
      ),
    );
  };

  it('shows an account its own sessions, by the ids that KILL takes', async () => {
    const [mine, second, other] = [
      await cluster.connect(login('plain')),
      await cluster.connect(login('plain')),
      await cluster.connect(),
    ];
    await other.query('DO 1');
    const rows = await list(mine);
    const id = await idOf(mine);
    expect(rows.map(({ User }) => User)).toEqual(['plain', 'plain']);
    expect(rows.find(({ Id }) => Id === id)).toMatchObject({
      db: 'app',
      Command: 'Query',
      Time: 0,
      Info: 'SHOW PROCESSLIST',
    });
    const secondId = await idOf(second);
    expect(rows.find(({ Id }) => Id === secondId)).toMatchObject({ Command: 'Sleep', Info: null });
    await mine.query(`KILL ${String(secondId)}`);
    await isGone(second);
  });

  it.each(['looker', 'by_role'])('shows all sessions to %s, who has PROCESS', async (user) => {
    const [looker, plain] = [
      await cluster.connect(login(user)),
      await cluster.connect(login('plain')),
    ];
    const ids = (await list(looker, 'FULL')).map(({ Id }) => Id);
    expect(ids).toContain(await idOf(plain));
    expect(ids).toContain(await idOf(looker));
  });

  it('has the columns of the server’s own list', async () => {
    const shapeOf = async (connection: Connection) => {
      const [, fields] = await connection.query('SHOW PROCESSLIST');
      return fields.map(({ name, columnType, flags }) => [name, columnType, flags]);
    };
    const [proxied, alone] = [
      await cluster.connect(),
      await cluster.connect({ port: cluster.lab.primary.port }),
    ];
    expect(await shapeOf(proxied)).toEqual(await shapeOf(alone));
  });

  it('shows what runs, cut short without FULL, and no secrets', async () => {
    const [busy, looker] = [await cluster.connect(), await cluster.connect(login('looker'))];
    const id = await idOf(busy);
    const infoOf = async (full: string) =>
      String((await list(looker, full)).find(({ Id }) => Id === id)?.['Info']);
    const long = `SELECT SLEEP(1.5), '${'x'.repeat(200)}'`;
    const running = busy.query(long);
    await until('it runs', async () => (await infoOf('')).startsWith('SELECT SLEEP'));
    expect(await infoOf('')).toBe(long.slice(0, 100));
    expect(await infoOf('FULL')).toBe(long);
    await running;
    const secret = busy.query("SELECT SLEEP(1), 'hunter2' AS password");
    await until('it runs', async () => (await infoOf('FULL')).includes('SLEEP'));
    expect(await infoOf('FULL')).not.toContain('hunter2');
    await secret;
  });

  it('leaves the session as it was: its transaction, its counts', async () => {
    const session = await cluster.connect(login('plain'));
    await rowsOf(session, 'SELECT 1 UNION ALL SELECT 2');
    await list(session);
    expect(await valueOf(session, 'SELECT FOUND_ROWS()')).toBe(2);
    await session.query('BEGIN');
    await session.query('INSERT INTO t VALUES (5)');
    await list(session);
    expect(await valueOf(session, 'SELECT COUNT(*) FROM t')).toBe(1);
    await session.query('ROLLBACK');
    expect(await valueOf(session, 'SELECT COUNT(*) FROM t')).toBe(0);
  });

  it('KILL of an idle session of another account takes the privilege, as the server has it', async () => {
    const [victim, plain, killer] = [
      await cluster.connect(),
      await cluster.connect(login('plain')),
      await cluster.connect(login('killer')),
    ];
    const id = String(await idOf(victim));
    for (const kill of [`KILL ${id}`, `KILL QUERY ${id}`]) {
      const { errno, message } = await errorOf(plain.query(kill));
      expect([errno, message]).toEqual([1095, `You are not owner of thread ${id}`]);
    }
    await killer.query(`KILL QUERY ${id}`);
    expect(await valueOf(victim, 'SELECT 1')).toBe(1);
    await killer.query(`KILL CONNECTION ${id}`);
    await isGone(victim);
    expect((await errorOf(killer.query(`KILL ${id}`))).errno).toBe(1094);
  });

  it('KILL of a session that holds a server’s connection names the proxy’s id, too', async () => {
    const [victim, plain] = [await cluster.connect(), await cluster.connect(login('plain'))];
    await victim.query('BEGIN');
    await rowsOf(victim, 'SELECT n FROM t');
    const id = String(await idOf(victim));
    const { errno, message } = await errorOf(plain.query(`KILL ${id}`));
    expect([errno, message]).toEqual([1095, `You are not owner of thread ${id}`]);
    await victim.query('ROLLBACK');
  });
});
