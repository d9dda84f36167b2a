import type { ReplicaChannel, ServerReport } from '../topology/observation.ts';
import type { Dialect, ProbeParts } from './dialect.ts';
import { channelFilter } from './read-filters.ts';
import { ageMs, beatOf, clockMsOf, type Stamps, stampsOf } from './read-position.ts';
import { isOn, type Row, missing, optionalNumber, optionalText, text } from './rows.ts';

/** What is known of a server's binary log. */
export type LogFilter = Pick<ServerReport, 'logFilter' | 'logFilterProblem'>;

/**
 * Makes a report of a probe's result sets, which are as `probeSql` asks for them. Throws
 * LagwiseError (`backend-protocol`) if a column is missing.
 */
export function readReport(
  { dialect, log }: { readonly dialect: Dialect; readonly log: LogFilter },
  parts: ProbeParts,
  results: readonly (readonly Row[])[],
): ServerReport {
  const [variables] = results[0] ?? [];
  if (variables === undefined) throw missing('row of variables');
  const stamps = parts.commitTimestamps ? stampsOf(results[2] ?? []) : [];
  const [logged] = parts.commitTimestamps ? (results[3] ?? []) : [];
  const isMariadb = dialect.flavor === 'mariadb';
  // With any other mode the replicas' transactions may be anonymous and the sets prove nothing.
  const hasGtids = isMariadb || text(variables, 'gtidMode') === 'ON';
  // Long sets are printed in several lines.
  const gtidSet = hasGtids ? text(variables, 'gtidSet').replaceAll('\n', '') : null;
  const serverNumber = Number(text(variables, 'serverNumber'));
  const channels = (results[1] ?? []).map((row) => ({
    ...readChannel(row, hasGtids ? stamps : []),
    filter: channelFilter(row, serverNumber),
  }));
  return {
    t: 'ok',
    flavor: dialect.flavor,
    version: dialect.version,
    readOnly: isOn(variables, 'readOnly'),
    superReadOnly: !isMariadb && isOn(variables, 'superReadOnly'),
    serverUuid: isMariadb ? null : text(variables, 'serverUuid'),
    serverNumber,
    logsGtids: hasGtids && isOn(variables, 'logBin'),
    ...log,
    gtidSet,
    appliedGtidSet: isMariadb ? text(variables, 'appliedGtidSet') : gtidSet,
    binlogState: isMariadb ? text(variables, 'binlogState') : null,
    channels,
    clockMs: clockMsOf(variables),
    loggedAgeMs: logged === undefined ? null : ageMs(logged, 'loggedAgoUs'),
    heartbeat: parts.heartbeatSql === null ? null : beatOf(results.at(-1)),
  };
}

function readChannel(row: Row, stamps: readonly Stamps[]): Omit<ReplicaChannel, 'filter'> {
  const name = optionalText(row, ['Channel_Name', 'Connection_name']) ?? '';
  const known = stamps.find((stamp) => stamp.name === name);
  const delayS = optionalNumber(row, ['SQL_Delay']) ?? 0;
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
    commitLagMs: known?.commitLagMs ?? null,
    isApplying: known?.isApplying ?? (isDelaying(row) ? false : null),
    appliedAgeMs: known?.appliedAgeMs ?? null,
    receivedGtidSet:
      optionalText(row, ['Retrieved_Gtid_Set', 'Gtid_IO_Pos'])?.replaceAll('\n', '') ?? null,
    configuredDelayMs: delayS * 1000,
    secondsBehind: optionalNumber(row, ['Seconds_Behind_Source', 'Seconds_Behind_Master']),
  };
}

/** The applier lets a transaction wait until its configured delay is over. */
function isDelaying(row: Row): boolean {
  return optionalNumber(row, ['SQL_Remaining_Delay']) !== null;
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
