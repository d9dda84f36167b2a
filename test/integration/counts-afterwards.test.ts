import type { Connection } from 'mysql2/promise';
import { describe, expect, it } from 'vitest';
import { FLAVORS } from '../support/flavors.ts';
import { direct, errorOf, rowsOf, useCluster, valueOf } from '../support/proxy.ts';

const FOUND = 'SELECT FOUND_ROWS()';
const ROWS = 'SELECT ROW_COUNT()';

/** Statements, the last of which asks about those before it. */
const SCRIPTS: readonly (readonly string[])[] = [
  [ROWS],
  ['SELECT @@warning_count'],
  ['SHOW WARNINGS'],
  ['SHOW COUNT(*) ERRORS'],
  ['SELECT n FROM counted', FOUND],
  ['SELECT n FROM counted', 'SELECT found_rows() AS `so many`'],
  ['SELECT n FROM counted WHERE n > 2 ORDER BY n LIMIT 1', FOUND],
  ['SELECT n FROM counted WHERE n = 77', FOUND],
  ['SELECT SQL_CALC_FOUND_ROWS n FROM counted LIMIT 1', FOUND],
  ['SELECT n FROM counted', FOUND, FOUND],
  ['SELECT n FROM counted', ROWS, ROWS],
  ['SELECT n FROM counted', 'UPDATE touched SET n = n + 1', FOUND],
  ['SELECT n FROM counted', 'UPDATE touched SET n = n + 1', ROWS],
  ['SELECT n FROM counted', 'INSERT INTO touched VALUES (9)', FOUND],
  ['SELECT SQL_CALC_FOUND_ROWS n FROM counted LIMIT 1', 'DELETE FROM touched', FOUND],
  ['SELECT n FROM counted', 'BEGIN', FOUND],
  ['SELECT n FROM counted', 'SELECT n FROM nowhere', FOUND],
  ['SELECT n FROM counted', 'SHOW CREATE TABLE counted', FOUND],
  ['SHOW COLUMNS FROM counted', FOUND],
  ['SELECT n FROM counted', 'SHOW WARNINGS', FOUND],
  ['SELECT n FROM counted', 'DO 1', FOUND],
  ['SELECT n FROM counted', 'DO 1', ROWS],
  ['SELECT n FROM counted', 'SET @a = 1', FOUND],
  ['UPDATE touched SET n = n + 1', 'SELECT ROW_COUNT() AS c'],
  ['UPDATE touched SET n = n + 1', 'SELECT n FROM nowhere', ROWS],
  ['SELECT n FROM counted', FOUND, 'SHOW WARNINGS'],
  ['UPDATE touched SET n = n + 1', 'GET DIAGNOSTICS @r = NUMBER', 'SELECT @r'],
  ['SELECT n FROM counted', 'GET DIAGNOSTICS @r = ROW_COUNT', 'SELECT @r'],
  ['GET DIAGNOSTICS @r = ROW_COUNT', 'SELECT @r'],
];
/** A new MariaDB session may show the number of one that had its thread before. */
const MYSQL_SCRIPTS: readonly (readonly string[])[] = [
  [FOUND],
  ['SELECT FOUND_ROWS(), ROW_COUNT()'],
  ['SELECT n FROM counted', 'SELECT FOUND_ROWS() f, ROW_COUNT() AS r'],
  ['SELECT n FROM counted', 'UPDATE touched SET n = n + 1', 'SELECT ROW_COUNT(), FOUND_ROWS()'],
  ['SELECT n FROM counted', 'EXPLAIN SELECT 1', FOUND],
];

/** Every connection has run others' statements between any two of the session's. */
describe.skipIf(direct).each(FLAVORS)('on %s, one connection a server', (flavor) => {
  const cluster = useCluster({
    lab: { flavor, replicas: 1 },
    config: { pool: { maxPerServer: 1, keepMs: 50, waitMs: 5_000 } },
  });

  async function setUp(): Promise<void> {
    for (const statement of [
      'CREATE TABLE IF NOT EXISTS app.counted (n INT PRIMARY KEY)',
      'REPLACE INTO app.counted VALUES (1), (2), (3), (4), (5)',
      'CREATE TABLE IF NOT EXISTS app.touched (n INT)',
      'DELETE FROM app.touched',
      'INSERT INTO app.touched VALUES (1), (2), (3)',
    ]) {
      await cluster.root('db1', statement);
    }
    await cluster.lab.waitReplicated();
  }

  /** Others' statements, one of which leaves a warning, rows and a count. */
  async function disturb(other: Connection): Promise<void> {
    for (const target of ['primary', 'replica']) {
      await rowsOf(other, `/* lagwise: target=${target} */ SELECT n FROM counted WHERE n < 3`);
      await rowsOf(other, `/* lagwise: target=${target} */ SELECT CAST('x' AS SIGNED)`);
    }
    await other.query('INSERT IGNORE INTO counted VALUES (1), (2)');
  }

  /** What the last statement says, with its columns and warnings. */
  async function last(
    connection: Connection,
    script: readonly string[],
    between: () => Promise<void>,
  ): Promise<unknown> {
    let told: unknown = null;
    for (const statement of script) {
      told = await connection.query(statement).then(
        ([rows, fields]) => ({
          rows,
          fields: fields?.map(({ name, columnType, flags }) => [name, columnType, flags]),
        }),
        (error: unknown) => String(error),
      );
      await between();
    }
    return told;
  }

  it.each(flavor === 'mysql' ? [...SCRIPTS, ...MYSQL_SCRIPTS] : SCRIPTS)(
    '%s; %s; %s',
    async (...script) => {
      await setUp();
      const [session, other] = [await cluster.connect(), await cluster.connect()];
      const alone = await cluster.connect({ port: cluster.lab.primary.port });
      await disturb(other);
      // A pinned session waits for nobody, and nobody may have its connection.
      const isPinning = script.some((each) => each.includes('@') && !each.includes('@@'));
      const mayDisturb = !isPinning && !script.includes('BEGIN');
      const proxied = await last(session, script, () =>
        mayDisturb ? disturb(other) : Promise.resolve(),
      );
      expect(proxied).toEqual(await last(alone, script, () => Promise.resolve()));
    },
  );

  it('a number that only the lost connection knew is an error, once', async () => {
    await setUp();
    const [session, other] = [await cluster.connect(), await cluster.connect()];
    await rowsOf(session, 'SELECT n FROM counted LIMIT 1, 1');
    await disturb(other);
    expect(await errorOf(session.query(FOUND))).toMatchObject({
      errno: 1105,
      message: expect.stringContaining('gone to another client') as string,
    });
    // From then on it is asked before the connection goes.
    await rowsOf(session, 'SELECT n FROM counted LIMIT 1, 1');
    await disturb(other);
    expect(await valueOf(session, FOUND)).toBe(2);
  });
});
