import { LagwiseError } from '../lib/errors.ts';
import { MAX_GTID_TEXT_CHARS } from './mysql-set.ts';

/** The last transaction of one replication domain. */
export interface MariadbGtid {
  readonly domain: number;
  /** `server_id` of the server that originated it. */
  readonly server: number;
  readonly sequence: number;
}

/**
 * A MariaDB position: the last transaction of each domain. Within one domain transactions are
 * applied in order, so a position stands for everything before it.
 * https://mariadb.com/kb/en/gtid/
 */
export type MariadbPosition = ReadonlyMap<number, MariadbGtid>;

const GTID = /^(\d{1,10})-(\d{1,10})-(\d{1,20})$/;
const MAX_UINT32 = 0xffff_ffff;

/**
 * Reads `gtid_current_pos`, `gtid_slave_pos` or `gtid_binlog_pos`: `0-1-42,1-3-7`, empty for none.
 * Of several entries of one domain the furthest counts. Throws LagwiseError (`backend-protocol`).
 */
export function parseMariadbPosition(text: string): MariadbPosition {
  const position = new Map<number, MariadbGtid>();
  for (const gtid of parseMariadbBinlogState(text)) {
    const known = position.get(gtid.domain);
    if (known === undefined || known.sequence < gtid.sequence) position.set(gtid.domain, gtid);
  }
  return position;
}

/**
 * Reads `gtid_binlog_state`: the last transaction of each pair of domain and originating server,
 * in no particular order. Unlike a position it still shows what was overtaken by other servers.
 * Throws LagwiseError (`backend-protocol`).
 */
export function parseMariadbBinlogState(text: string): readonly MariadbGtid[] {
  if (text.length > MAX_GTID_TEXT_CHARS) {
    throw malformed(`it has ${text.length} characters, the limit is ${MAX_GTID_TEXT_CHARS}`);
  }
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map(parseGtid);
}

function parseGtid(text: string): MariadbGtid {
  const match = GTID.exec(text);
  if (match === null) throw malformed(`"${text.slice(0, 60)}" is not domain-server-sequence`);
  const domain = Number(match[1]);
  const server = Number(match[2]);
  const sequence = Number(match[3]);
  if (domain > MAX_UINT32 || server > MAX_UINT32 || !Number.isSafeInteger(sequence)) {
    throw malformed(`"${text}" is out of range`);
  }
  return { domain, server, sequence };
}

/**
 * Whether a server at `whole` has everything of a server at `part`: no domain is behind. A domain
 * that `whole` does not know is behind; a domain that only `whole` knows does not matter.
 */
export function containsMariadb(whole: MariadbPosition, part: MariadbPosition): boolean {
  for (const [domain, wanted] of part) {
    const held = whole.get(domain);
    if (held === undefined || held.sequence < wanted.sequence) return false;
  }
  return true;
}

/** The position of a server that has everything of both. */
export function uniteMariadb(left: MariadbPosition, right: MariadbPosition): MariadbPosition {
  const result = new Map(left);
  for (const [domain, gtid] of right) {
    const known = result.get(domain);
    if (known === undefined || known.sequence < gtid.sequence) result.set(domain, gtid);
  }
  return result;
}

/** The domains of `part` in which `whole` is behind. */
export function missingMariadb(whole: MariadbPosition, part: MariadbPosition): MariadbPosition {
  const result = new Map<number, MariadbGtid>();
  for (const [domain, gtid] of part) {
    const held = whole.get(domain);
    if (held === undefined || held.sequence < gtid.sequence) result.set(domain, gtid);
  }
  return result;
}

/** The text form, domains in ascending order. */
export function formatMariadbPosition(position: MariadbPosition): string {
  return [...position.values()]
    .sort((left, right) => left.domain - right.domain)
    .map(({ domain, server, sequence }) => `${domain}-${server}-${sequence}`)
    .join(',');
}

function malformed(why: string): LagwiseError {
  return new LagwiseError('backend-protocol', `Malformed MariaDB GTID position: ${why}`);
}
