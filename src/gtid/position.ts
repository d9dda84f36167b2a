import { containsMariadb, type MariadbPosition, parseMariadbPosition } from './mariadb-position.ts';
import { containsMysql } from './mysql-algebra.ts';
import { type MysqlGtidSet, parseMysqlGtidSet } from './mysql-set.ts';

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
