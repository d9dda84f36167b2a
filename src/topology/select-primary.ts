import type { ServerId } from '../lib/ids.ts';
import type { ServerRecord, ServerRecords } from './server-record.ts';
import { follows, isActive, sourceOf } from './sources.ts';

/** What is remembered from before. */
export interface PrimaryMemory {
  /** The last server that was primary, whether it still is or not. */
  readonly last: ServerId | null;
  /** Former primaries that have not been seen as clean replicas since. */
  readonly deposed: ReadonlySet<ServerId>;
}

export type PrimaryChoice =
  | { readonly t: 'primary'; readonly id: ServerId }
  | { readonly t: 'none'; readonly why: string };

/**
 * Which server is the primary, by what the servers themselves say. Exactly one writable server that
 * replicates from nobody is the primary. With two or more, the previous primary stays if the
 * replicas still follow it; otherwise nobody is: writes to the wrong one of two are worse than no
 * writes. Nothing is decided before each listed server has answered or failed once, since the one
 * that answers first after a start may be a stale former primary.
 */
export function selectPrimary(records: ServerRecords, memory: PrimaryMemory): PrimaryChoice {
  const waiting = [...records.values()].filter((record) => !record.observed);
  if (waiting.length > 0) return { t: 'none', why: `${names(waiting)} not probed yet` };
  const writable = [...records.values()].filter(
    (record) => isWritable(record) && !memory.deposed.has(record.listed.id),
  );
  const candidates = writable.filter((record) => !isReplicating(record, records));
  const [only, second] = candidates;
  if (only === undefined) return { t: 'none', why: explain(records, memory) };
  if (second === undefined) return { t: 'primary', id: only.listed.id };
  const previous = candidates.find((record) => record.listed.id === memory.last);
  if (previous !== undefined && isFollowedAlone(previous, candidates, records)) {
    return { t: 'primary', id: previous.listed.id };
  }
  return {
    t: 'none',
    why: `${names(candidates)} are writable at once: set read_only=1 on all but the primary`,
  };
}

/** It answers, and accepts writes. */
function isWritable(record: ServerRecord): boolean {
  return record.reachable && record.report !== null && !record.report.readOnly;
}

/**
 * Whether an active channel makes it a replica. One from its own read-only follower does not: that
 * is the writing half of a master-master pair whose other half stands by.
 */
function isReplicating(record: ServerRecord, records: ServerRecords): boolean {
  return (record.report?.channels ?? []).some((channel) => {
    if (!isActive(channel)) return false;
    const source = sourceOf(channel, records);
    const peer = source.t === 'listed' ? records.get(source.id) : undefined;
    const standsBy =
      peer?.report?.readOnly === true && follows(peer, record.listed.id, records, true);
    return !standsBy;
  });
}

/** Somebody follows `previous`, be the channel stopped, and nobody follows another candidate. */
function isFollowedAlone(
  previous: ServerRecord,
  candidates: readonly ServerRecord[],
  records: ServerRecords,
): boolean {
  let followed = false;
  for (const record of records.values()) {
    if (!record.reachable || record === previous) continue;
    if (follows(record, previous.listed.id, records, false)) followed = true;
    for (const rival of candidates) {
      if (
        rival !== previous &&
        rival !== record &&
        follows(record, rival.listed.id, records, true)
      ) {
        return false;
      }
    }
  }
  return followed;
}

function explain(records: ServerRecords, memory: PrimaryMemory): string {
  const reasons: string[] = [];
  for (const record of records.values()) {
    const { listed, report } = record;
    if (!record.reachable || report === null) {
      reasons.push(`${listed.id} does not answer (${record.failure ?? 'no report'})`);
    } else if (report.readOnly) {
      reasons.push(`${listed.id} is read-only`);
    } else if (memory.deposed.has(listed.id)) {
      reasons.push(`${listed.id} is writable but was replaced as primary and has not rejoined`);
    } else {
      reasons.push(`${listed.id} is writable but replicates from ${sourceNames(record, records)}`);
    }
  }
  return reasons.join(', ');
}

/** The sources of a server's channels, for people. */
export function sourceNames(record: ServerRecord, records: ServerRecords): string {
  const channels = record.report?.channels ?? [];
  return channels
    .map((channel) => {
      const source = sourceOf(channel, records);
      return source.t === 'listed' ? source.id : `${channel.sourceHost}:${channel.sourcePort}`;
    })
    .join(' and ');
}

function names(records: readonly ServerRecord[]): string {
  return records.map((record) => record.listed.id).join(' and ');
}
