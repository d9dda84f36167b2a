import { LAB_ACCOUNTS } from './accounts.ts';
import type { ReplicationDialect } from './replication-dialect.ts';
import { textOf } from './root-connection.ts';
import { withThreadsStopped } from './stopped-threads.ts';

const MS_PER_SECOND = 1000;
const STOP = 'STOP SLAVE';

/** MariaDB 10.5.9 and later: GTID positions by domain, the words "master" and "slave". */
export const mariadbReplication: ReplicationDialect = {
  async follow(query, source, delayS) {
    const { user, password } = LAB_ACCOUNTS.replication;
    await withThreadsStopped(query, STOP, async () => {
      // A former primary's own transactions are in its binary log only; a replica's are in both.
      // From here on both kinds count as the point from which it follows.
      const own = textOf(await query('SELECT @@global.gtid_binlog_pos AS position'), 'position');
      if (own !== '') await query('SET GLOBAL gtid_slave_pos=?', [own]);
      await query(
        `CHANGE MASTER TO MASTER_HOST=?, MASTER_PORT=?, MASTER_USER=?, MASTER_PASSWORD=?,
         MASTER_USE_GTID=slave_pos, MASTER_CONNECT_RETRY=1, MASTER_DELAY=?`,
        [source.host, source.port, user, password, atLeast(delayS)],
      );
    });
    await query('START SLAVE');
  },

  // The delay can be changed only with both threads stopped, after which what was received is
  // fetched again, perhaps from a source that is gone: it is waited for instead.
  endDelay: () => Promise.resolve(),

  async unfollow(query) {
    await withThreadsStopped(query, STOP, async () => {
      await query('RESET SLAVE ALL');
    });
  },

  // MariaDB ends these connections at once when it shuts down.
  releaseReplicas: () => Promise.resolve(),

  async setReadOnly(query, readOnly) {
    await query(`SET GLOBAL read_only=${readOnly ? 'ON' : 'OFF'}`);
  },

  async setSemiSyncSource(query, on) {
    await query(`SET GLOBAL rpl_semi_sync_master_enabled=${on ? 'ON' : 'OFF'}`);
  },

  async threads(query) {
    const rows = await query('SHOW SLAVE STATUS');
    if (rows.length === 0) return null;
    return {
      sourcePort: Number(textOf(rows, 'Master_Port')),
      receiver: textOf(rows, 'Slave_IO_Running'),
      streaming: /^(Waiting for|Queueing) master/.test(textOf(rows, 'Slave_IO_State')),
      applier: textOf(rows, 'Slave_SQL_Running'),
      error: textOf(rows, 'Last_SQL_Error') || textOf(rows, 'Last_IO_Error'),
    };
  },

  async position(query) {
    return textOf(await query('SELECT @@global.gtid_binlog_pos AS position'), 'position');
  },

  async waitFor(query, position, deadlineMs) {
    if (position === '') return true;
    const rows = await query('SELECT MASTER_GTID_WAIT(?, ?) AS late', [
      position,
      deadlineMs / MS_PER_SECOND,
    ]);
    return textOf(rows, 'late') === '0';
  },

  async drainRelay(query, deadlineMs) {
    await query('STOP SLAVE IO_THREAD');
    const received = textOf(await query('SHOW SLAVE STATUS'), 'Gtid_IO_Pos');
    return mariadbReplication.waitFor(query, received, deadlineMs);
  },

  async history(query) {
    return textOf(await query('SELECT @@global.gtid_binlog_state AS state'), 'state');
  },

  async missing(query, history) {
    const state = await mariadbReplication.history(query);
    return mariadbMissing(state, history);
  },
};

/**
 * MariaDB counts a delay from the second in which the commit was, not from its end: a transaction at
 * 12:00:00.9 is a second old at 12:00:01.0. One second more is "at least".
 */
function atLeast(delayS: number): number {
  return delayS === 0 ? 0 : delayS + 1;
}

/**
 * What of the GTID list `theirs` a server with the binary log state `ours` lacks. Both hold the last
 * number of each (domain, server); a server has all numbers below it, since they come in order.
 */
export function mariadbMissing(ours: string, theirs: string): string {
  const last = new Map(parseState(ours).map(({ stream, sequence }) => [stream, sequence]));
  return parseState(theirs)
    .filter(({ stream, sequence }) => sequence > (last.get(stream) ?? 0n))
    .map(({ stream, sequence }) => `${stream}-${sequence}`)
    .join(',');
}

function parseState(text: string): { stream: string; sequence: bigint }[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map((part) => {
      const at = part.lastIndexOf('-');
      return { stream: part.slice(0, at), sequence: BigInt(part.slice(at + 1)) };
    });
}
