import { SCHEMA } from './tables.ts';

const FROM = `(SELECT id FROM ${SCHEMA}.whoami LIMIT 1) AS server FROM ${SCHEMA}.registers`;

/** Keys of a read that shows several at once. */
export const KEYS_AT_ONCE = 4;

/** The statements of the checker's clients. */
export const SQL = {
  readOne: `SELECT k, v, ${FROM} WHERE k = ?`,
  readSeveral: `SELECT k, v, ${FROM} WHERE k IN (${Array.from({ length: KEYS_AT_ONCE }, () => '?').join(', ')})`,
  // A write whose client has given it up may run later: it must not undo what came behind it.
  set: `UPDATE ${SCHEMA}.registers SET v = ?, n = n + 1 WHERE k = ? AND v < ?`,
  // The reply tells the new value as its insert id.
  increment: `UPDATE ${SCHEMA}.registers SET v = LAST_INSERT_ID(v + 1), n = n + 1 WHERE k = ?`,
} as const;
