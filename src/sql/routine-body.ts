import type { ClassifyContext } from './classification.ts';
import { FUNCTION_KIND } from './functions.ts';
import { VARIABLE_KIND } from './system-variables.ts';
import { TOKEN } from './token.ts';
import { isNameToken, type Token, tokenList } from './token-list.ts';
import { isPureHere } from './special-calls.ts';
import { FUNCTION_KIND_OF, isBuiltIn, VARIABLE_KIND_OF, wordIndex } from './word-table.ts';

/** What the text of a stored routine, a trigger or a view does by itself. */
export interface BodyFacts {
  /** Data, structure or transactions change, or rows are locked. */
  readonly writes: boolean;
  /** The session is not the same afterwards, or its state before matters. */
  readonly state: boolean;
  /**
   * Functions and procedures that are called and not built in: `name` or `schema.name`, without
   * quotes, as written, each once. What those do is for the caller to look up; one that it cannot
   * find may be a name in front of a parenthesis that is no call.
   */
  readonly calls: readonly string[];
}

/** Of a text that could not be read: it may do anything. */
const ANYTHING: BodyFacts = { writes: true, state: true, calls: [] };

/** Words that change something wherever they stand as bare words. */
const WRITE_WORDS = new Set(
  `UPDATE DELETE MERGE CREATE ALTER DROP RENAME LOAD GRANT REVOKE OUTFILE DUMPFILE COMMIT ROLLBACK
  SAVEPOINT XA FLUSH OPTIMIZE REPAIR ANALYZE INSTALL UNINSTALL KILL PURGE SHUTDOWN BINLOG
  IMPORT NEXTVAL`
    .trim()
    .split(/\s+/u),
);
/** The same, if no parenthesis follows: else they are functions. */
const WRITE_UNLESS_CALLED = new Set(['INSERT', 'REPLACE', 'TRUNCATE']);
/** Dynamic SQL and the like: nobody knows what runs. */
const DYNAMIC_WORDS = new Set(['PREPARE', 'EXECUTE', 'DEALLOCATE', 'LOCK', 'UNLOCK']);
/** START and CHANGE may be columns; as statements they have one of these behind them. */
const AFTER_START = new Set(['TRANSACTION', 'REPLICA', 'SLAVE', 'GROUP_REPLICATION']);
/** Words of compound statements in front of a parenthesis. */
const FLOW_WORDS = new Set(
  'WHILE UNTIL ELSEIF RETURN IF CASE WHEN CALL LEAVE CURSOR REFERENCES CHECK UNIQUE PRIMARY'.split(
    ' ',
  ),
);
/** Words behind which a name in front of a parenthesis is a table or an alias, not a function. */
const NAMES_TABLE = new Set(['INTO', 'TABLE', 'EXISTS', 'REFERENCES', 'AS', 'WITH', 'RECURSIVE']);
/** Words behind which a statement begins. */
const OPENS_STATEMENT = new Set(['BEGIN', 'THEN', 'ELSE', 'DO', 'LOOP', 'REPEAT']);

/**
 * Reads the body of a stored routine or trigger, or the query of a view, as the catalogue has it
 * (`ROUTINE_DEFINITION`, `VIEW_DEFINITION`). Errs on the side of caution. Off the hot path.
 *
 * @param ctx sql_mode and server of the routine, not of the session that calls it
 * @param parameters names of the routine's parameters: setting them changes no session
 */
export function describeBody(
  body: string | Buffer,
  ctx: ClassifyContext,
  parameters: readonly string[] = [],
): BodyFacts {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  const tokens = tokenList(bytes, 0, bytes.length, ctx);
  return tokens === null ? ANYTHING : new BodyReader(tokens, ctx, parameters).read();
}

class BodyReader {
  readonly #tokens: readonly Token[];
  readonly #ctx: ClassifyContext;
  readonly #locals: Set<string>;
  readonly #calls = new Set<string>();
  #writes = false;
  #state = false;
  /** The current statement has a word behind which SET is a clause. */
  #setIsClause = false;

