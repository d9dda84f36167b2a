/**
 * As whom, and shaped how, a connection to a server is opened: all that must be equal for two
 * sessions to share one.
 */
export interface Identity {
  readonly user: string;
  /** Clear text, in memory only: it is never part of an error, a log line or a metric. */
  readonly password: Buffer;
  /** Default schema to log in with, null for none. */
  readonly schema: string | null;
  readonly collationId: number;
  /** Capabilities in force with the client: results must come in the form it understands. */
  readonly caps: number;
  /** Connection attributes of the client as they came, null for none. */
  readonly attributes: Buffer | null;
}
