import type { ProxyCounts } from './metrics-text.ts';
import type { ServerLine } from './proxy-process.ts';

/** What is shown while the workload runs. */
export interface Progress {
  /** Since the workload began. */
  readonly elapsedMs: number;
  readonly servers: readonly ServerLine[];
  /** The proxy's counters, by server id. */
  readonly counts: Readonly<Record<string, ProxyCounts>>;
  readonly rowsAcknowledged: number;
  readonly clientErrors: number;
  readonly staleOwnReads: number;
}

/** Where progress goes: a terminal is redrawn, anything else gets a line now and then. */
export interface ScreenStream {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/** Between two lines where there is no terminal. */
const LINE_EVERY_MS = 2_500;
const CLEAR_BELOW = '\x1b[J';

/** Shows steps as they happen, and below them, on a terminal, a table that is redrawn in place. */
export class Screen {
  readonly #stream: ScreenStream;
  #before: Progress | null = null;
  #drawnLines = 0;

  constructor(stream: ScreenStream) {
    this.#stream = stream;
  }

  /** Something happened: stays on the screen. */
  say(text: string): void {
    this.#erase();
    this.#stream.write(`${text}\n`);
  }

  /** The present figures; takes the place of the last ones on a terminal. */
  show(progress: Progress): void {
    const before = this.#before;
    const live = this.#stream.isTTY === true;
    if (!live && before !== null && progress.elapsedMs - before.elapsedMs < LINE_EVERY_MS) return;
    this.#before = progress;
    if (!live) {
      this.#stream.write(`${progressLine(progress, before)}\n`);
      return;
    }
    this.#erase();
    const lines = progressTable(progress, before);
    this.#stream.write(`${lines.join('\n')}\n`);
    this.#drawnLines = lines.length;
  }

  #erase(): void {
    if (this.#drawnLines > 0) this.#stream.write(`\x1b[${this.#drawnLines}A\r${CLEAR_BELOW}`);
    this.#drawnLines = 0;
  }
}

interface Rates {
  readonly reads: number;
  readonly writes: number;
}

function ratesOf(id: string, now: Progress, before: Progress | null): Rates {
  const seconds = (now.elapsedMs - (before?.elapsedMs ?? 0)) / 1000;
  const rate = (field: 'reads' | 'writes') => {
    const grown = (now.counts[id]?.[field] ?? 0) - (before?.counts[id]?.[field] ?? 0);
    return seconds > 0 ? Math.round(grown / seconds) : 0;
  };
  return { reads: rate('reads'), writes: rate('writes') };
}

function lagText({ role, lagMs }: ServerLine): string {
  if (role !== 'replica') return '-';
  return lagMs === null ? 'unknown' : `${Math.round(lagMs)} ms`;
}

/** One line for logs: `12.3 s  db1 primary 410 w/s 40 r/s | db2 replica 900 r/s lag 2 ms | …`. */
function progressLine(now: Progress, before: Progress | null): string {
  const servers = now.servers.map((server) => {
    const { reads, writes } = ratesOf(server.id, now, before);
    const lag = server.role === 'replica' ? ` lag ${lagText(server)}` : '';
    return `${server.id} ${server.role} ${reads} reads/s ${writes} writes/s${lag}`;
  });
  return `${seconds(now).padStart(7)}  ${servers.join(' | ')} | ${clientsText(now)}`;
}

function progressTable(now: Progress, before: Progress | null): string[] {
  const rows = now.servers.map((server) => {
    const counts = now.counts[server.id];
    const rates = ratesOf(server.id, now, before);
    return [
      server.id,
      server.role,
      String(counts?.reads ?? 0),
      String(rates.reads),
      String(counts?.writes ?? 0),
      String(rates.writes),
      lagText(server),
    ];
  });
  const header = ['server', 'role', 'reads', 'per s', 'writes', 'per s', 'lag'];
  return ['', ...alignColumns([header, ...rows]), `${seconds(now)}, ${clientsText(now)}`];
}

/** The first two columns to the left, figures to the right. */
export function alignColumns(rows: readonly (readonly string[])[]): string[] {
  const width = (column: number) => Math.max(...rows.map((row) => row[column]?.length ?? 0));
  return rows.map((row) =>
    row
      .map((cell, column) =>
        column < 2 ? cell.padEnd(width(column)) : cell.padStart(width(column)),
      )
      .join('  ')
      .trimEnd(),
  );
}

function seconds({ elapsedMs }: Progress): string {
  return `${(elapsedMs / 1000).toFixed(1)} s`;
}

function clientsText({ rowsAcknowledged, clientErrors, staleOwnReads }: Progress): string {
  return `${rowsAcknowledged} rows acknowledged, ${clientErrors} client errors, ${staleOwnReads} stale own reads`;
}
