import type { ClassifyContext } from './classification.ts';
import { TOKEN } from './token.ts';
import { isNameToken, type QualifiedName, TokenCursor, tokenList } from './token-list.ts';

/** A table that a statement names; the schema only where the statement says one. */
export interface TableName {
  readonly schema: string | null;
  readonly table: string;
}

/** Statements whose tables can be named. */
const KNOWN = new Set([
  'SELECT',
  'WITH',
  'TABLE',
  'VALUES',
  'INSERT',
  'REPLACE',
  'UPDATE',
  'DELETE',
]);

/** What may stand between INSERT, UPDATE, DELETE or REPLACE and its table. */
const MODIFIERS = new Set(['LOW_PRIORITY', 'HIGH_PRIORITY', 'DELAYED', 'QUICK', 'IGNORE', 'INTO']);

/** Words behind which a list of tables ends where no parenthesis does. */
const ENDS_TABLES = new Set([
  'WHERE',
  'SET',
  'GROUP',
  'HAVING',
  'ORDER',
  'LIMIT',
  'WINDOW',
  'UNION',
  'EXCEPT',
  'INTERSECT',
  'FOR',
  'LOCK',
  'INTO',
  'VALUES',
  'SELECT',
  'RETURNING',
  'QUALIFY',
  'PROCEDURE',
]);

/**
 * Tables of SELECT, TABLE, WITH, INSERT, REPLACE, UPDATE and DELETE, each once, without the names
 * of common table expressions; `null` where that is not sure, and for other statements. Off the
 * hot path: for rules that look at tables.
 */
export function tableNames(
  buf: Buffer,
  start: number,
  end: number,
  ctx: ClassifyContext,
): TableName[] | null {
  const tokens = tokenList(buf, start, end, ctx);
  if (tokens === null) return null;
  const first = tokens.find(({ kind }) => kind !== TOKEN.OPEN);
  if (first === undefined || !KNOWN.has(first.text.toUpperCase())) return null;
  const finder = new TableFinder(new TokenCursor(tokens));
  return finder.run() ? finder.found() : null;
}

/** A parenthesis that is open, or the statement itself. */
interface Level {
  /** Names of tables may follow: behind FROM, JOIN or a comma between them. */
  inTables: boolean;
  /**
   * Common table expressions of a WITH that stands here, in lower case, and the token from which on
   * the name means them: `WITH t AS (SELECT … FROM t)` reads a table.
   */
  readonly expressions: Map<string, number>;
}

class TableFinder {
  readonly #cursor: TokenCursor;
  readonly #tables = new Map<string, TableName>();
  readonly #levels: Level[] = [newLevel()];

  constructor(cursor: TokenCursor) {
    this.#cursor = cursor;
  }

