import { ROUTINE_KIND, type RoutineKind } from '../sql/routine-facts.ts';

/** What a routine may do; bits, so that what it calls can be added. */
export const DOES = {
  WRITE: 1,
  /** Leaves something in the session. */
  LEAVE_STATE: 2,
  /** Something that is not known. */
  ANYTHING: 4,
} as const;

/** The kind of a function that does this. */
export function functionKindOf(bits: number): RoutineKind {
  if ((bits & DOES.ANYTHING) !== 0) return ROUTINE_KIND.UNKNOWN;
  const writes = (bits & DOES.WRITE) !== 0;
  const leaves = (bits & DOES.LEAVE_STATE) !== 0;
  if (writes) return leaves ? ROUTINE_KIND.OPAQUE : ROUTINE_KIND.WRITES;
  return leaves ? ROUTINE_KIND.STATEFUL_READ : ROUTINE_KIND.READS;
}

/** The kind of a procedure that does this; one that may leave anything behind is opaque. */
export function procedureKindOf(bits: number): RoutineKind {
  if ((bits & (DOES.ANYTHING | DOES.LEAVE_STATE)) !== 0) return ROUTINE_KIND.OPAQUE;
  return (bits & DOES.WRITE) === 0 ? ROUTINE_KIND.READS : ROUTINE_KIND.WRITES;
}

/** What a routine of this kind may do. */
export function bitsOf(kind: RoutineKind): number {
  switch (kind) {
    case ROUTINE_KIND.READS:
      return 0;
    case ROUTINE_KIND.STATEFUL_READ:
      return DOES.LEAVE_STATE;
    case ROUTINE_KIND.WRITES:
      return DOES.WRITE;
    case ROUTINE_KIND.OPAQUE:
      return DOES.WRITE | DOES.LEAVE_STATE;
    default:
      return DOES.ANYTHING;
  }
}
