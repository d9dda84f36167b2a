import type { Position } from '../../gtid/position.ts';
import type { Consistency } from '../../config/rule-schema.ts';
import { LagwiseError } from '../../lib/errors.ts';
import type { ServerId } from '../../lib/ids.ts';
import type { ServerLoad } from '../../pool/server-load.ts';
import type { StateProfile } from '../../pool/state-profile.ts';
import { chooseReplica } from '../../routing/choose-replica.ts';
import { explainReplicas } from '../../routing/explain-replicas.ts';
import type { Policy } from '../../routing/policy.ts';
import { isEligible, isFit, type ReplicaDemand } from '../../routing/replica-demand.ts';
import { betterReplica } from '../../routing/replica-move.ts';
import type { Requirement } from '../../routing/visibility.ts';
import type { FallbackReason } from '../../telemetry/labels.ts';
import type { ServerView, Snapshot } from '../../topology/snapshot.ts';
import type { Command } from '../command/command.ts';
import type { Horizon } from './horizon.ts';
import type { SessionDeps } from '../session-deps.ts';
import type { SessionState } from '../state/session-state.ts';

/** Where replicas refused a session's state they may only have been behind: they are asked again. */
const REFUSED_MS = 1000;
const NOTHING: readonly Requirement[] = [];

/**
 * Which replica a session reads from: one and the same while it will do, so that what was read
 * once does not vanish in the next read.
 */
export class ReplicaChoice {
  private readonly deps: SessionDeps;
  private readonly state: SessionState;
  /** The load of the server that it reads from, null for none. */
  private reader: ServerLoad | null = null;
  /** Its lag when it was last looked at. */
  readerLagMs = 0;
  /** Snapshot that the reader was last found eligible in. */
  private checkedIn = -1;
  /** What was said of the statement that it was checked for: others may allow more lag, or less. */
  private checkedFor: Policy | null = null;
  /** State that no replica took over, and until when they are not asked again (monotonic ms). */
  private refusedProfile: StateProfile | null = null;
  private refusedUntilMs = -1;
  /** Snapshot in which no replica was eligible for this session's reads. */
  private noneIn = -1;
  private noneWhy: FallbackReason = 'no-replica';
  /** Where it should read from as soon as that is known to show what it has seen. */
  private moveTo: ServerId | null = null;
  /** What its reads have to see. */
  private readonly horizon: Horizon;

  constructor(deps: SessionDeps, state: SessionState, horizon: Horizon) {
    this.deps = deps;
    this.state = state;
    this.horizon = horizon;
  }

  /** Why no replica could take the last read that none could. */
  get whyNone(): FallbackReason {
    return this.noneWhy;
  }

  /** The primary was asked what it had committed. */
  learned(position: Position, askedAtMs: number): void {
    this.horizon.complete(position, askedAtMs);
  }

  /** There is more that reads have to see. */
  recheck(): void {
    this.checkedIn = -1;
    this.noneIn = -1;
  }

  /** Rows of this server went to the client: another one's say nothing of the replica in use. */
  noteRead(server: ServerId): void {
    if (server !== this.reader?.id) this.checkedIn = -1;
  }

  /** The replica to read from where that is known already, else null. The hot path. */
  ready(snapshot: Snapshot, command: Command): ServerId | null {
    const { version } = snapshot;
    if (command.policy !== this.checkedFor) {
      this.checkedFor = command.policy;
      this.checkedIn = -1;
      this.noneIn = -1;
    }
    if (this.moveTo !== null) return null;
    if (this.checkedIn === version && this.reader !== null && command.tried === null) {
      return this.reader.id;
    }
    if (this.noneIn === version) return null;
    return this.choose(snapshot, command)?.id ?? null;
  }

  /** No replica will do in this snapshot. */
  isNone(snapshot: Snapshot): boolean {
    return this.noneIn === snapshot.version;
  }

