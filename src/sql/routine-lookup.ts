import type { Lexer } from './lexer.ts';
import { ROUTINE_KIND, type RoutineFacts, type RoutineKind } from './routine-facts.ts';
import { TOKEN } from './token.ts';

/** Whether the name in `buf[start, end)`, quotes included, has a quote inside. */
function hasInnerQuote(buf: Uint8Array, start: number, end: number): boolean {
  const quote = buf[start];
  for (let pos = start + 1; pos < end - 1; pos++) if (buf[pos] === quote) return true;
  return false;
}

/**
 * What is known of the routine whose name is in front of the current token, `name` or
 * `schema.name`. UNKNOWN for names that the catalogue is not asked for (see RoutineFacts), and for
 * those of three parts, which are members of MariaDB's packages.
 */
export function routineKind(
  lexer: Lexer,
  buf: Uint8Array,
  facts: RoutineFacts,
  isProcedure: boolean,
): RoutineKind {
  const quoted = lexer.prevKind === TOKEN.NAME ? 1 : 0;
  if (quoted === 1 && hasInnerQuote(buf, lexer.prevStart, lexer.prevEnd)) {
    return ROUTINE_KIND.UNKNOWN;
  }
  let schemaStart = -1;
  let schemaEnd = -1;
  if (lexer.prevAfterDot) {
    const inner = lexer.qualifierKind === TOKEN.NAME ? 1 : 0;
    schemaStart = lexer.qualifierStart;
    schemaEnd = lexer.qualifierEnd;
    const isName = inner === 1 || lexer.qualifierKind === TOKEN.WORD;
    if (!isName || lexer.qualifierAfterDot) return ROUTINE_KIND.UNKNOWN;
    if (inner === 1 && hasInnerQuote(buf, schemaStart, schemaEnd)) return ROUTINE_KIND.UNKNOWN;
    schemaStart += inner;
    schemaEnd -= inner;
  }
  const start = lexer.prevStart + quoted;
  const end = lexer.prevEnd - quoted;
  return isProcedure
    ? facts.procedureKind(buf, start, end, schemaStart, schemaEnd)
    : facts.functionKind(buf, start, end, schemaStart, schemaEnd);
}

/** Whether the current token, a word or a quoted name, may name a view that must not be read. */
export function namesUnsafeView(lexer: Lexer, buf: Uint8Array, facts: RoutineFacts): boolean {
  const quoted = lexer.kind === TOKEN.NAME ? 1 : 0;
  // A view whose name has a quote inside could not be asked for: better be careful.
  if (quoted === 1 && hasInnerQuote(buf, lexer.start, lexer.end)) return true;
  return facts.unsafeView(buf, lexer.start + quoted, lexer.end - quoted);
}
