import {
  type ClassifyContext,
  EFFECT,
  type ReasonCode,
  type StatementClass,
} from './classification.ts';
import { FUNCTION_KIND } from './functions.ts';
import type { Lexer } from './lexer.ts';
import { FUNCTION_KIND_OF, KW } from './word-table.ts';

interface SpecialCall {
  readonly cls: StatementClass;
  readonly reason: ReasonCode;
  readonly effects: number;
}

const entries: [kind: number, call: SpecialCall][] = [];
function enter(kind: number, cls: StatementClass, reason: ReasonCode, effects = 0): void {
  entries.push([kind, { cls, reason, effects }]);
}
enter(FUNCTION_KIND.TAKES_LOCK, 'write', 'lock-function', EFFECT.TAKES_USER_LOCK);
enter(FUNCTION_KIND.RELEASES_LOCK, 'write', 'lock-function', EFFECT.RELEASES_USER_LOCK);
enter(FUNCTION_KIND.RELEASES_ALL_LOCKS, 'write', 'lock-function', EFFECT.RELEASES_ALL_USER_LOCKS);
enter(FUNCTION_KIND.ASKS_LOCK, 'write', 'lock-function');
enter(FUNCTION_KIND.REPLICATION_WAIT, 'write', 'replication-wait');
enter(FUNCTION_KIND.LAST_INSERT_ID, 'write', 'last-insert-id', EFFECT.USES_INSERT_ID);
enter(FUNCTION_KIND.SEQUENCE, 'write', 'sequence');
enter(FUNCTION_KIND.FOUND_ROWS, 'same-server', 'found-rows');
enter(FUNCTION_KIND.ROW_COUNT, 'same-server', 'row-count');

/** What calls mean that are no pure reads, by their kind of function. */
export const SPECIAL_CALLS: readonly (SpecialCall | undefined)[] = Array.from(
  { length: Math.max(...Object.values(FUNCTION_KIND)) + 1 },
  (_, kind) => entries.find(([of]) => of === kind)?.[1],
);

/**
 * Whether a name of a kind that depends on where it stands, in front of a parenthesis, is no stored
 * function there.
 *
 * @param follows nothing sets name and parenthesis apart
 * @param before word-table index of the word in front of the name
 */
export function isPureHere(
  kind: number,
  isMariadb: boolean,
  follows: boolean,
  before: number,
): boolean {
  switch (kind) {
    case FUNCTION_KIND.PURE_ADJACENT:
      return follows;
    case FUNCTION_KIND.PURE_ADJACENT_ON_MARIADB:
      return !isMariadb || follows;
    case FUNCTION_KIND.SELECT_OPTION: {
      const isOption = FUNCTION_KIND_OF[before] === FUNCTION_KIND.SELECT_OPTION;
      return !isMariadb || before === KW.SELECT || isOption;
    }
    default:
      return kind === FUNCTION_KIND.PURE || kind === FUNCTION_KIND.PURE_OR_STORED;
  }
}

/** IGNORE_SPACE is about blanks; a comment sets name and parenthesis apart all the same. */
export function followsAtOnce(lexer: Lexer, ctx: ClassifyContext): boolean {
  return !lexer.gap || (ctx.ignoreSpace && lexer.gapIsBlank());
}
