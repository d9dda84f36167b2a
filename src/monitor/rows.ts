import { LagwiseError } from '../lib/errors.ts';

/** One row of a probe's answer, by column name. */
export type Row = Readonly<Record<string, unknown>>;

/** A cell as the server printed it; null for NULL, an absent column and anything not printable. */
export function shown(row: Row | undefined, column: string): string | null {
  const value = row?.[column];
  if (typeof value === 'string') return value;
  return typeof value === 'number' || typeof value === 'bigint' ? `${value}` : null;
}

/** A cell that has to be there. Throws LagwiseError (`backend-protocol`) where it is not. */
export function text(row: Row, column: string): string {
  const value = shown(row, column);
  if (value === null) throw missing(`column ${column}`);
  return value;
}

/** The first of these columns that has something to say: names differ by version. */
export function optionalText(row: Row, columns: readonly string[]): string | null {
  for (const column of columns) {
    const value = shown(row, column);
    if (value !== null && value !== '') return value;
  }
  return null;
}

/** The same, as a number. */
export function optionalNumber(row: Row, columns: readonly string[]): number | null {
  const found = optionalText(row, columns);
  if (found === null) return null;
  const value = Number(found);
  return Number.isFinite(value) ? value : null;
}

/** MariaDB 12 shows words for `read_only`, of which only OFF lets everybody write. */
export function isOn(row: Row, column: string): boolean {
  const value = text(row, column).toUpperCase();
  return value !== '0' && value !== 'OFF';
}

/** An answer that cannot be read. */
export function missing(what: string): LagwiseError {
  return new LagwiseError('backend-protocol', `The answer to the probe lacks a ${what}`);
}
