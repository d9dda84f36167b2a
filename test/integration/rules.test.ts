import type { Connection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { digestName } from '../../src/routing/digest-id.ts';
import { CHARSET_KIND } from '../../src/sql/charset-kind.ts';
import { Classifier } from '../../src/sql/classify.ts';
import { FLAVORS } from '../support/flavors.ts';
import {
  direct,
  errorOf,
  rowsOf,
  startProxy,
  type TestProxy,
  useCluster,
  valueOf,
} from '../support/proxy.ts';

/** The digest that a rule names. */
function digestOf(sql: string, flavor: 'mysql' | 'mariadb'): string {
  const found = new Classifier().classify(Buffer.from(sql), 0, Buffer.byteLength(sql), {
    flavor,
    serverVersion: flavor === 'mysql' ? 90_704 : 101_119,
    ansiQuotes: false,
    noBackslashEscapes: false,
    ignoreSpace: false,
    charsetKind: CHARSET_KIND.UTF8,
    routines: null,
  });
  return digestName(found.digestHi, found.digestLo);
}

const NAMED = 'SELECT n, id FROM t WHERE n > 5';
const RULES = (flavor: 'mysql' | 'mariadb') => [
  { name: 'named', match: { digest: digestOf(NAMED, flavor) }, target: 'primary' },
  { name: 'audit', match: { tablePrefix: ['audit_', 'other.t'] }, consistency: 'strong' },
  { name: 'tagged', match: { tag: 'checkout', user: 'app' }, target: 'primary' },
  { name: 'elsewhere', match: { clientAddr: '10.0.0.0/8' }, target: 'primary' },
  { name: 'schema', match: { schema: 'other' }, target: 'primary' },
];

/** Where a statement ran is taken from the servers' general logs, as in routing.test.ts. */
describe.skipIf(direct).each(FLAVORS)('on %s', (flavor) => {
  const cluster = useCluster({
    lab: { flavor, replicas: 1 },
    config: { rules: RULES(flavor) },
    generalLog: true,
  });
  let markers = 0;

  async function placeOf(run: (marker: string) => Promise<unknown>): Promise<string> {
    markers += 1;
    const marker = `rule_${markers}_x`;
    await run(marker);
    const { db1 = 0, db2 = 0 } = await cluster.ranOn(marker);
    return ['primary '.repeat(db1), 'replica '.repeat(db2)].join('').trimEnd();
  }
  const placeOfText = (connection: Connection, sql: string) =>
    placeOf((marker) => connection.query(`${sql} /* ${marker} */`));

  beforeAll(async () => {
    for (const statement of [
      'CREATE TABLE app.t (id INT PRIMARY KEY, n INT NOT NULL)',
      'INSERT INTO app.t VALUES (1, 10), (2, 20)',
      'CREATE TABLE app.audit_log (id INT AUTO_INCREMENT PRIMARY KEY, n INT)',
      'CREATE DATABASE other',
      'CREATE TABLE other.t (id INT)',
    ]) {
      await cluster.root('db1', statement);
    }
    await cluster.lab.waitReplicated();
  });

  it.each([
    ['SELECT n FROM t', 'replica'],
    ['/* lagwise: target=primary */ SELECT n FROM t', 'primary'],
    ['/* lagwise: consistency=strong */ SELECT n FROM t', 'primary'],
    ['/* lagwise: target=nowhere, colour=red */ SELECT n FROM t', 'replica'],
    ['/* lagwise: target=replica */ UPDATE t SET n = n', 'primary'],
    ['/* lagwise: target=replica */ SELECT n FROM t FOR UPDATE', 'primary'],
    ['SELECT * FROM audit_log', 'primary'],
    ['SELECT * FROM t JOIN audit_log USING (id)', 'primary'],
    ['/* lagwise: consistency=eventual */ SELECT * FROM audit_log', 'replica'],
    ['SELECT * FROM other.t', 'primary'],
    [NAMED.replace('5', '77'), 'primary'],
    ['/* lagwise: target=replica */ SELECT n, id FROM t WHERE n > 1', 'replica'],
    ['SELECT @@port', 'primary'],
    ['/* lagwise: target=replica */ SELECT @@port', 'replica'],
    ["/* lagwise: target=replica */ SHOW VARIABLES LIKE 'port'", 'replica'],
    ['/* lagwise: target=replica */ SET @x = (SELECT @@port)', 'primary'],
    ['/* lagwise: tag=checkout */ SELECT n FROM t', 'primary'],
    ['/* lagwise: tag=other */ SELECT n FROM t', 'replica'],
  ])('%s runs on the %s', async (sql, place) => {
    expect(await placeOfText(await cluster.connect(), sql)).toBe(place);
  });

  it('a comment in a prepared statement counts at each execution', async () => {
    const connection = await cluster.connect();
    const run = (marker: string) =>
      connection.execute(
        `/* lagwise: target=primary */ SELECT n AS ${marker} FROM t WHERE id = ?`,
        [1],
      );
    expect(await placeOf(run)).toBe('primary');
  });

  it('query attributes count, whatever others stand by them', async ({ skip }) => {
    if (flavor === 'mariadb') skip('MariaDB has no query attributes');
    const connection = await cluster.connect();
    const attributes = { traceparent: '00-1', 'lagwise.target': 'primary', n: 5 };
    const run = (marker: string) =>
      connection.query({ sql: `SELECT n FROM t /* ${marker} */`, attributes });
    expect(await placeOf(run)).toBe('primary');
  });

  it('the current schema counts, and changes', async () => {
    const connection = await cluster.connect();
    expect(await placeOfText(connection, 'SELECT n FROM app.t')).toBe('replica');
    await connection.query('USE other');
    expect(await placeOfText(connection, 'SELECT n FROM app.t')).toBe('primary');
    await connection.query('USE app');
    expect(await placeOfText(connection, 'SELECT n FROM app.t')).toBe('replica');
  });

  it('settings hold for their session until it is reset, and never pin it', async () => {
    const connection = await cluster.connect();
    await connection.query("SET @lagwise_target = 'primary', @lagwise_tag = 'a b'");
    expect(await rowsOf(connection, 'SELECT @lagwise_target, @lagwise_tag AS tag')).toEqual([
      { '@lagwise_target': 'primary', tag: 'a b' },
    ]);
    expect(await placeOfText(connection, 'SELECT n FROM t')).toBe('primary');
    expect(await placeOfText(await cluster.connect(), 'SELECT n FROM t')).toBe('replica');
    expect(await valueOf(await cluster.connect(), 'SELECT @lagwise_target')).toBe(null);
    await connection.query('SET @lagwise_target = NULL');
    expect(await placeOfText(connection, 'SELECT n FROM t')).toBe('replica');
    await connection.query("SET @lagwise_consistency = 'strong'");
    expect(await placeOfText(connection, 'SELECT n FROM t')).toBe('primary');
    await connection.changeUser({
      user: cluster.login.user,
      password: cluster.login.password,
      database: 'app',
    });
    expect(await valueOf(connection, 'SELECT @lagwise_consistency')).toBe(null);
    expect(await placeOfText(connection, 'SELECT n FROM t')).toBe('replica');
  });

  it('a setting that is none is an error, and nothing of it is taken', async () => {
    const connection = await cluster.connect();
    const wrong = "SET @lagwise_tag = 'a', @lagwise_consistency = 'total'";
    expect(await errorOf(connection.query(wrong))).toMatchObject({
      errno: 1231,
      message: expect.stringContaining('lagwise: Cannot set @lagwise_consistency'),
    });
    expect(await valueOf(connection, 'SELECT @lagwise_tag')).toBe(null);
  });

  it('what is not understood is counted', async () => {
    const sample = 'lagwise_policy_problems_total{kind="hint"}';
    const before = await cluster.proxy.metric(sample);
    await (await cluster.connect()).query('/* lagwise: targte=primary */ SELECT 1');
    expect(await cluster.proxy.metric(sample)).toBe(before + 1);
  });

  describe('a write that a rule takes for a read', () => {
    const sql = (value: number) => `SELECT app.noisy(${value})`;
    let proxy: TestProxy;
    beforeAll(async () => {
      for (const statement of [
        'CREATE FUNCTION app.noisy(v INT) RETURNS INT MODIFIES SQL DATA BEGIN INSERT INTO app.audit_log (n) VALUES (v); RETURN v; END',
        // An account that sees no routines: what is known of a function needs no rule.
        "CREATE USER blind@'%' IDENTIFIED BY 'blind'",
        flavor === 'mysql'
          ? "GRANT REPLICATION CLIENT, PROCESS ON *.* TO blind@'%'"
          : "GRANT REPLICA MONITOR, BINLOG MONITOR, PROCESS ON *.* TO blind@'%'",
        ...(flavor === 'mysql' ? ["GRANT SELECT ON performance_schema.* TO blind@'%'"] : []),
      ]) {
        await cluster.root('db1', statement);
      }
      await cluster.lab.waitReplicated();
      proxy = await startProxy(cluster.lab, {
        monitor: { user: 'blind', password: 'blind' },
        rules: [{ match: { digest: digestOf(sql(1), flavor) }, assumeRead: true }],
      });
      await proxy.untilServing(['db2']);
    });
    afterAll(() => proxy.app.stop());

    it('is refused by the replica, run once on the primary, and learned', async () => {
      // Each time another session: an unknown function ties its own to the primary.
      const connect = () => cluster.connect({ port: proxy.app.port });
      const aliased = await connect();
      // The alias makes it another statement, which no rule vouches for.
      expect(await placeOfText(aliased, `${sql(41)} AS v`)).toBe('primary');

      const misroutes = () => proxy.metric('lagwise_misroutes_total{server="db2"}');
      const connection = await connect();
      const first = (marker: string) => rowsOf(connection, `${sql(42)} /* ${marker} */`);
      expect(await placeOf(first)).toBe('primary replica');
      expect(await misroutes()).toBe(1);
      expect(
        await cluster.root('db1', 'SELECT COUNT(*) AS n FROM app.audit_log WHERE n = 42'),
      ).toEqual([{ n: 1 }]);

      expect(await placeOfText(await connect(), sql(43))).toBe('primary');
      expect(await valueOf(await connect(), sql(44))).toBe(44);
      expect(await misroutes()).toBe(1);
    });
  });
});
