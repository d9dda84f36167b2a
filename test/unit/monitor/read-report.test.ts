import { describe, expect, it } from 'vitest';
import { dialectOf, probeSql } from '../../../src/monitor/dialect.ts';
import { readReport } from '../../../src/monitor/read-report.ts';

const mysql = dialectOf('9.7.4');
const mariadb = dialectOf('10.11.19-MariaDB-0+deb12u1');
const UUID = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const variables = {
  readOnly: 1,
  superReadOnly: 1,
  serverUuid: UUID,
  serverNumber: 2,
  gtidMode: 'ON',
  logBin: 1,
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
  Last_IO_Errno: 0,
  Last_IO_Error: '',
  Last_SQL_Errno: 0,
  Last_SQL_Error: '',
};

describe('dialectOf', () => {
  it.each([
    ['9.7.4', 'mysql', 'SHOW REPLICA STATUS', true],
    ['8.0.22', 'mysql', 'SHOW REPLICA STATUS', true],
    ['8.0.21-12', 'mysql', 'SHOW SLAVE STATUS', true],
    ['5.7.44-log', 'mysql', 'SHOW SLAVE STATUS', false],
    ['10.11.19-MariaDB-0+deb12u1', 'mariadb', 'SHOW ALL SLAVES STATUS', false],
    ['5.5.5-10.6.1-MariaDB', 'mariadb', 'SHOW ALL SLAVES STATUS', false],
    ['', 'mysql', 'SHOW SLAVE STATUS', false],
  ])('%s is asked as %s', (version, flavor, statusSql, hasCommitTimestamps) => {
    expect(dialectOf(version)).toEqual({ flavor, version, statusSql, hasCommitTimestamps });
  });

  it('asks for commit timestamps only if wanted', () => {
    expect(probeSql(mysql, true)).toContain('replication_connection_status');
    expect(probeSql(mysql, false)).not.toContain('performance_schema');
    expect(probeSql(mariadb, false)).not.toContain('super_read_only');
  });
});

describe('readReport', () => {
  it('reads a MySQL replica', () => {
    const status = {
      channel: '',
      appliedAll: 0,
      queuedAgoUs: 900,
      applyingAgoUs: 1_500_000,
      schedulingAgoUs: null,
    };
    expect(readReport(mysql, [[variables], [channel], [status]])).toEqual({
      t: 'ok',
      flavor: 'mysql',
      version: '9.7.4',
      readOnly: true,
      superReadOnly: true,
      serverUuid: UUID,
      serverNumber: 2,
      logsGtids: true,
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
          secondsBehind: 0,
        },
      ],
    });
  });

  it('reads the old column names', () => {
    const old = Object.fromEntries(
      Object.entries(channel).map(([name, value]) => [
        name.replace('Source', 'Master').replace('Replica', 'Slave'),
        value,
      ]),
    );
    const [now] = readReport(mysql, [[variables], [channel]]).channels;
    expect(readReport(mysql, [[variables], [old]]).channels).toEqual([now]);
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
    expect(readReport(mariadb, [[said], [status]])).toMatchObject({
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
    expect(readReport(mysql, [[{ ...variables, readOnly }], []]).readOnly).toBe(expected);
  });

  it.each(['OFF', 'OFF_PERMISSIVE', 'ON_PERMISSIVE'])(
    'proves nothing by GTIDs in gtid_mode=%s',
    (gtidMode) => {
      const status = { channel: '', appliedAll: 1 };
      const report = readReport(mysql, [[{ ...variables, gtidMode }], [channel], [status]]);
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
    ["a source's clock that is ahead", { appliedAll: 0, queuedAgoUs: -3000 }, 0],
    ['nothing told', { appliedAll: 0 }, null],
  ])('tells the commit lag with %s', (_, status, expected) => {
    const report = readReport(mysql, [[variables], [channel], [{ channel: '', ...status }]]);
    expect(report.channels[0]?.commitLagMs).toBe(expected);
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
    const [read] = readReport(mysql, [[variables], [failed]]).channels;
    expect(read?.applierError).toContain('1062');
    expect(JSON.stringify(read)).not.toContain('secret');
    expect(read?.receiverError).toBe("error 2003 (Error connecting to source 'r@db1:3306')");
  });

  it('refuses an answer that lacks a variable', () => {
    expect(() => readReport(mysql, [])).toThrow(/lacks a row of variables/);
    expect(() => readReport(mysql, [[{ ...variables, readOnly: undefined }], []])).toThrow(
      /readOnly/,
    );
  });
});
