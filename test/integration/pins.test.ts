import type { Connection } from 'mysql2/promise';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import {
  failsWith,
  NEIGHBOUR_TABLES,
  Neighbours,
  type Probe,
  sees,
  seesNot,
} from '../support/crowd-neighbours.ts';
import { FLAVORS } from '../support/flavors.ts';
import { useCluster, valueOf } from '../support/proxy.ts';

/** State that lives on one connection of a server and cannot be carried to another. */
interface Pin {
  readonly name: string;
  readonly set: readonly string[];
  /** What the session that has it must see, again and again. */
  readonly use: readonly (readonly [sql: string, value: unknown])[];
  /** Its natural end; null where only the connection's end is one. */
  readonly release: readonly string[] | null;
  /** How others would notice that they got its connection. */
  readonly probes: readonly Probe[];
}

/** Makes a read one that the primary runs, where the state is. */
const HERE = 'FROM plain WHERE id = 1 FOR UPDATE';

const PINS: readonly Pin[] = [
  {
    name: 'a user variable',
    set: ['SET @pinned = 41'],
    use: [
      ['SELECT @pinned + 1', 42],
      ['SELECT n FROM plain WHERE n = @pinned - 21', 20],
    ],
    release: null,
    probes: [sees('SELECT @pinned', null), sees(`SELECT @pinned ${HERE}`, null)],
  },
  {
    name: 'a user variable of SELECT … INTO',
    set: ['SELECT n INTO @into FROM plain WHERE id = 2'],
    use: [['SELECT @into', 20]],
    release: null,
    probes: [sees('SELECT @into', null), sees(`SELECT @into ${HERE}`, null)],
  },
  {
    name: 'a user variable that a SELECT assigns',
    set: ['SELECT @assigned := n FROM plain WHERE id = 3'],
    use: [['SELECT @assigned', 30]],
    release: null,
    probes: [sees('SELECT @assigned', null), sees(`SELECT @assigned ${HERE}`, null)],
  },
  {
    name: 'a user variable that a procedure sets',
    set: ['CALL sets_variable()'],
    use: [['SELECT @by_procedure', 9]],
    release: null,
    probes: [sees('SELECT @by_procedure', null), sees(`SELECT @by_procedure ${HERE}`, null)],
  },
  {
    name: 'a temporary table',
    set: ['CREATE TEMPORARY TABLE temp (id INT)', 'INSERT INTO temp VALUES (1), (2)'],
    use: [
      ['SELECT COUNT(*) FROM temp', 2],
      ['SELECT CAST(SUM(n) AS SIGNED) FROM plain JOIN temp USING (id)', 30],
    ],
    release: ['DROP TEMPORARY TABLE temp'],
    probes: [failsWith('SELECT * FROM temp', 1146), failsWith('DELETE FROM temp', 1146)],
  },
  {
    name: 'a temporary table that hides another',
    set: ['CREATE TEMPORARY TABLE plain (id INT PRIMARY KEY, n INT)'],
    use: [['SELECT COUNT(*) FROM plain', 0]],
    release: ['DROP TEMPORARY TABLE plain'],
    probes: [sees('SELECT COUNT(*) FROM plain', '3')],
  },
  {
    name: 'LOCK TABLES',
    set: ['LOCK TABLES lockable READ'],
    use: [['SELECT n FROM lockable', 7]],
    release: ['UNLOCK TABLES'],
    probes: [sees(`SELECT n ${HERE}`, '10')],
  },
  {
    name: 'GET_LOCK',
    // The one before may still be leaving.
    set: ["SELECT GET_LOCK('pinned', 20)"],
    use: [["SELECT IS_FREE_LOCK('pinned')", 0]],
    release: ["SELECT RELEASE_LOCK('pinned')"],
    // 1 is for whoever has the lock, and gives it away.
    probes: [seesNot("SELECT RELEASE_LOCK('pinned')", '1')],
  },
  {
    name: 'PREPARE by text',
    set: ["PREPARE by_text FROM 'SELECT 7 + ?'", 'SET @seven = 7'],
    use: [['EXECUTE by_text USING @seven', 14]],
    release: null,
    probes: [failsWith('EXECUTE by_text', 1243)],
  },
  {
    name: 'PREPARE by text, without variables',
    set: ["PREPARE by_text FROM 'SELECT n FROM plain WHERE id = 2'"],
    use: [['EXECUTE by_text', 20]],
    release: ['DEALLOCATE PREPARE by_text'],
    probes: [failsWith('EXECUTE by_text', 1243)],
  },
  {
    name: 'HANDLER',
    set: ['HANDLER plain OPEN AS handled'],
    use: [
      ['HANDLER handled READ FIRST', 1],
      ['HANDLER handled READ NEXT', 2],
    ],
    release: ['HANDLER handled CLOSE'],
    probes: [failsWith('HANDLER handled READ FIRST', 1109)],
  },
  {
    name: 'a clock that was set',
    set: ['SET timestamp = 1000000'],
    use: [['SELECT UNIX_TIMESTAMP()', 1_000_000]],
    release: null,
    probes: [
      seesNot('SELECT UNIX_TIMESTAMP()', '1000000'),
      seesNot(`SELECT UNIX_TIMESTAMP() ${HERE}`, '1000000'),
    ],
  },
  {
    name: 'a role',
    set: ['SET ROLE pin_role'],
    use: [["SELECT CURRENT_ROLE() LIKE '%pin_role%'", 1]],
    release: null,
    probes: [
      seesNot("SELECT CURRENT_ROLE() LIKE '%pin_role%'", '1'),
      seesNot(`SELECT CURRENT_ROLE() LIKE '%pin_role%' ${HERE}`, '1'),
    ],
  },
  {
    name: 'sql_log_bin off',
    set: ['SET sql_log_bin = 0'],
    use: [
      ['SELECT @@sql_log_bin', 0],
      [`SELECT @@sql_log_bin ${HERE}`, 0],
    ],
    // What turns it on again is not told from what else such a SET may change: a reset ends it.
    release: null,
    probes: [sees('SELECT @@sql_log_bin', '1'), sees(`SELECT @@sql_log_bin ${HERE}`, '1')],
  },
];

