import type { ServerId } from '../lib/ids.ts';
import type { Observation } from '../topology/observation.ts';
import type { ProbeTls } from './probe-connection.ts';
import { ServerProbe } from './server-probe.ts';

/** How servers are watched. */
export interface MonitorOptions {
  readonly servers: readonly {
    readonly id: ServerId;
    readonly host: string;
    readonly port: number;
  }[];
  /** Needs REPLICATION CLIENT (MariaDB: REPLICA MONITOR) and SELECT on `performance_schema`. */
  readonly account: { readonly user: string; readonly password: string };
  readonly tls: ProbeTls;
  /** From the start of one probe of a server to the start of the next, ms. */
  readonly intervalMs: number;
  /** A server that has not answered a probe by then is down, ms. */
  readonly timeoutMs: number;
  /** The monotonic clock that sessions use, ms. */
  readonly nowMs?: () => number;
  /** In [0, 1). */
  readonly random?: () => number;
}

/** Whatever watches servers and tells what it saw. */
export interface Prober {
  start(onObservation: (observation: Observation) => void): void;
  stop(): Promise<void>;
  /** Wants an answer newer than this moment, at once. */
  probeNow(id: ServerId): void;
}

/** Probes drift apart by this share of the interval, so that several proxies do not beat in step. */
const JITTER = 0.1;

/**
 * The least time from one probe to the next, as a share of the interval, however urgently it is
 * asked for: a server that drops each connection, or a data path that fails on each statement,
 * does not set the pace.
 */
const LEAST_GAP = 0.1;

/** Probes each server at an interval, each on its own: a dead one does not delay the others. */
export class Monitor implements Prober {
  readonly #watches: ReadonlyMap<ServerId, Watch>;

  constructor(options: MonitorOptions) {
    const nowMs = options.nowMs ?? (() => performance.now());
    const random = options.random ?? Math.random;
    const { intervalMs, timeoutMs, account, tls } = options;
    this.#watches = new Map(
      options.servers.map(({ id, host, port }) => {
        const target = { host, port, ...account, tls };
        const makeProbe = (onLost: () => void) =>
          new ServerProbe({ id, target, timeoutMs, nowMs, onLost });
        return [id, new Watch(makeProbe, { intervalMs, nowMs, random })];
      }),
    );
  }

  /** Probes all servers now and then for ever. */
  start(onObservation: (observation: Observation) => void): void {
    for (const watch of this.#watches.values()) watch.start(onObservation);
  }

  /** Ends all probes; nothing is observed after it. */
  async stop(): Promise<void> {
    await Promise.all([...this.#watches.values()].map((watch) => watch.stop()));
  }

  /** Probes one server as soon as may be, or right after the probe that is under way. */
  probeNow(id: ServerId): void {
    this.#watches.get(id)?.probeNow();
  }
}

interface WatchTiming {
  readonly intervalMs: number;
  readonly nowMs: () => number;
  readonly random: () => number;
}

type WatchState =
  | { readonly t: 'stopped' }
  | { readonly t: 'waiting'; readonly timer: NodeJS.Timeout }
  | { readonly t: 'probing'; readonly done: Promise<void>; readonly again: boolean };

/** The rhythm of one server's probes: never two at a time. */
class Watch {
  readonly #probe: ServerProbe;
  readonly #timing: WatchTiming;
  #state: WatchState = { t: 'stopped' };
  #begunAtMs = 0;
  #onObservation: (observation: Observation) => void = () => undefined;

  constructor(makeProbe: (onLost: () => void) => ServerProbe, timing: WatchTiming) {
    this.#probe = makeProbe(() => this.#onLost());
    this.#timing = timing;
  }

  start(onObservation: (observation: Observation) => void): void {
    if (this.#state.t !== 'stopped') return;
    this.#onObservation = onObservation;
    this.#begin();
  }

  async stop(): Promise<void> {
    const before = this.#state;
    this.#state = { t: 'stopped' };
    if (before.t === 'waiting') clearTimeout(before.timer);
    this.#probe.close();
    if (before.t === 'probing') await before.done;
  }

  probeNow(): void {
    const state = this.#state;
    if (state.t === 'waiting') {
      clearTimeout(state.timer);
      this.#wait(0);
    } else if (state.t === 'probing') {
      // It began before this moment: its answer may be older than what is asked for.
      this.#state = { ...state, again: true };
    }
  }

  #onLost(): void {
    if (this.#state.t === 'waiting') this.probeNow();
  }

  /** Until `intervalMs` after the last probe began, but for the least gap at any rate. */
  #wait(intervalMs: number): void {
    const { intervalMs: regularMs, nowMs } = this.#timing;
    const dueMs = this.#begunAtMs + Math.max(intervalMs, regularMs * LEAST_GAP);
    const timer = setTimeout(() => this.#begin(), Math.max(0, dueMs - nowMs()));
    this.#state = { t: 'waiting', timer };
  }

  #begin(): void {
    this.#begunAtMs = this.#timing.nowMs();
    this.#state = { t: 'probing', done: this.#run(), again: false };
  }

  async #run(): Promise<void> {
    const observation = await this.#probe.run();
    const state = this.#state;
    if (state.t !== 'probing') return;
    const { intervalMs, random } = this.#timing;
    this.#wait(state.again ? 0 : intervalMs * (1 + JITTER * (2 * random() - 1)));
    // Last: the listener may ask for the next probe, or stop the monitor.
    this.#onObservation(observation);
  }
}
