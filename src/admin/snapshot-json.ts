import type { ServerView, Snapshot } from '../topology/snapshot.ts';

/**
 * A snapshot as plain JSON for people and scripts. Moments become ages, since the proxy's
 * monotonic clock means nothing outside, and what JSON has no word for (Infinity) becomes null.
 *
 * @param nowMs monotonic clock, as in the snapshot
 */
export function snapshotJson(snapshot: Snapshot, nowMs: number): object {
  return {
    version: snapshot.version,
    epoch: snapshot.epoch,
    primary: snapshot.primary?.id ?? null,
    noPrimary: snapshot.noPrimary,
    servers: snapshot.servers.map((server) => serverJson(server, nowMs)),
  };
}

function serverJson(server: ServerView, nowMs: number): object {
  const { caughtUpToMs, seenAtMs, lag, ...rest } = server;
  return {
    ...rest,
    lagMs: lag.t === 'known' ? lag.lagMs : null,
    lagMethod: lag.t === 'known' ? lag.method : null,
    lagUnknownBecause: lag.t === 'unknown' ? lag.why : null,
    caughtUpAgeMs:
      Number.isFinite(caughtUpToMs) && caughtUpToMs >= 0 ? Math.round(nowMs - caughtUpToMs) : null,
    seenAgeMs: seenAtMs >= 0 ? Math.round(nowMs - seenAtMs) : null,
  };
}
