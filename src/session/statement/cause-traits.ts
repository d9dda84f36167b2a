import { ABOUT_ONE_SERVER, ASKS_ONLY, type ReasonCode } from '../../sql/classification.ts';

/** What a session wants to know of a statement beyond its class; bits of {@link traitsOf}. */
export const TRAIT = {
  /** Behind it a password that was right may be wrong: ALTER USER, FLUSH PRIVILEGES, a CALL. */
  MAY_CHANGE_ACCOUNTS: 1 << 0,
  /** It uses tables, so that outside of a transaction it is one; a SELECT may read none. */
  USES_TABLES: 1 << 1,
  ENDS_TRANSACTION: 1 << 2,
  /** It may give back what pins the session. */
  NAMES_THINGS: 1 << 3,
  /** What comes back is about the server or the session. */
  TELLS_NO_DATA: 1 << 4,
  /** It may change what functions and views do. */
  MAY_BE_DDL: 1 << 5,
  /** Its rows, where it has any, are what FOUND_ROWS() counts. */
  COUNTED: 1 << 6,
  /** Each server answers it differently. */
  ABOUT_ONE_SERVER: 1 << 7,
  /** On the primary for what it locks or asks for: it commits nothing. */
  COMMITS_NOTHING: 1 << 8,
} as const;

const CAUSES: readonly (readonly [trait: number, causes: readonly ReasonCode[]])[] = [
  [
    TRAIT.MAY_CHANGE_ACCOUNTS,
    [
      'acl',
      'set-password',
      'ddl',
      'admin',
      'call',
      'execute',
      'multi-statement',
      'compound-statement',
      'unknown-statement',
      'unknown-function',
      'not-lexed',
      'too-long',
    ],
  ],
  [TRAIT.ABOUT_ONE_SERVER, ABOUT_ONE_SERVER],
  [TRAIT.COMMITS_NOTHING, ASKS_ONLY],
  [TRAIT.USES_TABLES, ['dml', 'load-data', 'ddl']],
  [TRAIT.ENDS_TRANSACTION, ['commit', 'rollback']],
  [
    TRAIT.NAMES_THINGS,
    [
      'ddl',
      'temporary-table',
      'handler',
      'lock-function',
      'deallocate',
      'prepare',
      'xa',
      'multi-statement',
    ],
  ],
  [
    TRAIT.TELLS_NO_DATA,
    [
      'do',
      'show',
      'describe',
      'explain',
      'help',
      'lock-function',
      'replication-wait',
      'last-insert-id',
      'server-variable',
      'server-function',
      'server-show',
      'diagnostics',
      'found-rows',
      'row-count',
    ],
  ],
  [
    TRAIT.MAY_BE_DDL,
    ['ddl', 'admin', 'multi-statement', 'compound-statement', 'unknown-statement', 'too-long'],
  ],
  [
    TRAIT.COUNTED,
    [
      'select',
      'values',
      'table',
      'describe',
      'for-update',
      'for-share',
      'user-variable-assignment',
      'lock-function',
      'replication-wait',
      'last-insert-id',
      'sequence',
      'server-function',
      'server-table',
      'writing-function',
      'stateful-function',
      'unsafe-view',
      'found-rows',
      'row-count',
    ],
  ],
];

const TRAITS = new Map<ReasonCode, number>();
for (const [trait, causes] of CAUSES) {
  for (const cause of causes) TRAITS.set(cause, (TRAITS.get(cause) ?? 0) | trait);
}

/** The traits of statements with this cause: one look-up in place of one for each trait. */
export function traitsOf(cause: ReasonCode): number {
  return TRAITS.get(cause) ?? 0;
}
