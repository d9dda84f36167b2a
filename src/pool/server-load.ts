import type { ServerId } from '../lib/ids.ts';
import { LATENCY_BUCKETS, latencyBucket } from '../routing/replica-latency.ts';

/** A slow answer counts at once and is forgotten by two thirds in so long. */
const LATENCY_MEMORY_MS = 3000;
/** Over how long `busy` is averaged. */
const BUSY_MEMORY_MS = 1000;

/** How much of us one server carries. Plain numbers: the hot path adds to them. */
export class ServerLoad {
  readonly id: ServerId;
  /** Logged-in connections. */
  connections = 0;
  /** Connections being opened. */
  connecting = 0;
  /** Commands sent whose reply has not ended. */
  inFlight = 0;
  /** Statements that wait for a connection. */
  waiting = 0;
  /** Sessions whose reads come here. */
  readers = 0;
  /** Sessions that may still leave it before the next look at all servers. */
  movable = Number.POSITIVE_INFINITY;
  /** Peak-sensitive moving average of the time to the first byte of an answer, ms; 0 unknown. */
  latencyMs = 0;
  /** Moving average of `active`. */
  busy = 0;
  /** The part of its weight that counts, (0, 1]. */
  ramp = 1;
  /** Reads that it answered. */
  reads = 0;
  /** Failures of its own: lost connections, refused ones, errors that no statement is guilty of. */
  faults = 0;
  /** Reads by the time to their first byte. */
  readonly latencies = new Uint32Array(LATENCY_BUCKETS);
  #latencyAtMs = 0;
  #busyAtMs = 0;

  constructor(id: ServerId) {
    this.id = id;
  }

  /** Statements that run or wait. */
  get active(): number {
    return this.inFlight + this.waiting;
  }

  /**
   * Expected work: what runs now counts most, and a session that reads here counts as half a
   * statement, since where it is it will send the next one.
   */
  get work(): number {
    return this.inFlight + this.waiting + this.readers / 2;
  }

  /**
   * A read was answered.
   * @param tookMs from sending it to the first byte of its answer
   */
  noteRead(tookMs: number, nowMs: number): void {
    this.reads += 1;
    const bucket = latencyBucket(tookMs);
    this.latencies[bucket] = (this.latencies[bucket] ?? 0) + 1;
    if (tookMs > this.latencyMs) {
      this.latencyMs = tookMs;
    } else {
      const kept = Math.exp((this.#latencyAtMs - nowMs) / LATENCY_MEMORY_MS);
      this.latencyMs = this.latencyMs * kept + tookMs * (1 - kept);
    }
    this.#latencyAtMs = nowMs;
  }

  /**
   * Between reads: what is long ago counts less, so that a server which was slow is tried again,
   * and the average of what runs goes on.
   */
  fade(nowMs: number): void {
    this.latencyMs *= Math.exp((this.#latencyAtMs - nowMs) / LATENCY_MEMORY_MS);
    this.#latencyAtMs = nowMs;
    const kept = Math.exp((this.#busyAtMs - nowMs) / BUSY_MEMORY_MS);
    this.busy = this.busy * kept + this.active * (1 - kept);
    this.#busyAtMs = nowMs;
  }
}