  /** The replica for this read: the one in use while it will do, else another; null for none. */
  choose(snapshot: Snapshot, command: Command): ServerView | null {
    const server = this.pick(snapshot, command);
    if (server === null) {
      this.noneIn = command.tried === null ? snapshot.version : -1;
      return null;
    }
    if (server.id !== this.reader?.id) this.readFrom(this.deps.pool.loadOf(server.id));
    this.checkedIn = snapshot.version;
    this.readerLagMs = server.lag.t === 'known' ? server.lag.lagMs : 0;
    return server;
  }

  /**
   * Whether to wait for a replica instead of reading on the primary: one would do but for what it
   * is known to show, and is not far behind.
   */
  mayWait(snapshot: Snapshot, command: Command): boolean {
    if (this.noneWhy !== 'own-writes' || command.isLate) return false;
    const { waitMs } = this.deps.config.routing;
    if (waitMs === 0) return false;
    const near = this.nearDemand(this.demand(snapshot, command));
    return snapshot.servers.some((server) => canTell(server) && isFit(server, near));
  }

  /**
   * A replica that has `wanted`, or else may have it soon; null for none.
   * @param preferred taken if it will do at all
   */
  near(
    snapshot: Snapshot,
    demand: ReplicaDemand,
    wanted: Position,
    preferred: ServerId | null = null,
  ): ServerView | null {
    const position: Requirement = {
      t: 'commits',
      byMs: Number.POSITIVE_INFINITY,
      position: wanted,
    };
    const near = withoutMute(snapshot, this.nearDemand(demand));
    const server =
      snapshot.servers.find((each) => each.id === preferred && isFit(each, near)) ??
      this.better(snapshot, { ...demand, requirements: [position] }) ??
      this.better(snapshot, near);
    if (server !== null && server.id !== this.reader?.id) {
      this.readFrom(this.deps.pool.loadOf(server.id));
      this.checkedIn = -1;
    }
    this.readerLagMs = server?.lag.t === 'known' ? server.lag.lagMs : 0;
    return server;
  }

  /** The replica that is to be waited for if that may be: `preferred`, or the one in use. */
  aimOf(snapshot: Snapshot, demand: ReplicaDemand, preferred: ServerId | null): ServerView | null {
    const aim = preferred ?? this.reader?.id;
    const view = snapshot.servers.find(({ id }) => id === aim);
    return view !== undefined && isFit(view, this.nearDemand(demand)) ? view : null;
  }

  private nearDemand(demand: ReplicaDemand): ReplicaDemand {
    const maxLagMs = Math.min(demand.maxLagMs, this.deps.config.routing.waitMs);
    return { ...demand, maxLagMs, requirements: NOTHING };
  }

  /** The one in use while it will do, else another. */
  private better(snapshot: Snapshot, demand: ReplicaDemand): ServerView | null {
    const { reader } = this;
    const view = snapshot.servers.find(({ id }) => id === reader?.id);
    if (view !== undefined && isEligible(view, demand, snapshot)) return view;
    const { pool, random } = this.deps;
    const choice = chooseReplica(snapshot, demand, (id) => pool.loadOf(id), random);
    return choice.t === 'chosen' ? choice.server : null;
  }

  /** Replicas took the login but not the session's state. */
  refused(): void {
    this.refusedProfile = this.state.profile;
    this.refusedUntilMs = performance.now() + REFUSED_MS;
    this.checkedIn = -1;
  }

  /** The session is over. */
  leave(): void {
    this.readFrom(null);
  }

  /** @throws LagwiseError where reads may not go to the primary (`routing.fallback`) */
  leaveToPrimary(snapshot: Snapshot, command: Command): void {
    if (this.deps.config.routing.fallback === 'primary') return;
    throw noReplica(snapshot, this.demand(snapshot, command));
  }

  private readFrom(load: ServerLoad | null): void {
    if (this.reader !== null) this.reader.readers -= 1;
    if (load !== null) load.readers += 1;
    this.reader = load;
  }

