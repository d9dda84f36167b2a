import type { Config } from '../config/schema.ts';
import type { ServerId } from '../lib/ids.ts';
import type { Logger } from '../lib/logger.ts';
import { type Contender, findOutliers, type Outlier } from '../routing/outliers.ts';
import { isFit } from '../routing/replica-demand.ts';
import { replicaGroups } from '../routing/replica-groups.ts';
import { rampAfter } from '../routing/replica-ramp.ts';
import type { ReplicaMetrics } from '../telemetry/replica-metrics.ts';
import type { Snapshot } from '../topology/snapshot.ts';
import { ReadWindow } from './read-window.ts';
import type { ServerLoad } from './server-load.ts';

/** How often ramps grow and averages fade. */
const TICK_MS = 250;
/** Slots of the window that outliers are looked for in: enough to tell an accident from a habit. */
const SLOTS = 5;
/** The share of a replica's sessions that may leave it in one tick: a fifth of them in a second. */
const MOVING_SHARE = 0.05;
/** While a proxy starts, replicas turn up one by one: none of them has come back. */
const START_MS = 3000;

/** What a replica is at for others: the parts that are this proxy's own. */
export interface ReplicaStanding {
  /** The part of its weight that counts, (0, 1]. */
  readonly ramp: number;
  /** Why it rests, null if it does not. */
  readonly rest: string | null;
  /** Until when (monotonic ms), -1 if it does not rest. */
  readonly restUntilMs: number;
  readonly latencyMs: number;
}

interface Patient {
  readonly load: ServerLoad;
  readonly window: ReadWindow;
  /** It could take reads when it was last looked at; null before. */
  wasWell: boolean | null;
  /** Since when it can (monotonic ms); long ago where that was not seen. */
  wellSinceMs: number;
  /** Of its last rest; 0 before. */
  restedUntilMs: number;
  /** How often it had to rest of late. */
  rests: number;
}

/** What {@link ReplicaCare} looks after, and by what. */
export interface ReplicaCareOptions {
  readonly config: Pick<Config, 'servers' | 'rules' | 'routing'>;
  readonly loadOf: (id: ServerId) => ServerLoad;
  /** Who rests, and why; filled here. */
  readonly resting: Map<ServerId, string>;
  readonly metrics: ReplicaMetrics;
  readonly logger: Logger;
  readonly nowMs?: () => number;
}

/**
 * Looks after the replicas' shares: brings one that comes back to its share step by step, and gives
 * a rest to one that stands out by errors or time. It sets plain numbers (`ServerLoad.ramp`) that
 * choosing reads.
 */
export class ReplicaCare {
  readonly #options: ReplicaCareOptions;
  readonly #nowMs: () => number;
  readonly #startedMs: number;
  readonly #groups: ReadonlyMap<ServerId, string>;
  readonly #patients = new Map<ServerId, Patient>();
  #snapshot: Snapshot | null = null;
  #slotEndsMs: number;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: ReplicaCareOptions) {
    this.#options = options;
    this.#nowMs = options.nowMs ?? (() => performance.now());
    this.#startedMs = this.#nowMs();
    this.#slotEndsMs = this.#startedMs + this.#slotMs;
    this.#groups = replicaGroups(options.config);
    options.metrics.bind(() => this.#shown());
  }