const WAYS = ['its natural end', 'COM_RESET_CONNECTION', 'COM_CHANGE_USER', 'leaving'] as const;
type Way = (typeof WAYS)[number];
const CASES = PINS.flatMap((pin) =>
  WAYS.filter((way) => way !== 'its natural end' || pin.release !== null).map((way) => ({
    name: pin.name,
    way,
    pin,
  })),
);

/** Connections that the pool may have to a server: fewer than sessions that are there. */
const MAX_PER_SERVER = 3;
const SUBJECTS = MAX_PER_SERVER + 2;

describe.each(FLAVORS)('on %s, three connections for many', (flavor) => {
  const cluster = useCluster({
    lab: { flavor, replicas: 1 },
    config: { pool: { maxPerServer: MAX_PER_SERVER, keepMs: 200, waitMs: 5_000 } },
  });

  beforeAll(async () => {
    const { user } = cluster.lab.accounts.app;
    for (const statement of [
      ...NEIGHBOUR_TABLES,
      'CREATE TABLE app.lockable (n INT)',
      'INSERT INTO app.lockable VALUES (7)',
      'CREATE PROCEDURE app.sets_variable() SET @by_procedure = 9',
      'CREATE ROLE pin_role',
      `GRANT pin_role TO '${user}'@'%'`,
      ...(flavor === 'mariadb' ? [`GRANT BINLOG ADMIN ON *.* TO '${user}'@'%'`] : []),
    ]) {
      await cluster.root('db1', statement);
    }
    await cluster.lab.waitReplicated();
  });

  async function end(way: Way, pin: Pin, connection: Connection): Promise<void> {
    switch (way) {
      case 'its natural end':
        for (const sql of pin.release ?? []) await connection.query(sql);
        return;
      case 'COM_RESET_CONNECTION':
        await connection.reset();
        return;
      case 'COM_CHANGE_USER':
        await connection.changeUser({ ...cluster.lab.accounts.app, database: 'app' });
        return;
      case 'leaving':
        connection.destroy();
    }
  }

  it.each(CASES)('$name is its session’s alone until $way', async ({ pin, way }) => {
    const neighbours = Neighbours.start(cluster.login, pin.probes);
    onTestFinished(async () => {
      await neighbours.stop();
    });
    // One after the other, and all but the last let go: the pool would be too small for their pins.
    for (let number = 0; number < SUBJECTS; number += 1) {
      const subject = await cluster.connect();
      for (const sql of pin.set) await subject.query(sql);
      for (let round = 0; round < 2; round += 1) {
        await neighbours.progress();
        for (const [sql, value] of pin.use) {
          expect({ sql, value: await valueOf(subject, sql) }).toEqual({ sql, value });
        }
      }
      await end(way, pin, subject);
    }
    await neighbours.progress();
    expect(await neighbours.stop()).toEqual([]);
  });
});
