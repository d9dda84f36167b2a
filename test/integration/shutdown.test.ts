import { createConnection } from 'mysql2/promise';
import { beforeAll, describe, expect, it } from 'vitest';
import { useLab } from '../support/lab.ts';
import { errorOf, valueOf } from '../support/proxy.ts';
import { startProxyProcess } from '../support/proxy-process.ts';
import { until } from '../support/until.ts';

/** What a stop does is the proxy's own matter: one flavor tells it. */
describe('a proxy that is told to stop', () => {
  const cluster = useLab({ flavor: 'mysql', replicas: 1 });
  const connect = async (port: number) => {
    const { user, password } = cluster.lab.accounts.app;
    const connection = await createConnection({
      host: '127.0.0.1',
      port,
      user,
      password,
      database: 'app',
    });
    connection.on('error', () => undefined);
    return connection;
  };

  beforeAll(async () => {
    await cluster.lab.rootQuery('db1', 'CREATE TABLE app.t (id INT PRIMARY KEY)');
    await cluster.lab.waitReplicated();
  });

  it('lets an open transaction finish, ends idle sessions at once, takes no new ones', async () => {
    await using proxy = await startProxyProcess(cluster.lab, { shutdown: { drainMs: 20_000 } });
    const busy = await connect(proxy.port);
    const idle = await connect(proxy.port);
    expect((await proxy.get('/readyz')).status).toBe(200);
    await busy.query('BEGIN');
    await busy.query('INSERT INTO t VALUES (1)');

    proxy.signal('SIGTERM');
    await expect(
      until('the idle session ends', async () => {
        await idle.query('SELECT 1');
        return false;
      }),
    ).rejects.not.toThrow(/Not within/);
    expect((await proxy.get('/readyz')).status).toBe(503);
    expect((await proxy.get('/healthz')).status).toBe(200);
    await expect(connect(proxy.port)).rejects.toThrow(/ECONNREFUSED/);

    await busy.query('INSERT INTO t VALUES (2)');
    await busy.query('COMMIT');
    expect(await proxy.ended()).toBe(0);
    const rows = await cluster.lab.rootQuery('db1', 'SELECT COUNT(*) AS n FROM app.t');
    expect(rows).toEqual([{ n: 2 }]);
    expect(proxy.logs.at(-1)?.msg).toBe('Stopped');
    const endings = proxy.logs.filter(({ msg }) => msg === 'Client connection ended');
    expect(endings.map(({ ['reason']: reason }) => reason)).toEqual(['shutdown', 'shutdown']);
  });

  it('lets a running statement finish', async () => {
    await using proxy = await startProxyProcess(cluster.lab);
    const connection = await connect(proxy.port);
    const running = valueOf(connection, 'SELECT SLEEP(1) + 7');
    await until('it runs', async () => {
      const { body } = await proxy.get('/api/sessions');
      return body.includes('"running"');
    });
    proxy.signal('SIGTERM');
    expect(await running).toBe(7);
    expect(await proxy.ended()).toBe(0);
  });

  it('cuts off what is still open after drainMs, and what was open is rolled back', async () => {
    await using proxy = await startProxyProcess(cluster.lab, { shutdown: { drainMs: 300 } });
    const connection = await connect(proxy.port);
    await connection.query('BEGIN');
    await connection.query('INSERT INTO t VALUES (100)');
    proxy.signal('SIGTERM');
    expect(await proxy.ended()).toBe(0);
    await errorOf(connection.query('COMMIT'));
    await until('the server has rolled it back', async () => {
      const rows = await cluster.lab.rootQuery(
        'db1',
        'SELECT COUNT(*) AS n FROM information_schema.INNODB_TRX',
      );
      return rows[0]?.['n'] === 0;
    });
    const rows = await cluster.lab.rootQuery('db1', 'SELECT * FROM app.t WHERE id = 100');
    expect(rows).toEqual([]);
  });

  it('a second signal ends it at once', async () => {
    await using proxy = await startProxyProcess(cluster.lab, { shutdown: { drainMs: 60_000 } });
    const connection = await connect(proxy.port);
    await connection.query('BEGIN');
    await connection.query('SELECT * FROM t FOR UPDATE');
    proxy.signal('SIGTERM');
    await until('it is stopping', () => proxy.logs.some(({ msg }) => msg === 'Stopping'));
    proxy.signal('SIGTERM');
    expect(await proxy.ended()).toBe(1);
    connection.destroy();
  });
});
