import { assertNever } from '../lib/errors.ts';
import type { StatementClass } from '../sql/classification.ts';
import type { ForcedBy, Policy } from './policy.ts';

/** Where a statement goes. */
export type RouteTarget =
  /** The server that takes writes. */
  | 'primary'
  /** Any eligible replica. */
  | 'replica'
  /** The server that the session is on; the primary if it is on none yet. */
  | 'same';

/** Why it goes there: labels of a metric and words of `explain`. Closed. */
export const ROUTE_REASONS = [
  'read', // known to read only, outside of a transaction
  'about-one-server', // a read that each server answers differently
  'write', // changes data, schema or the server
  'unknown', // not known to be a read
  'transaction', // inside or at the border of a read-write transaction
  'read-only-transaction', // begins or continues a transaction that cannot write
  'autocommit-off', // with autocommit=0 each statement opens a read-write transaction
  'serializable', // reads take locks under SERIALIZABLE
  'pinned', // the session has state that lives on one server
  'session', // changes session state
  'local', // the proxy's own answer, or any server's
  'same-server', // asks about the statement before
  'hint', // a read that its comment keeps on the primary
  'attribute', // a read that a query attribute keeps on the primary
  'setting', // a read that a session variable keeps on the primary
  'rule', // a read that a rule keeps on the primary
  'strong', // a read that must see everything, which only the primary has
  'not-a-read', // asked for a replica, but it is not known to be a read
] as const;
export type RouteReason = (typeof ROUTE_REASONS)[number];

/** Target and reason. The objects are frozen and shared: compare by identity, keep at will. */
export interface Route {
  readonly target: RouteTarget;
  readonly reason: RouteReason;
}

/** What routing needs to know of a statement and its session. */
export interface RouteInput {
  readonly cls: StatementClass;
  /** A read whose reason is one of `ABOUT_ONE_SERVER`. */
  readonly isAboutOneServer: boolean;
  /** `START TRANSACTION READ ONLY`, or a plain `START TRANSACTION` where the next one is read-only. */
  readonly startsReadOnlyTransaction: boolean;
  /** The server's status flags say so. */
  readonly inTransaction: boolean;
  /** The open transaction was begun read-only. */
  readonly readOnlyTransaction: boolean;
  readonly autocommit: boolean;
  /** The session's or the next transaction's isolation level is SERIALIZABLE. */
  readonly serializable: boolean;
  readonly pinned: boolean;
  /** What was said about the statement; absent: nothing. */
  readonly policy?: Policy | undefined;
}

const shared = (target: RouteTarget, reason: RouteReason): Route =>
  Object.freeze({ target, reason });

const READ = shared('replica', 'read');
const ABOUT_ONE_SERVER = shared('primary', 'about-one-server');
const WRITE = shared('primary', 'write');
const UNKNOWN = shared('primary', 'unknown');
const TRANSACTION = shared('primary', 'transaction');
const IN_TRANSACTION = shared('same', 'transaction');
const READ_ONLY_TRANSACTION = shared('replica', 'read-only-transaction');
const IN_READ_ONLY_TRANSACTION = shared('same', 'read-only-transaction');
const AUTOCOMMIT_OFF = shared('primary', 'autocommit-off');
const SERIALIZABLE = shared('primary', 'serializable');
const PINNED = shared('same', 'pinned');
const SESSION = shared('same', 'session');
const LOCAL = shared('same', 'local');
const SAME_SERVER = shared('same', 'same-server');
const NOT_A_READ = shared('primary', 'not-a-read');
const FORCED: Readonly<Record<ForcedBy, Route>> = Object.freeze({
  hint: shared('primary', 'hint'),
  attribute: shared('primary', 'attribute'),
  setting: shared('primary', 'setting'),
  rule: shared('primary', 'rule'),
  strong: shared('primary', 'strong'),
});

/** Every route there is. */
export const ROUTES: readonly Route[] = Object.freeze([
  READ,
  ABOUT_ONE_SERVER,
  WRITE,
  UNKNOWN,
  TRANSACTION,
  IN_TRANSACTION,
  READ_ONLY_TRANSACTION,
  IN_READ_ONLY_TRANSACTION,
  AUTOCOMMIT_OFF,
  SERIALIZABLE,
  PINNED,
  SESSION,
  LOCAL,
  SAME_SERVER,
  NOT_A_READ,
  ...Object.values(FORCED),
]);

/**
 * Where a statement goes and why. Runs for each statement and allocates nothing. What binds a
 * session to its server comes before what the statement is: a transaction, once begun, stays where
 * it began, and a pinned session's state is on one server only. What was said about the statement
 * comes last, and it only ever takes reads off the replicas: nothing makes a write a read.
 */
export function route(input: RouteInput): Route {
  if (input.inTransaction) {
    return input.readOnlyTransaction ? IN_READ_ONLY_TRANSACTION : IN_TRANSACTION;
  }
  if (input.pinned) return PINNED;
  switch (input.cls) {
    case 'read':
      if (!input.autocommit) return AUTOCOMMIT_OFF;
      if (input.serializable) return SERIALIZABLE;
      return unlessForced(input.isAboutOneServer ? routeToOne(input) : READ, input.policy);
    case 'write':
      return input.policy?.asksReplica === true ? NOT_A_READ : WRITE;
    case 'unknown':
      return input.policy?.asksReplica === true ? NOT_A_READ : UNKNOWN;
    case 'transaction':
      return routeOfBorder(input);
    case 'session':
      return SESSION;
    case 'local':
      return LOCAL;
    case 'same-server':
      return SAME_SERVER;
    default:
      return assertNever(input.cls);
  }
}

/** The primary, unless the client asked for a replica's answer. */
function routeToOne({ policy }: RouteInput): Route {
  return policy?.asksReplica === true ? READ : ABOUT_ONE_SERVER;
}

/** BEGIN and its kin, and a COMMIT or ROLLBACK of nothing. */
function routeOfBorder(input: RouteInput): Route {
  if (!input.startsReadOnlyTransaction || !input.autocommit) return TRANSACTION;
  return input.serializable ? SERIALIZABLE : unlessForced(READ_ONLY_TRANSACTION, input.policy);
}

function unlessForced(free: Route, policy: Policy | undefined): Route {
  if (policy === undefined || policy.forcedBy === null) return free;
  return FORCED[policy.forcedBy];
}
