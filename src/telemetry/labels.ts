import { ERROR_SOURCES } from '../lib/errors.ts';

/**
 * The closed sets that metric labels come from. A label never holds what a client or server wrote:
 * the number of time series is bounded by this file and the list of servers.
 */

/** What a server was for the statement that it ran. */
export const SERVING_ROLES = ['primary', 'replica'] as const;
export type ServingRole = (typeof SERVING_ROLES)[number];

/** Why a client connection ended. */
export const END_REASONS = [
  'quit', // the client said COM_QUIT
  'closed', // the client closed its socket between two commands
  'killed', // KILL named it
  'idle', // silent for longer than listen.idleTimeoutMs, or its own wait_timeout
  ...ERROR_SOURCES,
] as const;
export type EndReason = (typeof END_REASONS)[number];

/** Why a login failed. */
export const LOGIN_FAILURES = [
  'denied', // wrong password, unknown or locked account
  'blocked', // the address had too many failures (`auth`)
  'tls-required', // the client did not use TLS though listen.tls.mode demands it
  'unsupported', // an authentication method or capability that Lagwise cannot serve
  'malformed', // not the protocol
  'timeout', // longer than listen.loginTimeoutMs
  'gone', // the client left in the middle
  'no-server', // no server could prove the password
  'full', // listen.maxConnections reached
  'internal', // a defect of ours
] as const;
export type LoginFailure = (typeof LOGIN_FAILURES)[number];

/** Why a read that a replica could have taken ran on the primary. */
export const FALLBACK_REASONS = [
  'no-replica', // none is eligible: down, stopped, weight 0
  'tags', // none of those that are eligible has the tags asked for
  'lag', // all eligible ones lag too much or by an unknown amount
  'own-writes', // none is known, in time, to have what the session must see
  'connect', // the chosen one could not be reached
  'refused', // none takes the session: its login or its state is refused there
  'lost', // the chosen one was lost before the first byte of the answer
  'read-only', // the replica refused it as a write: a misroute, corrected
  'missing-object', // the replica did not know schema, table, column or routine (yet)
  'server-fault', // the replica failed by a fault of its own: disk, memory, damaged files
] as const;
export type FallbackReason = (typeof FALLBACK_REASONS)[number];

/** How a read that a replica may run came to see what it must. */
export const READ_RUNGS = [
  'known', // the replica was known to have it
  'waited', // the replica was asked to wait for it, and got there
  'primary', // the primary ran it
] as const;
export type ReadRung = (typeof READ_RUNGS)[number];

/** What looking at a sampled read told. */
export const STALENESS_OUTCOMES = [
  'fresh', // the primary showed the same rows at that moment
  'stale', // it showed others
  'unstable', // two runs on one and the same data differ: it tells nothing
  'failed', // the primary could not be asked, or refused, or took too long
  'skipped', // it cannot be compared: by its text, its length, its reply
  'dropped', // too much was going on: the samples of this second are used up, or the pool is
] as const;
export type StalenessOutcome = (typeof STALENESS_OUTCOMES)[number];

/** What one of our connections to a server is doing. */
export type BackendState = 'connecting' | 'idle' | 'leased';

/** How the wait of a held write ended. */
export const HOLD_OUTCOMES = [
  'released', // a primary appeared
  'timeout', // failover.holdMs passed
  'full', // failover.holdMaxStatements were waiting already
  'client-gone', // the client left
  'shutdown', // the proxy is stopping
] as const;
export type HoldOutcome = (typeof HOLD_OUTCOMES)[number];

/** Why a session is tied to one server. */
export const PIN_REASONS = [
  'user-variable', // SET @v, SELECT … INTO @v, @v :=
  'temporary-table', // CREATE TEMPORARY TABLE, until the last one is dropped
  'locked-tables', // LOCK TABLES, FLUSH TABLES WITH READ LOCK, LOCK INSTANCE, BACKUP LOCK
  'user-lock', // GET_LOCK and its kin
  'prepared-by-text', // PREPARE … FROM
  'handler', // HANDLER … OPEN
  'xa', // an XA transaction between its start and its end
  'role', // SET ROLE
  'opaque', // something ran that does not show what it left behind
  'next-transaction', // SET TRANSACTION, until the next transaction is over
  'rule', // a rule of the configuration says so
] as const;
export type PinReason = (typeof PIN_REASONS)[number];

/** Why nobody can vouch for the newest acknowledged position. */
export const UNKNOWN_REASONS = [
  'no-base', // the primary has not been probed since something unpublished happened: soon over
  'starting', // this proxy is not in the group yet, or not any more: soon over
  'away', // Redis does not answer
  'member-absent', // a proxy of the list has not said a word
  'member-silent', // a proxy of the list has not renewed its word
  'member-differs', // a proxy sees another primary, or has other members or another lease configured
  'duplicate-name', // two proxies have the same name
] as const;
export type UnknownReason = (typeof UNKNOWN_REASONS)[number];

/** What became of a question for the newest acknowledged position. */
export const NEWEST_OUTCOMES = ['position', ...UNKNOWN_REASONS] as const;
export type NewestOutcome = (typeof NEWEST_OUTCOMES)[number];

/** What became of a heartbeat that was due. */
export const HEARTBEAT_OUTCOMES = ['written', 'failed'] as const;
export type HeartbeatOutcome = (typeof HEARTBEAT_OUTCOMES)[number];