  private pick(snapshot: Snapshot, command: Command): ServerView | null {
    if (this.refusedProfile !== null) {
      if (this.refusedProfile === this.state.profile && performance.now() < this.refusedUntilMs) {
        this.noneWhy = 'refused';
        return null;
      }
      this.refusedProfile = null;
    }
    const demand = this.demand(snapshot, command);
    const { reader } = this;
    if (reader !== null) {
      const view = snapshot.servers.find(({ id }) => id === reader.id);
      if (view !== undefined && isEligible(view, demand, snapshot)) {
        return this.moved(snapshot, demand, view) ?? view;
      }
    }
    const { pool, random } = this.deps;
    const choice = chooseReplica(snapshot, demand, (id) => pool.loadOf(id), random);
    if (choice.t === 'chosen') return choice.server;
    this.noneWhy = whyNone(snapshot, demand);
    return null;
  }

  /**
   * A clearly better replica than the one in use; null to stay. Who reads without a pause can never
   * be known to have seen no more than another has: that one is remembered, to be asked.
   */
  private moved(snapshot: Snapshot, demand: ReplicaDemand, view: ServerView): ServerView | null {
    const { pool } = this.deps;
    const unseen = demand.requirements.filter(({ t }) => t !== 'seen');
    const figuresOf = (id: ServerId) => pool.loadOf(id);
    const wish = { ...demand, requirements: unseen };
    const better = betterReplica(snapshot, wish, view, figuresOf);
    if (better === null) return null;
    pool.loadOf(view.id).movable -= 1;
    if (isEligible(better, demand, snapshot)) return better;
    if (this.deps.config.routing.waitMs > 0) this.moveTo = better.id;
    return null;
  }

  /** The replica that the session should move to; asked for once. */
  takeMove(): ServerId | null {
    const { moveTo } = this;
    this.moveTo = null;
    return moveTo;
  }

  private requirements(snapshot: Snapshot, command: Command): readonly Requirement[] {
    const level = this.levelOf(command);
    if (level === 'eventual' || !this.deps.keepsPromises) return NOTHING;
    const own = this.horizon.requirements(snapshot.primary);
    const { newest } = command;
    if (level !== 'global' || newest === null) return own;
    // Where nobody can vouch, the primary is asked.
    const position = newest.t === 'position' ? newest.position : null;
    return [...own, { t: 'commits', byMs: Number.POSITIVE_INFINITY, position }];
  }

  /** How much the command must see. */
  levelOf(command: Command): Consistency {
    return command.policy?.consistency ?? this.deps.config.routing.consistency;
  }

  /** What a replica must be for this read. */
  demand(snapshot: Snapshot, command: Command): ReplicaDemand {
    const { routing } = this.deps.config;
    return {
      maxLagMs: command.policy?.maxLagMs ?? routing.maxLagMs,
      requirements: this.requirements(snapshot, command),
      exclude: command.tried ?? undefined,
      tags: command.policy?.replicaTags,
      zone: routing.zone,
      resting: this.deps.pool.resting,
    };
  }
}

/** To wait for a position says something of a server only where having one does. */
const canTell = ({ position }: ServerView): boolean => position !== null;

function withoutMute({ servers }: Snapshot, demand: ReplicaDemand): ReplicaDemand {
  if (servers.every(canTell)) return demand;
  const mute = servers.filter((server) => !canTell(server)).map(({ id }) => id);
  return { ...demand, exclude: new Set([...(demand.exclude ?? []), ...mute]) };
}

/** What a client is told where no replica can take its read and the primary may not. */
function noReplica(snapshot: Snapshot, demand: ReplicaDemand): LagwiseError {
  const why = explainReplicas(snapshot, demand)
    .map(({ id, why: reason }) => `${id}: ${reason}`)
    .join('; ');
  return new LagwiseError(
    'no-eligible-server',
    `No replica may take this read and routing.fallback is "error" (${why})`,
  );
}

function whyNone(snapshot: Snapshot, demand: ReplicaDemand): FallbackReason {
  const some = (other: ReplicaDemand) => snapshot.servers.some((server) => isFit(server, other));
  const { tags } = demand;
  if (some(demand)) return 'own-writes';
  if (some({ maxLagMs: Number.POSITIVE_INFINITY, requirements: NOTHING, tags })) return 'lag';
  const isTagged = tags !== undefined && tags.length > 0;
  return isTagged && some({ ...demand, tags: [] }) ? 'tags' : 'no-replica';
}
