import { serverId } from '../../src/lib/ids.ts';
import type {
  ChannelPosition,
  Observation,
  ReplicaChannel,
} from '../../src/topology/observation.ts';

/** A channel in the short form of traces. `from` is a listed server or `host:port`. */
export interface ChannelSaid {
  readonly from: string;
  readonly receiver?: ReplicaChannel['receiver'];
  readonly applier?: boolean;
  readonly receiverError?: string;
  readonly applierError?: string;
  readonly commitLagMs?: number;
  readonly isApplying?: boolean;
  readonly appliedAgeMs?: number;
  /** As the server's own sets are written. */
  readonly received?: string;
  readonly configuredDelayMs?: number;
  /** Empty unless given. */
  readonly name?: string;
  readonly secondsBehind?: number;
  readonly filter?: string;
  /** The replica knows its source by another address than the proxy. */
  readonly alias?: string;
  /** The channel was never connected: no identity of the source. */
  readonly anonymous?: boolean;
}

/** What a server said, short. A text is the reason why the probe failed. */
export type ServerSaid =
  | string
  | {
      readonly readOnly?: boolean;
      /** `db1:1-5,db2:1-3`: names stand for the servers' UUIDs (MariaDB: as the server prints it). */
      readonly gtid?: string | null;
      readonly appliedGtid?: string | null;
      readonly flavor?: 'mysql' | 'mariadb';
      readonly binlogState?: string;
      readonly logsGtids?: boolean;
      readonly logFilter?: string;
      readonly logFilterProblem?: string;
      /** Another server answers there; default the one of that name. */
      readonly uuid?: string;
      readonly channels?: readonly ChannelSaid[];
      /** How long the probe took, ms; default 2. */
      readonly tookMs?: number;
      /** Only positions and times were asked for. */
      readonly light?: boolean;
      /** Its own clock when it answered, ms. */
      readonly clockMs?: number;
      readonly loggedAgeMs?: number;
      readonly heartbeat?: number;
    };

/** The UUID that a server of the traces has. */
function uuidOf(id: string): string {
  const digits = Buffer.from(id).toString('hex');
  return `00000000-0000-4000-8000-${digits.slice(-12).padStart(12, '0')}`;
}

/** Makes the observation that a monitor would have made of it. */
export function toObservation(
  id: string,
  said: ServerSaid,
  atMs: number,
  ids: readonly string[],
): Observation {
  const base = { serverId: serverId(id), startedAtMs: atMs };
  if (typeof said === 'string') {
    return { ...base, finishedAtMs: atMs + 2, result: { t: 'failed', why: said } };
  }
  const flavor = said.flavor ?? 'mysql';
  const gtidSet = expand(said.gtid ?? null, ids);
  const appliedGtidSet = said.appliedGtid === undefined ? gtidSet : expand(said.appliedGtid, ids);
  const channels = (said.channels ?? []).map((channel) => toChannel(channel, flavor, ids));
  const position = {
    gtidSet,
    appliedGtidSet,
    clockMs: said.clockMs ?? null,
    loggedAgeMs: said.loggedAgeMs ?? null,
    heartbeat: said.heartbeat ?? null,
  };
  const finishedAtMs = atMs + (said.tookMs ?? 2);
  if (said.light === true) {
    return {
      ...base,
      finishedAtMs,
      result: { t: 'position', ...position, channels: channels.map(toStamps) },
    };
  }
  return {
    ...base,
    finishedAtMs,
    result: {
      t: 'ok',
      flavor,
      version: flavor === 'mysql' ? '9.7.4' : '10.11.19-MariaDB',
      readOnly: said.readOnly ?? false,
      superReadOnly: said.readOnly ?? false,
      serverUuid: flavor === 'mysql' ? uuidOf(said.uuid ?? id) : null,
      serverNumber: ids.indexOf(id) + 1,
      logsGtids: said.logsGtids ?? gtidSet !== null,
      logFilter: said.logFilter ?? null,
      logFilterProblem: said.logFilterProblem ?? null,
      binlogState: said.binlogState ?? null,
      ...position,
      channels,
    },
  };
}

function toStamps({
  name,
  isApplying,
  commitLagMs,
  appliedAgeMs,
}: ReplicaChannel): ChannelPosition {
  return { name, isApplying, commitLagMs, appliedAgeMs };
}

function toChannel(said: ChannelSaid, flavor: string, ids: readonly string[]): ReplicaChannel {
  const number = ids.indexOf(said.from) + 1;
  const [host = '', port = '3306'] = (said.alias ?? said.from).split(':');
  const isKnown = number > 0 && said.anonymous !== true;
  return {
    name: said.name ?? '',
    sourceHost: host,
    sourcePort: number > 0 && said.alias === undefined ? 3305 + number : Number(port),
    sourceUuid: isKnown && flavor === 'mysql' ? uuidOf(said.from) : null,
    sourceServerId: isKnown ? number : null,
    receiver: said.receiver ?? 'on',
    applier: said.applier ?? true,
    receiverError: said.receiverError ?? null,
    applierError: said.applierError ?? null,
    commitLagMs: said.commitLagMs ?? null,
    isApplying: said.isApplying ?? null,
    appliedAgeMs: said.appliedAgeMs ?? null,
    receivedGtidSet: expand(said.received ?? null, ids),
    configuredDelayMs: said.configuredDelayMs ?? 0,
    secondsBehind: said.secondsBehind ?? null,
    filter: said.filter ?? null,
  };
}

function expand(text: string | null, ids: readonly string[]): string | null {
  if (text === null) return null;
  return ids.reduce((done, id) => done.replaceAll(`${id}:`, `${uuidOf(id)}:`), text);
}
