import { describe, expect, test } from 'vitest';
import { COM } from '../../../src/wire/command.ts';
import { frame } from '../../../src/wire/writer.ts';
import type { ScriptedClient } from '../../support/scripted-client.ts';
import { type ScriptedCluster, useScriptedCluster } from '../../support/scripted-cluster.ts';
import { err, row, rows } from '../../support/scripted-replies.ts';
import type { ServerSession } from '../../support/scripted-server.ts';
import { until } from '../../support/until.ts';

const READ = 'SELECT v FROM t WHERE id = 1';
const READS = /^SELECT v FROM t/;
/** Within it nothing of these tests is late by chance. */
const AMPLE_MS = 2_000;
const SHORT_MS = 100;
const ALL = {
  consistency: 'eventual',
  stalenessSample: 1,
  stalenessSamplesPerSecond: 1000,
  stalenessSampleTimeoutMs: AMPLE_MS,
};

const answer = (value: string) => (session: ServerSession) => row(session, value);

/** Samples so far that came out so. */
async function count(cluster: ScriptedCluster, outcome: string): Promise<number> {
  const labels = `server="db2",consistency="eventual",outcome="${outcome}"`;
  return await cluster.metric(`lagwise_sampled_reads_total{${labels}}`);
}

/** Waits until one more sample than `before` came out so. */
async function oneMore(cluster: ScriptedCluster, outcome: string, before: number): Promise<void> {
  await until(`one more is ${outcome}`, async () => (await count(cluster, outcome)) === before + 1);
}

describe('a read that is sampled', () => {
  const cluster = useScriptedCluster(2, { routing: ALL });

  /** Runs the read, which gets the replica's answer, and waits for what comes of the sample. */
  async function sampled(outcome: string): Promise<ScriptedClient> {
    const before = await count(cluster, outcome);
    const client = await cluster.connect();
    expect((await client.query(READ)).values).toEqual(['db2']);
    await oneMore(cluster, outcome, before);
    expect(cluster.db(2).count(READS)).toBe(1);
    return client;
  }

  test('is run once on the primary where that shows the same', async () => {
    cluster.db(1).when(READS, answer('db2'));
    await sampled('fresh');
    expect(cluster.db(1).texts()).toEqual([READ]);
  });

  test('is run twice more on one snapshot where it shows something else', async () => {
    await sampled('stale');
    expect(cluster.db(1).texts()).toEqual([
      READ,
      'SET TRANSACTION ISOLATION LEVEL REPEATABLE READ',
      'START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY',
      READ,
      READ,
      'COMMIT AND NO CHAIN NO RELEASE',
    ]);
  });

  test('is fresh where the primary shows the same a moment later', async () => {
    cluster.db(1).when(READS, answer('db2'));
    cluster.db(1).when(READS, answer('older'), 1);
    await sampled('fresh');
    expect(cluster.db(1).count(READS)).toBe(3);
  });

  test('tells nothing where two runs on one snapshot differ', async () => {
    let run = 0;
    cluster.db(1).when(READS, (session) => {
      run += 1;
      return row(session, `run ${run}`);
    });
    await sampled('unstable');
  });

  test('has no order of rows, unlike what its client gets', async () => {
    const [there, back] = [['a'], ['b']];
    cluster.db(1).when(READS, (session) => rows(session, ['v'], [there, back]));
    cluster.db(2).when(READS, (session) => rows(session, ['v'], [back, there]));
    const before = await count(cluster, 'fresh');
    const client = await cluster.connect();
    expect((await client.query(READ)).values).toEqual(['b', 'a']);
    await oneMore(cluster, 'fresh', before);
  });

  test('is compared as it went to the client, however the network cut it', async () => {
    cluster.db(2).traits.pieceBytes = 3;
    cluster.db(1).when(READS, answer('db2'));
    await sampled('fresh');
  });

  test('runs in the state of its session', async () => {
    const client = await cluster.connect({ database: 'shop' });
    const before = await count(cluster, 'stale');
    await client.query(READ);
    await oneMore(cluster, 'stale', before);
    cluster.db(1).received.length = 0;
    // Only a replica hears of it from the session itself: the primary is not asked anything.
    await client.command(COM.INIT_DB, Buffer.from('other'));
    await client.query(READ);
    await oneMore(cluster, 'stale', before + 1);
    const commands = cluster.db(1).received.map(({ com, text }) => `${com} ${text}`);
    const chosen = commands.indexOf(`${COM.INIT_DB} other`);
    expect(chosen).not.toBe(-1);
    expect(commands.indexOf(`${COM.QUERY} ${READ}`)).toBeGreaterThan(chosen);
  });

  test('leaves its connection to the next one', async () => {
    cluster.db(1).when(READS, answer('db2'));
    const client = await sampled('fresh');
    const before = await count(cluster, 'fresh');
    const { logins } = cluster.db(1);
    for (let read = 0; read < 5; read += 1) {
      await client.query(READ);
      await oneMore(cluster, 'fresh', before + read);
    }
    expect(cluster.db(1).logins).toBe(logins);
  });

  test('is prepared, run and closed on the primary where it was prepared', async () => {
    const binary = (session: ServerSession) =>
      Buffer.concat([
        row(session, 'x').subarray(0, row(session, 'x').indexOf(frame(Buffer.from('\u0001x'), 3))),
        frame(Buffer.from([0, 0, 1, 0x78]), 3),
        row(session, 'x').subarray(-11),
      ]);
    for (const server of cluster.servers) server.when(COM.STMT_EXECUTE, binary);
    const before = await count(cluster, 'fresh');
    const client = await cluster.connect();
    const { id } = await client.prepare('SELECT v FROM t WHERE id = ?');
    await client.execute(id, ['1'], true);
    await oneMore(cluster, 'fresh', before);
    // The second time without types: the primary must be given them all the same.
    await client.execute(id, ['1'], false);
    await oneMore(cluster, 'fresh', before + 1);
    const executes = cluster.db(1).received.filter(({ com }) => com === COM.STMT_EXECUTE);
    const [one, two] = executes.map(({ payload }) => payload.toString('hex', 9));
    expect(two).toBe(one);
    expect(cluster.db(1).count(COM.STMT_PREPARE)).toBe(2);
    await until('both are closed', () => cluster.db(1).count(COM.STMT_CLOSE) === 2);
  });

  test('is skipped where the replica answers with an error, or at length', async () => {
    const before = await count(cluster, 'skipped');
    const client = await cluster.connect();
    cluster.db(2).when(READS, err(1690, 'BIGINT value is out of range'), 1);
    expect((await client.query(READ)).error?.code).toBe(1690);
    await oneMore(cluster, 'skipped', before);
    // The replica lacks the column: the primary runs it, and there is nothing to compare.
    cluster.db(2).when(READS, err(1054, "Unknown column 'v'"), 1);
    expect((await client.query(READ)).values).toEqual(['db1']);
    await oneMore(cluster, 'skipped', before + 1);
    expect(await cluster.app.metrics()).not.toContain('lagwise_sampled_reads_total{server="db1"');
    const long = Array.from({ length: 100 }, () => ['x'.repeat(1000)]);
    cluster.db(2).when(READS, (session) => rows(session, ['v'], long));
    expect((await client.query(READ)).rows).toHaveLength(100);
    await oneMore(cluster, 'skipped', before + 2);
  });
});

