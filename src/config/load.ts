import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { LagwiseError, messageOf } from '../lib/errors.ts';
import { Secret } from '../lib/secret.ts';
import { parseJsonText } from './json-text.ts';
import type { ValueSources } from './leaves.ts';
import { describeIssues } from './problems.ts';
import { crossProblems } from './rules.ts';
import { type Config, makeConfigSchema } from './schema.ts';

/** No sensible config is larger; a wrong path (a log, a dump) is. */
const MAX_CONFIG_BYTES = 4 * 1024 * 1024;

/** What `parseConfig` needs besides the config itself. */
export interface ParseOptions extends Partial<ValueSources> {
  readonly env: ValueSources['env'];
  /** How the config is called in messages; default `Config`. */
  readonly title?: string;
}

/**
 * Checks a parsed JSON value, fills in defaults and resolves secrets.
 *
 * @returns the config, deep-frozen
 * @throws LagwiseError('config') that lists every problem, one per line
 */
export function parseConfig(json: unknown, options: ParseOptions): Config {
  const title = options.title ?? 'Config';
  const result = makeConfigSchema({
    env: options.env,
    readFile: options.readFile ?? readText,
    baseDir: options.baseDir ?? '.',
  }).safeParse(json);
  if (!result.success) throw problemsError(title, describeIssues(result.error.issues, json));
  const problems = crossProblems(result.data);
  if (problems.length > 0) throw problemsError(title, problems);
  return deepFreeze(result.data);
}

/**
 * Reads and checks a config file. Paths in it are relative to its own folder.
 *
 * @throws LagwiseError('config') when it cannot be read, is no JSON, or has problems
 */
export function loadConfig(path: string, env: ValueSources['env']): Config {
  const title = `Config file "${path}"`;
  let json: unknown;
  try {
    json = parseJsonText(readText(path));
  } catch (thrown) {
    if (thrown instanceof LagwiseError) throw problemsError(title, [thrown.message]);
    throw new LagwiseError(
      'config',
      `Cannot read config file "${path}" (${messageOf(thrown)}): name an existing one with --config`,
      { cause: thrown },
    );
  }
  return parseConfig(json, { env, baseDir: dirname(resolve(path)), title });
}

function readText(path: string): string {
  const bytes = readFileSync(path);
  if (bytes.length > MAX_CONFIG_BYTES) {
    throw new LagwiseError('config', `the file is larger than ${MAX_CONFIG_BYTES} bytes`);
  }
  return bytes.toString('utf8');
}

function problemsError(title: string, problems: readonly string[]): LagwiseError {
  const count = problems.length === 1 ? 'a problem' : `${problems.length} problems`;
  const lines = problems.map((problem) => `\n  ${problem}`).join('');
  return new LagwiseError('config', `${title} has ${count}:${lines}`);
}

function deepFreeze<Value>(value: Value): Value {
  if (typeof value !== 'object' || value === null || value instanceof Secret) return value;
  for (const child of Object.values(value)) deepFreeze(child);
  return Object.freeze(value);
}
