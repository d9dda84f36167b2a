import type { ServerId } from '../lib/ids.ts';
import type { ReplicaChannel } from './observation.ts';
import type { ServerRecord, ServerRecords } from './server-record.ts';

/** Which listed server a channel fetches from. */
export type Source =
  | { readonly t: 'listed'; readonly id: ServerId }
  /** No listed server matches, but one has not told its identity yet: it may be that one. */
  | { readonly t: 'unidentified' }
  | { readonly t: 'foreign' };

/**
 * Finds a channel's source among the listed servers. Identity counts before the address: replicas
 * often reach their source by another name than the proxy does.
 */
export function sourceOf(channel: ReplicaChannel, records: ServerRecords): Source {
  let byAddress: ServerId | null = null;
  let allIdentified = true;
  for (const { listed, report } of records.values()) {
    if (report === null) allIdentified = false;
    else if (isIdentity(channel, report.serverUuid, report.serverNumber)) {
      return { t: 'listed', id: listed.id };
    }
    if (channel.sourceHost === listed.host && channel.sourcePort === listed.port) {
      byAddress = listed.id;
    }
  }
  if (byAddress !== null) return { t: 'listed', id: byAddress };
  return allIdentified ? { t: 'foreign' } : { t: 'unidentified' };
}

function isIdentity(channel: ReplicaChannel, uuid: string | null, serverNumber: number): boolean {
  if (channel.sourceUuid !== null && uuid !== null) return channel.sourceUuid === uuid;
  // MariaDB has no server UUID; 0 is what a channel says that was never connected.
  return channel.sourceServerId !== null && channel.sourceServerId > 0
    ? channel.sourceServerId === serverNumber
    : false;
}

/** At least one of the channel's threads is at work or trying to be. */
export function isActive(channel: ReplicaChannel): boolean {
  return channel.applier || channel.receiver !== 'off';
}

/** Whether `follower` has a channel from `sourceId`; `active` leaves stopped channels out. */
export function follows(
  follower: ServerRecord,
  sourceId: ServerId,
  records: ServerRecords,
  active: boolean,
): boolean {
  for (const channel of follower.report?.channels ?? []) {
    if (active && !isActive(channel)) continue;
    const source = sourceOf(channel, records);
    if (source.t === 'listed' && source.id === sourceId) return true;
  }
  return false;
}

/**
 * Whether an active replication chain leads from a server to `targetId`, over listed servers only.
 * Chains may fork (several channels) and turn in circles (master-master).
 */
export function leadsTo(record: ServerRecord, targetId: ServerId, records: ServerRecords): boolean {
  const seen = new Set<ServerId>();
  const open: ServerRecord[] = [record];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    for (const channel of at.report?.channels ?? []) {
      const source = isActive(channel) ? sourceOf(channel, records) : null;
      if (source?.t !== 'listed' || seen.has(source.id)) continue;
      if (source.id === targetId) return true;
      seen.add(source.id);
      const next = records.get(source.id);
      if (next !== undefined) open.push(next);
    }
  }
  return false;
}
