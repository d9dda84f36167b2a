import { messageOf } from '../lib/errors.ts';
import type { ServerId } from '../lib/ids.ts';
import type { Observation } from '../topology/observation.ts';
import {
  initialState,
  markUnreachable,
  noteBeat,
  reduce,
  type TopologyState,
} from '../topology/reduce.ts';
import type { ListedServer } from '../topology/server-record.ts';
import type { ServerView, Snapshot } from '../topology/snapshot.ts';
import type { HeartbeatWriter } from './heartbeat.ts';
import type { Prober } from './monitor.ts';
import { Pace } from './pace.ts';

/** The part of a logger that is used here. */
export interface TopologyLogger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Hears of each new snapshot, with the one before. Must not block. */
export type SnapshotListener = (snapshot: Snapshot, before: Snapshot) => void;

export interface TopologyServiceOptions {
  readonly servers: readonly ListedServer[];
  readonly prober: Prober;
  readonly logger: TopologyLogger;
  /** A primary sample older than this proves no zero lag, ms; a few probe intervals. */
  readonly sampleFreshMs?: number;
  /** Writes heartbeats to the primary; null for none. */
  readonly heartbeat?: HeartbeatWriter | null;
  /** Told of each probe: how long it took and whether it was answered. */
  readonly probed?: (id: ServerId, seconds: number, outcome: 'ok' | 'failed') => void;
  /** Grows with what clients do: while it does, nothing is idle. */
  readonly activity?: () => number;
  /** The monotonic clock that sessions use, ms. */
  readonly nowMs?: () => number;
}

const DEFAULT_SAMPLE_FRESH_MS = 3000;

/** Owns what is known of the cluster: turns probes into snapshots and tells of new ones. */
export class TopologyService {
  readonly #prober: Prober;
  readonly #logger: TopologyLogger;
  readonly #nowMs: () => number;
  readonly #listeners = new Set<SnapshotListener>();
  readonly #pace: Pace;
  readonly #heartbeat: HeartbeatWriter | null;
  readonly #probed: NonNullable<TopologyServiceOptions['probed']>;
  #state: TopologyState;
  /** The snapshot that the log has told of: none before each server was probed once. */
  #logged: Snapshot;

