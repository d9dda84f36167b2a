/** What is known of a stored or loadable routine. */
export const ROUTINE_KIND = {
  /** Nothing is known: it may do anything, and any session state may have changed after it. */
  UNKNOWN: 0,
  /** Only reads, and leaves no session state. */
  READS: 1,
  /** Only reads, but takes or releases user locks, or sets user variables. */
  STATEFUL_READ: 2,
  /** Writes data; leaves no session state. */
  WRITES: 3,
  /** Its body is not known, or leaves session state. */
  OPAQUE: 4,
} as const;
export type RoutineKind = (typeof ROUTINE_KIND)[keyof typeof ROUTINE_KIND];

/**
 * What the classifier may ask of the catalogue while it reads a statement. Names are byte ranges
 * of the statement, as written but without their quotes; a name with a quote inside is never asked
 * for. The schema's range is -1, -1 for an unqualified name: then a loadable function of that name
 * comes before a stored function of the session's schema, as on the server. Called for each
 * statement with a call that is not built in: must be quick, and must not throw.
 */
export interface RoutineFacts {
  functionKind(
    buf: Uint8Array,
    nameStart: number,
    nameEnd: number,
    schemaStart: number,
    schemaEnd: number,
  ): RoutineKind;
  procedureKind(
    buf: Uint8Array,
    nameStart: number,
    nameEnd: number,
    schemaStart: number,
    schemaEnd: number,
  ): RoutineKind;
  /**
   * Whether a view of that name, in any schema, runs something that must not run on a replica.
   * Asked of every name of a statement, be it a table, a column or an alias.
   */
  unsafeView(buf: Uint8Array, nameStart: number, nameEnd: number): boolean;
  /** False spares `unsafeView` for every name. */
  readonly hasUnsafeViews: boolean;
}
