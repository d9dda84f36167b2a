/** A Markdown table whose columns are aligned for reading as it is: names left, figures right. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((title, column) =>
    Math.max(3, title.length, ...rows.map((row) => (row[column] ?? '').length)),
  );
  const isName = header.map(
    (_, column) => !rows.some((row) => /^[\d.+−–-]/.test(row[column] ?? '')),
  );
  const line = (cells: readonly string[]) => {
    const padded = widths.map((width, column) => {
      const text = cells[column] ?? '';
      return isName[column] ? text.padEnd(width) : text.padStart(width);
    });
    return `| ${padded.join(' | ')} |`;
  };
  const rule = widths.map((width, column) =>
    isName[column] ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`,
  );
  return [line(header), `| ${rule.join(' | ')} |`, ...rows.map(line)].join('\n');
}

/** A figure with three significant digits or so; `–` where there is none. */
export function show(value: number | null | undefined, digits?: number): string {
  if (value === null || value === undefined) return '–';
  return value.toFixed(digits ?? (value >= 100 ? 0 : value >= 10 ? 1 : 2));
}

/** Queries per second, in thousands from 10 000 on. */
export function showQps(value: number | null | undefined): string {
  if (value === null || value === undefined) return '–';
  return value >= 10_000 ? `${(value / 1000).toFixed(1)}k` : value.toFixed(0);
}

/** A share of 0 to 1 (or a change of either sign) in percent. */
export function showPercent(value: number | null | undefined): string {
  return value === null || value === undefined ? '–' : `${(value * 100).toFixed(1)} %`;
}

/** A change in percent, always with its sign. */
export function showChange(value: number | null | undefined): string {
  if (value === null || value === undefined) return '–';
  return `${value < 0 ? '−' : '+'}${Math.abs(value * 100).toFixed(1)} %`;
}
