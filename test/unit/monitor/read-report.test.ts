import { describe, expect, it } from 'vitest';
import {
  type Dialect,
  dialectOf,
  lightSql,
  type ProbeParts,
  probeSql,
} from '../../../src/monitor/dialect.ts';
import { readPosition } from '../../../src/monitor/read-position.ts';
import { readReport } from '../../../src/monitor/read-report.ts';

const mysql = dialectOf('9.7.4');
const mariadb = dialectOf('10.11.19-MariaDB-0+deb12u1');
const of = (dialect: Dialect) => ({
  dialect,
  log: { logFilter: null, logFilterProblem: null },
});
const plain: ProbeParts = { commitTimestamps: false, heartbeatSql: null };
const all: ProbeParts = { ...plain, commitTimestamps: true };
const UUID = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const variables = {
  readOnly: 1,
  superReadOnly: 1,
  serverUuid: UUID,
  serverNumber: 2,
  gtidMode: 'ON',
  logBin: 1,
  clock: '1795176000.250000',
  gtidSet: `${UUID}:1-5,\n4350f323-7565-4e59-8763-4b1b83a0ce0e:1-7`,
};
const channel = {
  Channel_Name: '',
  Source_Host: 'db1',
  Source_Port: 3306,
  Source_UUID: UUID,
  Source_Server_Id: 1,
  Replica_IO_Running: 'Yes',
  Replica_SQL_Running: 'Yes',
  Seconds_Behind_Source: 0,
  Retrieved_Gtid_Set: `${UUID}:3-9`,
  SQL_Delay: 3,
  Last_IO_Errno: 0,
  Last_IO_Error: '',
  Last_SQL_Errno: 0,
  Last_SQL_Error: '',
};

describe('dialectOf', () => {
  it.each([
    ['9.7.4', 'mysql', 'SHOW REPLICA STATUS', true, true],
    ['8.4.0', 'mysql', 'SHOW REPLICA STATUS', true, true],
    ['8.2.0', 'mysql', 'SHOW REPLICA STATUS', true, true],
    ['8.1.0', 'mysql', 'SHOW REPLICA STATUS', true, true],
    ['8.0.22', 'mysql', 'SHOW REPLICA STATUS', true, true],
    ['8.0.21-12', 'mysql', 'SHOW SLAVE STATUS', true, true],
    ['8.0.19', 'mysql', 'SHOW SLAVE STATUS', true, false],
    ['5.7.44-log', 'mysql', 'SHOW SLAVE STATUS', false, false],
    ['10.11.19-MariaDB-0+deb12u1', 'mariadb', 'SHOW ALL SLAVES STATUS', false, false],
    ['5.5.5-10.6.1-MariaDB', 'mariadb', 'SHOW ALL SLAVES STATUS', false, false],
    ['', 'mysql', 'SHOW SLAVE STATUS', false, false],
  ])('%s is asked as %s', (version, flavor, statusSql, hasCommitTimestamps, hasLogTimes) => {
    const isNew = ['9.7.4', '8.4.0', '8.2.0'].includes(version);
    const logStatusSql = isNew ? 'SHOW BINARY LOG STATUS' : 'SHOW MASTER STATUS';
    const statements = { statusSql, logStatusSql };
    const expected = { flavor, version, ...statements, hasCommitTimestamps, hasLogTimes };
    expect(dialectOf(version)).toEqual(expected);
  });

  it('asks for commit timestamps only if wanted', () => {
    expect(probeSql(mysql, all)).toContain('replication_connection_status');
    expect(probeSql(mysql, plain)).not.toContain('performance_schema');
    expect(probeSql(mariadb, plain)).not.toContain('super_read_only');
  });
});

