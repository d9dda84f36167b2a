import { LagwiseError } from '../lib/errors.ts';
import type { ServerId } from '../lib/ids.ts';
import type { ServerLoad } from '../pool/server-load.ts';
import type { StateProfile } from '../pool/state-profile.ts';
import {
  chooseReplica,
  explainReplicas,
  isEligible,
  type ReplicaDemand,
} from '../routing/choose-replica.ts';
import type { Policy } from '../routing/policy.ts';
import type { FallbackReason } from '../telemetry/labels.ts';
import type { ServerView, Snapshot } from '../topology/snapshot.ts';
import type { Command } from './command.ts';
import type { SessionDeps } from './session-deps.ts';
import type { SessionState } from './session-state.ts';

/** A replica is left for another only if that one has clearly less to do. */
const MOVE_FACTOR = 1.5;
const MOVE_MARGIN = 3;
/** Where replicas refused a session's state they may only have been behind: they are asked again. */
const REFUSED_MS = 1000;

/**
 * Which replica a session reads from: one and the same while it will do, so that what was read
 * once does not vanish in the next read.
 */
export class ReplicaChoice {
  private readonly deps: SessionDeps;
  private readonly state: SessionState;
  /** The load of the server that it reads from, null for none. */
  private reader: ServerLoad | null = null;
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
  /** A read after this moment (monotonic ms) needs a replica that has caught up to it; -1 none. */
  private lastWriteAtMs = -1;

  constructor(deps: SessionDeps, state: SessionState) {
    this.deps = deps;
    this.state = state;
  }

  /** Why no replica could take the last read that none could. */
  get whyNone(): FallbackReason {
    return this.noneWhy;
  }

  noteWrite(nowMs: number): void {
    this.lastWriteAtMs = nowMs;
    this.checkedIn = -1;
  }

  /** The replica to read from where that is known already, else null. The hot path. */
  ready(snapshot: Snapshot, command: Command): ServerId | null {
    const { version } = snapshot;
    if (command.policy !== this.checkedFor) {
      this.checkedFor = command.policy;
      this.checkedIn = -1;
      this.noneIn = -1;
    }
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

  /**
   * The replica for this read: the one in use while it will do, else another; null for none.
   * @throws LagwiseError where reads may not go to the primary (`routing.fallback`)
   */
  choose(snapshot: Snapshot, command: Command): ServerView | null {
    const server = this.pick(snapshot, command);
    if (server === null) {
      this.noneIn = command.tried === null ? snapshot.version : -1;
      return null;
    }
    if (server.id !== this.reader?.id) this.readFrom(this.deps.pool.loadOf(server.id));
    this.checkedIn = snapshot.version;
    return server;
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
    const demand = this.demand(command);
    const { reader } = this;
    if (reader !== null) {
      const view = snapshot.servers.find(({ id }) => id === reader.id);
      const stays = view !== undefined && isEligible(view, demand);
      if (stays && !this.isOverloaded(snapshot, demand, reader)) return view;
    }
    const { pool, random, config } = this.deps;
    const choice = chooseReplica(snapshot, demand, (id) => pool.loadOf(id).work, random);
    if (choice.t === 'chosen') return choice.server;
    if (config.routing.fallback === 'error') throw noReplica(snapshot, demand);
    this.noneWhy = whyNone(snapshot, demand);
    return null;
  }

  /** Whether another replica has clearly less to do: it came back, or sessions ended unevenly. */
  private isOverloaded(snapshot: Snapshot, demand: ReplicaDemand, reader: ServerLoad): boolean {
    for (const server of snapshot.servers) {
      if (server.id === reader.id || !isEligible(server, demand)) continue;
      // By sessions alone: what is in flight changes too fast to move for.
      const theirs = this.deps.pool.loadOf(server.id).readers;
      if (reader.readers > theirs * MOVE_FACTOR + MOVE_MARGIN) return true;
    }
    return false;
  }

  private demand(command: Command): ReplicaDemand {
    const { routing } = this.deps.config;
    const consistency = command.policy?.consistency ?? routing.consistency;
    return {
      maxLagMs: command.policy?.maxLagMs ?? routing.maxLagMs,
      minCaughtUpToMs: consistency === 'eventual' ? -1 : this.lastWriteAtMs,
      exclude: command.tried ?? undefined,
    };
  }
}

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
  const some = (other: ReplicaDemand) =>
    snapshot.servers.some((server) => isEligible(server, other));
  if (some({ ...demand, minCaughtUpToMs: -1 })) return 'own-writes';
  return some({ maxLagMs: Number.POSITIVE_INFINITY, minCaughtUpToMs: -1 }) ? 'lag' : 'no-replica';
}
