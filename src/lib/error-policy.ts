import { type ErrorSource, LagwiseError } from './errors.ts';

/** How loudly a failure is logged. `debug` is the ordinary end of things. */
type ErrorLogLevel = 'debug' | 'info' | 'warn' | 'error';

/**
 * What follows from an error's source. The source itself is the metric label: it is a closed set
 * already, and one word for log, metric and table is easier to follow than two.
 */
export interface ErrorPolicy {
  /** Error number that the client sees. */
  readonly code: number;
  /** Five characters; class 08 tells pools that the connection is of no more use. */
  readonly sqlState: string;
  readonly logLevel: ErrorLogLevel;
}

/**
 * Numbers are those of the server (2xxx belong to client libraries, which never expect them on the
 * wire), chosen by what drivers and pools do when they see them. The reference for all of them is
 * https://dev.mysql.com/doc/mysql-errors/9.7/en/server-error-reference.html (`#error_er_…`).
 */
export const ERROR_POLICY: Readonly<Record<ErrorSource, ErrorPolicy>> = {
  // ER_NET_READ_ERROR. Rarely arrives, since the client is gone; what a server would send.
  'client-network': { code: 1158, sqlState: '08S01', logLevel: 'debug' },
  // ER_ACCESS_DENIED_ERROR: the number on which every driver says "wrong password". Where a server
  // refused the login its own packet is passed on instead; the rate limit has `blockedError`.
  'client-auth': { code: 1045, sqlState: '28000', logLevel: 'info' },
  // ER_MALFORMED_PACKET: what a server answers to a packet that does not parse.
  'client-protocol': { code: 1835, sqlState: 'HY000', logLevel: 'warn' },
  // ER_CLIENT_INTERACTION_TIMEOUT (8.0.24+): what a server sends before it closes an idle
  // connection. Pools know it as "connection lost, nothing ran" (SQLAlchemy's is_disconnect does).
  'client-timeout': { code: 4031, sqlState: 'HY000', logLevel: 'info' },
  // ER_OPTION_PREVENTS_STATEMENT: what a server says that may not write now. Nothing has run, and
  // drivers that know failover take 1290 as "reconnect and try again" (go-sql-driver's
  // rejectReadOnly, MariaDB Connector/J). ER_SERVER_ISNT_AVAILABLE (3168) says it more exactly,
  // but no driver acts on it.
  'no-eligible-server': { code: 1290, sqlState: 'HY000', logLevel: 'warn' },
  // ER_SERVER_ISNT_AVAILABLE: one server could not be reached, nothing has run, and the session is
  // whole: not of class 08, or pools would throw away a good connection.
  'backend-connect': { code: 3168, sqlState: 'HY000', logLevel: 'warn' },
  // ER_ACCESS_DENIED_ERROR: the account was changed on the servers after the login.
  'backend-auth': { code: 1045, sqlState: '28000', logLevel: 'warn' },
  // ER_SERVER_SHUTDOWN: what a client sees when its server goes down under it. Class 08: whatever
  // the session held on that server is gone, so a pool should replace the connection. The message
  // says whether the statement can have run: this number must not be retried blindly.
  'backend-network': { code: 1053, sqlState: '08S01', logLevel: 'warn' },
  // ER_UNKNOWN_ERROR: a server that breaks the protocol is not cured by a retry.
  'backend-protocol': { code: 1105, sqlState: 'HY000', logLevel: 'error' },
  // As backend-network, since the connection is given up. Not ER_LOCK_WAIT_TIMEOUT (1205) or
  // ER_QUERY_TIMEOUT (3024): they promise that the statement did not take effect.
  'backend-timeout': { code: 1053, sqlState: '08S01', logLevel: 'warn' },
  // ER_LOCK_DEADLOCK, class 40 "transaction rollback": the one error that applications and
  // frameworks already answer by running the whole transaction again, which is the cure.
  'topology-change': { code: 1213, sqlState: '40001', logLevel: 'warn' },
  // ER_CON_COUNT_ERROR: "too many connections", which pools answer by waiting.
  limit: { code: 1040, sqlState: '08004', logLevel: 'warn' },
  // ER_SERVER_SHUTDOWN in its own sense.
  shutdown: { code: 1053, sqlState: '08S01', logLevel: 'info' },
  // Neither reaches a client: both end the program that met them.
  config: { code: 1105, sqlState: 'HY000', logLevel: 'error' },
  lab: { code: 1105, sqlState: 'HY000', logLevel: 'error' },
  // ER_UNKNOWN_ERROR.
  internal: { code: 1105, sqlState: 'HY000', logLevel: 'error' },
};

/** The content of an error packet. */
export interface ClientError {
  readonly code: number;
  readonly sqlState: string;
  readonly message: string;
}

/** Errors of our own making are told from a server's by this. */
const PREFIX = 'lagwise: ';
/** MYSQL_ERRMSG_SIZE of the server; client libraries cut what is longer. */
const MAX_MESSAGE = 512;

/** Where anything that was thrown came from; what we did not make ourselves is a defect. */
export function sourceOf(thrown: unknown): ErrorSource {
  return thrown instanceof LagwiseError ? thrown.source : 'internal';
}

/** The error packet for anything that was thrown. */
export function toClientError(thrown: unknown): ClientError {
  const { code, sqlState } = ERROR_POLICY[sourceOf(thrown)];
  // The text of a foreign error may hold anything (paths, statements): it is for the log only.
  const text =
    thrown instanceof LagwiseError ? thrown.message : 'Internal error, see the log of the proxy';
  return { code, sqlState, message: clientMessage(text) };
}

/**
 * For an address that failed too many logins. ER_HOST_IS_BLOCKED, sent in place of the greeting as
 * a server does; not 1045, which would send people to look for a wrong password, nor
 * ER_USER_LIMIT_REACHED (1226), which is about accounts.
 *
 * @param blockedMs how long the address stays blocked from now
 */
export function blockedError(blockedMs: number): ClientError {
  const seconds = Math.max(1, Math.ceil(blockedMs / 1000));
  return {
    code: 1129,
    sqlState: 'HY000',
    message: clientMessage(
      `Too many failed logins from this address: blocked for ${seconds} more seconds (see "auth" in the configuration)`,
    ),
  };
}

function clientMessage(text: string): string {
  const full = text.startsWith(PREFIX) ? text : PREFIX + text;
  return full.length > MAX_MESSAGE ? `${full.slice(0, MAX_MESSAGE - 1)}…` : full;
}
