import type { Connection } from 'mysql2/promise';
import { describe, expect, it } from 'vitest';
import { FLAVORS } from '../support/flavors.ts';
import { direct, rowsOf, useCluster, valueOf } from '../support/proxy.ts';

/** Another value that a variable may have, by what it has; null where this test knows none. */
function otherThan(value: string): string | null {
  if (value === 'ON' || value === 'OFF') return value === 'ON' ? '0' : '1';
  if (/^\d{1,9}$/.test(value)) return String(Number(value) + 1);
  return null;
}

/** What the servers themselves do with these is no matter of the session's. */
const NOT_OF_A_SESSION = /^(?:timestamp|rand_seed\d|pseudo_|gtid_|debug|server_id$)/;
/** What stands in front of it in one SET: servers report that one, and that something changed. */
const BESIDE = ['', "time_zone = '+02:00', "] as const;

describe.runIf(!direct).each(FLAVORS)('what a client sets on %s', (flavor) => {
  // One connection for both clients: whatever the one leaves the other would find.
  const cluster = useCluster({
    lab: { flavor, replicas: 0 },
    config: { pool: { maxPerServer: 1, waitMs: 2000, keepMs: 0, minIdle: 0 } },
  });

  /** Names and values of all variables that a session has. */
  async function variablesOf(connection: Connection): Promise<ReadonlyMap<string, string>> {
    const rows = await rowsOf(connection, 'SHOW SESSION VARIABLES');
    return new Map(rows.map((row) => [String(row['Variable_name']), String(row['Value'])]));
  }

  it.each(BESIDE)('is nobody else’s, and still its own afterwards: SET %s…', async (beside) => {
    const setter = await cluster.connect();
    const other = await cluster.connect();
    const wanted = await variablesOf(other);
    const leaked: string[] = [];
    let tried = 0;
    for (const [name, value] of wanted) {
      const changed = otherThan(value);
      if (changed === null || NOT_OF_A_SESSION.test(name) || name === 'time_zone') continue;
      try {
        await setter.query(`SET SESSION ${beside}${name} = ${changed}`);
      } catch {
        // Not for this account, not for a session, or not this value: any server says so.
        continue;
      }
      const { pins } = await firstPins();
      if (pins) {
        await setter.reset();
        continue;
      }
      // Servers round what they are told.
      const set = (await variablesOf(setter)).get(name);
      if (set === value) continue;
      tried += 1;
      const seen = (await variablesOf(other)).get(name);
      if (seen !== value) leaked.push(`${name} is ${seen}, not ${value}`);
      const own = (await variablesOf(setter)).get(name);
      if (own !== set) leaked.push(`${name} is ${own}, not ${set}, for who has set it`);
      await setter.reset();
    }
    expect(leaked).toEqual([]);
    expect(tried).toBeGreaterThan(30);

    /** A pinned session keeps the only connection: nobody else can meet what it has set. */
    async function firstPins(): Promise<{ pins: boolean }> {
      const metrics = await cluster.proxy.app.metrics();
      return { pins: /^lagwise_pinned_sessions\{reason="\w[^"]*"\} [1-9]/m.test(metrics) };
    }
  });

  it.each([
    "session_track_system_variables = ''",
    'session_track_schema = 0',
    'session_track_state_change = 0',
    ...(flavor === 'mysql' ? ["session_track_gtids = 'OFF'"] : []),
  ])('does not keep the proxy from knowing what others set: %s', async (assignment) => {
    const setter = await cluster.connect();
    const other = await cluster.connect();
    const third = await cluster.connect();
    await setter.query(`SET SESSION ${assignment}, time_zone = '+01:00'`);
    await setter.reset();
    await other.query(`SET SESSION time_zone = '+05:00'`);
    await other.query('USE mysql');
    expect(await valueOf(third, 'SELECT CONCAT(@@session.time_zone, DATABASE())')).toBe(
      'SYSTEMapp',
    );
    await other.query('USE app');
    expect(await valueOf(other, 'SELECT @@session.time_zone')).toBe('+05:00');
  });

  it('does not let rows of others through that break a foreign key or a unique index', async () => {
    const setter = await cluster.connect();
    const other = await cluster.connect();
    await other.query('CREATE TABLE parents (id INT PRIMARY KEY)');
    await other.query('CREATE TABLE children (p INT, FOREIGN KEY (p) REFERENCES parents (id))');
    await setter.query('SET foreign_key_checks = 0, unique_checks = 0');
    await setter.query('INSERT INTO children VALUES (7)');
    await expect(other.query('INSERT INTO children VALUES (8)')).rejects.toMatchObject({
      errno: 1452,
    });
    expect(await valueOf(other, 'SELECT @@unique_checks + @@foreign_key_checks')).toBe(2);
    expect(await valueOf(setter, 'SELECT @@unique_checks + @@foreign_key_checks')).toBe(0);
  });
});
