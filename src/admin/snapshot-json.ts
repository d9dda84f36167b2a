import type { ServerId } from '../lib/ids.ts';
import type { ReplicationView, ServerView, Snapshot } from '../topology/snapshot.ts';

/** What a replica's share of the reads follows from, as the proxy sees it. */
export interface ShownStanding {
  /** The part of its weight that counts, (0, 1]. */
  readonly ramp: number;
  /** Why it rests, null if it does not. */
  readonly rest: string | null;
  /** Until when (monotonic ms), -1 if it does not rest. */
  readonly restUntilMs: number;
  /** Peak-sensitive moving average, 0 unknown. */
  readonly latencyMs: number;
}

/**
 * A snapshot as plain JSON for people and scripts. Moments become ages, since the proxy's
 * monotonic clock means nothing outside, and what JSON has no word for (Infinity) becomes null.
 *
 * @param nowMs monotonic clock, as in the snapshot
 * @param standingOf what is known of replicas besides; without it that is left out
 */
export function snapshotJson(
  snapshot: Snapshot,
  nowMs: number,
  standingOf?: (id: ServerId) => ShownStanding,
): object {
  return {
    version: snapshot.version,
    epoch: snapshot.epoch,
    primary: snapshot.primary?.id ?? null,
    noPrimary: snapshot.noPrimary,
    servers: snapshot.servers.map((server) => ({
      ...serverJson(server, nowMs),
      ...(standingOf === undefined || server.role !== 'replica'
        ? {}
        : standingJson(standingOf(server.id), nowMs)),
    })),
  };
}

function serverJson(server: ServerView, nowMs: number): object {
  // The position is in `gtidSet`, as text.
  const { position: _, caughtUpToMs, grownSinceMs, lag, replication, ...others } = server;
  const { seenAtMs, positionAtMs, ...rest } = others;
  return {
    ...rest,
    lagMs: lag.t === 'known' ? lag.lagMs : null,
    lagMethod: lag.t === 'known' ? lag.method : null,
    lagUnknownBecause: lag.t === 'unknown' ? lag.why : null,
    lagSampleAgeMs: lag.t === 'known' && seenAtMs >= 0 ? Math.round(nowMs - seenAtMs) : null,
    replication: replication === null ? null : replicationJson(replication, nowMs),
    caughtUpAgeMs:
      Number.isFinite(caughtUpToMs) && caughtUpToMs >= 0 ? Math.round(nowMs - caughtUpToMs) : null,
    seenAgeMs: seenAtMs >= 0 ? Math.round(nowMs - seenAtMs) : null,
    grownForMs: Number.isFinite(grownSinceMs) ? Math.round(nowMs - grownSinceMs) : null,
    positionAgeMs: positionAtMs >= 0 ? Math.round(nowMs - positionAtMs) : null,
  };
}

function standingJson({ ramp, rest, restUntilMs, latencyMs }: ShownStanding, nowMs: number) {
  return {
    ramp: Math.round(ramp * 1000) / 1000,
    restsBecause: rest,
    restsForMs: rest === null ? null : Math.max(0, Math.round(restUntilMs - nowMs)),
    latencyMs: Math.round(latencyMs * 1000) / 1000,
  };
}

function replicationJson(replication: ReplicationView, nowMs: number): object {
  const { stoppedSinceMs, ...rest } = replication;
  return {
    ...rest,
    stoppedForMs: stoppedSinceMs === null ? null : Math.round(nowMs - stoppedSinceMs),
  };
}
