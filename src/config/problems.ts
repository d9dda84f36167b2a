import type { z } from 'zod';
import { knownKeysAt, type PathPart } from './json-schema.ts';

type Issue = z.core.$ZodIssue;

const MAX_SHOWN = 60;
/** Values under these keys never appear in a message. */
const SECRET_KEYS = new Set(['password']);
/** An address with an account in it, and perhaps a password. */
const ACCOUNT_IN_ADDRESS = /\/\/[^/]*@/;

/** `servers[1].port`; the empty path is the file itself. */
function pathText(path: readonly PropertyKey[]): string {
  if (path.length === 0) return '(top level)';
  return path
    .map((part, index) => {
      if (typeof part === 'number') return `[${part}]`;
      return index === 0 ? String(part) : `.${String(part)}`;
    })
    .join('');
}

/** One line per problem: path, what was found, what was expected. */
export function describeIssues(issues: readonly Issue[], input: unknown): string[] {
  return issues.flatMap((issue) => describeIssue(issue, [], input));
}

function describeIssue(issue: Issue, parent: readonly PropertyKey[], input: unknown): string[] {
  const path = [...parent, ...issue.path];
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => describeUnknownKey(path, key));
  }
  // Our own checks say the whole story themselves.
  if (issue.code === 'custom') return [`${pathText(path)}: ${issue.message}`];
  if (issue.code === 'invalid_union') {
    const branch = meantBranch(issue.errors);
    if (branch !== null) return branch.flatMap((inner) => describeIssue(inner, path, input));
  }
  return [`${pathText(path)}: ${found(path, input)}, expected ${issue.message}`];
}

/**
 * The one alternative whose outer type fits: the user meant that one, so its inner problems are
 * the helpful ones. Null when none or several fit.
 */
function meantBranch(branches: readonly (readonly Issue[])[]): readonly Issue[] | null {
  const fitting = branches.filter((issues) => issues.every((issue) => issue.path.length > 0));
  return fitting.length === 1 ? (fitting[0] ?? null) : null;
}

function describeUnknownKey(path: readonly PropertyKey[], key: string): string {
  const known = knownKeysAt(path.filter((part): part is PathPart => typeof part !== 'symbol'));
  const full = pathText([...path, key]);
  const near = nearest(key, known);
  if (near !== null) return `${full}: unknown key, did you mean "${near}"?`;
  return `${full}: unknown key, expected one of ${known.map((name) => `"${name}"`).join(', ')}`;
}

function valueAt(path: readonly PropertyKey[], input: unknown): unknown {
  let value = input;
  for (const part of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = Reflect.get(value, part);
  }
  return value;
}

function found(path: readonly PropertyKey[], input: unknown): string {
  const value = valueAt(path, input);
  if (value === undefined) return 'missing';
  if (value === null) return 'found null';
  if (Array.isArray(value)) return `found a list of ${value.length} items`;
  if (typeof value === 'object') return 'found an object';
  const isSecret =
    path.some((part) => SECRET_KEYS.has(String(part))) ||
    (typeof value === 'string' && ACCOUNT_IN_ADDRESS.test(value));
  if (isSecret) return `found a ${typeof value} (not shown)`;
  const shown = JSON.stringify(value);
  const cut = shown.length > MAX_SHOWN ? `${shown.slice(0, MAX_SHOWN)}…` : shown;
  return `found ${cut} (${typeof value})`;
}

/** The known word that is at most a third of the word's letters away, or null. */
function nearest(word: string, known: readonly string[]): string | null {
  const limit = Math.max(1, Math.floor(word.length / 3));
  let best: string | null = null;
  let bestDistance = limit + 1;
  for (const candidate of known) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** Edits between two short words: insert, delete, replace, or swap two neighbours. */
function editDistance(a: string, b: string): number {
  if (a.length > 64 || b.length > 64) return a === b ? 0 : 64;
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      next.push(
        Math.min(
          (row[j - 1] ?? 0) + cost,
          (row[j] ?? 0) + 1,
          (next[j - 1] ?? 0) + 1,
          swapped ? (before[j - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY,
        ),
      );
    }
    before = row;
    row = next;
  }
  return row[b.length] ?? 0;
}