  /** Begins to look; `stop` ends it. */
  start(): void {
    this.#timer = setInterval(() => this.tick(), TICK_MS);
    this.#timer.unref();
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  /** What is known of a server here. */
  standingOf(id: ServerId): ReplicaStanding {
    const { load, restedUntilMs } = this.#patient(id);
    const rest = this.#options.resting.get(id) ?? null;
    const restUntilMs = rest === null ? -1 : restedUntilMs;
    return { ramp: load.ramp, rest, restUntilMs, latencyMs: load.latencyMs };
  }

  /** A new snapshot: who came back begins small, before any session can choose it. */
  noteSnapshot(snapshot: Snapshot): void {
    this.#snapshot = snapshot;
    const nowMs = this.#nowMs();
    const { maxLagMs } = this.#options.config.routing;
    for (const server of snapshot.servers) {
      const patient = this.#patient(server.id);
      const isWell = isFit(server, { maxLagMs, requirements: [], tags: server.tags });
      if (isWell && patient.wasWell === false) this.#cameBack(patient, nowMs);
      if (server.seenAtMs >= 0) patient.wasWell = isWell;
    }
    this.#keepHalf();
  }

  /** Looks at all replicas. */
  tick(): void {
    const nowMs = this.#nowMs();
    for (const [id, patient] of this.#patients) {
      patient.load.fade(nowMs);
      patient.load.movable = Math.ceil(patient.load.readers * MOVING_SHARE);
      if (this.#options.resting.has(id) && nowMs >= patient.restedUntilMs) this.#wake(id, nowMs);
      else this.#setRamp(patient, nowMs);
    }
    if (nowMs < this.#slotEndsMs) return;
    this.#slotEndsMs = nowMs + this.#slotMs;
    for (const { window, load } of this.#patients.values()) window.close(load);
    if (this.#options.config.routing.ejection.enabled) this.#eject(nowMs);
  }

  get #slotMs(): number {
    return this.#options.config.routing.ejection.windowMs / SLOTS;
  }

  #patient(id: ServerId): Patient {
    let patient = this.#patients.get(id);
    if (patient === undefined) {
      patient = {
        load: this.#options.loadOf(id),
        window: new ReadWindow(SLOTS),
        wasWell: null,
        wellSinceMs: Number.NEGATIVE_INFINITY,
        restedUntilMs: 0,
        rests: 0,
      };
      this.#patients.set(id, patient);
    }
    return patient;
  }

  #cameBack(patient: Patient, nowMs: number): void {
    patient.window.clear();
    if (nowMs < this.#startedMs + START_MS) return;
    patient.wellSinceMs = nowMs;
    this.#setRamp(patient, nowMs);
  }

  #setRamp({ load, wellSinceMs }: Patient, nowMs: number): void {
    load.ramp = rampAfter(nowMs - wellSinceMs, this.#options.config.routing.rampMs);
  }

  /** Replicas that can take reads, whether they rest or not. */
  #well(): readonly ServerId[] {
    const servers = this.#snapshot?.servers ?? [];
    return servers.flatMap(({ id }) => (this.#patients.get(id)?.wasWell === true ? [id] : []));
  }

  #groupOf(id: ServerId): string {
    return this.#groups.get(id) ?? '';
  }

  #eject(nowMs: number): void {
    const { resting, config } = this.#options;
    const contenders = this.#well().flatMap((id): Contender[] => {
      const { window } = this.#patient(id);
      return resting.has(id) ? [] : [{ id, group: this.#groupOf(id), slots: window.slots }];
    });
    for (const outlier of findOutliers(contenders, config.routing.ejection)) {
      if (this.#maySpare(outlier.id)) this.#rest(outlier, nowMs);
    }
  }

  /** Never more than half of a group rests: the others have to carry what it leaves. */
  #maySpare(id: ServerId): boolean {
    const group = this.#groupOf(id);
    const mates = this.#well().filter((each) => this.#groupOf(each) === group);
    const resting = mates.filter((each) => this.#options.resting.has(each)).length;
    return (resting + 1) * 2 <= mates.length;
  }

  #rest({ id, reason, why }: Outlier, nowMs: number): void {
    const { resting, logger, metrics, config } = this.#options;
    const { baseMs, maxMs } = config.routing.ejection;
    const patient = this.#patient(id);
    patient.rests = nowMs - patient.restedUntilMs > maxMs ? 1 : patient.rests + 1;
    const restMs = Math.min(baseMs * patient.rests, maxMs);
    patient.restedUntilMs = nowMs + restMs;
    patient.window.clear();
    resting.set(id, why);
    metrics.ejected(id, reason);
    logger.warn({ server: id, reason, why, restMs }, 'A replica stands out and rests');
  }

  #wake(id: ServerId, nowMs: number): void {
    const patient = this.#patient(id);
    this.#options.resting.delete(id);
    this.#cameBack(patient, nowMs);
    this.#options.logger.info({ server: id }, 'A replica has rested and takes reads again');
  }

  /** Where others were lost meanwhile, those that rest are needed: the one that rests longest. */
  #keepHalf(): void {
    const { resting } = this.#options;
    for (const id of resting.keys()) {
      const patient = this.#patient(id);
      if (patient.wasWell === true && this.#isNeeded(id)) {
        patient.restedUntilMs = this.#nowMs();
        this.#wake(id, patient.restedUntilMs);
      }
    }
  }

  #isNeeded(id: ServerId): boolean {
    const group = this.#groupOf(id);
    const mates = this.#well().filter((each) => this.#groupOf(each) === group);
    return mates.filter((each) => this.#options.resting.has(each)).length * 2 > mates.length;
  }

  *#shown() {
    for (const server of this.#snapshot?.servers ?? []) {
      if (server.role !== 'replica') continue;
      const { load, wasWell } = this.#patient(server.id);
      const takesReads = wasWell === true && !this.#options.resting.has(server.id);
      yield {
        server: server.id,
        weight: takesReads ? server.weight * load.ramp : 0,
        latencyMs: load.latencyMs,
      };
    }
  }
}
