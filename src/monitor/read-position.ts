import type { ChannelPosition, PositionReport } from '../topology/observation.ts';
import type { Dialect, ProbeParts } from './dialect.ts';
import { missing, optionalNumber, type Row, shown, text } from './rows.ts';

/** What the commit timestamps of one channel say. */
export type Stamps = ChannelPosition;

/**
 * Makes a report of the result sets of a light probe, which are as `lightSql` asks for them. Throws
 * LagwiseError (`backend-protocol`) if a column is missing.
 */
export function readPosition(
  dialect: Dialect,
  parts: ProbeParts,
  results: readonly (readonly Row[])[],
): PositionReport {
  const rows = results[0] ?? [];
  const [first] = rows;
  if (first === undefined) throw missing('row of positions');
  const gtidSet = text(first, 'gtidSet').replaceAll('\n', '');
  return {
    t: 'position',
    gtidSet,
    appliedGtidSet: dialect.flavor === 'mariadb' ? text(first, 'appliedGtidSet') : gtidSet,
    channels: stampsOf(rows.filter((row) => shown(row, 'channel') !== null)),
    clockMs: clockMsOf(first),
    loggedAgeMs: ageMs(first, 'loggedAgoUs'),
    heartbeat: parts.heartbeatSql === null ? null : beatOf(results[1]),
  };
}

/** One for each channel: what is applied, how old what is in work is, and what was applied last. */
export function stampsOf(rows: readonly Row[]): readonly Stamps[] {
  return rows.map((row) => {
    const applying = ageMs(row, 'applyingAgoUs');
    const scheduling = ageMs(row, 'schedulingAgoUs');
    const isApplying = applying !== null || scheduling !== null;
    const pending = isApplying
      ? Math.max(applying ?? 0, scheduling ?? 0)
      : ageMs(row, 'queuedAgoUs');
    return {
      name: text(row, 'channel'),
      isApplying,
      commitLagMs: shown(row, 'appliedAll') === '1' ? 0 : pending,
      appliedAgeMs: ageMs(row, 'appliedAgoUs'),
    };
  });
}

/** The server's own clock in ms since 1970; null where it does not say. */
export function clockMsOf(row: Row): number | null {
  const seconds = optionalNumber(row, ['clock']);
  return seconds === null ? null : seconds * 1000;
}

/** An age that a column gives in µs, in ms. It may be negative: clocks of two machines. */
export function ageMs(row: Row, column: string): number | null {
  const ageUs = optionalNumber(row, [column]);
  return ageUs === null ? null : ageUs / 1000;
}

/** The number of the newest heartbeat that the server shows; null for none. */
export function beatOf(rows: readonly Row[] | undefined): number | null {
  const [row] = rows ?? [];
  return row === undefined ? null : optionalNumber(row, ['beat']);
}
