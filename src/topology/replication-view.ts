import type { ServerId } from '../lib/ids.ts';
import type { ReplicaChannel } from './observation.ts';
import { catchUpMs, countBeyond } from './progress.ts';
import type { ServerRecord, ServerRecords } from './server-record.ts';
import type { ChannelView, ReplicationView } from './snapshot.ts';
import { sourceOf } from './sources.ts';

/** What the details of a replica's replication depend on besides the replica itself. */
interface ReplicationContext {
  readonly records: ServerRecords;
  readonly primaryId: ServerId | null;
  readonly memory: { readonly last: ServerId | null };
}

/** How a server's replication does; null for one without channels. */
export function replicationOf(
  record: ServerRecord,
  { records, primaryId, memory }: ReplicationContext,
): ReplicationView | null {
  const channels = record.report?.channels ?? [];
  if (channels.length === 0) return null;
  const head = primaryId ?? memory.last;
  const primary = head === null ? undefined : records.get(head);
  const behind = countBeyond(primary?.executed ?? null, record.applied);
  const queues = record.received.map((received) => countBeyond(received, record.applied));
  // A primary that is gone sends nothing more.
  const arriving = primaryId === null ? null : (primary?.executedRate ?? null);
  const rate = record.appliedRate?.perSecond ?? null;
  return {
    channels: channels.map((channel) => channelOf(channel, records)),
    queued: sumOf(queues),
    behind,
    isApplying: isApplying(channels, queues),
    appliedPerSecond: rate === null ? null : Math.round(rate * 10) / 10,
    catchUpMs:
      record.stoppedSinceMs === null ? catchUpMs(behind, record.appliedRate, arriving) : null,
    configuredDelayMs: Math.max(...channels.map((channel) => channel.configuredDelayMs)),
    stoppedSinceMs: record.stoppedSinceMs,
  };
}

function channelOf(channel: ReplicaChannel, records: ServerRecords): ChannelView {
  const { name, receiver, applier, receiverError, applierError, configuredDelayMs } = channel;
  const found = sourceOf(channel, records);
  const source = found.t === 'listed' ? found.id : `${channel.sourceHost}:${channel.sourcePort}`;
  return { name, source, receiver, applier, receiverError, applierError, configuredDelayMs };
}

/** Where the server does not say, something in the queue of a running applier is in work. */
function isApplying(
  channels: readonly ReplicaChannel[],
  queues: readonly (number | null)[],
): boolean | null {
  let result: boolean | null = false;
  for (const [index, channel] of channels.entries()) {
    const queued = queues[index] ?? null;
    const said = channel.isApplying ?? (queued === null ? null : queued > 0 && channel.applier);
    if (said === true) return true;
    if (said === null) result = null;
  }
  return result;
}

function sumOf(counts: readonly (number | null)[]): number | null {
  let sum = 0;
  for (const count of counts) {
    if (count === null) return null;
    sum += count;
  }
  return sum;
}

/** Whether two look the same to every reader. */
export function sameReplication(
  left: ReplicationView | null,
  right: ReplicationView | null,
): boolean {
  if (left === null || right === null) return left === right;
  const { channels: before, ...old } = left;
  const { channels: after, ...fresh } = right;
  return (
    sameFields(old, fresh) &&
    before.length === after.length &&
    before.every((channel, index) => sameFields(channel, after[index]))
  );
}

function sameFields(left: object, right: object | undefined): boolean {
  const others = new Map(Object.entries(right ?? {}));
  return Object.entries(left).every(([key, value]) => others.get(key) === value);
}
