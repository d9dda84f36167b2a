import { Readable } from 'node:stream';
import type { Connection, ConnectionOptions } from 'mysql2/promise';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Flavor } from '../../src/topology/snapshot.ts';
import { FLAVORS } from '../support/flavors.ts';
import {
  climb,
  type HeldReplica,
  holdReplica,
  type Protocol,
  PROTOCOLS,
  readValue,
  stopApplier,
  untilKnown,
  untilOut,
} from '../support/ladder.ts';
import { direct, errorOf, useCluster } from '../support/proxy.ts';
import { until } from '../support/until.ts';

const SUM = 'SELECT SUM(n) FROM t';
/** Long enough for a slow machine: a read that waits is always let go by the test. */
const WAIT_MS = 30_000;

/** A way to write. It adds what it returns to the sum over the table. */
interface Write {
  readonly name: string;
  readonly run: (connection: Connection) => Promise<number>;
  readonly client?: ConnectionOptions;
  readonly only?: Flavor;
  /** Where a read behind it runs: on a replica, or also on the primary, to which it may be tied. */
  readonly reads?: 'anywhere';
}

const plus = (added: number, ...statements: readonly string[]) => {
  return async (connection: Connection) => {
    for (const sql of statements) await connection.query(sql);
    return added;
  };
};
const ADD = 'UPDATE t SET n = n + 1 WHERE id = 1';

const WRITES: readonly Write[] = [
  { name: 'a statement', run: plus(1, ADD) },
  {
    name: 'a prepared statement',
    run: async (connection) => {
      await connection.execute('UPDATE t SET n = n + ? WHERE id = 1', [3]);
      return 3;
    },
  },
  { name: 'a transaction', run: plus(2, 'BEGIN', ADD, ADD, 'COMMIT') },
  {
    name: 'a transaction under autocommit=0',
    run: plus(1, 'SET autocommit=0', ADD, 'COMMIT'),
    reads: 'anywhere',
  },
  {
    name: 'a transaction that SET autocommit=1 commits',
    run: plus(1, 'SET autocommit=0', ADD, 'SET autocommit=1'),
  },
  {
    name: 'a transaction that DDL commits',
    run: plus(1, 'BEGIN', ADD, 'CREATE TABLE IF NOT EXISTS more (id INT)'),
  },
  { name: 'a transaction that BEGIN commits', run: plus(1, 'BEGIN', ADD, 'BEGIN', 'ROLLBACK') },
  {
    name: 'an XA transaction',
    run: plus(1, "XA START 'x'", ADD, "XA END 'x'", "XA PREPARE 'x'", "XA COMMIT 'x'"),
  },
  {
    name: 'DDL',
    run: plus(4, 'ALTER TABLE t ADD COLUMN extra INT', 'INSERT INTO t (n, extra) VALUES (4, 4)'),
  },
  { name: 'a CALL with several commits', run: plus(2, 'CALL add_twice()'), reads: 'anywhere' },
  {
    name: 'a CALL that commits and then fails',
    run: async (connection) => {
      expect((await errorOf(connection.query('CALL add_and_fail()'))).message).toContain('no more');
      return 1;
    },
    reads: 'anywhere',
  },
  {
    name: 'a SELECT of a function that writes',
    run: plus(1, 'SELECT add_one()'),
    reads: 'anywhere',
  },
  {
    name: 'several statements in one packet',
    run: plus(2, `${ADD}; SELECT 1; ${ADD}; SELECT 2`),
    client: { multipleStatements: true },
  },
  {
    name: 'INSERT … RETURNING',
    run: plus(5, 'INSERT INTO t (n) VALUES (5) RETURNING id'),
    only: 'mariadb',
  },
  {
    name: 'LOAD DATA LOCAL',
    run: async (connection) => {
      await connection.query({
        sql: "LOAD DATA LOCAL INFILE 'rows' INTO TABLE t (n)",
        infileStreamFactory: () => Readable.from([Buffer.from('6\n7\n')]),
      });
      return 13;
    },
  },
  {
    name: 'a client without session tracking',
    run: plus(1, ADD),
    client: { flags: ['-SESSION_TRACK'] },
  },
  {
    name: 'a client that switches the tracking of GTIDs off',
    run: plus(1, 'SET SESSION session_track_gtids = OFF', ADD),
    only: 'mysql',
    reads: 'anywhere',
  },
  {
    name: 'a client that switches the tracking of variables off',
    run: plus(1, "SET SESSION session_track_system_variables = ''", ADD),
    reads: 'anywhere',
  },
  {
    name: 'a statement behind which the connection is reset',
    run: async (connection) => {
      await connection.query(ADD);
      await connection.reset();
      return 1;
    },
  },
  {
    name: 'a statement behind which the user is changed',
    run: async (connection) => {
      await connection.query(ADD);
      await connection.changeUser({ user: 'app', password: 'app', database: 'app' });
      return 1;
    },
  },
];

const SETUP = [
  'CREATE TABLE app.t (id INT AUTO_INCREMENT PRIMARY KEY, n INT NOT NULL)',
  'INSERT INTO app.t (n) VALUES (1)',
  `CREATE PROCEDURE app.add_twice() MODIFIES SQL DATA
   BEGIN UPDATE app.t SET n = n + 1 WHERE id = 1; UPDATE app.t SET n = n + 1 WHERE id = 1; END`,
  `CREATE PROCEDURE app.add_and_fail() MODIFIES SQL DATA
   BEGIN
     UPDATE app.t SET n = n + 1 WHERE id = 1;
     SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no more';
   END`,
  `CREATE FUNCTION app.add_one() RETURNS INT MODIFIES SQL DATA
   BEGIN UPDATE app.t SET n = n + 1 WHERE id = 1; RETURN 1; END`,
];

