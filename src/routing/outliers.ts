import type { ServerId } from '../lib/ids.ts';
import { LATENCY_BUCKETS, medianMs } from './replica-latency.ts';

/**
 * Which replicas stand out: they answer probes, but reads fail there or take far longer than on the
 * others. Pure: counts in, names out.
 */

/** Why a replica rests: labels of a metric. */
export const EJECTION_REASONS = ['errors', 'latency'] as const;
export type EjectionReason = (typeof EJECTION_REASONS)[number];

/** What happened on a replica in one slot of time. */
export interface ReadCounts {
  readonly reads: number;
  readonly faults: number;
  /** Reads by `latencyBucket`. */
  readonly latencies: ArrayLike<number>;
}

/** A replica that takes reads, and its last slots, oldest first. */
export interface Contender {
  readonly id: ServerId;
  /** Only replicas that the same reads go to are compared. */
  readonly group: string;
  readonly slots: readonly ReadCounts[];
}

/** As `routing.ejection`. */
export interface OutlierLimits {
  readonly minErrors: number;
  readonly errorPercent: number;
  readonly latencyFactor: number;
  readonly minLatencyMs: number;
  readonly minReads: number;
}

/** A replica that stands out; `why` is for people. */
export interface Outlier {
  readonly id: ServerId;
  readonly reason: EjectionReason;
  readonly why: string;
}

/** Faults in one slot alone are an accident (a restart), which the probes see too. */
const MIN_FAULTY_SLOTS = 2;
/** Where others fail about as often, it is not this replica that is ill. */
const ERROR_FACTOR = 2;

/** The replicas that stand out among those of their group; the worst reason of each. */
export function findOutliers(contenders: readonly Contender[], limits: OutlierLimits): Outlier[] {
  return contenders.flatMap((one): Outlier[] => {
    const others = contenders.filter(({ id, group }) => id !== one.id && group === one.group);
    if (others.length === 0) return [];
    const why = { errors: whyErrors(one, others, limits), latency: whySlow(one, others, limits) };
    if (why.errors !== null) return [{ id: one.id, reason: 'errors', why: why.errors }];
    return why.latency === null ? [] : [{ id: one.id, reason: 'latency', why: why.latency }];
  });
}

function whyErrors(
  one: Contender,
  others: readonly Contender[],
  limits: OutlierLimits,
): string | null {
  const faults = faultsOf(one);
  const faulty = one.slots.filter((slot) => slot.faults > 0).length;
  const share = faultShare(one);
  if (faults < limits.minErrors || faulty < MIN_FAULTY_SLOTS) return null;
  if (share * 100 < limits.errorPercent) return null;
  if (share < ERROR_FACTOR * median(others.map(faultShare))) return null;
  return `${faults} failures, ${Math.round(share * 100)} % of its reads`;
}

function whySlow(
  one: Contender,
  others: readonly Contender[],
  limits: OutlierLimits,
): string | null {
  const { minReads, minLatencyMs, latencyFactor } = limits;
  const compared = others.filter((other) => readsOf(other) >= minReads);
  if (readsOf(one) < minReads || compared.length === 0) return null;
  const usualMs = median(compared.map((other) => medianMs(latenciesOf(other.slots))));
  const isSlow = (ms: number) => ms >= minLatencyMs && ms > usualMs * latencyFactor;
  const ownMs = medianMs(latenciesOf(one.slots));
  // In the whole window and in each part of it with reads: one that has recovered does not rest.
  const parts = one.slots.filter(({ reads }) => reads > 0);
  if (!isSlow(ownMs) || !parts.every(({ latencies }) => isSlow(medianMs(latencies)))) return null;
  return `its reads take ${round(ownMs)} ms, those of the others ${round(usualMs)} ms`;
}

const readsOf = ({ slots }: Contender): number => slots.reduce((sum, { reads }) => sum + reads, 0);
const faultsOf = ({ slots }: Contender): number =>
  slots.reduce((sum, { faults }) => sum + faults, 0);

function faultShare(one: Contender): number {
  const faults = faultsOf(one);
  return faults === 0 ? 0 : faults / (faults + readsOf(one));
}

function latenciesOf(slots: readonly ReadCounts[]): readonly number[] {
  const sum: number[] = Array.from({ length: LATENCY_BUCKETS }, () => 0);
  for (const { latencies } of slots) {
    for (let at = 0; at < LATENCY_BUCKETS; at += 1) sum[at] = (sum[at] ?? 0) + (latencies[at] ?? 0);
  }
  return sum;
}

/** The lower one of two in the middle: of two others the better one says what is usual. */
function median(values: readonly number[]): number {
  const sorted = [...values].sort((left, right) => left - right);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;
}

const round = (ms: number): number => (ms < 10 ? Math.round(ms * 10) / 10 : Math.round(ms));
