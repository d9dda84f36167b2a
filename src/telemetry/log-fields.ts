import { Secret } from '../lib/secret.ts';

/**
 * What may become a log line. Logs outlive everything else and are read by many, so secrets and
 * statements are taken out here, whatever the caller put into the fields.
 */

/** Keys whose values are never written. `sql` is what mysql2 hangs on its errors. */
const HIDDEN_KEY =
  /pass(?:word|wd|phrase)?$|secret|token|credential|authorization|^sql$|^statement$/i;
const MAX_DEPTH = 4;
const MAX_TEXT = 4096;
const MAX_ITEMS = 100;

/** A copy of the fields that is safe to write: secrets hidden, depth and lengths bounded. */
export function safeFields(fields: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [key, safeEntry(key, value, 0)]),
  );
}

function safeEntry(key: string, value: unknown, depth: number): unknown {
  return HIDDEN_KEY.test(key) ? '[secret]' : safeValue(value, depth);
}

function safeValue(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return cut(value);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'function' || typeof value === 'symbol') return undefined;
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Secret) return '[secret]';
  if (depth >= MAX_DEPTH) return '[deeper]';
  if (value instanceof Error) return safeError(value, depth);
  if (value instanceof Date) return value.toISOString();
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (Array.isArray(value)) {
    return value.slice(0, MAX_ITEMS).map((item: unknown) => safeValue(item, depth + 1));
  }
  return Object.fromEntries(
    Object.entries(value)
      .slice(0, MAX_ITEMS)
      .map(([key, child]) => [key, safeEntry(key, child, depth + 1)]),
  );
}

/** The words of an error by name: an error of a library may carry anything else (statements). */
const ERROR_KEYS = ['source', 'code', 'errno', 'sqlState', 'syscall'] as const;

function safeError(error: Error, depth: number): Record<string, unknown> {
  const extras = ERROR_KEYS.flatMap((key): [string, unknown][] => {
    const value: unknown = Reflect.get(error, key);
    return typeof value === 'string' || typeof value === 'number' ? [[key, value]] : [];
  });
  return {
    type: error.name,
    message: cut(error.message),
    ...Object.fromEntries(extras),
    stack: error.stack === undefined ? undefined : cut(error.stack),
    cause: error.cause === undefined ? undefined : safeValue(error.cause, depth + 1),
  };
}

function cut(text: string): string {
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
}
