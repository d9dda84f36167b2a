import { containsMysql } from '../../../src/gtid/mysql-algebra.ts';
import { formatMysqlGtidSet, parseMysqlGtidSet } from '../../../src/gtid/mysql-set.ts';
import { parsePosition } from '../../../src/gtid/position.ts';
import type { Coordination } from '../../../src/coordination/coordination.ts';
import { GroupCoordination } from '../../../src/coordination/group-coordination.ts';
import { serverId } from '../../../src/lib/ids.ts';
import type { Logger } from '../../../src/lib/logger.ts';
import type { CoordinationMetrics } from '../../../src/telemetry/coordination-metrics.ts';
import { createTelemetry } from '../../../src/telemetry/telemetry.ts';
import { aServer, aSnapshot } from '../../support/snapshots.ts';
import type { ModelStore, Way } from './model-store.ts';

export const UUID = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
export const LEASE_MS = 1000;

const telemetry = createTelemetry({
  logLevel: 'silent',
  version: '0',
  destination: { write: () => {} },
});
/** A logger that says nothing, and metrics that nobody reads. */
export const QUIET: { readonly logger: Logger; readonly metrics: CoordinationMetrics } = {
  logger: telemetry.logger,
  metrics: telemetry.metrics.coordination,
};

/** A generator with a seed (mulberry32): the same seed gives the same world. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** The transactions that one server has executed. */
export class ModelPrimary {
  id = 'db1';
  epoch = 1;
  #next = 1;
  readonly executed = new Set<number>();

  /** Commits one and gives its number. */
  commit(): number {
    const number = this.#next;
    this.#next += 1;
    this.executed.add(number);
    return number;
  }

  /** Another server, without some of the newest transactions. */
  failOver(lost: readonly number[]): void {
    this.id = this.id === 'db1' ? 'db2' : 'db1';
    this.epoch += 1;
    for (const number of lost) this.executed.delete(number);
  }

  get text(): string {
    return setText(this.executed);
  }
}

function setText(numbers: Iterable<number>): string {
  const list = [...numbers];
  return list.length === 0
    ? ''
    : formatMysqlGtidSet(parseMysqlGtidSet(`${UUID}:${list.join(':')}`));
}

/** A proxy: its coordination, and a monitor that reads the primary now and then. */
export class ModelProxy {
  readonly name: string;
  readonly way: Way = { isCut: false };
  readonly coordination: Coordination;
  isAlive = true;
  #version = 0;

  constructor(options: {
    readonly name: string;
    readonly instance: string;
    readonly members: readonly string[];
    readonly store: ModelStore;
    readonly primary: ModelPrimary;
    readonly probeMs: () => number;
  }) {
    this.name = options.name;
    this.coordination = new GroupCoordination({
      name: options.name,
      members: options.members,
      leaseMs: LEASE_MS,
      instance: options.instance,
      agreement: 'agreed',
      store: options.store.by(options.name, this.way),
      ...QUIET,
      now: () => ({ monotonicMs: performance.now(), wallMs: Date.now() }),
    });
    void this.#watch(options.primary, options.probeMs);
  }

  /** It ends at once: what it would have acknowledged from now on reaches nobody. */
  kill(): void {
    this.isAlive = false;
    this.way.isCut = true;
    void this.coordination.stop();
  }

  async #watch(primary: ModelPrimary, probeMs: () => number): Promise<void> {
    while (this.isAlive) {
      const positionAtMs = performance.now();
      await sleep(probeMs() / 4);
      const { epoch, id, text } = primary;
      await sleep(probeMs() / 4);
      this.#version += 1;
      const server = aServer({
        id: serverId(id),
        role: 'primary',
        position: parsePosition('mysql', text),
        positionAtMs,
      });
      const snapshot = aSnapshot({ version: this.#version, epoch, servers: [server] });
      if (this.isAlive) this.coordination.observe({ ...snapshot, primary: server });
      await sleep(probeMs());
    }
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

/** What came of the reads. */
export interface Tally {
  vouched: number;
  unknown: number;
  /** Each read that would not have seen an acknowledged write. */
  readonly stale: string[];
  /** Longest that an acknowledgement waited, ms. */
  longestWaitMs: number;
  acknowledged: number;
}

/** Clients of the proxies: they write, and they read with `global`; the tally is the judge. */
export class ModelClients {
  readonly #primary: ModelPrimary;
  readonly #proxies: () => readonly ModelProxy[];
  readonly #random: () => number;
  readonly #acknowledged = new Set<number>();
  readonly tally: Tally = {
    vouched: 0,
    unknown: 0,
    stale: [],
    longestWaitMs: 0,
    acknowledged: 0,
  };

  constructor(options: {
    readonly primary: ModelPrimary;
    readonly proxies: () => readonly ModelProxy[];
    readonly random: () => number;
  }) {
    this.#primary = options.primary;
    this.#proxies = options.proxies;
    this.#random = options.random;
  }

  get acknowledged(): ReadonlySet<number> {
    return this.#acknowledged;
  }

  /** These were acknowledged, but died with a server. */
  forget(numbers: readonly number[]): void {
    for (const number of numbers) this.#acknowledged.delete(number);
  }

  #any(): ModelProxy | undefined {
    const proxies = this.#proxies();
    return proxies[Math.floor(this.#random() * proxies.length)];
  }

  async write(): Promise<void> {
    const proxy = this.#any();
    if (proxy === undefined) return;
    const number = this.#primary.commit();
    const history = this.#primary.epoch;
    await sleep(this.#random() * 4);
    if (!proxy.isAlive) return;
    const startMs = performance.now();
    await proxy.coordination.acknowledged(`${UUID}:${number}`);
    if (!proxy.isAlive || this.#primary.epoch !== history) return;
    this.tally.acknowledged += 1;
    this.tally.longestWaitMs = Math.max(this.tally.longestWaitMs, performance.now() - startMs);
    this.#acknowledged.add(number);
  }

  async read(): Promise<void> {
    const proxy = this.#any();
    if (proxy === undefined) return;
    const arrivedMs = performance.now();
    const epoch = this.#primary.epoch;
    const mustSee = parseMysqlGtidSet(setText(this.#acknowledged));
    const newest = await proxy.coordination.newest();
    // A read that meets a change of the primary is judged by tests of its own.
    if (this.#primary.epoch !== epoch) return;
    if (newest.t === 'unknown') {
      this.tally.unknown += 1;
      return;
    }
    this.tally.vouched += 1;
    const { position } = newest;
    if (position.t !== 'mysql' || !containsMysql(position.set, mustSee)) {
      this.tally.stale.push(`${proxy.name} at ${arrivedMs}: ${position.text}`);
    }
  }
}
