import { EMPTY_MYSQL_SET, type MysqlGtidSet, normalise, numberAt } from './mysql-set.ts';

/** Whether every transaction of `part` is in `whole`. Linear in the number of intervals. */
export function containsMysql(whole: MysqlGtidSet, part: MysqlGtidSet): boolean {
  if (whole === part) return true;
  for (const [source, wanted] of part) {
    const held = whole.get(source);
    if (held === undefined || !intervalsContain(held, wanted)) return false;
  }
  return true;
}

function intervalsContain(held: readonly number[], wanted: readonly number[]): boolean {
  let at = 0;
  for (let want = 0; want < wanted.length; want += 2) {
    const first = numberAt(wanted, want);
    while (at < held.length && numberAt(held, at + 1) < first) at += 2;
    if (at >= held.length) return false;
    // Normalised: one interval of `held` has to hold the whole wanted interval.
    if (numberAt(held, at) > first || numberAt(held, at + 1) < numberAt(wanted, want + 1)) {
      return false;
    }
  }
  return true;
}

/** Whether both hold the same transactions. */
export function equalsMysql(left: MysqlGtidSet, right: MysqlGtidSet): boolean {
  return left.size === right.size && containsMysql(left, right) && containsMysql(right, left);
}

/** The transactions that are in one of the two or in both. */
export function unionMysql(left: MysqlGtidSet, right: MysqlGtidSet): MysqlGtidSet {
  if (left.size === 0) return right;
  if (right.size === 0) return left;
  const result = new Map(left);
  for (const [source, intervals] of right) {
    const known = result.get(source);
    result.set(source, known === undefined ? intervals : normalise([...known, ...intervals]));
  }
  return result;
}

/** The transactions of `whole` that are not in `taken`. */
export function subtractMysql(whole: MysqlGtidSet, taken: MysqlGtidSet): MysqlGtidSet {
  const result = new Map<string, readonly number[]>();
  for (const [source, intervals] of whole) {
    const without = taken.get(source);
    const left = without === undefined ? intervals : subtractIntervals(intervals, without);
    if (left.length > 0) result.set(source, left);
  }
  return result.size === 0 ? EMPTY_MYSQL_SET : result;
}

function subtractIntervals(whole: readonly number[], taken: readonly number[]): readonly number[] {
  const left: number[] = [];
  let skip = 0;
  for (let at = 0; at < whole.length; at += 2) {
    let first = numberAt(whole, at);
    const last = numberAt(whole, at + 1);
    while (numberAt(taken, skip + 1) < first) skip += 2;
    for (let cut = skip; numberAt(taken, cut) <= last && first <= last; cut += 2) {
      if (numberAt(taken, cut) > first) left.push(first, numberAt(taken, cut) - 1);
      first = numberAt(taken, cut + 1) + 1;
    }
    if (first <= last) left.push(first, last);
  }
  return left;
}

/** How many transactions the set holds. */
export function countMysql(set: MysqlGtidSet): number {
  let count = 0;
  for (const intervals of set.values()) {
    for (let at = 0; at < intervals.length; at += 2) {
      count += numberAt(intervals, at + 1) - numberAt(intervals, at) + 1;
    }
  }
  return count;
}

/** The set without the transactions that one server originated, whatever their tags. */
export function withoutSource(set: MysqlGtidSet, uuid: string): MysqlGtidSet {
  const lower = uuid.toLowerCase();
  const result = new Map<string, readonly number[]>();
  for (const [source, intervals] of set) {
    if (source !== lower && !source.startsWith(`${lower}:`)) result.set(source, intervals);
  }
  return result;
}
