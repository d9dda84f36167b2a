import { formatMysqlGtidSet } from '../gtid/mysql-set.ts';
import { subtractMysql, withoutSource } from '../gtid/mysql-algebra.ts';
import type { ServerRecord, ServerRecords } from './server-record.ts';
import { leadsTo } from './sources.ts';

/**
 * Why a former primary may not serve yet; null once it is proved to be a clean replica of the
 * present one: read-only, replicating, and without transactions of its own that the primary lacks.
 * `primary` is null while there is none: then nothing can be proved.
 */
export function whyNotRejoined(
  record: ServerRecord,
  primary: ServerRecord | null,
  records: ServerRecords,
): string | null {
  const { report } = record;
  if (!record.reachable || report === null) return 'it does not answer';
  if (!report.readOnly) return 'it is writable';
  if (primary === null) return 'there is no primary to compare it with';
  const { channels } = report;
  const runs = channels.every((channel) => channel.applier && channel.receiver === 'on');
  if (channels.length === 0 || !runs) return 'it does not replicate';
  if (!leadsTo(record, primary.listed.id, records)) return 'it does not follow the primary';
  const errant = errantTransactions(record, primary);
  return errant === null ? null : `it has transactions that the primary lacks: ${errant}`;
}

/** What a replica has and its primary has not, as text; null for nothing or where not comparable. */
function errantTransactions(record: ServerRecord, primary: ServerRecord): string | null {
  const mine = record.executed;
  const theirs = primary.executed;
  if (mine?.t === 'mysql' && theirs?.t === 'mysql') {
    // The primary's own newest commits may have reached the replica after the primary was probed.
    const beyond = subtractMysql(mine.set, theirs.set);
    const errant = withoutSource(beyond, primary.report?.serverUuid ?? '');
    return errant.size === 0 ? null : formatMysqlGtidSet(errant);
  }
  return errantByBinlogState(record, primary);
}

/**
 * MariaDB's positions keep only the last transaction of a domain, so what a former primary
 * committed alone is hidden as soon as it has replicated one more. Its binary log remembers.
 */
function errantByBinlogState(record: ServerRecord, primary: ServerRecord): string | null {
  for (const { domain, server, sequence } of record.binlogState) {
    // The primary's own newest commits may have reached the replica after the primary was probed.
    if (server === primary.report?.serverNumber) continue;
    // A primary that never logged this server's commits (it was restored from a backup) cannot tell.
    const same = primary.binlogState.find(
      (known) => known.domain === domain && known.server === server,
    );
    if (same !== undefined && same.sequence < sequence) return `${domain}-${server}-${sequence}`;
  }
  return null;
}
