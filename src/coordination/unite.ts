import { formatMariadbPosition, type MariadbGtid } from '../gtid/mariadb-position.ts';
import { countMysql, subtractMysql, unionMysql } from '../gtid/mysql-algebra.ts';
import { formatMysqlGtidSet } from '../gtid/mysql-set.ts';
import type { Position } from '../gtid/position.ts';

/**
 * A position that holds what either of the two holds. Of different flavors the second counts: the
 * cluster was replaced.
 */
export function unitePositions(left: Position, right: Position): Position {
  if (left.t === 'mysql' && right.t === 'mysql') {
    const set = unionMysql(left.set, right.set);
    if (set === left.set) return left;
    return set === right.set ? right : { t: 'mysql', text: formatMysqlGtidSet(set), set };
  }
  if (left.t === 'mariadb' && right.t === 'mariadb') {
    const position = new Map<number, MariadbGtid>(left.position);
    for (const [domain, gtid] of right.position) {
      const known = position.get(domain);
      if (known === undefined || known.sequence < gtid.sequence) position.set(domain, gtid);
    }
    return { t: 'mariadb', text: formatMariadbPosition(position), position };
  }
  return right;
}

/** The same position with the shortest text: that of several texts in a row may repeat itself. */
export function tidied(position: Position): Position {
  return position.t === 'mysql'
    ? { ...position, text: formatMysqlGtidSet(position.set) }
    : { ...position, text: formatMariadbPosition(position.position) };
}

/** How many transactions `whole` lacks of `part`. Of MariaDB by sequence numbers, domain by domain. */
export function countMissing(whole: Position, part: Position): number {
  if (whole.t === 'mysql' && part.t === 'mysql') {
    return countMysql(subtractMysql(part.set, whole.set));
  }
  if (whole.t !== 'mariadb' || part.t !== 'mariadb') return 0;
  let missing = 0;
  for (const [domain, { sequence }] of part.position) {
    missing += Math.max(0, sequence - (whole.position.get(domain)?.sequence ?? 0));
  }
  return missing;
}

/** How many intervals the text of it has, which is what comparing and sending it costs. */
export function sizeOf(position: Position): number {
  if (position.t === 'mariadb') return position.position.size;
  let intervals = 0;
  for (const flat of position.set.values()) intervals += flat.length / 2;
  return intervals;
}
