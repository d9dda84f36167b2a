import { parseMariadbBinlogState } from '../gtid/mariadb-position.ts';
import { type Position, parsePosition, positionContains } from '../gtid/position.ts';
import { messageOf } from '../lib/errors.ts';
import { nextClockOffset } from './clock-offset.ts';
import { filterOf } from './filters.ts';
import type { Observation, PositionReport, ServerReport } from './observation.ts';
import { countBeyond, nextRate } from './progress.ts';
import type { ServerRecord } from './server-record.ts';

/**
 * The record after one more observation of its server; the same object when nothing is new, as
 * with each further failure of a server that is down.
 */
export function observe(before: ServerRecord, observation: Observation): ServerRecord {
  const { result, startedAtMs } = observation;
  if (startedAtMs < before.lastProbeMs) return before;
  if (result.t === 'failed') {
    const known = before.observed && !before.reachable && before.failure === result.why;
    if (known && before.suspicion === null) return before;
    return {
      ...before,
      observed: true,
      reachable: false,
      failure: result.why,
      lastProbeMs: startedAtMs,
      grownSinceMs: Number.POSITIVE_INFINITY,
      suspicion: null,
    };
  }
  const report = result.t === 'ok' ? result : withPosition(before, result);
  return report === null ? before : answered(before, observation, report);
}

/**
 * The last whole report with new positions; null where there is none to put them in, since what a
 * server is has to be known before where it stands counts.
 */
function withPosition(before: ServerRecord, said: PositionReport): ServerReport | null {
  const { report, reachable } = before;
  if (report === null || !reachable) return null;
  const { t: _, channels, gtidSet, appliedGtidSet, ...rest } = said;
  const hasGtids = report.gtidSet !== null;
  return {
    ...report,
    ...rest,
    gtidSet: hasGtids ? gtidSet : null,
    appliedGtidSet: hasGtids ? appliedGtidSet : null,
    // Without GTIDs nothing is known to be received, and all of nothing is applied.
    channels: !hasGtids
      ? report.channels
      : report.channels.map((channel) => ({
          ...channel,
          ...channels.find(({ name }) => name === channel.name),
        })),
  };
}

function answered(
  before: ServerRecord,
  { startedAtMs, finishedAtMs }: Observation,
  report: ServerReport,
): ServerRecord {
  const positions = readPositions(before, report);
  const { clockMs } = report;
  const stillSuspect = before.suspicion !== null && startedAtMs < before.suspicion.sinceMs;
  const lost = hasLostHistory(before, report, positions.applied);
  const known = isOther(before, report) ? null : before;
  return {
    ...before,
    ...positions,
    ...ratesOf(before, positions, lost ? null : finishedAtMs),
    observed: true,
    reachable: true,
    failure: null,
    report,
    filter: filterOf(report) ?? known?.filter ?? null,
    logFilter: report.logFilter ?? known?.logFilter ?? null,
    startedAtMs,
    finishedAtMs,
    lastProbeMs: startedAtMs,
    clock:
      clockMs === null
        ? null
        : nextClockOffset(before.clock, { startedAtMs, finishedAtMs, clockMs }),
    stoppedSinceMs: isStopped(report) ? (before.stoppedSinceMs ?? finishedAtMs) : null,
    caughtUpToMs: lost ? -1 : before.caughtUpToMs,
    grownSinceMs: lost ? startedAtMs : Math.min(before.grownSinceMs, startedAtMs),
    suspicion: stillSuspect ? before.suspicion : null,
  };
}

function isStopped({ channels }: ServerReport): boolean {
  return channels.some(({ applier, receiver }) => !applier || receiver !== 'on');
}

/** `atMs` is null when the history is another than before: there is nothing to compare with. */
function ratesOf(
  before: ServerRecord,
  after: Positions,
  atMs: number | null,
): Pick<ServerRecord, 'executedRate' | 'appliedRate'> {
  if (atMs === null) return { executedRate: null, appliedRate: null };
  const last = { atMs: before.finishedAtMs };
  return {
    executedRate: nextRate(
      { ...last, rate: before.executedRate },
      countBeyond(after.executed, before.executed),
      atMs,
    ),
    appliedRate: nextRate(
      { ...last, rate: before.appliedRate },
      countBeyond(after.applied, before.applied),
      atMs,
    ),
  };
}

type Positions = Pick<
  ServerRecord,
  'executed' | 'applied' | 'received' | 'binlogState' | 'gtidProblem'
>;

function readPositions(before: ServerRecord, report: ServerReport): Positions {
  try {
    return {
      executed: reread(before.executed, report.flavor, report.gtidSet),
      applied: reread(before.applied, report.flavor, report.appliedGtidSet),
      received: report.channels.map(({ receivedGtidSet }, index) =>
        reread(before.received[index] ?? null, report.flavor, receivedGtidSet),
      ),
      binlogState:
        before.gtidProblem === null && report.binlogState === before.report?.binlogState
          ? before.binlogState
          : parseMariadbBinlogState(report.binlogState ?? ''),
      gtidProblem: null,
    };
  } catch (error) {
    return {
      executed: null,
      applied: null,
      received: [],
      binlogState: [],
      gtidProblem: messageOf(error),
    };
  }
}

/** Most probes of an idle server repeat the text before: it is not parsed again. */
function reread(
  before: Position | null,
  flavor: 'mysql' | 'mariadb',
  text: string | null,
): Position | null {
  if (text === null) return null;
  return before?.t === flavor && before.text === text ? before : parsePosition(flavor, text);
}

/** Another server answers at this address, or the same one with new data. MySQL alone tells. */
function isOther({ report: before }: ServerRecord, { serverUuid }: ServerReport): boolean {
  return before !== null && before.serverUuid !== serverUuid;
}

/** A server that was rebuilt, reset or crashed without its last commits proves nothing any more. */
function hasLostHistory(
  before: ServerRecord,
  report: ServerReport,
  applied: Position | null,
): boolean {
  if (before.report === null) return false;
  if (isOther(before, report)) return true;
  if (applied === null) return true;
  return before.applied !== null && !positionContains(applied, before.applied);
}