  constructor(tokens: readonly Token[], ctx: ClassifyContext, parameters: readonly string[]) {
    this.#tokens = tokens;
    this.#ctx = ctx;
    this.#locals = new Set(parameters.map((name) => name.toLowerCase()));
  }

  read(): BodyFacts {
    for (let i = 0; i < this.#tokens.length; i++) {
      const token = this.#tokens[i];
      if (token?.kind === TOKEN.WORD && this.#kind(i - 1) !== TOKEN.DOT) this.#word(i);
      else if (token?.kind === TOKEN.SEMICOLON) this.#setIsClause = false;
      else if (token?.kind === TOKEN.USER_VARIABLE) this.#state = true;
      else if (token?.kind === TOKEN.SYSTEM) this.#systemVariable(i);
      if (token?.kind === TOKEN.OPEN && isNameToken(this.#tokens[i - 1])) this.#call(i - 1);
    }
    return { writes: this.#writes, state: this.#state, calls: [...this.#calls] };
  }

  #kind(i: number): number {
    return this.#tokens[i]?.kind ?? TOKEN.END;
  }

  /** A bare word in upper case, '' for any other token. */
  #text(i: number): string {
    const token = this.#tokens[i];
    return token?.kind === TOKEN.WORD ? token.text.toUpperCase() : '';
  }

  #word(i: number): void {
    const word = this.#text(i);
    // A name in front of a dot is no keyword.
    if (this.#kind(i + 1) === TOKEN.DOT) return;
    const isCalled = this.#kind(i + 1) === TOKEN.OPEN;
    if (OPENS_STATEMENT.has(word)) this.#setIsClause = false;
    else if (WRITE_WORDS.has(word) || (WRITE_UNLESS_CALLED.has(word) && !isCalled)) {
      this.#write(word, i);
    } else if (DYNAMIC_WORDS.has(word)) {
      this.#writes = true;
      if (this.#text(i + 1) !== 'IN') this.#state = true;
    } else if (word === 'START' || word === 'STOP') {
      if (AFTER_START.has(this.#text(i + 1))) this.#writes = true;
    } else if (word === 'SHARE' && this.#text(i - 1) === 'FOR') this.#writes = true;
    else if (word === 'DECLARE') this.#declare(i + 1);
    else if (word === 'CALL') this.#callStatement(i + 1);
    else if (word === 'HANDLER') this.#handler(i);
    else if (word === 'VALUE' && this.#text(i + 1) === 'FOR') this.#writes = true;
    else if (word === 'SET') this.#set(i);
  }

  #write(word: string, i: number): void {
    this.#writes = true;
    // SET follows in UPDATE, INSERT, REPLACE and LOAD; ON DUPLICATE KEY UPDATE is among them.
    if (word !== 'DELETE') this.#setIsClause = true;
    const isTemporary = this.#text(i + 1) === 'TEMPORARY' || this.#text(i + 3) === 'TEMPORARY';
    const isState = isTemporary && (word === 'CREATE' || word === 'DROP');
    if (isState || word === 'XA' || word === 'FLUSH') this.#state = true;
  }

  /** `DECLARE a, b INT`; cursors, conditions and handlers have names that nothing sets. */
  #declare(from: number): void {
    for (let i = from; isNameToken(this.#tokens[i]); i += 2) {
      this.#locals.add(this.#tokens[i]?.text.toLowerCase() ?? '');
      if (this.#kind(i + 1) !== TOKEN.COMMA) return;
    }
  }

  /** `DECLARE … HANDLER` is no statement of its own; `HANDLER t OPEN` keeps a cursor. */
  #handler(i: number): void {
    const before = this.#text(i - 1);
    if (before !== 'CONTINUE' && before !== 'EXIT' && before !== 'UNDO') this.#state = true;
  }

  #systemVariable(i: number): void {
    let name = i + 1;
    while (this.#kind(name + 1) === TOKEN.DOT) name += 2;
    const word = wordIndex(this.#tokens[name]?.text ?? '');
    if (VARIABLE_KIND_OF[word] !== VARIABLE_KIND.PORTABLE) this.#state = true;
  }

  /** A statement `SET a = 1, b = 2` of local variables changes no session. */
  #set(at: number): void {
    const before = this.#text(at - 1);
    if (this.#setIsClause || before === 'CHARACTER' || before === 'CHAR') return;
    let depth = 0;
    let isTarget = true;
    for (let i = at + 1; i < this.#tokens.length && this.#kind(i) !== TOKEN.SEMICOLON; i++) {
      if (isTarget) this.#target(i);
      const kind = this.#kind(i);
      if (kind === TOKEN.OPEN) depth++;
      else if (kind === TOKEN.CLOSE) depth--;
      isTarget = kind === TOKEN.COMMA && depth === 0;
    }
  }

  /** What SET assigns to: a local variable, a trigger's `NEW.a`, or state. */
  #target(i: number): void {
    const token = this.#tokens[i];
    if (!isNameToken(token) || token === undefined) {
      this.#state = true;
      return;
    }
    const next = this.#kind(i + 1);
    const isRow = next === TOKEN.DOT && this.#text(i) === 'NEW';
    const isAssigned = next === TOKEN.EQUALS || next === TOKEN.ASSIGN;
    if (isRow || (isAssigned && this.#locals.has(token.text.toLowerCase()))) return;
    this.#state = true;
    if (this.#text(i) !== 'SESSION' && !isAssigned) this.#writes = true;
  }

  #callStatement(from: number): void {
    let i = from;
    while (this.#kind(i + 1) === TOKEN.DOT) i += 2;
    if (isNameToken(this.#tokens[i])) this.#calls.add(this.#nameEndingAt(i));
  }

  /** The token at `i` is a name in front of a parenthesis. */
  #call(i: number): void {
    const isQualified = this.#kind(i - 1) === TOKEN.DOT;
    const word = this.#text(i);
    const first = isQualified ? i - 2 : i;
    const before = this.#text(first - 1);
    if (!isQualified && FLOW_WORDS.has(word)) return;
    // `INSERT t (a)`, and what stands behind a subquery or a string, is no call.
    const isTable = NAMES_TABLE.has(before) || before === 'INSERT' || before === 'REPLACE';
    const behind = this.#kind(first - 1);
    if (isTable || behind === TOKEN.CLOSE || behind === TOKEN.STRING) return;
    const index = isQualified || word === '' ? 0 : wordIndex(word);
    this.#known(FUNCTION_KIND_OF[index] ?? FUNCTION_KIND.UNKNOWN, index, i);
  }

  #known(kind: number, index: number, i: number): void {
    const { flavor, serverVersion, ignoreSpace } = this.#ctx;
    const isMariadb = flavor === 'mariadb';
    const open = this.#tokens[i + 1];
    const isAdjacent = this.#tokens[i]?.end === open?.start;
    const follows = isAdjacent || (ignoreSpace && open?.blankBefore === true);
    const isPure = isPureHere(kind, isMariadb, follows, wordIndex(this.#text(i - 1)));
    const isFree = !isBuiltIn(index, isMariadb, serverVersion);
    switch (kind) {
      case FUNCTION_KIND.PURE:
      case FUNCTION_KIND.PURE_OR_STORED:
      case FUNCTION_KIND.PURE_ADJACENT:
      case FUNCTION_KIND.PURE_ADJACENT_ON_MARIADB:
      case FUNCTION_KIND.SELECT_OPTION:
        if (!isPure || isFree) this.#calls.add(this.#nameEndingAt(i));
        return;
      case FUNCTION_KIND.SERVER:
        if (isFree) this.#calls.add(this.#nameEndingAt(i));
        else this.#state = true;
        return;
      case FUNCTION_KIND.UNKNOWN:
        this.#calls.add(this.#nameEndingAt(i));
        return;
      // About statements of the routine itself.
      case FUNCTION_KIND.FOUND_ROWS:
      case FUNCTION_KIND.ROW_COUNT:
        return;
      case FUNCTION_KIND.SEQUENCE:
        this.#writes = true;
        return;
      default:
        this.#state = true;
    }
  }

  #nameEndingAt(i: number): string {
    const name = this.#tokens[i]?.text ?? '';
    return this.#kind(i - 1) === TOKEN.DOT ? `${this.#tokens[i - 2]?.text ?? ''}.${name}` : name;
  }
}