  /** False if the statement was not understood. */
  run(): boolean {
    const cursor = this.#cursor;
    while (cursor.peek() !== undefined) {
      if (!this.#step()) return false;
    }
    return this.#levels.length === 1;
  }

  found(): TableName[] {
    return [...this.#tables.values()];
  }

  get #level(): Level {
    return this.#levels.at(-1) ?? newLevel();
  }

  #step(): boolean {
    const cursor = this.#cursor;
    const token = cursor.peek();
    if (token === undefined) return false;
    const word = token.kind === TOKEN.WORD ? token.text.toUpperCase() : '';
    const isQualified = cursor.tokens[cursor.at - 1]?.kind === TOKEN.DOT;
    cursor.at++;
    if (token.kind === TOKEN.SEMICOLON) return cursor.atEnd();
    if (token.kind === TOKEN.OPEN) {
      this.#levels.push(newLevel());
      // `FROM (t JOIN u)`, `FROM ((t))`: tables stand in parentheses, too.
      if (this.#isTableParenthesis()) return this.#takeTable();
    } else if (token.kind === TOKEN.CLOSE) this.#levels.pop();
    else if (token.kind === TOKEN.COMMA && this.#level.inTables) return this.#takeTable();
    else if (word !== '' && !isQualified) return this.#word(word);
    return this.#levels.length > 0;
  }

  #isTableParenthesis(): boolean {
    const outer = this.#levels.at(-2);
    const before = this.#cursor.tokens[this.#cursor.at - 2];
    const word = before?.text.toUpperCase();
    const isHint = this.#cursor.tokens[this.#cursor.at - 3]?.text.toUpperCase() === 'FOR';
    const isJoin = word === 'JOIN' && !isHint;
    const isPlace = before?.kind === TOKEN.COMMA || word === 'FROM' || isJoin;
    const isNested = before?.kind === TOKEN.OPEN;
    const next = this.#cursor.peek();
    const mayFollow = isNameToken(next) || next?.kind === TOKEN.OPEN;
    return outer?.inTables === true && (isPlace || isNested) && mayFollow;
  }

  #word(word: string): boolean {
    switch (word) {
      case 'FROM':
        if (this.#isFunctionFrom()) return true;
        return this.#takeTable();
      case 'JOIN':
      case 'STRAIGHT_JOIN':
        // STRAIGHT_JOIN is a modifier of SELECT, too.
        return this.#level.inTables ? this.#takeTable() : true;
      case 'WITH':
        return this.#takeExpressions();
      case 'TABLE':
        return this.#atStatementStart() ? this.#takeTable() : true;
      case 'INSERT':
      case 'REPLACE':
      case 'UPDATE':
      case 'DELETE':
        return this.#atStatementStart() ? this.#takeTarget(word) : true;
      case 'FOR':
        // Of index hints: `USE INDEX FOR JOIN (a)`; behind them more tables may follow.
        if (this.#cursor.take('JOIN') || this.#cursor.take('ORDER', 'BY')) return true;
        if (this.#cursor.take('GROUP', 'BY') || this.#cursor.take('SYSTEM_TIME')) return true;
        this.#level.inTables = false;
        return true;
      case 'AS':
        // `AS name` is no table, whatever it is called.
        if (isNameToken(this.#cursor.peek())) this.#cursor.at++;
        return true;
      default:
        if (ENDS_TABLES.has(word)) this.#level.inTables = false;
        return true;
    }
  }

  /** Whether the word just read may begin a statement: first, in a parenthesis, or behind WITH. */
  #atStatementStart(): boolean {
    const before = this.#cursor.tokens[this.#cursor.at - 2];
    if (before === undefined || before.kind === TOKEN.OPEN || before.kind === TOKEN.CLOSE) {
      return true;
    }
    return /^(?:UNION|ALL|DISTINCT|EXCEPT|INTERSECT)$/iu.test(before.text);
  }

  /** `EXTRACT(… FROM …)`, `TRIM(… FROM …)`, `SUBSTRING(… FROM …)`. */
  #isFunctionFrom(): boolean {
    const { tokens, at } = this.#cursor;
    let depth = 0;
    for (let i = at - 2; i >= 0; i--) {
      const token = tokens[i];
      if (token?.kind === TOKEN.CLOSE) depth++;
      else if (token?.kind === TOKEN.OPEN && depth-- === 0) {
        const name = tokens[i - 1]?.text.toUpperCase() ?? '';
        return /^(?:EXTRACT|TRIM|SUBSTRING|SUBSTR|MID)$/u.test(name);
      }
    }
    return false;
  }

  /** `[modifiers] t …`; DELETE has its tables behind FROM or USING if not at once. */
  #takeTarget(word: string): boolean {
    const cursor = this.#cursor;
    while (MODIFIERS.has(cursor.peek()?.text.toUpperCase() ?? '')) cursor.at++;
    if (word === 'DELETE') return this.#takeDeleted();
    this.#level.inTables = word === 'UPDATE';
    return this.#takeTable(word === 'UPDATE');
  }

  /** `DELETE FROM t`, `DELETE a, b FROM …`, `DELETE FROM a, b USING …`: names may be aliases. */
  #takeDeleted(): boolean {
    const cursor = this.#cursor;
    const rest = cursor.tokens.slice(cursor.at);
    const usingAt = rest.findIndex(({ keyword }) => keyword === 'USING');
    const whereAt = rest.findIndex(({ keyword }) => keyword === 'WHERE');
    const isMulti = usingAt >= 0 && (whereAt < 0 || usingAt < whereAt);
    if (!cursor.isWord('FROM')) {
      while (cursor.peek() !== undefined && !cursor.isWord('FROM')) cursor.at++;
      return true;
    }
    if (!isMulti || rest.slice(0, usingAt).some(({ keyword }) => keyword === 'JOIN')) return true;
    cursor.at += usingAt + 1;
    return this.#takeTable();
  }

  /** `[RECURSIVE] name [(columns)] AS (`, …: the names are no tables. */
  #takeExpressions(): boolean {
    const cursor = this.#cursor;
    if (!this.#atStatementStartOrWith()) return true;
    return this.#takeExpression(cursor.take('RECURSIVE'));
  }

  #atStatementStartOrWith(): boolean {
    // `WITH ROLLUP`, `WITH TIES`, `WITH CONSISTENT`, `WITH QUERY EXPANSION`
    return !['ROLLUP', 'TIES', 'QUERY', 'CONSISTENT'].some((word) => this.#cursor.isWord(word));
  }

  #takeExpression(isRecursive: boolean): boolean {
    const cursor = this.#cursor;
    const name = cursor.peek();
    if (name === undefined || !isNameToken(name)) return false;
    cursor.at++;
    if (cursor.peek()?.kind === TOKEN.OPEN) {
      while (cursor.peek() !== undefined && cursor.peek()?.kind !== TOKEN.CLOSE) cursor.at++;
      cursor.at++;
    }
    if (!cursor.take('AS')) return false;
    const open = cursor.peek();
    if (open?.kind !== TOKEN.OPEN) return false;
    const close = this.#closeOf(cursor.at);
    this.#level.expressions.set(name.text.toLowerCase(), isRecursive ? cursor.at : close);
    // The next expression, if one follows, is entered before the bodies are read.
    if (close >= 0 && cursor.tokens[close + 1]?.kind === TOKEN.COMMA) {
      const at = cursor.at;
      cursor.at = close + 2;
      const understood = this.#takeExpression(isRecursive);
      cursor.at = at;
      return understood;
    }
    return close >= 0;
  }

