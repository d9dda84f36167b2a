import type { Observation } from '../topology/observation.ts';
import type { ProbeKind } from './dialect.ts';
import type { ServerProbe } from './server-probe.ts';

type Probe = Pick<ServerProbe, 'run' | 'close'>;

interface WatchTiming {
  /** The least time from one probe to the next that was asked for out of turn, ms. */
  readonly leastGapMs: number;
  readonly nowMs: () => number;
}

type WatchState =
  | { readonly t: 'stopped' }
  /** The timer is that of a probe asked for out of turn. */
  | { readonly t: 'waiting'; readonly timer: NodeJS.Timeout | null }
  | {
      readonly t: 'probing';
      readonly kind: ProbeKind;
      readonly done: Promise<void>;
      /** A full probe that begins later is wanted. */
      readonly again: boolean;
    };

/** One server's probes: never two at a time. The monitor beats the time. */
export class Watch {
  readonly #probe: Probe;
  readonly #timing: WatchTiming;
  #state: WatchState = { t: 'stopped' };
  #begunAtMs = Number.NEGATIVE_INFINITY;
  #onObservation: (observation: Observation) => void = () => undefined;

  constructor(makeProbe: (onLost: () => void) => Probe, timing: WatchTiming) {
    this.#probe = makeProbe(() => this.#onLost());
    this.#timing = timing;
  }

  start(onObservation: (observation: Observation) => void): void {
    if (this.#state.t !== 'stopped') return;
    this.#onObservation = onObservation;
    this.#state = { t: 'waiting', timer: null };
  }

  async stop(): Promise<void> {
    const before = this.#state;
    this.#state = { t: 'stopped' };
    if (before.t === 'waiting' && before.timer !== null) clearTimeout(before.timer);
    this.#probe.close();
    if (before.t === 'probing') await before.done;
  }

  /** Its turn has come. Resolves when the probe that runs then has ended. */
  async turn(kind: ProbeKind): Promise<void> {
    const state = this.#state;
    if (state.t === 'stopped') return;
    if (state.t === 'probing') {
      if (kind === 'full' && state.kind === 'light') this.#state = { ...state, again: true };
      return state.done;
    }
    if (state.timer !== null) clearTimeout(state.timer);
    // Who asked out of turn wants to know everything.
    return this.#begin(state.timer === null ? kind : 'full');
  }

  /** Wants a full answer newer than this moment, as soon as the least gap allows. */
  probeNow(): void {
    const state = this.#state;
    if (state.t === 'waiting') {
      if (state.timer === null) this.#soon();
    } else if (state.t === 'probing') {
      // It began before this moment: its answer may be older than what is asked for.
      this.#state = { ...state, again: true };
    }
  }

  #onLost(): void {
    if (this.#state.t === 'waiting') this.probeNow();
  }

  #soon(): void {
    const { leastGapMs, nowMs } = this.#timing;
    const dueMs = this.#begunAtMs + leastGapMs;
    const timer = setTimeout(() => void this.#begin('full'), Math.max(0, dueMs - nowMs()));
    this.#state = { t: 'waiting', timer };
  }

  #begin(kind: ProbeKind): Promise<void> {
    this.#begunAtMs = this.#timing.nowMs();
    const done = this.#run(kind);
    this.#state = { t: 'probing', kind, done, again: false };
    return done;
  }

  async #run(kind: ProbeKind): Promise<void> {
    const observation = await this.#probe.run(kind);
    const state = this.#state;
    if (state.t !== 'probing') return;
    if (state.again) this.#soon();
    else this.#state = { t: 'waiting', timer: null };
    // Last: the listener may ask for the next probe, or stop the monitor.
    this.#onObservation(observation);
  }
}
