import { isAbsolute, join } from 'node:path';
import { z } from 'zod';
import { Secret } from '../lib/secret.ts';

/**
 * The kinds of single values that a config file holds. Each carries the text of what it expects;
 * `problems.ts` puts path and found value in front of it.
 */

/** Where secrets and files come from; injected, so that parsing is a function of its arguments. */
export interface ValueSources {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Reads a whole text file; throws as `node:fs` does. */
  readonly readFile: (path: string) => string;
  /** Folder that relative paths in the file are relative to. */
  readonly baseDir: string;
}

/** Node's timers hold at most 2^31 - 1 ms (24.8 days); a longer wait would fire at once. */
const MAX_TIMER_MS = 2_147_483_647;
const MAX_TEXT = 4096;

export function integer(min: number, max: number) {
  const error = `an integer from ${min} to ${max}`;
  return z.int({ error }).min(min, { error }).max(max, { error });
}

/** A part of a whole. */
export function share() {
  const error = 'a number from 0 to 1';
  return z.number({ error }).min(0, { error }).max(1, { error });
}

export function durationMs(min: number, max = MAX_TIMER_MS) {
  const error = `milliseconds, an integer from ${min} to ${max}`;
  return z.int({ error }).min(min, { error }).max(max, { error });
}

export function sizeBytes(min: number, max: number) {
  const error = `bytes, an integer from ${min} to ${max}`;
  return z.int({ error }).min(min, { error }).max(max, { error });
}

export function text(what: string, maxLength = MAX_TEXT) {
  const error = `${what}, a string of 1 to ${maxLength} characters`;
  return z.string({ error }).min(1, { error }).max(maxLength, { error });
}

/** Name or address, without a port; IPv6 without brackets. */
export function host() {
  const error = 'a host name or IP address without port or spaces';
  // A colon is part of IPv6 addresses only, and those have at least two: `db1:3306` is a mistake.
  return z
    .string({ error })
    .max(255, { error })
    .regex(/^(?:[^\s:/[\]]+|[^\s/[\]]*:[^\s/[\]]*:[^\s/[\]]*)$/, { error });
}

/** Short name that becomes a metric label and a word on the command line. */
export function name(what: string) {
  const error = `${what}: 1 to 64 letters, digits, ".", "_", ":" or "-"`;
  return z.string({ error }).regex(/^[\w.:-]{1,64}$/, { error });
}

/** `schema.table`, of letters that need no quotes: it becomes part of statements. */
export function tableName() {
  const error = 'schema.table, each of 1 to 64 letters, digits or "_"';
  return z.string({ error }).regex(/^\w{1,64}\.\w{1,64}$/, { error });
}

export function oneOf<const Words extends readonly [string, ...string[]]>(words: Words) {
  return z.enum(words, { error: words.map((word) => `"${word}"`).join(' or ') });
}

export function flag() {
  return z.boolean({ error: 'true or false' });
}

export function list<Item extends z.ZodType>(item: Item, maxLength: number, minLength = 0) {
  const error = `a list of ${minLength} to ${maxLength} items`;
  return z.array(item, { error }).min(minLength, { error }).max(maxLength, { error });
}

/** A section: an object whose keys are all known. */
export function section<Shape extends z.ZodRawShape>(shape: Shape) {
  return z.strictObject(shape, {
    // `undefined` keeps the library's own message for the other codes (unknown keys).
    error: (issue) => (issue.code === 'invalid_type' ? 'an object' : undefined),
  });
}

/** The system's own word for a failed read: `ENOENT`, `EACCES` … */
function readFailure(thrown: unknown): string {
  if (thrown instanceof Error && 'code' in thrown) return String(thrown.code);
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** Makes a path of the file absolute by its folder. */
function located(path: string, sources: ValueSources): string {
  return isAbsolute(path) ? path : join(sources.baseDir, path);
}

/** A readable file, as a path; read once here so that a wrong one is found before the start. */
export function filePath(sources: ValueSources) {
  return text('a path').transform((path, ctx): string => {
    const full = located(path, sources);
    try {
      sources.readFile(full);
    } catch (thrown) {
      ctx.addIssue({ code: 'custom', message: `cannot read "${full}" (${readFailure(thrown)})` });
    }
    return full;
  });
}

type SecretInput = string | { env: string } | { file: string };
type SecretReading = { t: 'ok'; value: string } | { t: 'failed'; why: string };

function readSecret(input: SecretInput, sources: ValueSources): SecretReading {
  if (typeof input === 'string') return { t: 'ok', value: input };
  if ('env' in input) {
    const value = sources.env[input.env];
    // An empty variable is far more often a deployment's mistake than a password: say so.
    if (value === undefined || value === '') {
      const state = value === undefined ? 'not set' : 'empty';
      return { t: 'failed', why: `environment variable "${input.env}" is ${state}` };
    }
    return { t: 'ok', value };
  }
  const path = located(input.file, sources);
  try {
    // Editors and `kubectl create secret` end files with a line break that is not the password's.
    const value = sources.readFile(path).replace(/\r?\n$/, '');
    return value === ''
      ? { t: 'failed', why: `secret file "${path}" is empty` }
      : { t: 'ok', value };
  } catch (thrown) {
    return { t: 'failed', why: `cannot read secret file "${path}" (${readFailure(thrown)})` };
  }
}

/** A password: literal, from the environment, or from a file. */
export function secret(sources: ValueSources) {
  const error = 'a string, {"env": "NAME"} or {"file": "path"}';
  return z
    .union(
      [
        z.string().max(MAX_TEXT),
        section({ env: text('the name of an environment variable') }),
        section({ file: text('a path') }),
      ],
      { error },
    )
    .transform((input, ctx): Secret => {
      const reading = readSecret(input, sources);
      if (reading.t === 'ok') return new Secret(reading.value);
      ctx.addIssue({ code: 'custom', message: reading.why });
      return z.NEVER;
    });
}
