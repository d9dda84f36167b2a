import { type ClassifyContext, EFFECT, UNKNOWN_CONTEXT } from './classification.ts';
import { DigestFolder, HashSink } from './digest.ts';
import { FUNCTION_KIND } from './functions.ts';
import { isLagwiseName, isTokenName } from './lagwise-names.ts';
import { isWord, Lexer } from './lexer.ts';
import { isOracleRowCount, isSequenceValue, MARK, MARK_OF, PENDING } from './marks.ts';
import { ROUTINE_KIND, type RoutineFacts, type RoutineKind } from './routine-facts.ts';
import { namesUnsafeView, RoutineLookup } from './routine-lookup.ts';
import { isServerTable, serverTablesOf } from './server-data.ts';
import { followsAtOnce, isPureHere, SPECIAL_CALLS } from './special-calls.ts';
import { SERVER_DATA, VARIABLE_KIND } from './system-variables.ts';
import { isEnd, isScopeWord, TOKEN } from './token.ts';
import { Verdict } from './verdict.ts';
import { FUNCTION_KIND_OF, KW, isBuiltIn, VARIABLE_KIND_OF } from './word-table.ts';

const NO_BYTES = Buffer.alloc(0);

/**
 * Walks one packet's tokens and gathers class, reason and effects; the parsers of the statement
 * kinds drive it. The current token is always the first that has not been judged.
 */
export class Scanner extends Verdict {
  readonly lexer = new Lexer();
  /** Tokens of the current statement so far. */
  tokens = 0;
  /** A call of CONNECTION_ID() was seen. */
  asksConnectionId = false;
  /** A user variable was seen whose name begins with `lagwise_`. */
  namesLagwise = false;
  isMariadb = false;
  /** Rows that the statement reads are locked. */
  locksRows = false;

  readonly #folder = new DigestFolder(new HashSink());
  #pending: number = PENDING.NONE;
  #sawWith = false;
  /** Kind of those tables of the schema in front of the last dot that are the server's own, or 0. */
  #serverTables: number = SERVER_DATA.NONE;
  /** What is known of the function whose call is pending. */
  #callKind: RoutineKind = ROUTINE_KIND.UNKNOWN;
  #buf: Buffer = NO_BYTES;
  #start = 0;
  #end = 0;
  #ctx: ClassifyContext = UNKNOWN_CONTEXT;
  readonly #lookup = new RoutineLookup();
  /** The catalogue was asked about this packet. */
  #asked = false;
  /** Set where views are to be looked up. */
  #views: RoutineFacts | null = null;

  reset(buf: Buffer, start: number, end: number, ctx: ClassifyContext): void {
    this.lexer.reset(buf, start, end, ctx);
    this.#folder.reset();
    this.#folder.sink.reset();
    this.isMariadb = ctx.flavor === 'mariadb';
    this.#buf = buf;
    this.#start = start;
    this.#end = end;
    this.#ctx = ctx;
    this.#asked = false;
    this.#views = ctx.routines?.hasUnsafeViews === true ? ctx.routines : null;
    this.clear();
    this.begin();
  }

  /** Starts a statement of the packet; effects add up over the packet. */
  begin(): void {
    this.cls = 'unknown';
    this.reason = 'empty';
    this.tokens = 0;
    this.asksConnectionId = false;
    this.namesLagwise = false;
    this.locksRows = false;
    this.#pending = PENDING.NONE;
    this.#sawWith = false;
  }

  /** Sets the statements of one packet apart in the digest. */
  separate(): void {
    this.#folder.sink.push(TOKEN.SEMICOLON, TOKEN.SEMICOLON);
  }

  /** Publishes the digest. */
  finish(): void {
    this.digestHi = this.#folder.sink.hi >>> 0;
    this.digestLo = this.#folder.sink.lo >>> 0;
  }

  /** Moves on by one token without judging the current one. */
  next(): number {
    this.tokens++;
    const kind = this.lexer.next();
    this.#folder.push(this.lexer);
    return kind;
  }

  /** Judges the current token, then moves on. */
  step(): number {
    this.judge();
    return this.next();
  }

  /** Whether the current token is of the given kind. */
  is(kind: number): boolean {
    return this.lexer.kind === kind;
  }

  /** Whether the current token is the given keyword. */
  at(word: number): boolean {
    return isWord(this.lexer, word);
  }

  /** Moves on if the current token is the given keyword. */
  take(word: number): boolean {
    if (!isWord(this.lexer, word)) return false;
    this.next();
    return true;
  }

  atEnd(): boolean {
    return isEnd(this.lexer.kind);
  }

  /** Judges all tokens up to the end of the statement. */
  rest(): void {
    const { lexer } = this;
    while (!isEnd(lexer.kind)) {
      this.judge();
      this.next();
    }
    this.settle();
  }

