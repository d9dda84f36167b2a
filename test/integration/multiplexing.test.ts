import type { Connection } from 'mysql2/promise';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { CrowdClient, type CrowdLogin } from '../support/crowd-client.ts';
import { connectionMeter } from '../support/crowd-meter.ts';
import {
  NEIGHBOUR_TABLES,
  Neighbours,
  type Probe,
  sees,
  seesNot,
} from '../support/crowd-neighbours.ts';
import { FLAVORS } from '../support/flavors.ts';
import { direct, errorOf, rowsOf, useCluster, valueOf } from '../support/proxy.ts';
import { until } from '../support/until.ts';

const MAX_PER_SERVER = 3;
const WAIT_MS = 1_500;
/** Makes a read one that the primary runs. */
const HERE = 'FROM plain WHERE id = 1 FOR UPDATE';

/** State that goes along from connection to connection: two values of it, and who sees them. */
interface Carried {
  readonly name: string;
  readonly set: (value: string) => string;
  readonly values: readonly [string, string];
  readonly look: string;
  /** What `look` gives for each of the values. */
  readonly seen: readonly [unknown, unknown];
}

const variable = (name: string, values: readonly [string, string]): Carried => ({
  name,
  set: (value) => `SET SESSION ${name} = ${value}`,
  values,
  look: `@@SESSION.${name}`,
  seen: [unquoted(values[0]), unquoted(values[1])],
});

/** What a session sees that has set nothing. */
async function firstValue(login: CrowdLogin, sql: string): Promise<string | null> {
  const client = await CrowdClient.connect(login);
  const { values } = await client.query(sql);
  client.close();
  return values[0] ?? null;
}

const unquoted = (literal: string): string | number =>
  literal.startsWith("'") ? literal.slice(1, -1) : Number(literal);

const CARRIED: readonly Carried[] = [
  variable('time_zone', ["'+05:00'", "'-03:30'"]),
  variable('sql_mode', ["'ANSI_QUOTES'", "'NO_BACKSLASH_ESCAPES'"]),
  variable('group_concat_max_len', ['2048', '4096']),
  variable('lock_wait_timeout', ['77', '78']),
  variable('foreign_key_checks', ['0', '0']),
  variable('sql_safe_updates', ['1', '1']),
  variable('auto_increment_increment', ['7', '9']),
  variable('character_set_results', ["'latin1'", "'latin2'"]),
  variable('collation_connection', ["'utf8mb4_bin'", "'latin1_swedish_ci'"]),
  {
    name: 'SET NAMES',
    set: (value) => `SET NAMES ${value}`,
    values: ['latin1', 'latin2'],
    look: '@@SESSION.character_set_client',
    seen: ['latin1', 'latin2'],
  },
  {
    name: 'USE',
    set: (value) => `USE ${value}`,
    values: ['other_one', 'other_two'],
    look: 'DATABASE()',
    seen: ['other_one', 'other_two'],
  },
];

