import {
  type Kind,
  type Level,
  NO_VALUE,
  type Operation,
  type Outcome,
} from '../../consistency/history.ts';

/** Keys of a simulated history; all are registers, and the session of the same number writes each. */
export const SESSIONS = 4;

/** What a session does next; what of it is used depends on where the session is. */
export interface Step {
  readonly session: number;
  readonly writes: boolean;
  readonly key: number;
  /** [0, 1): how fresh the read is between the oldest and the newest that is allowed. */
  readonly freshness: number;
  readonly outcome: Outcome;
}

/** Lets what is under way happen and end; what begins in them does not come to its end. */
const LAST_STEPS: readonly Step[] = Array.from({ length: 2 * SESSIONS }, (_, at) => ({
  session: at % SESSIONS,
  writes: false,
  key: 0,
  freshness: 0,
  outcome: 'ok',
}));

interface Under {
  readonly kind: Kind;
  readonly key: number;
  readonly invokedMs: number;
  readonly outcome: Outcome;
  /** Length of the log that was acknowledged when it began. */
  readonly acknowledged: number;
  value: number;
  happened: boolean;
  position: number;
}

interface SimulatedSession {
  under: Under | null;
  next: number;
  /** The session has seen so much of the log. */
  floor: number;
}

/**
 * A cluster with one log of commits, as simple as can be: a replica shows a prefix of the log, and
 * each level says how long the prefix is at least. An operation begins, happens and ends in three
 * steps, between which the others' steps fall.
 */
export function simulate(level: Level, steps: readonly Step[]): Operation[] {
  const log: { readonly key: number; readonly value: number }[] = [];
  const done: Operation[] = [];
  let acknowledged = 0;
  let nowMs = 0;
  const sessions: SimulatedSession[] = Array.from({ length: SESSIONS }, () => ({
    under: null,
    next: 1,
    floor: 0,
  }));
  const valueAt = (key: number, length: number) =>
    log.slice(0, length).findLast((entry) => entry.key === key)?.value ?? 0;
  for (const step of [...steps, ...LAST_STEPS]) {
    nowMs += 1;
    const session = sessions[step.session];
    if (session === undefined) continue;
    const { under } = session;
    if (under === null) {
      session.under = begun(step, session, nowMs, acknowledged);
    } else if (!under.happened) {
      under.happened = true;
      if (under.kind === 'write') {
        const runs =
          under.outcome === 'ok' || (under.outcome === 'unknown' && step.freshness < 0.5);
        if (runs) log.push({ key: under.key, value: under.value });
        under.position = log.length;
      } else {
        const oldest = {
          eventual: 0,
          session: session.floor,
          global: Math.max(session.floor, under.acknowledged),
          strong: log.length,
        }[level];
        under.position = oldest + Math.floor(step.freshness * (log.length - oldest + 1));
        under.value = under.outcome === 'ok' ? valueAt(under.key, under.position) : NO_VALUE;
      }
    } else {
      if (under.outcome === 'ok') {
        session.floor = Math.max(session.floor, under.position);
        if (under.kind === 'write') acknowledged = Math.max(acknowledged, under.position);
      }
      const { kind, key, value, invokedMs, outcome } = under;
      const who = { client: step.session, session: step.session, level, server: 0, proxy: 0 };
      done.push({ ...who, kind, key, value, invokedMs, completedMs: nowMs, outcome });
      session.under = null;
    }
  }
  return done;
}

function begun(
  step: Step,
  session: SimulatedSession,
  invokedMs: number,
  acknowledged: number,
): Under {
  const common = { invokedMs, acknowledged, happened: false, position: 0 };
  if (!step.writes) {
    const outcome = step.outcome === 'ok' ? 'ok' : 'failed';
    return { ...common, kind: 'read', key: step.key, outcome, value: NO_VALUE };
  }
  const value = session.next;
  session.next += 1;
  return { ...common, kind: 'write', key: step.session, outcome: step.outcome, value };
}
