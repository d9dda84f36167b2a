import {
  containsMariadb,
  formatMariadbPosition,
  type MariadbPosition,
  missingMariadb,
  parseMariadbPosition,
  uniteMariadb,
} from './mariadb-position.ts';
import { containsMysql, subtractMysql, unionMysql } from './mysql-algebra.ts';
import { formatMysqlGtidSet, type MysqlGtidSet, parseMysqlGtidSet } from './mysql-set.ts';

/** What a server has executed, of either flavour, with the text it was read from. */
export type Position =
  | { readonly t: 'mysql'; readonly text: string; readonly set: MysqlGtidSet }
  | { readonly t: 'mariadb'; readonly text: string; readonly position: MariadbPosition };

/** Reads a server's own text. Throws LagwiseError (`backend-protocol`) on malformed text. */
export function parsePosition(flavor: 'mysql' | 'mariadb', text: string): Position {
  return flavor === 'mysql'
    ? { t: 'mysql', text, set: parseMysqlGtidSet(text) }
    : { t: 'mariadb', text, position: parseMariadbPosition(text) };
}

/**
 * Reads what a server has joined from several of its positions, which may repeat and overlap; the
 * text of the result is the one that a server would print.
 */
export function parseJoined(flavor: 'mysql' | 'mariadb', text: string): Position {
  const read = parsePosition(flavor, text);
  const printed =
    read.t === 'mysql' ? formatMysqlGtidSet(read.set) : formatMariadbPosition(read.position);
  return { ...read, text: printed };
}

/**
 * Whether `whole` is proved to hold everything of `part`. Positions of different flavours prove
 * nothing. Equal MySQL texts are the common case and cost one comparison.
 */
export function positionContains(whole: Position, part: Position): boolean {
  if (whole.t === 'mysql' && part.t === 'mysql') {
    return whole.text === part.text || containsMysql(whole.set, part.set);
  }
  if (whole.t === 'mariadb' && part.t === 'mariadb') {
    return containsMariadb(whole.position, part.position);
  }
  return false;
}

/**
 * Everything of both. Positions of different flavours cannot be united: the second one counts, as
 * the newer.
 */
export function unitePositions(older: Position, newer: Position): Position {
  if (older.text === newer.text) return newer;
  if (older.t === 'mysql' && newer.t === 'mysql') {
    const set = unionMysql(older.set, newer.set);
    return { t: 'mysql', text: formatMysqlGtidSet(set), set };
  }
  if (older.t === 'mariadb' && newer.t === 'mariadb') {
    const position = uniteMariadb(older.position, newer.position);
    return { t: 'mariadb', text: formatMariadbPosition(position), position };
  }
  return newer;
}

/** What of `part` is not in `whole`, as a server's functions take it; empty for nothing. */
export function missingFrom(whole: Position, part: Position): string {
  if (whole.t === 'mysql' && part.t === 'mysql') {
    return formatMysqlGtidSet(subtractMysql(part.set, whole.set));
  }
  if (whole.t === 'mariadb' && part.t === 'mariadb') {
    return formatMariadbPosition(missingMariadb(whole.position, part.position));
  }
  return part.text;
}
