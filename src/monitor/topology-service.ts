import { messageOf } from '../lib/errors.ts';
import type { ServerId } from '../lib/ids.ts';
import type { Observation } from '../topology/observation.ts';
import { initialState, markUnreachable, reduce, type TopologyState } from '../topology/reduce.ts';
import type { ListedServer } from '../topology/server-record.ts';
import type { ServerView, Snapshot } from '../topology/snapshot.ts';
import type { Prober } from './monitor.ts';

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
  #state: TopologyState;
  /** The snapshot that the log has told of: none before each server was probed once. */
  #logged: Snapshot;

  constructor(options: TopologyServiceOptions) {
    this.#prober = options.prober;
    this.#logger = options.logger;
    this.#nowMs = options.nowMs ?? (() => performance.now());
    this.#state = initialState(options.servers, {
      sampleFreshMs: options.sampleFreshMs ?? DEFAULT_SAMPLE_FRESH_MS,
    });
    this.#logged = this.#state.snapshot;
  }

  /** Starts the probes. */
  start(): void {
    this.#prober.start((observation) => this.#observe(observation));
  }

  /** Ends the probes; the last snapshot stays. */
  async stop(): Promise<void> {
    await this.#prober.stop();
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

  /** The data path lost a connection: whether the server is well is asked at once. */
  suspect(): void {
    this.#probeAll();
  }

  #observe(observation: Observation): void {
    const before = this.#state.snapshot;
    const wasUp = this.#state.records.get(observation.serverId)?.reachable === true;
    this.#publish(reduce(this.#state, observation));
    const after = this.#state.snapshot;
    const isLoss = wasUp && observation.result.t === 'failed';
    const isFlip = before.primary?.id !== after.primary?.id;
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
    if (primary === null && before.primary !== null) {
      this.#logger.warn({ server: before.primary.id, why: noPrimary }, 'The primary is lost');
    } else if (primary !== null && primary.id !== before.primary?.id) {
      this.#logger.warn({ server: primary.id, epoch }, 'A server is the primary now');
    } else if (primary !== null && epoch !== before.epoch) {
      this.#logger.error({ server: primary.id, epoch }, 'The primary has lost commits');
    }
    this.#logged = after;
    after.servers.forEach((view, index) => this.#logServer(before.servers[index], view));
  }

  #logServer(before: ServerView | undefined, after: ServerView): void {
    if (before === undefined || before === after) return;
    const { id: server, role, ineligible: why } = after;
    if (before.role !== role) {
      const level = role === 'down' || role === 'unassigned' ? 'warn' : 'info';
      this.#logger[level]({ server, role, before: before.role, why }, 'A server changed its role');
    } else if (role === 'replica' && (before.ineligible === null) !== (why === null)) {
      const message = why === null ? 'A replica takes reads again' : 'A replica takes no reads';
      this.#logger[why === null ? 'info' : 'warn']({ server, why }, message);
    }
  }
}
