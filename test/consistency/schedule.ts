/** What is done to a replica. */
export const FAULTS = [
  'delay', // it shows each transaction later
  'stop-applier',
  'stop-receiver',
  'pause', // SIGSTOP: connections stay open and nothing answers
  'kill', // SIGKILL, and started again
  'lock-table', // its applier waits for a lock, though all threads run
] as const;
export type Fault = (typeof FAULTS)[number];

/** What is done to the Redis that the proxies share. */
export const REDIS_FAULTS = [
  'redis-kill', // it ends, and comes back empty
  'redis-pause', // it keeps its connections and answers nothing
] as const;
export type RedisFault = (typeof REDIS_FAULTS)[number];

/** A fault of one replica within a round. */
export interface PlannedFault {
  /** Which of the present replicas, counted from 0. */
  readonly replica: number;
  readonly fault: Fault;
  /** From the start of the round. */
  readonly startMs: number;
  readonly holdMs: number;
  /** For `delay` only. */
  readonly lagMs: number;
}

/** A fault of Redis within a round. */
export interface PlannedRedisFault {
  readonly fault: RedisFault;
  readonly startMs: number;
  readonly holdMs: number;
}

/** Faults that overlap; all of them are healed at its end. */
export interface Round {
  readonly faults: readonly PlannedFault[];
  /** What happens to Redis meanwhile, where there is one; null for nothing. */
  readonly redis: PlannedRedisFault | null;
  /** The replica that becomes the primary once all is healed; null for none. */
  readonly promote: number | null;
  /** The primary is killed first, in place of a change that somebody has planned. */
  readonly loss: boolean;
  /** Quiet before the next round. */
  readonly pauseMs: number;
}

/** What a schedule is made from. */
export interface ScheduleOptions {
  readonly faults: readonly Fault[];
  readonly replicas: number;
  /** Redis fails as well, every other round. */
  readonly redis?: boolean;
  /** [0, 1), seeded: the same seed gives the same schedule. */
  readonly random: () => number;
  /** The primary changes behind every so many rounds; 0 for never. */
  readonly switchEvery: number;
  /** Every so many changes of the primary it is lost; absent or 0 for never. */
  readonly loseEvery?: number;
}

const HOLD_MS = { from: 200, to: 2000 };
const START_MS = { from: 0, to: 600 };
const PAUSE_MS = { from: 0, to: 400 };
const LAG_MS = { from: 30, to: 1500 };
/** Every kind of fault comes once in three rounds of two replicas. */
export const SWITCH_EVERY = 3;

/**
 * Rounds without end. Each kind of fault comes once before any comes again, so a short run meets
 * them all.
 */
export function* schedule(options: ScheduleOptions): Generator<Round, never> {
  const { random, replicas, switchEvery, loseEvery = 0 } = options;
  let bag: Fault[] = [];
  const draw = (): Fault => {
    if (bag.length === 0) bag = [...options.faults];
    const [fault = 'delay'] = bag.splice(Math.floor(random() * bag.length), 1);
    return fault;
  };
  for (let number = 1; ; number += 1) {
    const faults: PlannedFault[] = [];
    for (let replica = 0; replica < replicas; replica += 1) {
      if (options.faults.length === 0) break;
      faults.push({
        replica,
        fault: draw(),
        startMs: between(START_MS, random),
        holdMs: between(HOLD_MS, random),
        lagMs: between(LAG_MS, random),
      });
    }
    const switches = switchEvery > 0 && number % switchEvery === 0 && replicas > 0;
    const promote = switches ? Math.floor(random() * replicas) : null;
    const loss = switches && loseEvery > 0 && (number / switchEvery) % loseEvery === 0;
    const redis = options.redis === true ? redisFault(number, random) : null;
    yield { faults, redis, promote, loss, pauseMs: between(PAUSE_MS, random) };
  }
}

function redisFault(round: number, random: () => number): PlannedRedisFault | null {
  if (round % 2 === 1) return null;
  const fault = REDIS_FAULTS[(round / 2) % REDIS_FAULTS.length] ?? 'redis-kill';
  return { fault, startMs: between(START_MS, random), holdMs: between(HOLD_MS, random) };
}

function between({ from, to }: { from: number; to: number }, random: () => number): number {
  return Math.round(from + random() * (to - from));
}