describe('readReport', () => {
  it('reads a MySQL replica', () => {
    const status = {
      channel: '',
      appliedAll: 0,
      queuedAgoUs: 900,
      appliedAgoUs: 1_520_000,
      applyingAgoUs: 1_500_000,
      schedulingAgoUs: null,
    };
    expect(
      readReport(of(mysql), all, [[variables], [channel], [status], [{ loggedAgoUs: 2500 }]]),
    ).toEqual({
      t: 'ok',
      flavor: 'mysql',
      version: '9.7.4',
      readOnly: true,
      superReadOnly: true,
      serverUuid: UUID,
      serverNumber: 2,
      logsGtids: true,
      logFilter: null,
      logFilterProblem: null,
      gtidSet: `${UUID}:1-5,4350f323-7565-4e59-8763-4b1b83a0ce0e:1-7`,
      appliedGtidSet: `${UUID}:1-5,4350f323-7565-4e59-8763-4b1b83a0ce0e:1-7`,
      binlogState: null,
      channels: [
        {
          name: '',
          sourceHost: 'db1',
          sourcePort: 3306,
          sourceUuid: UUID,
          sourceServerId: 1,
          receiver: 'on',
          applier: true,
          receiverError: null,
          applierError: null,
          commitLagMs: 1500,
          isApplying: true,
          appliedAgeMs: 1520,
          receivedGtidSet: `${UUID}:3-9`,
          configuredDelayMs: 3000,
          secondsBehind: 0,
          filter: null,
        },
      ],
      clockMs: 1_795_176_000_250,
      loggedAgeMs: 2.5,
      heartbeat: null,
    });
  });

  it('reads the old column names', () => {
    const old = Object.fromEntries(
      Object.entries(channel).map(([name, value]) => [
        name.replace('Source', 'Master').replace('Replica', 'Slave'),
        value,
      ]),
    );
    const [now] = readReport(of(mysql), plain, [[variables], [channel]]).channels;
    expect(readReport(of(mysql), plain, [[variables], [old]]).channels).toEqual([now]);
  });

  it('reads a MariaDB replica by its slave position', () => {
    const said = {
      readOnly: 'ON',
      serverNumber: 3,
      logBin: 1,
      gtidSet: '0-3-9',
      appliedGtidSet: '0-1-7',
      binlogState: '0-1-7,0-3-9',
    };
    const status = {
      Connection_name: 'a',
      Slave_IO_Running: 'Preparing',
      Slave_SQL_Running: 'Yes',
    };
    expect(readReport(of(mariadb), plain, [[said], [status]])).toMatchObject({
      flavor: 'mariadb',
      readOnly: true,
      superReadOnly: false,
      serverUuid: null,
      logsGtids: true,
      gtidSet: '0-3-9',
      appliedGtidSet: '0-1-7',
      channels: [{ name: 'a', receiver: 'connecting', applier: true, secondsBehind: null }],
    });
  });

  it.each([
    [0, false],
    ['OFF', false],
    [1, true],
    ['NO_LOCK', true],
  ])('reads read_only=%j as %s', (readOnly, expected) => {
    expect(readReport(of(mysql), plain, [[{ ...variables, readOnly }], []]).readOnly).toBe(
      expected,
    );
  });

  it.each(['OFF', 'OFF_PERMISSIVE', 'ON_PERMISSIVE'])(
    'proves nothing by GTIDs in gtid_mode=%s',
    (gtidMode) => {
      const status = { channel: '', appliedAll: 1 };
      const report = readReport(of(mysql), all, [
        [{ ...variables, gtidMode }],
        [channel],
        [status],
      ]);
      expect(report).toMatchObject({ gtidSet: null, appliedGtidSet: null, logsGtids: false });
      expect(report.channels[0]?.commitLagMs).toBeNull();
    },
  );

  it.each<[string, Record<string, number | null>, number | null]>([
    ['all applied', { appliedAll: 1, applyingAgoUs: 5000, queuedAgoUs: 5000 }, 0],
    ['one being applied', { appliedAll: 0, applyingAgoUs: 5000, queuedAgoUs: 10 }, 5],
    [
      'one being scheduled',
      { appliedAll: 0, applyingAgoUs: null, schedulingAgoUs: 7000, queuedAgoUs: 1 },
      7,
    ],
    ['one queued', { appliedAll: 0, queuedAgoUs: 3000 }, 3],
    ["a source's clock that is ahead", { appliedAll: 0, queuedAgoUs: -3000 }, -3],
    ['nothing told', { appliedAll: 0 }, null],
  ])('tells the commit lag with %s', (_, status, expected) => {
    const report = readReport(of(mysql), all, [
      [variables],
      [channel],
      [{ channel: '', ...status }],
    ]);
    expect(report.channels[0]?.commitLagMs).toBe(expected);
  });

  it.each([
    ['does not say', {}, null],
    ['waits for nothing', { SQL_Remaining_Delay: null }, null],
    ['waits for its delay', { SQL_Remaining_Delay: '2' }, false],
  ])('tells whether a server without commit times applies when it %s', (_, status, expected) => {
    const delayed = { ...channel, SQL_Delay: '5', ...status };
    const report = readReport(of(mysql), plain, [[variables], [delayed]]);
    expect(report.channels[0]?.isApplying).toBe(expected);
  });

  it('gives the number of an applier error, not its text: that quotes rows and statements', () => {
    const failed = {
      ...channel,
      Replica_SQL_Running: 'No',
      Last_SQL_Errno: 1062,
      Last_SQL_Error: "Duplicate entry 'secret@example.org' for key 'email'",
      Last_IO_Errno: 2003,
      Last_IO_Error: "Error connecting to source 'r@db1:3306'. This was attempt 3/10, Message: no",
    };
    const [read] = readReport(of(mysql), plain, [[variables], [failed]]).channels;
    expect(read?.applierError).toContain('1062');
    expect(JSON.stringify(read)).not.toContain('secret');
    expect(read?.receiverError).toBe("error 2003 (Error connecting to source 'r@db1:3306')");
  });

  it('refuses an answer that lacks a variable', () => {
    expect(() => readReport(of(mysql), plain, [])).toThrow(/lacks a row of variables/);
    expect(() =>
      readReport(of(mysql), plain, [[{ ...variables, readOnly: undefined }], []]),
    ).toThrow(/readOnly/);
  });
});

