import { LagwiseError } from '../lib/errors.ts';

/**
 * A set of MySQL GTIDs, immutable and normalised: the same set has only one form. The key is
 * `uuid` or `uuid:tag` in lower case; the value is a flat list of inclusive intervals
 * `[first, last, first, last, …]`, ascending, without overlap or adjacency.
 *
 * Transaction numbers are plain numbers. The manual allows them up to 2^63-2, but a server that
 * commits a million transactions a second reaches 2^53 after 285 years; a greater one is refused
 * by the parser rather than rounded.
 */
export type MysqlGtidSet = ReadonlyMap<string, readonly number[]>;

/** The set without transactions. */
export const EMPTY_MYSQL_SET: MysqlGtidSet = new Map();

/**
 * The longest text that is read. An interval takes some 10 characters: this is room for about
 * 400 000 holes, where a healthy server has a handful.
 */
export const MAX_GTID_TEXT_CHARS = 4 * 1024 * 1024;

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
/** Tags of MySQL 8.3 and later: https://dev.mysql.com/doc/refman/9.4/en/replication-gtids-concepts.html */
const TAG = /^[a-z_][a-z0-9_]{0,31}$/;
const INTERVAL = /^(\d{1,19})(?:-(\d{1,19}))?$/;

/**
 * Reads the text form that servers print in `gtid_executed`, tagged sets included:
 * `uuid:1-5:7:tag:1-3,uuid:…`. White space may stand anywhere between tokens.
 * Throws LagwiseError (`backend-protocol`) on anything else.
 */
export function parseMysqlGtidSet(text: string): MysqlGtidSet {
  if (text.length > MAX_GTID_TEXT_CHARS) {
    throw malformed(`it has ${text.length} characters, the limit is ${MAX_GTID_TEXT_CHARS}`);
  }
  const collected = new Map<string, number[]>();
  for (const uuidSet of text.replaceAll(/\s+/g, '').toLowerCase().split(',')) {
    if (uuidSet !== '') parseUuidSet(uuidSet, collected);
  }
  const set = new Map<string, readonly number[]>();
  for (const [source, intervals] of collected) set.set(source, normalise(intervals));
  return set;
}

function parseUuidSet(text: string, into: Map<string, number[]>): void {
  const parts = text.split(':');
  const uuid = parts[0] ?? '';
  if (!UUID.test(uuid)) throw malformed(`${quoted(uuid)} is not a UUID`);
  let source = uuid;
  let intervalsHere = 0;
  for (const part of parts.slice(1)) {
    if (TAG.test(part)) {
      source = `${uuid}:${part}`;
      continue;
    }
    const [first, last] = parseInterval(part);
    const known = into.get(source);
    if (known === undefined) into.set(source, [first, last]);
    else known.push(first, last);
    intervalsHere += 1;
  }
  if (intervalsHere === 0) throw malformed(`${quoted(text)} has no interval`);
}

function parseInterval(text: string): [first: number, last: number] {
  const match = INTERVAL.exec(text);
  if (match === null) throw malformed(`${quoted(text)} is neither an interval nor a tag`);
  const first = Number(match[1]);
  const last = match[2] === undefined ? first : Number(match[2]);
  if (first < 1 || last < first) throw malformed(`${quoted(text)} is not an ascending interval`);
  if (!Number.isSafeInteger(last)) throw malformed(`${quoted(text)} is out of range`);
  return [first, last];
}

/** Sorts a flat interval list and joins what overlaps or touches. */
export function normalise(intervals: readonly number[]): readonly number[] {
  let ascending = true;
  for (let at = 2; at < intervals.length; at += 2) {
    // A gap of at least one number between neighbours: nothing to sort or to join.
    if (numberAt(intervals, at) <= numberAt(intervals, at - 1) + 1) ascending = false;
  }
  if (ascending) return intervals;
  const pairs: [number, number][] = [];
  for (let at = 0; at < intervals.length; at += 2) {
    pairs.push([numberAt(intervals, at), numberAt(intervals, at + 1)]);
  }
  pairs.sort((left, right) => left[0] - right[0]);
  const joined: number[] = [];
  for (const [first, last] of pairs) {
    const end = joined.length - 1;
    if (end > 0 && first <= numberAt(joined, end) + 1) {
      joined[end] = Math.max(numberAt(joined, end), last);
    } else {
      joined.push(first, last);
    }
  }
  return joined;
}

/** How many intervals the set has: how long it is. */
export function countIntervals(set: MysqlGtidSet): number {
  let count = 0;
  for (const intervals of set.values()) count += intervals.length / 2;
  return count;
}

/** An element of a flat interval list; past the end it is beyond every transaction number. */
export function numberAt(intervals: readonly number[], at: number): number {
  return intervals[at] ?? Number.POSITIVE_INFINITY;
}

/** The text form as a server prints it, without line breaks: sources sorted, untagged first. */
export function formatMysqlGtidSet(set: MysqlGtidSet): string {
  let text = '';
  let lastUuid = '';
  for (const source of [...set.keys()].sort()) {
    const colon = source.indexOf(':');
    const uuid = colon === -1 ? source : source.slice(0, colon);
    if (uuid === lastUuid) text += source.slice(colon);
    else text += `${text === '' ? '' : ','}${source}`;
    lastUuid = uuid;
    const intervals = set.get(source) ?? [];
    for (let at = 0; at < intervals.length; at += 2) {
      const first = numberAt(intervals, at);
      const last = numberAt(intervals, at + 1);
      text += first === last ? `:${first}` : `:${first}-${last}`;
    }
  }
  return text;
}

function quoted(text: string): string {
  return `"${text.length > 60 ? `${text.slice(0, 60)}…` : text}"`;
}

function malformed(why: string): LagwiseError {
  return new LagwiseError('backend-protocol', `Malformed GTID set: ${why}`);
}
