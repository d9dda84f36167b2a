import type { ServerId } from '../lib/ids.ts';
import type { Observation } from '../topology/observation.ts';
import type { ProbeKind } from './dialect.ts';
import type { ProbeTls } from './probe-connection.ts';
import { ServerProbe } from './server-probe.ts';
import { Watch } from './watch.ts';

/** How servers are watched. */
export interface MonitorOptions {
  readonly servers: readonly {
    readonly id: ServerId;
    readonly host: string;
    readonly port: number;
  }[];
  /**
   * Needs REPLICATION CLIENT (MariaDB: REPLICA MONITOR and BINLOG MONITOR), and SELECT on
   * `performance_schema`.
   */
  readonly account: { readonly user: string; readonly password: string };
  readonly tls: ProbeTls;
  /** From the start of one full probe of a server to the start of the next, ms. */
  readonly intervalMs: number;
  /** The same while nothing happens, ms; default `intervalMs`. */
  readonly idleIntervalMs?: number;
  /** From one light probe to the next while somebody is in a hurry, ms; default 25. */
  readonly fastIntervalMs?: number;
  /** Reads the newest heartbeat that a server shows; null without heartbeats. */
  readonly heartbeatSql?: string | null;
  /** The account may not read on this server what lag is told from; once for each reason. */
  readonly onDenied?: (id: ServerId, why: string) => void;
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
  /** Asks these servers for their positions at the fast pace, for so long (ms) from now on. */
  hurry(ids: readonly ServerId[], forMs: number): void;
  /** Nothing happens, or something does again: sets the pace of full probes. */
  setIdle(isIdle: boolean): void;
  /** The server that is asked before the others at each turn: the primary. */
  setLeader(id: ServerId | null): void;
}

/** The intervals are changed by this share, so that several proxies do not beat in step. */
const JITTER = 0.1;

/**
 * The least time from one probe to the next, as a share of the interval, however urgently it is
 * asked for: a server that drops each connection, or a data path that fails on each statement,
 * does not set the pace.
 */
const LEAST_GAP = 0.1;

/** A leader that has not answered by then holds up the others no longer, ms. */
const LEADER_HEADSTART_MS = 20;

/** Timers may fire so much before their time, by a clock that has fractions, ms. */
const TIMER_EARLY_MS = 1;

const DEFAULT_FAST_INTERVAL_MS = 25;

/**
 * Probes all servers at an interval. They are asked together, the leader a round trip before the
 * others, so that a replica's answer is compared with what the primary had a moment ago, not a
 * quarter of a second ago. A dead server delays nobody.
 */
export class Monitor implements Prober {
  readonly #watches: ReadonlyMap<ServerId, Watch>;
  readonly #options: Required<Pick<MonitorOptions, 'nowMs' | 'random' | 'fastIntervalMs'>>;
  readonly #intervalsMs: { readonly busy: number; readonly idle: number };
  readonly #hurriedUntilMs = new Map<ServerId, number>();
  #leader: ServerId | null = null;
  #isIdle = false;
  /** The start of the last turn of full probes, and when the next is due. */
  #fullAtMs = 0;
  #nextFullMs = 0;
  #lightAtMs = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | null = null;
  #isRunning = false;

