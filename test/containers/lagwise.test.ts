import { createConnection } from 'mysql2/promise';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startLab } from '../../src/lab/start-lab.ts';
import { missingEngine, useLabImage } from '../support/lab-image-for.ts';
import { rowsOf, startProxy, valueOf } from '../support/proxy.ts';
import { until } from '../support/until.ts';

if (missingEngine !== null)
  console.warn(`Not run: the proxy in front of containers (${missingEngine})`);

/**
 * What differs from a lab of processes: other builds of the servers, and replicas that know their
 * source by a name that the proxy cannot resolve.
 */
describe.each(['mysql', 'mariadb'] as const)('the proxy in front of %s in containers', (flavor) => {
  useLabImage(flavor);

  it('finds the roles, splits reads from writes and follows a promotion', async (test) => {
    if (missingEngine !== null) return test.skip(missingEngine);
    const lab = await startLab({ flavor, containers: true, replicas: 1 });
    onTestFinished(() => lab.down());
    const proxy = await startProxy(lab);
    onTestFinished(() => proxy.app.stop());
    await proxy.untilServing(['db2']);
    const connection = await createConnection({
      host: '127.0.0.1',
      port: proxy.app.port,
      ...lab.accounts.app,
      database: 'app',
    });
    connection.on('error', () => undefined);
    onTestFinished(() => connection.destroy());
    await connection.query('CREATE TABLE t (id INT PRIMARY KEY, word VARCHAR(20))');
    await connection.execute('INSERT INTO t VALUES (?, ?)', [1, 'one']);
    expect(await rowsOf(connection, 'SELECT * FROM t')).toEqual([{ id: 1, word: 'one' }]);
    await lab.waitReplicated();
    await until('a read runs on the replica', async () => {
      const served = await proxy.servedBy(() => connection.execute('SELECT word FROM t'));
      return served.count({ server: 'db2', role: 'replica' }) > 0;
    });

    await lab.kill('db1');
    await lab.promote('db2');
    await connection.query("INSERT INTO t VALUES (2, 'two')");
    expect(await valueOf(connection, 'SELECT COUNT(*) FROM t')).toBe(2);
    expect(proxy.app.snapshot().primary?.id).toBe('db2');
  });
});
