import type { ServerId } from '../lib/ids.ts';
import type { Observation } from '../topology/observation.ts';
import type { ServerView, Snapshot } from '../topology/snapshot.ts';
import type { Prober } from './monitor.ts';

/** What sets the pace of the probes, and what it is set on. */
export interface PaceOptions {
  readonly prober: Pick<Prober, 'hurry' | 'setIdle'>;
  /** The monotonic clock that sessions use, ms. */
  readonly nowMs: () => number;
  /** Grows with what clients do. */
  readonly activity: () => number;
}

/** One wish makes the replicas' probes fast for so long, ms: a few waits in a row are one hurry. */
const HURRY_MS = 500;

/** A hurry is made longer when so much of it is left, and not with every wish, ms. */
const HURRY_AGAIN_MS = 250;

/** Lag that changes by less from one probe to the next is steady: what the figure is good for, ms. */
const STEADY_MS = 50;

/** And so is lag that changes by less than this share of it. */
const STEADY_SHARE = 0.2;

/** A replica that is further behind than this takes no reads soon: it is not hurried for, ms. */
const FAR_BEHIND_MS = 60_000;

/**
 * While a replica lags by more than the one and less than the other, the primary is sampled at the
 * fast pace: commits are not even, and when the oldest missing one was made is known to the distance
 * of two samples. Below that range it does not matter, above it the share of the lag is small, ms.
 */
const SAMPLED_FROM_MS = 25;
const SAMPLED_TO_MS = 1000;

/** Without a change anywhere for so long the cluster is idle, ms. */
const IDLE_AFTER_MS = 5000;

/** Decides how often servers are asked: fast while lag moves or a read waits, slowly while idle. */
export class Pace {
  readonly #options: PaceOptions;
  #hurriedUntilMs = Number.NEGATIVE_INFINITY;
  #busyAtMs: number;
  #activity = 0;

  constructor(options: PaceOptions) {
    this.#options = options;
    this.#busyAtMs = options.nowMs();
  }

  /** A read would go to a replica if it were known to have caught up. */
  wanted(snapshot: Snapshot): void {
    const nowMs = this.#options.nowMs();
    this.#busy(nowMs);
    if (this.#hurriedUntilMs - nowMs > HURRY_AGAIN_MS) return;
    this.#hurriedUntilMs = nowMs + HURRY_MS;
    const replicas = snapshot.servers.filter(({ role }) => role === 'replica');
    this.#options.prober.hurry(
      replicas.map(({ id }) => id),
      HURRY_MS,
    );
  }

  /** After each observation, with the snapshots after and before it. */
  observed({ serverId }: Observation, after: Snapshot, before: Snapshot): void {
    const nowMs = this.#options.nowMs();
    const view = viewOf(after, serverId);
    const known = viewOf(before, serverId);
    if (view === undefined || known === undefined) return;
    if (isMoving(view, known)) this.#options.prober.hurry([serverId], HURRY_MS);
    const { primary } = after;
    if (primary !== null && isSampled(view)) this.#options.prober.hurry([primary.id], HURRY_MS);
    const activity = this.#options.activity();
    const isSettled = primary !== null && after.servers.every(({ role }) => role !== 'down');
    if (view.gtidSet !== known.gtidSet || activity !== this.#activity || !isSettled) {
      this.#busy(nowMs);
    } else if (nowMs - this.#busyAtMs >= IDLE_AFTER_MS) {
      this.#options.prober.setIdle(true);
    }
    this.#activity = activity;
  }

  #busy(nowMs: number): void {
    this.#busyAtMs = nowMs;
    this.#options.prober.setIdle(false);
  }
}

function viewOf(snapshot: Snapshot, id: ServerId): ServerView | undefined {
  return snapshot.servers.find((server) => server.id === id);
}

function isSampled({ role, lag }: ServerView): boolean {
  const lagMs = role === 'replica' && lag.t === 'known' ? lag.lagMs : 0;
  return lagMs > SAMPLED_FROM_MS && lagMs < SAMPLED_TO_MS;
}

/** Its lag was not and is now, or changes fast enough for the next figure to matter. */
function isMoving({ role, lag }: ServerView, known: ServerView): boolean {
  if (role !== 'replica' || lag.t !== 'known' || known.lag.t !== 'known') return false;
  if (lag.lagMs > FAR_BEHIND_MS) return false;
  const change = Math.abs(lag.lagMs - known.lag.lagMs);
  return change > Math.max(STEADY_MS, lag.lagMs * STEADY_SHARE);
}
