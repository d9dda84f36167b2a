import type { Connection } from 'mysql2/promise';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import {
  failsWith,
  NEIGHBOUR_TABLES,
  Neighbours,
  type Probe,
  seesNot,
} from '../support/crowd-neighbours.ts';
import { FLAVORS } from '../support/flavors.ts';
import { errorOf, rowsOf, useCluster, valueOf } from '../support/proxy.ts';
import { until } from '../support/until.ts';

/** Connections that the pool may have to a server. */
const MAX_PER_SERVER = 3;

/** Pins of more than one part, and transactions: what is left counts, not what went. */
describe.each(FLAVORS)('on %s, three connections for many', (flavor) => {
  const cluster = useCluster({
    lab: { flavor, replicas: 1 },
    config: { pool: { maxPerServer: MAX_PER_SERVER, keepMs: 200, waitMs: 5_000 } },
  });

  beforeAll(async () => {
    for (const statement of [
      ...NEIGHBOUR_TABLES,
      'CREATE TABLE app.t (id INT PRIMARY KEY, n INT NOT NULL)',
      'INSERT INTO app.t VALUES (1, 10), (2, 20), (3, 30)',
      'CREATE PROCEDURE app.makes_temporary() CREATE TEMPORARY TABLE by_procedure SELECT 5 AS n',
    ]) {
      await cluster.root('db1', statement);
    }
    await cluster.lab.waitReplicated();
  });

  function withNeighbours(...probes: Probe[]): Neighbours {
    const neighbours = Neighbours.start(cluster.login, probes);
    onTestFinished(async () => {
      expect(await neighbours.stop()).toEqual([]);
    });
    return neighbours;
  }

  /** More sessions than connections do `work`, one after the other, and stay. */
  async function eachOfMany(work: (connection: Connection) => Promise<void>): Promise<void> {
    for (let number = 0; number < MAX_PER_SERVER + 2; number += 1) {
      await work(await cluster.connect());
    }
  }

  it('of two temporary tables the one that is left stays with its session', async () => {
    const neighbours = withNeighbours(
      failsWith('SELECT * FROM first_temp', 1146),
      failsWith('DELETE FROM second_temp', 1146),
    );
    await eachOfMany(async (subject) => {
      await subject.query('CREATE TEMPORARY TABLE first_temp (id INT)');
      await subject.query('CREATE TEMPORARY TABLE second_temp SELECT 5 AS id');
      await subject.query('DROP TEMPORARY TABLE first_temp');
      await neighbours.progress();
      expect(await valueOf(subject, 'SELECT id FROM second_temp')).toBe(5);
      expect((await errorOf(subject.query('SELECT * FROM first_temp'))).errno).toBe(1146);
      await subject.query('DROP TABLE second_temp');
      await neighbours.progress();
      expect((await errorOf(subject.query('SELECT * FROM second_temp'))).errno).toBe(1146);
    });
  });

  it('a temporary table that was renamed or could not be made again is still there', async () => {
    const neighbours = withNeighbours(failsWith('SELECT * FROM renamed', 1146));
    await eachOfMany(async (subject) => {
      await subject.query('CREATE TEMPORARY TABLE before_it SELECT 6 AS n');
      await subject.query('ALTER TABLE before_it RENAME TO renamed');
      await errorOf(subject.query('CREATE TEMPORARY TABLE renamed (id INT)'));
      await neighbours.progress();
      expect(await valueOf(subject, 'SELECT n FROM renamed')).toBe(6);
      // Its old name is not needed any more, and what it is called now may not be known.
      await subject.query('DROP TEMPORARY TABLE IF EXISTS nothing, renamed');
      await subject.reset();
    });
  });

  it('a temporary table that a procedure makes stays with its session', async () => {
    const neighbours = withNeighbours(failsWith('SELECT * FROM by_procedure', 1146));
    await eachOfMany(async (subject) => {
      await subject.query('CALL makes_temporary()');
      await neighbours.progress();
      expect(await valueOf(subject, 'SELECT n FROM by_procedure')).toBe(5);
      await subject.query('DROP TEMPORARY TABLE by_procedure');
      await subject.reset();
    });
  });

  it('of several locks those that are not released stay held', async () => {
    const neighbours = withNeighbours(
      seesNot("SELECT RELEASE_LOCK('one')", '1'),
      seesNot("SELECT RELEASE_LOCK('two')", '1'),
    );
    await eachOfMany(async (subject) => {
      const other = await cluster.connect();
      expect(await valueOf(subject, "SELECT GET_LOCK('one', 5)")).toBe(1);
      expect(await valueOf(subject, "SELECT GET_LOCK('two', 5)")).toBe(1);
      expect(await valueOf(subject, "SELECT GET_LOCK('two', 5)")).toBe(1);
      expect(await valueOf(subject, "SELECT RELEASE_LOCK('one')")).toBe(1);
      await neighbours.progress();
      expect(await valueOf(subject, "SELECT RELEASE_LOCK('two')")).toBe(1);
      // It was taken twice.
      expect(await valueOf(other, "SELECT GET_LOCK('two', 0)")).toBe(0);
      expect(await valueOf(other, "SELECT IS_FREE_LOCK('one')")).toBe(1);
      await neighbours.progress();
      expect(await valueOf(subject, "SELECT RELEASE_LOCK('two')")).toBe(1);
      expect(await valueOf(other, "SELECT IS_FREE_LOCK('two')")).toBe(1);
      // It has asked for a lock: that it did not get it is known to the server only.
      other.destroy();
    });
  });

  it('RELEASE_ALL_LOCKS gives all of them away', async () => {
    const neighbours = withNeighbours(seesNot("SELECT RELEASE_LOCK('all_of_them')", '1'));
    await eachOfMany(async (subject) => {
      await valueOf(subject, "SELECT GET_LOCK('all_of_them', 5), GET_LOCK('and_more', 5)");
      await neighbours.progress();
      expect(await valueOf(subject, 'SELECT RELEASE_ALL_LOCKS()')).toBe(2);
    });
  });

  it('of two statements prepared by text the one that is left can be executed', async () => {
    const neighbours = withNeighbours(failsWith('EXECUTE two', 1243));
    await eachOfMany(async (subject) => {
      await subject.query("PREPARE one FROM 'SELECT 1'");
      await subject.query("PREPARE two FROM 'SELECT 2'");
      await subject.query('DROP PREPARE one');
      await neighbours.progress();
      expect(await valueOf(subject, 'EXECUTE two')).toBe(2);
      expect((await errorOf(subject.query('EXECUTE one'))).errno).toBe(1243);
      await subject.query('DEALLOCATE PREPARE two');
    });
  });

  it('what several statements in one packet take stays with their session, failed or not', async () => {
    const neighbours = withNeighbours(
      failsWith('SELECT * FROM packed', 1146),
      failsWith('EXECUTE packed', 1243),
    );
    for (let number = 0; number < MAX_PER_SERVER; number += 1) {
      const subject = await cluster.connect({ multipleStatements: true });
      await subject.query('SELECT 1; CREATE TEMPORARY TABLE packed SELECT 7 AS n');
      await neighbours.progress();
      expect(await valueOf(subject, 'SELECT n FROM packed')).toBe(7);
      await subject.query('SELECT 1; DROP TEMPORARY TABLE packed');
      await errorOf(subject.query("PREPARE packed FROM 'SELECT 8'; SELECT * FROM packed"));
      await neighbours.progress();
      expect(await valueOf(subject, 'EXECUTE packed')).toBe(8);
      // What EXECUTE has run is not known here.
      await subject.reset();
      await neighbours.progress();
    }
  });

  it('a lock that a statement prepared by text takes is held by its session alone', async () => {
    const neighbours = withNeighbours(seesNot("SELECT RELEASE_LOCK('by_text')", '1'));
    const subject = await cluster.connect();
    await subject.query("PREPARE lock_it FROM 'SELECT GET_LOCK(\\'by_text\\', 5)'");
    expect(await valueOf(subject, 'EXECUTE lock_it')).toBe(1);
    await subject.query('DEALLOCATE PREPARE lock_it');
    await neighbours.progress();
    expect(await valueOf(subject, "SELECT RELEASE_LOCK('by_text')")).toBe(1);
  });

  it('FLUSH TABLES WITH READ LOCK lasts until UNLOCK TABLES, whoever waits', async () => {
    const holder = await cluster.connect();
    const writer = await cluster.connect();
    await holder.query('FLUSH TABLES WITH READ LOCK');
    const write = writer.query('UPDATE t SET n = n + 1 WHERE id = 3');
    expect(await valueOf(holder, 'SELECT n FROM t WHERE id = 3')).toBe(30);
    expect((await errorOf(holder.query('UPDATE t SET n = 0 WHERE id = 3'))).errno).toBe(1223);
    await holder.query('UNLOCK TABLES');
    await write;
    expect(await valueOf(writer, 'SELECT n FROM t WHERE id = 3')).toBe(31);
    await writer.query('UPDATE t SET n = 30 WHERE id = 3');
  });

  it('an XA transaction stays together from START to COMMIT', async () => {
    const neighbours = withNeighbours();
    await eachOfMany(async (subject) => {
      await subject.query("XA START 'parts'");
      await neighbours.progress();
      await subject.query('UPDATE t SET n = n + 1 WHERE id = 1');
      await neighbours.progress();
      expect(await valueOf(subject, 'SELECT n FROM t WHERE id = 1')).toBe(11);
      await subject.query("XA END 'parts'");
      await neighbours.progress();
      await subject.query("XA PREPARE 'parts'");
      await neighbours.progress();
      await subject.query("XA COMMIT 'parts'");
      expect(await valueOf(subject, 'SELECT n FROM t WHERE id = 1')).toBe(11);
      await subject.query('UPDATE t SET n = 10 WHERE id = 1');
    });
  });

  it.each(['leaves', 'resets its connection'])(
    'an XA transaction that was prepared is committed by another session when its own %s',
    async (how) => {
      const neighbours = withNeighbours();
      const [own, other] = [await cluster.connect(), await cluster.connect()];
      await own.query("XA START 'orphan'");
      await own.query('UPDATE t SET n = n + 1 WHERE id = 2');
      await own.query("XA END 'orphan'");
      await own.query("XA PREPARE 'orphan'");
      if (how === 'leaves') await own.end();
      else await own.reset();
      await until('another session may end it', async () => {
        const ended = await other.query("XA COMMIT 'orphan'").then(
          () => null,
          (error: { errno?: number }) => error.errno,
        );
        // XAER_NOTA: its own session has it still.
        if (ended !== null && ended !== 1397) throw new Error(`Error ${ended}`);
        return ended === null;
      });
      await neighbours.progress();
      // Written, and nobody locks it any more.
      expect(await valueOf(other, 'SELECT n FROM t WHERE id = 2 FOR UPDATE NOWAIT')).toBe(21);
      await other.query('UPDATE t SET n = 20 WHERE id = 2');
    },
  );

  it('a transaction with savepoints stays together', async () => {
    const neighbours = withNeighbours();
    await eachOfMany(async (subject) => {
      await subject.query('START TRANSACTION');
      await subject.query('UPDATE t SET n = 21 WHERE id = 2');
      await subject.query('SAVEPOINT here');
      await neighbours.progress();
      await subject.query('UPDATE t SET n = 22 WHERE id = 2');
      await subject.query('ROLLBACK TO SAVEPOINT here');
      await neighbours.progress();
      expect(await valueOf(subject, 'SELECT n FROM t WHERE id = 2')).toBe(21);
      await subject.query('ROLLBACK');
      expect(await valueOf(subject, 'SELECT n FROM t WHERE id = 2')).toBe(20);
    });
  });

  it('with autocommit off a session has one transaction after the other', async () => {
    const neighbours = withNeighbours();
    await eachOfMany(async (subject) => {
      await subject.query('SET autocommit = 0');
      await neighbours.progress();
      expect(await valueOf(subject, 'SELECT n FROM t WHERE id = 2')).toBe(20);
      await subject.query('UPDATE t SET n = 23 WHERE id = 2');
      await neighbours.progress();
      expect(await valueOf(subject, 'SELECT n FROM t WHERE id = 2')).toBe(23);
      await subject.query('ROLLBACK');
      await neighbours.progress();
      expect(await valueOf(subject, 'SELECT n FROM t WHERE id = 2')).toBe(20);
      expect(await valueOf(subject, 'SELECT @@autocommit')).toBe(0);
      await subject.query('COMMIT');
    });
  });

  it('SET TRANSACTION is for the next transaction of its own session', async () => {
    const neighbours = withNeighbours();
    const writer = await cluster.connect();
    await eachOfMany(async (subject) => {
      await subject.query('SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED');
      await neighbours.progress();
      await writer.query('BEGIN');
      await writer.query('UPDATE t SET n = 99 WHERE id = 1');
      await subject.query('BEGIN');
      // What is not committed shows that the level is in force.
      expect(await valueOf(subject, 'SELECT n FROM t WHERE id = 1')).toBe(99);
      await subject.query('COMMIT');
      await subject.query('BEGIN');
      expect(await valueOf(subject, 'SELECT n FROM t WHERE id = 1')).toBe(10);
      await subject.query('COMMIT');
      await writer.query('ROLLBACK');
    });
  });

  it('SET TRANSACTION READ ONLY forbids writes in the next transaction only', async () => {
    const neighbours = withNeighbours();
    await eachOfMany(async (subject) => {
      await subject.query('SET TRANSACTION READ ONLY');
      await neighbours.progress();
      await subject.query('START TRANSACTION');
      const write = subject.query('UPDATE t SET n = n WHERE id = 1');
      expect((await errorOf(write)).errno).toBe(1792);
      await subject.query('COMMIT');
      await subject.query('UPDATE t SET n = n WHERE id = 1');
    });
  });

  it('a transaction that its client leaves is rolled back before another has its connection', async () => {
    const neighbours = withNeighbours();
    for (let number = 0; number < MAX_PER_SERVER + 2; number += 1) {
      const leaver = await cluster.connect();
      await leaver.query('BEGIN');
      await leaver.query('UPDATE t SET n = 77 WHERE id = 3');
      leaver.destroy();
      await neighbours.progress();
    }
    const after = await cluster.connect();
    await after.query('SET innodb_lock_wait_timeout = 10');
    await after.query('UPDATE t SET n = n WHERE id = 3');
    expect(await rowsOf(after, 'SELECT n FROM t WHERE id = 3')).toEqual([{ n: 30 }]);
  });
});
