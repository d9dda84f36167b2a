import { digestName } from '../routing/digest-id.ts';
import { isAssumedRead, type Policy } from '../routing/policy.ts';
import { type Route, route } from '../routing/route.ts';
import { TRAIT, traitsOf } from '../session/statement/cause-traits.ts';
import { type Classification, EFFECT, type StatementClass } from '../sql/classification.ts';
import type { StatementInput } from './statement-input.ts';

/** Where a statement goes, in the words of `classify` and `explain`. */
export type Destination =
  /** The server that takes writes. */
  | 'primary'
  /** Any eligible replica. */
  | 'replica'
  /** The server that the session's last statement, or its transaction, is on. */
  | 'same'
  /** The proxy answers it itself. */
  | 'local'
  /** It changes the session only: wherever the session goes next, the change goes too. */
  | 'any';

/** The verdict on one statement. All words are from closed sets. */
export interface Verdict {
  readonly class: StatementClass;
  readonly target: Destination;
  /** Why: of the statement, or of the session where that decides. */
  readonly reason: string;
  /** 16 hexadecimal digits. */
  readonly digest: string;
}

/** Routing's reasons that only repeat the class, about which the classifier has more to say. */
const FROM_CLASS: ReadonlySet<string> = new Set([
  'read',
  'about-one-server',
  'write',
  'unknown',
  'session',
  'local',
  'same-server',
]);

/** Decides about a statement as a session in that state would. */
export function judgeStatement(
  input: StatementInput,
  found: Classification,
  policy: Policy,
): Verdict {
  const cls = isAssumedRead(found, policy) ? 'read' : found.cls;
  const decided = route({
    cls,
    isAboutOneServer: (traitsOf(found.reason) & TRAIT.ABOUT_ONE_SERVER) !== 0,
    startsReadOnlyTransaction: (found.effects & EFFECT.STARTS_READ_ONLY_TRANSACTION) !== 0,
    inTransaction: input.inTransaction,
    readOnlyTransaction: input.readOnlyTransaction,
    autocommit: input.autocommit,
    serializable: input.serializable,
    pinned: false,
    policy,
  });
  return {
    class: cls,
    target: destinationOf(cls, decided, input),
    reason: reasonOf(found, cls, decided, input),
    digest: digestName(found.digestHi, found.digestLo),
  };
}

function destinationOf(cls: StatementClass, decided: Route, input: StatementInput): Destination {
  if (cls === 'local') return 'local';
  if (cls === 'same-server') return 'same';
  // A transaction that may write is on the primary, so that is what "the same server" is.
  if (input.inTransaction) return input.readOnlyTransaction ? 'same' : 'primary';
  return cls === 'session' ? 'any' : decided.target;
}

function reasonOf(
  found: Classification,
  cls: StatementClass,
  decided: Route,
  input: StatementInput,
): string {
  if (cls === 'local' || cls === 'same-server') return found.reason;
  const isBorder = cls === 'transaction' && !input.inTransaction;
  const repeats =
    FROM_CLASS.has(decided.reason) || (isBorder && decided.reason.endsWith('transaction'));
  if (!repeats) return decided.reason;
  return cls === found.cls ? found.reason : 'assumed-read';
}