  constructor(options: TopologyServiceOptions) {
    this.#prober = options.prober;
    this.#logger = options.logger;
    this.#nowMs = options.nowMs ?? (() => performance.now());
    this.#heartbeat = options.heartbeat ?? null;
    this.#probed = options.probed ?? (() => undefined);
    this.#pace = new Pace({
      prober: options.prober,
      nowMs: this.#nowMs,
      activity: options.activity ?? (() => 0),
    });
    this.#state = initialState(options.servers, {
      sampleFreshMs: options.sampleFreshMs ?? DEFAULT_SAMPLE_FRESH_MS,
    });
    this.#logged = this.#state.snapshot;
  }

  /** Starts the probes. */
  start(): void {
    this.#prober.start((observation) => this.#observe(observation));
    this.#heartbeat?.start((beat) => {
      this.#state = noteBeat(this.#state, beat);
    });
  }

  /** Ends the probes; the last snapshot stays. */
  async stop(): Promise<void> {
    await Promise.all([this.#prober.stop(), this.#heartbeat?.stop()]);
  }

  /** The cluster as it is known now. */
  current(): Snapshot {
    return this.#state.snapshot;
  }

  /** Calls `listener` with each new snapshot until the returned function is called. */
  onChange(listener: SnapshotListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * The data path could not reach a server: it takes no reads until a probe, asked for here, has
   * succeeded. `why` is for people and holds no secret.
   */
  reportUnreachable(id: ServerId, why: string): void {
    const before = this.#state;
    this.#publish(markUnreachable(before, id, why, this.#nowMs()));
    if (this.#state !== before) this.#probeAll();
  }

  /**
   * A read waits for a replica to catch up, or went to the primary since none was known to have:
   * the replicas are asked for their positions at the fast pace for a while. Cheap, call it for each.
   */
  wanted(): void {
    this.#pace.wanted(this.#state.snapshot);
  }

  /** The data path lost a connection: whether the server is well is asked at once. */
  suspect(): void {
    this.#probeAll();
  }

  #observe(observation: Observation): void {
    const { startedAtMs, finishedAtMs, result } = observation;
    const outcome = result.t === 'failed' ? 'failed' : 'ok';
    this.#probed(observation.serverId, (finishedAtMs - startedAtMs) / 1000, outcome);
    const before = this.#state.snapshot;
    const wasUp = this.#state.records.get(observation.serverId)?.reachable === true;
    this.#publish(reduce(this.#state, observation));
    const after = this.#state.snapshot;
    const isLoss = wasUp && result.t === 'failed';
    const isFlip = before.primary?.id !== after.primary?.id;
    if (isFlip) this.#prober.setLeader(after.primary?.id ?? null);
    this.#heartbeat?.topologyChanged(after);
    this.#pace.observed(observation, after, before);
    // Roles change together: what the others say counts now, not at their next turn.
    if (isLoss || isFlip) this.#probeAll(observation.serverId);
  }

  #probeAll(except?: ServerId): void {
    for (const { id } of this.#state.snapshot.servers) {
      if (id !== except) this.#prober.probeNow(id);
    }
  }

  #publish(state: TopologyState): void {
    const before = this.#state.snapshot;
    this.#state = state;
    if (state.snapshot === before) return;
    const isStarting = [...state.records.values()].some((record) => !record.observed);
    if (!isStarting) this.#log(this.#logged, state.snapshot);
    for (const listener of this.#listeners) {
      try {
        listener(state.snapshot, before);
      } catch (error) {
        this.#logger.error({ err: messageOf(error) }, 'A listener of the topology failed');
      }
    }
  }

  #log(before: Snapshot, after: Snapshot): void {
    const { primary, epoch, noPrimary } = after;
    const isFirst = before.version === 0;
    if (primary === null && before.primary !== null) {
      this.#logger.warn({ server: before.primary.id, why: noPrimary }, 'The primary is lost');
    } else if (primary === null && isFirst) {
      this.#logger.warn({ why: noPrimary }, 'No server is the primary');
    } else if (primary !== null && primary.id !== before.primary?.id) {
      this.#logger.warn({ server: primary.id, epoch }, 'A server is the primary now');
    } else if (primary !== null && epoch !== before.epoch) {
      this.#logger.error({ server: primary.id, epoch }, 'The primary has lost commits');
    }
    this.#logged = after;
    if (isFirst) this.#logDown(after);
    after.servers.forEach((view, index) => this.#logServer(before.servers[index], view));
  }

  /** Those that were never seen alive: what changes later is told of as a change. */
  #logDown({ servers }: Snapshot): void {
    for (const { id: server, role, ineligible: why } of servers) {
      if (role === 'down') this.#logger.warn({ server, why }, 'A server does not answer');
    }
  }

  #logServer(before: ServerView | undefined, after: ServerView): void {
    if (before === undefined || before === after) return;
    const { id: server, role, ineligible: why, filters } = after;
    if (filters !== null && before.filters !== filters) {
      const all = role === 'primary';
      const message = all
        ? 'No replica can prove that it has what was written: reads behind writes stay on the primary'
        : 'A replica leaves out data: it takes no reads behind writes';
      this.#logger.warn({ server, why: filters }, message);
    }
    if (before.role !== role) {
      const level = role === 'down' || role === 'unassigned' ? 'warn' : 'info';
      this.#logger[level]({ server, role, before: before.role, why }, 'A server changed its role');
    } else if (role === 'replica' && (before.ineligible === null) !== (why === null)) {
      const message = why === null ? 'A replica takes reads again' : 'A replica takes no reads';
      this.#logger[why === null ? 'info' : 'warn']({ server, why }, message);
    }
  }
}
