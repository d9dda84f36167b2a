import { beforeAll, describe, expect, it } from 'vitest';
import { FLAVORS } from '../support/flavors.ts';
import { direct, rowsOf, useCluster, valueOf } from '../support/proxy.ts';

/** What a session sets on a replica is no reason to write there, nor to lose it. */
describe.skipIf(direct).each(FLAVORS)('on %s, variables set on a replica', (flavor) => {
  const cluster = useCluster({
    lab: { flavor, replicas: 1 },
    config: { pool: { maxPerServer: 2, keepMs: 200, waitMs: 5_000 } },
  });

  beforeAll(async () => {
    await cluster.root('db1', 'CREATE TABLE app.t (id INT PRIMARY KEY AUTO_INCREMENT, n INT)');
    await cluster.root('db1', 'INSERT INTO app.t VALUES (1, 10)');
    await cluster.lab.waitReplicated();
  });

  /** A session whose last statement, on a replica, has left a warning, which it has looked at. */
  async function pinned() {
    const session = await cluster.connect();
    await rowsOf(session, "SELECT CAST('12x' AS SIGNED) FROM t");
    await session.query(
      'GET DIAGNOSTICS CONDITION 1 @code = MYSQL_ERRNO, @`the text` = MESSAGE_TEXT, @state = RETURNED_SQLSTATE',
    );
    const served = await cluster.proxy.servedBy(() => valueOf(session, 'SELECT @code'));
    expect(served.count({ role: 'replica' })).toBe(1);
    return session;
  }

  it.each([
    'UPDATE t SET n = n + 1',
    'BEGIN',
    'SET @other = 1',
    'INSERT INTO t (n) VALUES (@code)',
  ])('%s runs on the primary, and finds them', async (statement) => {
    const session = await pinned();
    const [wanted] = await rowsOf(
      session,
      'SELECT @code, @`the text`, @state, COLLATION(@state), CHARSET(@`the text`), @nothing',
    );
    expect(wanted).toMatchObject({ '@code': 1292 });
    await session.query(statement);
    await session.query('INSERT INTO t (n) VALUES (77)');
    const served = await cluster.proxy.servedBy(async () => {
      const [found] = await rowsOf(
        session,
        'SELECT @code, @`the text`, @state, COLLATION(@state), CHARSET(@`the text`), @nothing',
      );
      expect(found).toEqual(wanted);
    });
    expect(served.count({ role: 'primary' })).toBe(1);
    await session.end();
  });

  it('nobody else sees them afterwards', async () => {
    const session = await pinned();
    await session.query('UPDATE t SET n = n + 1');
    await session.end();
    for (const target of ['primary', 'replica', 'primary', 'replica']) {
      const other = await cluster.connect();
      const sql = `/* lagwise: target=${target} */ SELECT @code FROM t LIMIT 1`;
      expect(await valueOf(other, sql)).toBeNull();
    }
  });
});
