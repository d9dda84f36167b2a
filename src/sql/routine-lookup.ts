import type { ClassifyContext } from './classification.ts';
import { Lexer } from './lexer.ts';
import { ROUTINE_KIND, type RoutineFacts, type RoutineKind } from './routine-facts.ts';
import { TOKEN } from './token.ts';

/** Whether the name in `buf[start, end)`, quotes included, has a quote inside. */
function hasInnerQuote(buf: Uint8Array, start: number, end: number): boolean {
  const quote = buf[start];
  for (let pos = start + 1; pos < end - 1; pos++) if (buf[pos] === quote) return true;
  return false;
}

/** A part of a dotted name; the range has no quotes. */
class NamePart {
  start = -1;
  end = -1;
  isName = false;

  set(lexer: Lexer, buf: Uint8Array): void {
    const quoted = lexer.kind === TOKEN.NAME ? 1 : 0;
    this.start = lexer.start + quoted;
    this.end = lexer.end - quoted;
    this.isName =
      lexer.kind === TOKEN.WORD || (quoted === 1 && !hasInnerQuote(buf, lexer.start, lexer.end));
  }

  copy(other: NamePart): void {
    this.start = other.start;
    this.end = other.end;
    this.isName = other.isName;
  }
}

/**
 * Asks the catalogue about calls. Where their names stand is found by a lexer of its own, which
 * follows the classifier's from call to call: so statements without such calls do not pay for
 * keeping the places of names.
 */
export class RoutineLookup {
  readonly #lexer = new Lexer();
  readonly #name = new NamePart();
  readonly #schema = new NamePart();
  /** Dots in the name so far. */
  #dots = 0;
  #buf: Uint8Array = new Uint8Array(0);
  #facts: RoutineFacts | null = null;

  /** Starts over for a statement, before its first call is looked up. */
  reset(buf: Uint8Array, start: number, end: number, ctx: ClassifyContext): void {
    this.#buf = buf;
    this.#facts = ctx.routines;
    this.#lexer.reset(buf, start, end, ctx);
  }

  /**
   * What is known of the routine, `name` or `schema.name`, whose name ends in front of the token
   * at `pos`, which must not be less than in the call before. UNKNOWN for names that the catalogue
   * is not asked for (see RoutineFacts), and for those of three parts, which are members of
   * MariaDB's packages.
   */
  kindBefore(pos: number, isProcedure: boolean): RoutineKind {
    this.#follow(pos);
    const name = this.#name;
    const schema = this.#schema;
    const facts = this.#facts;
    const isSure = name.isName && (this.#dots === 0 || (this.#dots === 1 && schema.isName));
    if (facts === null || !isSure) return ROUTINE_KIND.UNKNOWN;
    const schemaStart = this.#dots === 0 ? -1 : schema.start;
    const schemaEnd = this.#dots === 0 ? -1 : schema.end;
    return isProcedure
      ? facts.procedureKind(this.#buf, name.start, name.end, schemaStart, schemaEnd)
      : facts.functionKind(this.#buf, name.start, name.end, schemaStart, schemaEnd);
  }

  /** Moves to the token at `pos`, and keeps the names in front of it. */
  #follow(pos: number): void {
    const lexer = this.#lexer;
    while (lexer.start < pos) {
      if (lexer.kind === TOKEN.DOT) {
        this.#schema.copy(this.#name);
        this.#dots++;
      } else {
        if (!lexer.afterDot) this.#dots = 0;
        this.#name.set(lexer, this.#buf);
      }
      if (lexer.next() <= TOKEN.BAD) return;
    }
  }
}

/** Whether the current token, a word or a quoted name, may name a view that must not be read. */
export function namesUnsafeView(lexer: Lexer, buf: Uint8Array, facts: RoutineFacts): boolean {
  const quoted = lexer.kind === TOKEN.NAME ? 1 : 0;
  // A view whose name has a quote inside could not be asked for: better be careful.
  if (quoted === 1 && hasInnerQuote(buf, lexer.start, lexer.end)) return true;
  return facts.unsafeView(buf, lexer.start + quoted, lexer.end - quoted);
}