describe('readPosition', () => {
  it('reads a MySQL replica of two channels, and its heartbeat', () => {
    const row = { gtidSet: `${UUID}:1-5,\n4350f323-7565-4e59-8763-4b1b83a0ce0e:1`, clock: '12.5' };
    const beat = { ...all, heartbeatSql: 'SELECT beat' };
    const channels = [
      { ...row, channel: '', appliedAll: 1, applyingAgoUs: null, appliedAgoUs: 2000 },
      { ...row, channel: 'b', appliedAll: 0, applyingAgoUs: 7000, appliedAgoUs: null },
    ];
    expect(readPosition(mysql, beat, [channels, [{ beat: 17 }]])).toEqual({
      t: 'position',
      gtidSet: `${UUID}:1-5,4350f323-7565-4e59-8763-4b1b83a0ce0e:1`,
      appliedGtidSet: `${UUID}:1-5,4350f323-7565-4e59-8763-4b1b83a0ce0e:1`,
      channels: [
        { name: '', isApplying: false, commitLagMs: 0, appliedAgeMs: 2 },
        { name: 'b', isApplying: true, commitLagMs: 7, appliedAgeMs: null },
      ],
      clockMs: 12_500,
      loggedAgeMs: null,
      heartbeat: 17,
    });
  });

  it('reads a primary by the age of its newest transaction', () => {
    const row = { gtidSet: `${UUID}:1-5`, clock: '12.5', loggedAgoUs: 1500 };
    expect(readPosition(mysql, all, [[row]])).toMatchObject({ channels: [], loggedAgeMs: 1.5 });
  });

  it('reads a MariaDB server by its two positions', () => {
    const row = { gtidSet: '0-3-9', appliedGtidSet: '0-1-7', clock: '12.5' };
    expect(readPosition(mariadb, plain, [[row]])).toMatchObject({
      gtidSet: '0-3-9',
      appliedGtidSet: '0-1-7',
      loggedAgeMs: null,
      heartbeat: null,
    });
  });

  it('refuses an answer without a position', () => {
    expect(() => readPosition(mysql, plain, [[]])).toThrow(/row of positions/);
  });
});

describe('lightSql', () => {
  it('asks in one statement, and a second one for the heartbeat', () => {
    for (const isReplica of [true, false]) {
      expect(lightSql(mysql, all, isReplica)).not.toContain(';');
      expect(lightSql(mariadb, plain, isReplica)).not.toContain(';');
      const parts = { ...all, heartbeatSql: 'SELECT beat' };
      expect(lightSql(mysql, parts, isReplica).split('; ')[1]).toBe('SELECT beat');
    }
  });

  it('asks neither who is the primary nor how the threads are', () => {
    for (const sql of [lightSql(mysql, all, true), lightSql(mysql, all, false)]) {
      expect(sql).not.toMatch(/read_only|SHOW/);
    }
  });
});