describe.each(FLAVORS)('on %s, three connections for many', (flavor) => {
  const cluster = useCluster({
    lab: { flavor, replicas: 2 },
    generalLog: true,
    config: { pool: { maxPerServer: MAX_PER_SERVER, keepMs: 200, waitMs: WAIT_MS } },
  });

  beforeAll(async () => {
    for (const statement of [
      ...NEIGHBOUR_TABLES,
      'CREATE DATABASE other_one',
      'CREATE DATABASE other_two',
      'CREATE TABLE app.noted (id INT PRIMARY KEY AUTO_INCREMENT, n INT NOT NULL)',
      'CREATE FUNCTION app.notes() RETURNS INT MODIFIES SQL DATA BEGIN INSERT INTO app.noted (n) VALUES (1); RETURN 7; END',
      'CREATE FUNCTION app.pure(x INT) RETURNS INT DETERMINISTIC NO SQL RETURN x + 1',
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

  it.each(CARRIED)('$name goes along with its session, and with no other', async (carried) => {
    // What a neighbour sees: its login shapes its state too (mysql2 turns IGNORE_SPACE on).
    const before = await firstValue(cluster.login, `SELECT ${carried.look}`);
    const probes = [
      sees(`SELECT ${carried.look}`, before),
      sees(`SELECT ${carried.look} FROM app.plain WHERE id = 1 FOR UPDATE`, before),
    ];
    const neighbours = withNeighbours(...probes);
    // More sessions that have set it than there are connections: none of them may be pinned.
    const sessions = await Promise.all(
      Array.from({ length: 2 * MAX_PER_SERVER }, () => cluster.connect()),
    );
    for (const [at, session] of sessions.entries()) {
      await session.query(carried.set(carried.values[at % 2] ?? ''));
    }
    for (let round = 0; round < 3; round += 1) {
      await neighbours.progress();
      for (const [at, session] of sessions.entries()) {
        const places = ['', 'FROM app.plain WHERE id = 1 FOR UPDATE'];
        for (const place of places) {
          const value = await valueOf(session, `SELECT ${carried.look} ${place}`);
          expect({ at, place, value }).toEqual({ at, place, value: carried.seen[at % 2] });
        }
      }
    }
  });

  it('what a login asks for goes along with its session, and with no other', async () => {
    const neighbours = withNeighbours(sees("SELECT @@sql_mode LIKE '%IGNORE_SPACE%'", '0'));
    const spaced = await Promise.all(
      Array.from({ length: 2 * MAX_PER_SERVER }, () =>
        cluster.connect({ flags: ['IGNORE_SPACE'] }),
      ),
    );
    for (let round = 0; round < 3; round += 1) {
      await neighbours.progress();
      for (const session of spaced) {
        expect(await valueOf(session, "SELECT @@sql_mode LIKE '%IGNORE_SPACE%'")).toBe(1);
        expect(await valueOf(session, `SELECT COUNT (*) ${HERE}`)).toBe(1);
      }
    }
  });

  it('a level of isolation goes along with its session', async () => {
    const neighbours = withNeighbours();
    const [reader, writer] = [await cluster.connect(), await cluster.connect()];
    await reader.query('SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED');
    for (let round = 0; round < 3; round += 1) {
      await neighbours.progress();
      await writer.query('BEGIN');
      await writer.query('INSERT INTO noted (id, n) VALUES (1000, 5)');
      await reader.query('BEGIN');
      expect(await valueOf(reader, 'SELECT n FROM noted WHERE id = 1000')).toBe(5);
      await reader.query('COMMIT');
      const other = await cluster.connect();
      await other.query('BEGIN');
      expect(await rowsOf(other, 'SELECT n FROM noted WHERE id = 1000')).toEqual([]);
      await other.query('COMMIT');
      await writer.query('ROLLBACK');
    }
  });

  it('a variable with its default back is everybody’s', async () => {
    const neighbours = withNeighbours(seesNot('SELECT @@SESSION.lock_wait_timeout', '79'));
    const session = await cluster.connect();
    const before = await valueOf(session, 'SELECT @@SESSION.lock_wait_timeout');
    await session.query('SET SESSION lock_wait_timeout = 79');
    await neighbours.progress();
    await session.query('SET SESSION lock_wait_timeout = DEFAULT');
    await neighbours.progress();
    expect(await valueOf(session, 'SELECT @@SESSION.lock_wait_timeout')).toBe(before);
    expect(await valueOf(session, `SELECT @@SESSION.lock_wait_timeout ${HERE}`)).toBe(before);
  });

  it.skipIf(direct)('sessions are many, server connections few, on every server', async () => {
    const meter = connectionMeter(cluster.lab, cluster.lab.accounts.app.user);
    const neighbours = withNeighbours();
    meter.start();
    const sessions: Connection[] = [];
    for (let number = 0; number < 40; number += 1) {
      const session = await cluster.connect();
      sessions.push(session);
      await session.query('UPDATE noted SET n = n WHERE id = 0');
      expect(await valueOf(session, 'SELECT n FROM plain WHERE id = 1')).toBe(10);
    }
    await Promise.all(sessions.map((session) => session.query('SELECT n FROM plain')));
    await neighbours.progress();
    for (const [server, most] of Object.entries(await meter.stop())) {
      expect(most, `connections to ${server}`).toBeLessThanOrEqual(MAX_PER_SERVER);
    }
  });

  it.skipIf(direct)(
    'a statement that finds no connection free fails in time and says why',
    async () => {
      const holders = await Promise.all(
        Array.from({ length: MAX_PER_SERVER }, () => cluster.connect()),
      );
      const waiter = await cluster.connect();
      for (const holder of holders) {
        await holder.query('BEGIN');
        await holder.query('UPDATE noted SET n = n WHERE id = 0');
      }
      const began = performance.now();
      const error = await errorOf(waiter.query('UPDATE noted SET n = n WHERE id = 0'));
      expect(performance.now() - began).toBeGreaterThan(WAIT_MS / 2);
      expect(error.message).toMatch(/^lagwise: .*pool\.(maxPerServer|maxPerAccount|waitMs)/);
      // It is the statement that failed, not the session.
      const next = waiter.query('UPDATE noted SET n = n WHERE id = 0');
      await holders[0]?.query('COMMIT');
      await next;
      expect(await valueOf(waiter, 'SELECT n FROM plain WHERE id = 1')).toBe(10);
      for (const holder of holders) await holder.query('COMMIT');
    },
  );

  describe('where statements go', () => {
    let markers = 0;

    /** Which server ran what `work` sent with the marker that it was given. */
    async function placeOf(work: (marker: string) => Promise<unknown>): Promise<string[]> {
      markers += 1;
      const marker = `place_${markers}_x`;
      await work(marker);
      const ran = await cluster.ranOn(marker);
      return Object.keys(ran).filter((id) => (ran[id] ?? 0) > 0);
    }

    it.skipIf(direct)('with autocommit off the first SELECT runs on the primary', async () => {
      withNeighbours();
      const session = await cluster.connect();
      await session.query('SET autocommit = 0');
      const place = await placeOf((marker) => session.query(`SELECT n AS ${marker} FROM plain`));
      expect(place).toEqual(['db1']);
      await session.query('COMMIT');
    });

    it.skipIf(direct)('reads of a temporary table run where it is', async () => {
      const neighbours = withNeighbours();
      const session = await cluster.connect();
      await session.query('CREATE TEMPORARY TABLE here SELECT 5 AS n');
      for (let round = 0; round < 3; round += 1) {
        await neighbours.progress();
        const place = await placeOf((marker) => session.query(`SELECT n AS ${marker} FROM here`));
        expect(place).toEqual(['db1']);
      }
    });

    it.skipIf(direct)('prepared reads spread over the replicas', async () => {
      // Shares follow answering times: one that just ran a long statement is asked a little later.
      const seen = new Set<string>();
      await until('both replicas have read', async () => {
        const session = await cluster.connect();
        const place = await placeOf(async (marker) => {
          for (let round = 0; round < 10; round += 1) {
            const [rows] = await session.execute(
              `SELECT n AS ${marker} FROM plain WHERE id = ?`,
              [2],
            );
            expect(rows).toEqual([{ [marker]: 20 }]);
          }
        });
        for (const id of place) seen.add(id);
        return seen.size >= 2;
      });
      expect([...seen].toSorted()).toEqual(['db2', 'db3']);
    });

    it.skipIf(direct)('a read that calls a function which writes runs on the primary', async () => {
      const session = await cluster.connect();
      const writes = await placeOf((marker) => session.query(`SELECT notes() AS ${marker}`));
      expect(writes).toEqual(['db1']);
      const [rows] = await session.execute('SELECT notes() AS seven');
      expect(rows).toEqual([{ seven: 7 }]);
    });
  });
});
