import type { PoolAccount } from '../../pool/account.ts';
import type { BackendConnection } from '../../pool/backend-connection.ts';
import type { StateProfile } from '../../pool/state-profile.ts';
import { COM } from '../../wire/command.ts';
import { HEADER_BYTES } from '../../wire/writer.ts';
import type { Command } from '../command/command.ts';
import { opensCursor, portableExecute } from '../prepared/execute-packet.ts';

/** A read that can be run again on another server and compared; it owns its bytes. */
export interface StalenessSubject {
  readonly account: PoolAccount;
  /** The state that it ran in. */
  readonly profile: StateProfile;
  /** The COM_STMT_PREPARE in front of it; null for a statement of text. */
  readonly prepare: Buffer | null;
  /** The COM_QUERY, or the COM_STMT_EXECUTE with parameter types and without a statement's id. */
  readonly bytes: Buffer;
}

/** Longer statements are not sampled: each sample keeps a copy. */
const MAX_STATEMENT_BYTES = 16 * 1024;
const PREPARED_TEXT_AT = HEADER_BYTES + 1;

/** It reads tables: what reads none is never stale, and would dilute the share. */
const READS_TABLES = /\b(?:from|table)\b/i;
/**
 * What differs from run to run or from server to server, whatever the data: the clock, chance, the
 * server's own facts. Two runs at the primary would not show all of it: NOW() stays the same within
 * a second.
 */
const VARYING_CALL =
  /\b(?:now|sysdate|curdate|curtime|current_date|current_time|current_timestamp|unix_timestamp|rand|random_bytes|uuid|uuid_short|uuid_v4|uuid_v7|sys_guid|encrypt|connection_id|version|benchmark|sleep)(?:\s|\/\*.*?\*\/)*\(/is;
/** The same without parentheses; these are reserved words, so no column is meant. */
const VARYING_WORD =
  /\b(?:current_date|current_time|current_timestamp|localtime|localtimestamp|utc_date|utc_time|utc_timestamp)\b/i;
/** Tables of the server itself. */
const SYSTEM_SCHEMAS = ['information_schema', 'performance_schema', 'mysql', 'sys'];
const SYSTEM_TABLE = new RegExp(`\\b(?:${SYSTEM_SCHEMAS.join('|')})[\`"]?\\s*\\.`, 'i');
/** Variables of the server or of the user, but for the `@` inside of an address. */
const VARIABLE = /(?<![\w.])@/;
/** Without an order each server may choose rows of its own. */
const CHOOSES_ROWS = /\b(?:limit|fetch)\b/i;
const ORDERS = /\border\s+by\b/i;

/** Whether two servers with the same data give the same rows to this text, as far as words tell. */
export function isComparable(text: string): boolean {
  if (!READS_TABLES.test(text) || SYSTEM_TABLE.test(text) || VARIABLE.test(text)) return false;
  if (VARYING_CALL.test(text) || VARYING_WORD.test(text)) return false;
  return !CHOOSES_ROWS.test(text) || ORDERS.test(text);
}

/**
 * The command that has just been sent to a replica, as something to be run again; null where it is
 * no read that can be compared.
 * @throws MalformedPacketError for an EXECUTE that is none
 */
export function subjectOf(
  command: Command,
  { account, profile, caps }: BackendConnection,
): StalenessSubject | null {
  const { com, bytes, cause, isLong, statement, textAt } = command;
  if (profile === null || isLong || bytes.length > MAX_STATEMENT_BYTES) return null;
  if (SYSTEM_SCHEMAS.includes(profile.schema?.toLowerCase() ?? '')) return null;
  // SHOW and its like tell of the server; what a rule merely assumes to be a read runs once.
  if (cause !== 'select' && cause !== 'table') return null;
  if (com === COM.QUERY) {
    if (!isComparable(bytes.toString('latin1', textAt))) return null;
    return { account, profile, prepare: null, bytes: Buffer.from(bytes) };
  }
  if (com !== COM.STMT_EXECUTE || statement === null) return null;
  const { packet, profile: preparedUnder } = statement.shape;
  if (packet.length > MAX_STATEMENT_BYTES || preparedUnder !== profile) return null;
  // Rows of a cursor come later; parameters that were sent ahead are on that server only.
  if (opensCursor(bytes) || statement.longDataOn !== null) return null;
  if (!isComparable(packet.toString('latin1', PREPARED_TEXT_AT))) return null;
  return { account, profile, prepare: packet, bytes: portableExecute(bytes, statement, caps) };
}
