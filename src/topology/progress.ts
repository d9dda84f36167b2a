import { countMysql, subtractMysql } from '../gtid/mysql-algebra.ts';
import type { Position } from '../gtid/position.ts';

/**
 * How many transactions `whole` has that `held` has not; null where that cannot be told. MariaDB
 * numbers the transactions of a domain one by one, so the difference of the numbers is the count.
 */
export function countBeyond(whole: Position | null, held: Position | null): number | null {
  if (whole === null || held === null) return null;
  if (whole.t === 'mysql' && held.t === 'mysql') {
    return whole.text === held.text ? 0 : countMysql(subtractMysql(whole.set, held.set));
  }
  if (whole.t !== 'mariadb' || held.t !== 'mariadb') return null;
  let count = 0;
  for (const [domain, { sequence }] of whole.position) {
    count += Math.max(0, sequence - (held.position.get(domain)?.sequence ?? 0));
  }
  return count;
}

/** A smoothed rate of transactions, as of `atMs`. */
export interface Rate {
  readonly perSecond: number;
  readonly atMs: number;
}

/** Half of a change shows after 1.4 s: steadier than a probe, quicker than a person. */
const SMOOTHING_MS = 2000;

/** The rate after `count` transactions more at `atMs`; null counts begin anew. */
export function nextRate(
  before: { readonly rate: Rate | null; readonly atMs: number },
  count: number | null,
  atMs: number,
): Rate | null {
  const tookMs = atMs - before.atMs;
  if (count === null || before.atMs < 0) return null;
  if (tookMs <= 0) return before.rate;
  const latest = (count * 1000) / tookMs;
  if (before.rate === null) return { perSecond: latest, atMs };
  const share = 1 - Math.exp(-tookMs / SMOOTHING_MS);
  return { perSecond: before.rate.perSecond + (latest - before.rate.perSecond) * share, atMs };
}

/** Of what comes in, the applier has to do so much more to be said to catch up. */
const CLEARLY_FASTER = 1.05;

/**
 * How long until a replica that is `behind` by so many transactions has caught up, ms, if both go on
 * as now; null where it cannot be told, or never will.
 */
export function catchUpMs(
  behind: number | null,
  applied: Rate | null,
  arriving: Rate | null,
): number | null {
  if (behind === null || behind === 0) return behind;
  if (applied === null) return null;
  const arrivingPerSecond = arriving?.perSecond ?? 0;
  if (applied.perSecond <= arrivingPerSecond * CLEARLY_FASTER) return null;
  return Math.round((behind * 1000) / (applied.perSecond - arrivingPerSecond));
}
