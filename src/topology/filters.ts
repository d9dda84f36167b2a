import type { ServerId } from '../lib/ids.ts';
import type { ServerReport } from './observation.ts';
import type { ServerRecord, ServerRecords } from './server-record.ts';
import { leadsTo, sourceOf } from './sources.ts';

/** What a server's replication leaves out now; null for nothing that matters. */
export function filterOf({ channels }: ServerReport): string | null {
  const filters = channels.flatMap(({ filter }) => (filter === null ? [] : [filter]));
  return filters.length === 0 ? null : filters.join('; ');
}

/**
 * Whoever replicates from a replica that leaves out data lacks the data too, and has the GTIDs too.
 * What the primary itself leaves out concerns all servers, and is no matter of this.
 */
export function inheritFilters(records: ServerRecords, primaryId: ServerId): ServerRecords {
  let known = records;
  // One more round for each link of a chain that passes it on; a circle ends when all have it.
  for (let isNew = true; isNew; ) {
    isNew = false;
    for (const [id, record] of known) {
      const inherited = record.filter === null ? inheritedBy(record, known, primaryId) : null;
      if (inherited === null) continue;
      known = new Map(known).set(id, { ...record, filter: inherited });
      isNew = true;
    }
  }
  return known;
}

function inheritedBy(
  record: ServerRecord,
  records: ServerRecords,
  primaryId: ServerId,
): string | null {
  for (const channel of record.report?.channels ?? []) {
    const found = sourceOf(channel, records);
    if (found.t !== 'listed' || found.id === primaryId || found.id === record.listed.id) continue;
    const source = records.get(found.id);
    const filter = source?.filter ?? source?.logFilter ?? null;
    // A former primary has passed on all that counts now.
    if (source === undefined || filter === null || !leadsTo(source, primaryId, records)) continue;
    return `source ${found.id}: ${filter}`;
  }
  return null;
}

/**
 * Whether it proves nothing to have the GTIDs of a commit: the primary's log leaves out some, or
 * the server does. `head` is the primary, or the last one.
 */
export function provesNothing(record: ServerRecord, head: ServerRecord | null): boolean {
  return record.filter !== null || (head !== null && !logsAll(head));
}

/** It is known that the server's binary log has all that it commits. */
export function logsAll({ report, logFilter }: ServerRecord): boolean {
  if (logFilter !== null) return false;
  return report === null || report.logFilterProblem === null;
}

/** Why a server's GTIDs do not vouch for its data, for people; null where they do. */
export function describeFilters(record: ServerRecord, isPrimary: boolean): string | null {
  const { filter, logFilter, report } = record;
  if (isPrimary) {
    if (logsAll(record)) return null;
    if (logFilter === null) {
      return `Whether its binary log leaves out data is not known: ${report?.logFilterProblem}`;
    }
    const isNow = report !== null && report.logFilter !== null;
    return `Its binary log ${isNow ? 'leaves' : 'has left'} out data (${logFilter})`;
  }
  if (filter === null) return null;
  const isNow = report !== null && filterOf(report) !== null;
  return `Its replication ${isNow ? 'leaves' : 'has left'} out data (${filter})`;
}