describe.skipIf(direct).each(FLAVORS)('on %s a session reads its own writes', (flavor) => {
  const cluster = useCluster({
    lab: { flavor, replicas: 1 },
    config: {
      routing: { waitMs: WAIT_MS, maxLagMs: 60_000 },
      pool: { maxPerServer: 3, minIdle: 1 },
    },
  });
  let held: HeldReplica | null = null;
  let restart: (() => Promise<void>) | null = null;

  beforeAll(async () => {
    for (const sql of SETUP) await cluster.root('db1', sql);
    await cluster.lab.waitReplicated();
  });
  beforeEach(async () => {
    await cluster.proxy.untilServing(['db2']);
  });
  afterEach(async () => {
    await held?.release();
    await restart?.();
    held = null;
    restart = null;
    await cluster.root('db1', 'DELETE FROM app.t WHERE id > 1');
    const columns = await cluster.root('db1', "SHOW COLUMNS FROM app.t LIKE 'extra'");
    if (columns.length > 0) await cluster.root('db1', 'ALTER TABLE app.t DROP COLUMN extra');
    await untilKnown(cluster.lab, cluster.proxy);
  });

  const sumOnPrimary = async () => {
    const [row] = await cluster.root('db1', 'SELECT SUM(n) AS n FROM app.t');
    return Number(row?.['n']);
  };
  /** What a read shows that begins while the replica is held, and whether it waited there. */
  async function readWhileHeld(connection: Connection, protocol: Protocol) {
    let hasEnded = false;
    const reading = readValue(connection, protocol, SUM).finally(() => {
      hasEnded = true;
    });
    const waited = await until('the read waits or ends', async () =>
      (await held?.isAwaited()) === true ? 'waited' : hasEnded && 'ended',
    );
    await held?.release();
    return { shown: Number(await reading), waited: waited === 'waited' };
  }
  const writes = WRITES.filter(({ only }) => only === undefined || only === flavor);
  const cases = writes.flatMap((write) => PROTOCOLS.map((protocol) => ({ ...write, protocol })));

  it.each(cases)(
    'behind $name a $protocol read shows it though the replica has it not yet',
    async ({ run, client, protocol, reads }) => {
      const connection = await cluster.connect(client);
      // Preparing is a command of its own, which waits as well.
      if (protocol === 'binary') await connection.prepare(SUM);
      const before = await sumOnPrimary();
      held = await holdReplica(cluster.lab, 'db2');
      const added = await run(connection);
      const { value, rungs } = await climb(cluster.proxy, 'session', () =>
        readWhileHeld(connection, protocol),
      );
      expect(value.shown).toBe(before + added);
      if (reads === 'anywhere') return;
      expect(value.waited).toBe(true);
      expect(rungs.primary).toBe(0);
    },
  );

  it.each(PROTOCOLS)('a %s read that waited is counted as one', async (protocol) => {
    const connection = await cluster.connect();
    if (protocol === 'binary') await connection.prepare(SUM);
    held = await holdReplica(cluster.lab, 'db2');
    await connection.query(ADD);
    const { rungs } = await climb(cluster.proxy, 'session', () =>
      readWhileHeld(connection, protocol),
    );
    expect(rungs).toEqual({ known: 0, waited: 1, primary: 0 });
    // What was waited for once is known.
    const again = await climb(cluster.proxy, 'session', () => readValue(connection, protocol, SUM));
    expect(again.rungs).toEqual({ known: 1, waited: 0, primary: 0 });
  });

  it.each(PROTOCOLS)('a %s read goes to the primary while no replica applies', async (protocol) => {
    const connection = await cluster.connect();
    if (protocol === 'binary') await connection.prepare(SUM);
    restart = await stopApplier(cluster.lab, 'db2');
    await untilOut(cluster.proxy, 'db2');
    const { value, rungs } = await climb(cluster.proxy, 'session', async () => {
      await connection.query(ADD);
      return Number(await readValue(connection, protocol, SUM));
    });
    expect(value).toBe(await sumOnPrimary());
    expect(rungs).toEqual({ known: 0, waited: 0, primary: 1 });
  });

  it.each(PROTOCOLS)(
    'a %s read waits for nothing on a replica known to have it',
    async (protocol) => {
      const connection = await cluster.connect();
      if (protocol === 'binary') await connection.prepare(SUM);
      await connection.query(ADD);
      await untilKnown(cluster.lab, cluster.proxy);
      const { value, rungs } = await climb(cluster.proxy, 'session', async () =>
        Number(await readValue(connection, protocol, SUM)),
      );
      expect(value).toBe(await sumOnPrimary());
      expect(rungs).toEqual({ known: 1, waited: 0, primary: 0 });
    },
  );

  it('the writes of others are not waited for', async () => {
    const [writer, reader] = [await cluster.connect(), await cluster.connect()];
    const before = await sumOnPrimary();
    held = await holdReplica(cluster.lab, 'db2');
    await writer.query(ADD);
    const { value, rungs } = await climb(cluster.proxy, 'session', async () =>
      Number(await readValue(reader, 'text', SUM)),
    );
    expect(value).toBe(before);
    expect(rungs).toEqual({ known: 1, waited: 0, primary: 0 });
  });
});