  /** Reads on to the end of the statement without judging: names and options only. */
  skipStatement(): void {
    while (!this.atEnd()) this.next();
  }

  /**
   * Reads on to the end of the packet without judging: the body of a stored program. Where that
   * body ends is not known, so a statement might follow it.
   */
  skipAll(): void {
    let sawSemicolon = false;
    for (; this.lexer.kind > TOKEN.BAD; this.next()) {
      if (this.is(TOKEN.SEMICOLON)) sawSemicolon = true;
      else if (sawSemicolon) this.effects |= EFFECT.OPAQUE;
    }
  }

  /** Judges the current token as part of a query or an expression. */
  judge(): void {
    const { lexer } = this;
    if (this.#pending !== PENDING.NONE) this.#resolve();
    switch (lexer.kind) {
      case TOKEN.WORD:
        if (this.#views !== null) this.#judgeView(this.#views);
        if (lexer.word === 0) return;
        if (lexer.afterDot) this.#judgeDotted();
        else if (MARK_OF[lexer.word] !== MARK.NONE) this.#judgeWord();
        else if (lexer.word === KW.WITH) this.#sawWith = true;
        return;
      case TOKEN.OPEN:
        if (lexer.prevKind === TOKEN.WORD || lexer.prevKind === TOKEN.NAME) this.#judgeCall();
        return;
      case TOKEN.ASSIGN:
        if (lexer.prevKind === TOKEN.USER_VARIABLE) this.effects |= EFFECT.SETS_USER_VARIABLE;
        this.raise('write', 'user-variable-assignment');
        return;
      case TOKEN.USER_VARIABLE:
        this.effects |= EFFECT.USES_USER_VARIABLE;
        if (lexer.prevWord === KW.INTO) this.effects |= EFFECT.SETS_USER_VARIABLE;
        this.noteVariable();
        return;
      case TOKEN.SYSTEM:
        this.#judgeSystemVariable();
        return;
      case TOKEN.DOT:
        this.#serverTables = serverTablesOf(lexer.name);
        if (this.#serverTables === SERVER_DATA.SCHEMA) this.asksServer('server-table');
        return;
      case TOKEN.NAME:
        if (this.#views !== null) this.#judgeView(this.#views);
        if (lexer.afterDot) this.#judgeDotted();
        return;
      default:
    }
  }

  /** Ends what was waiting for a next token. */
  settle(): void {
    if (this.#pending !== PENDING.NONE) this.#resolve();
  }

  /** What is known of the procedure whose name is in front of the current token. */
  procedureKind(): RoutineKind {
    return this.#routineKind(true);
  }

  #routineKind(isProcedure: boolean): RoutineKind {
    const ctx = this.#ctx;
    if (ctx.routines === null) return ROUTINE_KIND.UNKNOWN;
    if (!this.#asked) this.#lookup.reset(this.#buf, this.#start, this.#end, ctx);
    this.#asked = true;
    return this.#lookup.kindBefore(this.lexer.start, isProcedure);
  }

  /**
   * The current token is a user variable: some of them are settings of the proxy.
   * @param isSet it is being set
   */
  noteVariable(isSet = false): void {
    const { start, end } = this.lexer;
    if (!isLagwiseName(this.#buf, start, end)) return;
    this.namesLagwise = true;
    this.needsProxy ||= isSet || isTokenName(this.#buf, start, end);
  }

  #judgeView(views: RoutineFacts): void {
    if (namesUnsafeView(this.lexer, this.#buf, views)) this.raise('write', 'unsafe-view');
  }

  #judgeWord(): void {
    const { lexer } = this;
    switch (MARK_OF[lexer.word]) {
      case MARK.DML:
        this.raise('write', lexer.prevWord === KW.FOR ? 'for-update' : 'dml');
        return;
      case MARK.INSERT:
        this.#pending = PENDING.INSERT;
        return;
      case MARK.SHARE:
        if (lexer.prevWord === KW.FOR) this.raise('write', 'for-share');
        return;
      case MARK.LOCK:
        this.raise('write', 'for-share');
        return;
      case MARK.INTO:
        this.raise('write', 'into');
        return;
      case MARK.FOR:
        if (isSequenceValue(lexer)) this.raise('write', 'sequence');
        return;
      case MARK.FOUND:
        this.effects |= EFFECT.SQL_CALC_FOUND_ROWS;
        return;
      case MARK.ROWCOUNT:
        if (this.isMariadb && isOracleRowCount(lexer)) this.raise('same-server', 'row-count');
        return;
      case MARK.PROCEDURE:
        this.raise('unknown', 'procedure-analyse');
        return;
      default:
    }
  }

  /** `seq.NEXTVAL` is a sequence in MariaDB's Oracle mode; some tables are the server's own. */
  #judgeDotted(): void {
    const { word } = this.lexer;
    if (isServerTable(word, this.#serverTables)) this.asksServer('server-table');
    if (word === KW.NEXTVAL || word === KW.CURRVAL) this.raise('write', 'sequence');
  }

  /** The current token is a parenthesis behind a name. */
  #judgeCall(): void {
    const { lexer } = this;
    const kind =
      lexer.prevKind === TOKEN.WORD && !lexer.prevAfterDot
        ? (FUNCTION_KIND_OF[lexer.prevWord] ?? 0)
        : FUNCTION_KIND.UNKNOWN;
    const follows = followsAtOnce(lexer, this.#ctx);
    if (isPureHere(kind, this.isMariadb, follows, lexer.prev2Word)) {
      if (!this.#isBuiltIn()) this.#unknownCall();
      else if (kind === FUNCTION_KIND.PURE_OR_STORED && this.isMariadb) this.#storedCall();
      return;
    }
    const special = SPECIAL_CALLS[kind];
    if (kind === FUNCTION_KIND.CONNECTION_ID) this.asksConnectionId = true;
    else if (kind === FUNCTION_KIND.SERVER && this.#isBuiltIn()) this.asksServer('server-function');
    else if (special === undefined) this.#unknownCall();
    else {
      this.effects |= special.effects;
      this.raise(special.cls, special.reason);
    }
  }

  #isBuiltIn(): boolean {
    return isBuiltIn(this.lexer.prevWord, this.isMariadb, this.#ctx.serverVersion);
  }

  #unknownCall(): void {
    const { lexer } = this;
    // `(SELECT …) t (a, b)` and `AS t (a, b)` name columns, `'$' COLUMNS (…)` those of JSON_TABLE;
    // no call can stand there.
    const before = lexer.prev2Kind;
    if (before === TOKEN.CLOSE || before === TOKEN.STRING || lexer.prev2Word === KW.AS) return;
    this.#callKind = this.#routineKind(false);
    if (this.#sawWith && !lexer.prevAfterDot) this.#pending = PENDING.CTE_COLUMNS;
    else this.#confirmCall();
  }

  /** A built-in function, unless the catalogue has one of that name. */
  #storedCall(): void {
    this.#callKind = this.#routineKind(false);
    if (this.#callKind !== ROUTINE_KIND.UNKNOWN) this.#confirmCall();
  }

  #confirmCall(): void {
    this.#pending = PENDING.NONE;
    switch (this.#callKind) {
      case ROUTINE_KIND.READS:
        if (this.locksRows) this.raise('write', 'for-share');
        return;
      case ROUTINE_KIND.WRITES:
        return this.raise('write', 'writing-function');
      case ROUTINE_KIND.STATEFUL_READ:
        this.effects |= EFFECT.OPAQUE;
        return this.raise('unknown', 'stateful-function');
      default:
        this.effects |= EFFECT.OPAQUE;
        this.raise('unknown', 'unknown-function');
    }
  }

  /** Decides, with the current token, about what was pending. */
  #resolve(): void {
    const { kind } = this.lexer;
    switch (this.#pending) {
      case PENDING.INSERT:
        this.#pending = PENDING.NONE;
        if (kind !== TOKEN.OPEN) this.raise('write', 'dml');
        return;
      case PENDING.CTE_COLUMNS:
        if (kind === TOKEN.CLOSE) this.#pending = PENDING.CTE_CLOSED;
        else if (kind !== TOKEN.WORD && kind !== TOKEN.NAME && kind !== TOKEN.COMMA) {
          this.#confirmCall();
        }
        return;
      case PENDING.CTE_CLOSED:
        if (this.at(KW.AS)) this.#pending = PENDING.CTE_AS;
        else this.#confirmCall();
        return;
      default:
        if (kind === TOKEN.OPEN) this.#pending = PENDING.NONE;
        else this.#confirmCall();
    }
  }

  /** The current token is `@@`; leaves the variable's last name as the current token. */
  #judgeSystemVariable(): void {
    const { lexer } = this;
    this.next();
    let isGlobal = false;
    if (lexer.kind === TOKEN.WORD && isScopeWord(lexer.word)) {
      isGlobal = lexer.word !== KW.SESSION && lexer.word !== KW.LOCAL;
      if (this.next() === TOKEN.DOT) this.next();
    }
    const isName = lexer.kind === TOKEN.WORD || lexer.kind === TOKEN.NAME;
    const kind = isName ? (VARIABLE_KIND_OF[lexer.word] ?? 0) : VARIABLE_KIND.SERVER;
    if (kind === VARIABLE_KIND.INSERT_ID) {
      this.effects |= EFFECT.USES_INSERT_ID;
      this.raise('write', 'last-insert-id');
    } else if (kind === VARIABLE_KIND.DIAGNOSTIC) this.raise('same-server', 'diagnostics');
    else if (isGlobal || kind === VARIABLE_KIND.SERVER) this.asksServer('server-variable');
  }
}
