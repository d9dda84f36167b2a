/** What the server owes for one command. */
export const REPLY = {
  /** One OK, EOF or ERR packet. */
  SIMPLE: 0,
  /** OK, ERR, a request for a file, or result sets, possibly several. */
  RESULT: 1,
  /** Answer of COM_STMT_PREPARE with its definitions. */
  PREPARE: 2,
  /** Rows of a cursor until EOF or ERR. */
  ROWS: 3,
  /** Column definitions until EOF or ERR (COM_FIELD_LIST). */
  FIELDS: 4,
  /** One packet of any content (COM_STATISTICS). */
  TEXT: 5,
} as const;
export type ReplyKind = (typeof REPLY)[keyof typeof REPLY];

/** What {@link ReplyTracker.advance} came to. */
export const STEP = {
  /** All bytes are looked at and the reply goes on. */
  MORE: 0,
  /** The reply ended at `position`. */
  DONE: 1,
  /** The server asks the client for a file; the packet that asks ends at `position`. */
  FILE: 2,
  /** `held` is to be sent on before anything after `position`; then call `advance` again. */
  HELD: 3,
} as const;
export type Step = (typeof STEP)[keyof typeof STEP];