  constructor(options: MonitorOptions) {
    const nowMs = options.nowMs ?? (() => performance.now());
    const { intervalMs, timeoutMs, account, tls, heartbeatSql = null } = options;
    const denied = options.onDenied ?? (() => undefined);
    const fastIntervalMs = options.fastIntervalMs ?? DEFAULT_FAST_INTERVAL_MS;
    this.#options = { nowMs, random: options.random ?? Math.random, fastIntervalMs };
    // A slower base pace than the idle one is nobody's wish.
    const idle = Math.max(intervalMs, options.idleIntervalMs ?? intervalMs);
    this.#intervalsMs = { busy: intervalMs, idle };
    this.#watches = new Map(
      options.servers.map(({ id, host, port }) => {
        const target = { host, port, ...account, tls };
        const onDenied = (why: string) => denied(id, why);
        const makeProbe = (onLost: () => void) =>
          new ServerProbe({ id, target, timeoutMs, nowMs, onLost, heartbeatSql, onDenied });
        return [id, new Watch(makeProbe, { leastGapMs: intervalMs * LEAST_GAP, nowMs })];
      }),
    );
  }

  /** Probes all servers now and then for ever. */
  start(onObservation: (observation: Observation) => void): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    for (const watch of this.#watches.values()) watch.start(onObservation);
    this.#nextFullMs = this.#options.nowMs();
    this.#beat();
  }

  /** Ends all probes; nothing is observed after it. */
  async stop(): Promise<void> {
    this.#isRunning = false;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    await Promise.all([...this.#watches.values()].map((watch) => watch.stop()));
  }

  /** Probes one server as soon as may be, or right after the probe that is under way. */
  probeNow(id: ServerId): void {
    this.#watches.get(id)?.probeNow();
  }

  hurry(ids: readonly ServerId[], forMs: number): void {
    const untilMs = this.#options.nowMs() + forMs;
    for (const id of ids) {
      const before = this.#hurriedUntilMs.get(id) ?? Number.NEGATIVE_INFINITY;
      if (untilMs > before) this.#hurriedUntilMs.set(id, untilMs);
    }
    this.#schedule();
  }

  setIdle(isIdle: boolean): void {
    if (isIdle === this.#isIdle) return;
    this.#isIdle = isIdle;
    // A rest that has begun ends as soon as the shorter interval would have ended it.
    if (!isIdle) this.#nextFullMs = Math.min(this.#nextFullMs, this.#fullAtMs + this.#intervalMs());
    this.#schedule();
  }

  setLeader(id: ServerId | null): void {
    this.#leader = id;
  }

  #intervalMs(): number {
    const { busy, idle } = this.#intervalsMs;
    return (this.#isIdle ? idle : busy) * (1 + JITTER * (2 * this.#options.random() - 1));
  }

  #schedule(): void {
    if (!this.#isRunning) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    const { nowMs, fastIntervalMs } = this.#options;
    const now = nowMs();
    const isHurried = this.#hurried(now).length > 0;
    const lastMs = Math.max(this.#fullAtMs, this.#lightAtMs);
    const dueMs = isHurried
      ? Math.min(this.#nextFullMs, lastMs + fastIntervalMs)
      : this.#nextFullMs;
    this.#timer = setTimeout(() => this.#beat(), Math.max(0, dueMs - now));
  }

  #beat(): void {
    const now = this.#options.nowMs();
    if (now >= this.#nextFullMs - TIMER_EARLY_MS) {
      this.#fullAtMs = now;
      this.#nextFullMs = now + this.#intervalMs();
      this.#turn('full', [...this.#watches.keys()]);
    } else {
      this.#lightAtMs = now;
      this.#turn('light', this.#hurried(now));
    }
    this.#schedule();
  }

  /** Whoever is asked, the leader is too: where a replica stands is told by comparing the two. */
  #hurried(now: number): ServerId[] {
    const ids = [...this.#hurriedUntilMs].flatMap(([id, untilMs]) => (untilMs > now ? [id] : []));
    const leader = this.#leader;
    return ids.length === 0 || leader === null || ids.includes(leader) ? ids : [leader, ...ids];
  }

  #turn(kind: ProbeKind, ids: readonly ServerId[]): void {
    const leader = this.#leader;
    const others = ids.filter((id) => id !== leader);
    const askOthers = () => {
      for (const id of others) void this.#watches.get(id)?.turn(kind);
    };
    if (leader === null || others.length === ids.length) return askOthers();
    let hasAsked = false;
    const askOnce = () => {
      if (!hasAsked) askOthers();
      hasAsked = true;
    };
    setTimeout(askOnce, LEADER_HEADSTART_MS);
    void this.#watches.get(leader)?.turn(kind).then(askOnce);
  }
}
