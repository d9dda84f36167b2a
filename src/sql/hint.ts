import { BLANK_START } from './blanks.ts';
import { BANG, COLON, HASH, LINE_FEED, MINUS, SLASH, STAR } from './bytes.ts';
import { NAME_BYTE } from './word-table.ts';

/** Where a hint wants its statement to go. It never makes a read of a write. */
export const HINT_TARGETS = ['primary', 'replica'] as const;
export type HintTarget = (typeof HINT_TARGETS)[number];

/** What a hint may say of how fresh a read must be. */
export const HINT_CONSISTENCIES = ['eventual', 'session', 'global', 'strong'] as const;
export type HintConsistency = (typeof HINT_CONSISTENCIES)[number];

/** What a comment `lagwise: …` in front of a statement asks for; `null` for what it leaves open. */
export interface Hint {
  readonly target: HintTarget | null;
  readonly consistency: HintConsistency | null;
  /** Milliseconds. */
  readonly maxLagMs: number | null;
  /** Tags of servers as written, `+` between them. */
  readonly replicaTags: string | null;
  readonly tag: string | null;
  /** What was not understood, in words; the rest of the hint counts all the same. */
  readonly problems: readonly string[];
}

const MARK = Buffer.from('LAGWISE');

/** Largest lag that makes sense to name: a day. */
const MAX_LAG_MS = 86_400_000;
const MAX_TAG_LENGTH = 64;
/** Longest hint that is read, and most problems that are told of one. */
const MAX_HINT_LENGTH = 1024;
const MAX_PROBLEMS = 8;

/**
 * Position behind `lagwise:` in the comments in front of a statement's first token, or -1. Only
 * plain comments count: version comments are SQL.
 */
export function findHint(buf: Uint8Array, start: number, limit: number): number {
  let pos = start;
  while (pos < limit) {
    const c = buf[pos] ?? 0;
    if (BLANK_START[c] === 1) pos++;
    else if (c === SLASH && buf[pos + 1] === STAR) {
      const body = markEnd(buf, pos + 2, limit);
      if (body >= 0) return commentEnd(buf, body, limit) < 0 ? -1 : body;
      // `/*! …` and MariaDB's `/*M! …` are SQL: the first token is inside.
      if (buf[pos + 2] === BANG || buf[pos + 3] === BANG) return -1;
      const end = commentEnd(buf, pos + 2, limit);
      if (end < 0) return -1;
      pos = end + 2;
    } else if (c === HASH || (c === MINUS && buf[pos + 1] === MINUS)) {
      while (pos < limit && buf[pos] !== LINE_FEED) pos++;
    } else return -1;
  }
  return -1;
}

/** Position of the end mark of the comment, -1 if it has none. */
export function commentEnd(buf: Uint8Array, start: number, limit: number): number {
  for (let pos = start; pos + 1 < limit; pos++) {
    if (buf[pos] === STAR && buf[pos + 1] === SLASH) return pos;
  }
  return -1;
}

/** Position behind blanks, `lagwise`, blanks and the colon, -1 if they do not stand here. */
function markEnd(buf: Uint8Array, start: number, limit: number): number {
  let pos = start;
  while (pos < limit && BLANK_START[buf[pos] ?? 0] === 1) pos++;
  for (const letter of MARK) if (NAME_BYTE[buf[pos++] ?? 0] !== letter) return -1;
  while (pos < limit && BLANK_START[buf[pos] ?? 0] === 1) pos++;
  return pos < limit && buf[pos] === COLON ? pos + 1 : -1;
}

/** Reads a hint from the range that `Classification.hintStart` and `hintEnd` give. */
export function parseHint(buf: Buffer, start: number, end: number): Hint {
  const hint = new HintParts();
  if (end - start > MAX_HINT_LENGTH) {
    hint.problem(`The hint is longer than ${MAX_HINT_LENGTH} bytes`);
    return hint;
  }
  // `key = value`, set apart by blanks or commas.
  const items = buf.toString('utf8', start, end).matchAll(/([^\s,=]+)(?:\s*=\s*([^\s,=]*))?|=/gu);
  for (const [item, key, value] of items) {
    if (key === undefined || value === undefined) hint.problem(`'${item}' is not key=value`);
    else hint.set(key, value);
  }
  return hint;
}

class HintParts implements Hint {
  target: HintTarget | null = null;
  consistency: HintConsistency | null = null;
  maxLagMs: number | null = null;
  replicaTags: string | null = null;
  tag: string | null = null;
  readonly problems: string[] = [];

  problem(text: string): void {
    if (this.problems.length < MAX_PROBLEMS) this.problems.push(text);
  }

  set(key: string, value: string): void {
    switch (key.toLowerCase()) {
      case 'target':
        this.target = this.#oneOf(HINT_TARGETS, key, value) ?? this.target;
        return;
      case 'consistency':
        this.consistency = this.#oneOf(HINT_CONSISTENCIES, key, value) ?? this.consistency;
        return;
      case 'max_lag_ms':
        if (/^\d{1,8}$/u.test(value) && Number(value) <= MAX_LAG_MS) this.maxLagMs = Number(value);
        else this.problem(`max_lag_ms is a number of milliseconds up to ${MAX_LAG_MS}`);
        return;
      case 'replica_tags':
        this.replicaTags = value;
        return;
      case 'tag':
        if (value !== '' && value.length <= MAX_TAG_LENGTH) this.tag = value;
        else this.problem(`tag has 1 to ${MAX_TAG_LENGTH} characters`);
        return;
      default:
        this.problem(`'${key}' is not a key of hints`);
    }
  }

  #oneOf<Word extends string>(words: readonly Word[], key: string, value: string): Word | null {
    const found = words.find((word) => word === value.toLowerCase());
    if (found === undefined) this.problem(`${key} is one of ${words.join(', ')}`);
    return found ?? null;
  }
}
