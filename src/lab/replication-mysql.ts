import { LAB_ACCOUNTS } from './accounts.ts';
import type { ReplicationDialect } from './replication-dialect.ts';
import { textOf } from './root-connection.ts';
import { withThreadsStopped } from './stopped-threads.ts';

const MS_PER_SECOND = 1000;
const STOP = 'STOP REPLICA';

/** MySQL 8.0.26 and later: GTID sets, the words "source" and "replica". */
export const mysqlReplication: ReplicationDialect = {
  async follow(query, source, delayS) {
    const { user, password } = LAB_ACCOUNTS.replication;
    await withThreadsStopped(query, STOP, async () => {
      await query(
        `CHANGE REPLICATION SOURCE TO SOURCE_HOST=?, SOURCE_PORT=?, SOURCE_USER=?, SOURCE_PASSWORD=?,
           SOURCE_AUTO_POSITION=1, SOURCE_CONNECT_RETRY=1, SOURCE_RETRY_COUNT=86400, SOURCE_SSL=1, SOURCE_DELAY=?`,
        [source.host, source.port, user, password, delayS],
      );
    });
    await query('START REPLICA');
  },

  async endDelay(query) {
    if ((await mysqlReplication.threads(query)) === null) return;
    await query('STOP REPLICA SQL_THREAD');
    await query('CHANGE REPLICATION SOURCE TO SOURCE_DELAY=0');
    await query('START REPLICA SQL_THREAD');
  },

  async unfollow(query) {
    await withThreadsStopped(query, STOP, async () => {
      await query('RESET REPLICA ALL');
    });
  },

  async releaseReplicas(query) {
    // MySQL leaves them to the last when it shuts down, and then takes ten seconds for them.
    const dumps = await query(
      "SELECT ID AS id FROM performance_schema.processlist WHERE COMMAND LIKE 'Binlog Dump%'",
    );
    for (const dump of dumps) await query(`KILL ${textOf([dump], 'id')}`);
  },

  async setReadOnly(query, readOnly) {
    // super_read_only implies read_only when set, and read_only=OFF clears both.
    await query(readOnly ? 'SET GLOBAL super_read_only=ON' : 'SET GLOBAL read_only=OFF');
  },

  async setSemiSyncSource(query, on) {
    await query(`SET GLOBAL rpl_semi_sync_source_enabled=${on ? 'ON' : 'OFF'}`);
  },

  async threads(query) {
    const rows = await query('SHOW REPLICA STATUS');
    if (rows.length === 0) return null;
    return {
      sourcePort: Number(textOf(rows, 'Source_Port')),
      receiver: textOf(rows, 'Replica_IO_Running'),
      streaming: /^(Waiting for|Queueing) source/.test(textOf(rows, 'Replica_IO_State')),
      applier: textOf(rows, 'Replica_SQL_Running'),
      error: textOf(rows, 'Last_SQL_Error') || textOf(rows, 'Last_IO_Error'),
    };
  },

  async position(query) {
    const rows = await query('SELECT @@global.gtid_executed AS position');
    // Sets of several servers are printed on several lines.
    return textOf(rows, 'position').replaceAll('\n', '');
  },

  async waitFor(query, position, deadlineMs) {
    const rows = await query('SELECT WAIT_FOR_EXECUTED_GTID_SET(?, ?) AS late', [
      position,
      deadlineMs / MS_PER_SECOND,
    ]);
    return textOf(rows, 'late') === '0';
  },

  async drainRelay(query, deadlineMs) {
    await query('STOP REPLICA IO_THREAD');
    const received = await query(
      'SELECT RECEIVED_TRANSACTION_SET AS position FROM performance_schema.replication_connection_status',
    );
    return mysqlReplication.waitFor(query, textOf(received, 'position'), deadlineMs);
  },

  history: (query) => mysqlReplication.position(query),

  async missing(query, history) {
    const rows = await query('SELECT GTID_SUBTRACT(?, @@global.gtid_executed) AS missing', [
      history,
    ]);
    return textOf(rows, 'missing');
  },
};