  #closeOf(open: number): number {
    let depth = 0;
    const { tokens } = this.#cursor;
    for (let i = open; i < tokens.length; i++) {
      if (tokens[i]?.kind === TOKEN.OPEN) depth++;
      else if (tokens[i]?.kind === TOKEN.CLOSE && --depth === 0) return i;
    }
    return -1;
  }

  /** Reads the name of a table, unless a subquery, a parenthesis or DUAL stands here. */
  #takeTable(listFollows = true): boolean {
    const cursor = this.#cursor;
    this.#level.inTables = listFollows;
    const token = cursor.peek();
    if (token === undefined) return false;
    if (token.kind === TOKEN.OPEN) return true;
    if (cursor.take('DUAL') || cursor.isWord('LATERAL') || cursor.isWord('SELECT')) return true;
    if (cursor.isWord('VALUES') || cursor.isWord('WITH') || cursor.isWord('TABLE')) return true;
    const name = cursor.takeName();
    if (name === null) return false;
    // `JSON_TABLE(…)` and other functions that give tables.
    if (cursor.peek()?.kind === TOKEN.OPEN && listFollows) return true;
    // Behind the dot of MariaDB's `t.*` in DELETE a star follows.
    if (cursor.peek()?.kind === TOKEN.DOT) return false;
    this.#add(name);
    return true;
  }

  #add({ schema, name }: QualifiedName): void {
    if (schema === null && this.#isExpression(name.toLowerCase())) return;
    this.#tables.set(JSON.stringify([schema, name]), { schema, table: name });
  }

  #isExpression(name: string): boolean {
    return this.#levels.some(({ expressions }) => {
      const from = expressions.get(name);
      return from !== undefined && this.#cursor.at > from;
    });
  }
}

const newLevel = (): Level => ({ inTables: false, expressions: new Map() });
