import { parseMariadbBinlogState } from '../gtid/mariadb-position.ts';
import { type Position, parsePosition, positionContains } from '../gtid/position.ts';
import { messageOf } from '../lib/errors.ts';
import type { Observation, ServerReport } from './observation.ts';
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
      suspicion: null,
    };
  }
  const positions = readPositions(before, result);
  const stillSuspect = before.suspicion !== null && startedAtMs < before.suspicion.sinceMs;
  return {
    ...before,
    ...positions,
    observed: true,
    reachable: true,
    failure: null,
    report: result,
    startedAtMs,
    finishedAtMs: observation.finishedAtMs,
    lastProbeMs: startedAtMs,
    caughtUpToMs: hasLostHistory(before, result, positions.applied) ? -1 : before.caughtUpToMs,
    suspicion: stillSuspect ? before.suspicion : null,
  };
}

type Positions = Pick<ServerRecord, 'executed' | 'applied' | 'binlogState' | 'gtidProblem'>;

function readPositions(before: ServerRecord, report: ServerReport): Positions {
  try {
    return {
      executed: reread(before.executed, report.flavor, report.gtidSet),
      applied: reread(before.applied, report.flavor, report.appliedGtidSet),
      binlogState:
        before.gtidProblem === null && report.binlogState === before.report?.binlogState
          ? before.binlogState
          : parseMariadbBinlogState(report.binlogState ?? ''),
      gtidProblem: null,
    };
  } catch (error) {
    return { executed: null, applied: null, binlogState: [], gtidProblem: messageOf(error) };
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

/** A server that was rebuilt, reset or crashed without its last commits proves nothing any more. */
function hasLostHistory(
  before: ServerRecord,
  report: ServerReport,
  applied: Position | null,
): boolean {
  if (before.report === null) return false;
  if (before.report.serverUuid !== report.serverUuid) return true;
  if (applied === null) return true;
  return before.applied !== null && !positionContains(applied, before.applied);
}
