/** One row of a probe's answer, by column name. */
export type Row = Readonly<Record<string, unknown>>;

/** A cell as the server printed it; null for NULL, an absent column and anything not printable. */
export function shown(row: Row | undefined, column: string): string | null {
  const value = row?.[column];
  if (typeof value === 'string') return value;
  return typeof value === 'number' || typeof value === 'bigint' ? `${value}` : null;
}