describe('what goes wrong with a sample', () => {
  const cluster = useScriptedCluster(2, { routing: ALL });

  test('stays out of the client’s sight: the primary refuses the read', async () => {
    const before = await count(cluster, 'failed');
    cluster.db(1).when(READS, err(1142, 'SELECT command denied'));
    const client = await cluster.connect();
    expect((await client.query(READ)).values).toEqual(['db2']);
    await oneMore(cluster, 'failed', before);
    expect((await client.query('SHOW WARNINGS')).error).toBeNull();
    await until('it was reset', () => cluster.db(1).count(COM.RESET_CONNECTION) === 1);
  });

  test('is that the primary closes the connection', async () => {
    const before = await count(cluster, 'failed');
    cluster.db(1).when(READS, 'close', 1);
    const client = await cluster.connect();
    expect((await client.query(READ)).values).toEqual(['db2']);
    await oneMore(cluster, 'failed', before);
    expect((await client.query('INSERT INTO t VALUES (1)')).error).toBeNull();
  });

  test('is not told with what the statement says', async () => {
    const before = await count(cluster, 'failed');
    cluster.db(1).when(READS, err(1142, 'SELECT command denied'));
    const client = await cluster.connect();
    await client.query(`${READ} AND w = 'private'`);
    await oneMore(cluster, 'failed', before);
    expect(cluster.logs.join('\n')).not.toContain('private');
    expect(await cluster.app.metrics()).not.toContain('private');
  });
});

describe('a primary that is slow with the second run', () => {
  const cluster = useScriptedCluster(2, {
    routing: { ...ALL, stalenessSampleTimeoutMs: SHORT_MS },
  });

  test('keeps no client waiting, and is told to end it', async () => {
    const before = await count(cluster, 'failed');
    cluster.db(1).when(READS, 'silence');
    const client = await cluster.connect();
    for (let read = 0; read < 3; read += 1) {
      expect((await client.query(READ)).values).toEqual(['db2']);
    }
    // All were answered while the primary still owes its first answer.
    expect(await count(cluster, 'failed')).toBe(before);
    const [asked] = cluster.db(1).received.filter(({ text }) => READS.test(text));
    await until('the first is killed', () =>
      cluster.db(1).texts().includes(`KILL CONNECTION ${asked?.session.threadId}`),
    );
    await until('all failed', async () => (await count(cluster, 'failed')) === before + 3);
  });
});

describe('a pool that clients need', () => {
  const cluster = useScriptedCluster(2, { routing: ALL, pool: { maxPerServer: 4 } });

  test('is left to them: samples are dropped', async () => {
    const before = await count(cluster, 'dropped');
    const [first, ...others] = await Promise.all(
      Array.from({ length: 4 }, () => cluster.connect()),
    );
    for (const busy of others) await busy.query('BEGIN');
    expect((await first?.query(READ))?.values).toEqual(['db2']);
    await oneMore(cluster, 'dropped', before);
    expect(cluster.db(1).count(READS)).toBe(0);
    expect((await first?.query('INSERT INTO t VALUES (1)'))?.error).toBeNull();
  });
});

describe('without the setting', () => {
  const cluster = useScriptedCluster(2, { routing: { consistency: 'eventual' } });

  test('nothing is run a second time, and nothing counted', async () => {
    const client = await cluster.connect();
    for (let read = 0; read < 50; read += 1) await client.query(READ);
    expect(cluster.counts(READS)).toEqual([0, 50]);
    expect(await cluster.app.metrics()).not.toContain('lagwise_sampled_reads_total{');
  });
});
