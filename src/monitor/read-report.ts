import { LagwiseError } from '../lib/errors.ts';
import type { ReplicaChannel, ServerReport } from '../topology/observation.ts';
import type { Dialect } from './dialect.ts';
import { type Row, shown } from './rows.ts';

/**
 * Makes a report of a probe's result sets: variables, channels and perhaps commit timestamps.
 * Throws LagwiseError (`backend-protocol`) if a column is missing.
 */
export function readReport(dialect: Dialect, results: readonly (readonly Row[])[]): ServerReport {
  const [variables] = results[0] ?? [];
  if (variables === undefined) throw missing('row of variables');
  const commitLags = commitLagsOf(results[2] ?? []);
  const isMariadb = dialect.flavor === 'mariadb';
  // With any other mode the replicas' transactions may be anonymous and the sets prove nothing.
  const hasGtids = isMariadb || text(variables, 'gtidMode') === 'ON';
  // Long sets are printed in several lines.
  const gtidSet = hasGtids ? text(variables, 'gtidSet').replaceAll('\n', '') : null;
  const channels = (results[1] ?? []).map((row) => readChannel(row, hasGtids ? commitLags : null));
  return {
    t: 'ok',
    flavor: dialect.flavor,
    version: dialect.version,
    readOnly: isOn(variables, 'readOnly'),
    superReadOnly: !isMariadb && isOn(variables, 'superReadOnly'),
    serverUuid: isMariadb ? null : text(variables, 'serverUuid'),
    serverNumber: Number(text(variables, 'serverNumber')),
    logsGtids: hasGtids && isOn(variables, 'logBin'),
    gtidSet,
    appliedGtidSet: isMariadb ? text(variables, 'appliedGtidSet') : gtidSet,
    binlogState: isMariadb ? text(variables, 'binlogState') : null,
    channels,
  };
}

function readChannel(row: Row, commitLags: ReadonlyMap<string, number> | null): ReplicaChannel {
  const name = optionalText(row, ['Channel_Name', 'Connection_name']) ?? '';
  return {
    name,
    sourceHost: optionalText(row, ['Source_Host', 'Master_Host']) ?? '',
    sourcePort: optionalNumber(row, ['Source_Port', 'Master_Port']) ?? 0,
    sourceUuid: optionalText(row, ['Source_UUID', 'Master_UUID']),
    sourceServerId: optionalNumber(row, ['Source_Server_Id', 'Master_Server_Id']),
    receiver: receiverState(optionalText(row, ['Replica_IO_Running', 'Slave_IO_Running'])),
    applier: optionalText(row, ['Replica_SQL_Running', 'Slave_SQL_Running']) === 'Yes',
    receiverError: receiverError(row),
    applierError: applierError(row),
    commitLagMs: commitLags?.get(name) ?? null,
    secondsBehind: optionalNumber(row, ['Seconds_Behind_Source', 'Seconds_Behind_Master']),
  };
}

/** MariaDB knows `Preparing` besides `Yes`, `No` and `Connecting`. */
function receiverState(running: string | null): ReplicaChannel['receiver'] {
  if (running === 'Yes') return 'on';
  return running === 'Connecting' || running === 'Preparing' ? 'connecting' : 'off';
}

/** Without the count of attempts, which changes each time and says nothing. */
function receiverError(row: Row): string | null {
  const errno = optionalNumber(row, ['Last_IO_Errno']);
  const message = optionalText(row, ['Last_IO_Error']);
  if (errno === null || errno === 0 || message === null) return null;
  return `error ${errno} (${message.split(/[.,;]? This was attempt|[.,;] retry-time/i, 1)[0] ?? ''})`;
}

/** The number only: the server's text quotes the statement and the row that failed. */
function applierError(row: Row): string | null {
  const errno = optionalNumber(row, ['Last_SQL_Errno']);
  return errno === null || errno === 0
    ? null
    : `error ${errno}, its text is in the replication status of the server`;
}

/** By channel: 0 when all that was received is applied, else the age of the oldest that is not. */
function commitLagsOf(rows: readonly Row[]): ReadonlyMap<string, number> {
  const lags = new Map<string, number>();
  for (const row of rows) {
    const lagUs = shown(row, 'appliedAll') === '1' ? 0 : oldestPendingUs(row);
    // The clocks of two machines: a commit in the replica's future is one of just now.
    if (lagUs !== null) lags.set(text(row, 'channel'), Math.max(0, lagUs / 1000));
  }
  return lags;
}

function oldestPendingUs(row: Row): number | null {
  const applying = optionalNumber(row, ['applyingAgoUs']);
  const scheduling = optionalNumber(row, ['schedulingAgoUs']);
  if (applying === null && scheduling === null) return optionalNumber(row, ['queuedAgoUs']);
  return Math.max(applying ?? 0, scheduling ?? 0);
}

/** MariaDB 12 shows words for `read_only`, of which only OFF lets everybody write. */
function isOn(row: Row, column: string): boolean {
  const value = text(row, column).toUpperCase();
  return value !== '0' && value !== 'OFF';
}

function text(row: Row, column: string): string {
  const value = shown(row, column);
  if (value === null) throw missing(`column ${column}`);
  return value;
}

function optionalText(row: Row, columns: readonly string[]): string | null {
  for (const column of columns) {
    const value = shown(row, column);
    if (value !== null && value !== '') return value;
  }
  return null;
}

function optionalNumber(row: Row, columns: readonly string[]): number | null {
  const found = optionalText(row, columns);
  if (found === null) return null;
  const value = Number(found);
  return Number.isFinite(value) ? value : null;
}

function missing(what: string): LagwiseError {
  return new LagwiseError('backend-protocol', `The answer to the probe lacks a ${what}`);
}
