import { type Classification, type ClassifyContext, EFFECT } from './classification.ts';
import { BLANK_START } from './blanks.ts';
import { commentEnd, findHint } from './hint.ts';
import { parseLagwiseSelect, parseLagwiseSetting } from './lagwise-setting.ts';
import { TOKEN } from './token.ts';
import {
  parseAnalyze,
  parseDo,
  parseExplain,
  parseParenthesis,
  parseQuery,
} from './query-statement.ts';
import { Scanner } from './scanner.ts';
import { parseSet } from './set-statement.ts';
import { parseShow } from './show-statement.ts';
import {
  parseBegin,
  parseEndOfTransaction,
  parseSavepoint,
  parseStart,
  parseXa,
} from './transaction-statement.ts';
import { KW, WORD_COUNT } from './word-table.ts';
import {
  parseAlter,
  parseBackup,
  parseCall,
  parseCompound,
  parseCreate,
  parseDml,
  parseDrop,
  parseFlush,
  parseGet,
  parseHandler,
  parseInsert,
  parseKill,
  parseLoad,
  parseUnknown,
  parseUse,
  primary,
} from './write-statement.ts';

/**
 * Bytes of a statement that are looked at. At 100 to 260 MB/s this bounds the time a statement can
 * hold up the others to 10 ms; longer ones are bulk inserts, which the first word tells.
 */
export const MAX_STATEMENT_BYTES = 1 << 20;

type Parse = (s: Scanner) => void;

const admin = primary('admin', EFFECT.IMPLICIT_COMMIT);
const acl = primary('acl', EFFECT.IMPLICIT_COMMIT);
const ddl = primary('ddl', EFFECT.IMPLICIT_COMMIT);

/** Which parser a statement's first word asks for. */
const PARSERS: readonly (readonly [words: readonly number[], parse: Parse])[] = [
  [[KW.SELECT, KW.WITH, KW.VALUES, KW.TABLE, KW.HELP, KW.CHECKSUM], parseQuery],
  [[KW.DO], parseDo],
  [[KW.EXPLAIN, KW.DESCRIBE, KW.DESC], parseExplain],
  [[KW.ANALYZE], parseAnalyze],
  [[KW.SHOW], parseShow],
  [[KW.INSERT, KW.REPLACE], parseInsert],
  [[KW.UPDATE, KW.DELETE, KW.MERGE], parseDml],
  [[KW.LOAD], parseLoad],
  [[KW.CALL], parseCall],
  [[KW.HANDLER], parseHandler],
  [[KW.CREATE], parseCreate],
  [[KW.ALTER], parseAlter],
  [[KW.DROP], parseDrop],
  [[KW.RENAME, KW.TRUNCATE, KW.IMPORT], ddl],
  [[KW.GRANT, KW.REVOKE], acl],
  [
    [
      KW.RESET,
      KW.OPTIMIZE,
      KW.REPAIR,
      KW.CHECK,
      KW.CACHE,
      KW.INSTALL,
      KW.UNINSTALL,
      KW.CLONE,
      KW.SHUTDOWN,
      KW.RESTART,
      KW.BINLOG,
      KW.CHANGE,
      KW.PURGE,
      KW.STOP,
    ],
    admin,
  ],
  [[KW.FLUSH], parseFlush],
  [[KW.BEGIN], parseBegin],
  [[KW.START], parseStart],
  [[KW.COMMIT, KW.ROLLBACK], parseEndOfTransaction],
  [[KW.SAVEPOINT, KW.RELEASE], parseSavepoint],
  [[KW.XA], parseXa],
  [[KW.LOCK], primary('lock-tables', EFFECT.LOCKS_TABLES | EFFECT.IMPLICIT_COMMIT)],
  [[KW.UNLOCK], primary('unlock-tables', EFFECT.UNLOCKS_TABLES)],
  [[KW.BACKUP], parseBackup],
  [[KW.PREPARE], primary('prepare', EFFECT.PREPARES_STATEMENT)],
  [[KW.EXECUTE], primary('execute', EFFECT.OPAQUE)],
  [[KW.DEALLOCATE], primary('deallocate', EFFECT.DEALLOCATES_STATEMENT)],
  [[KW.SIGNAL, KW.RESIGNAL], primary('signal')],
  [[KW.KILL], parseKill],
  [[KW.USE], parseUse],
  [[KW.GET], parseGet],
  [[KW.IF, KW.CASE, KW.WHILE, KW.LOOP, KW.REPEAT, KW.FOR, KW.DECLARE], parseCompound],
];

const PARSER_OF: Parse[] = Array.from({ length: WORD_COUNT }, () => parseUnknown);
for (const [words, parse] of PARSERS) for (const word of words) PARSER_OF[word] = parse;

/** `CONNECTION_ID` and its parentheses behind SELECT, and the step to the end. */
const LONE_CONNECTION_ID_TOKENS = 5;

function noteHint(s: Scanner, buf: Buffer, start: number, end: number): void {
  const limit = Math.min(end, start + MAX_STATEMENT_BYTES);
  const hint = findHint(buf, start, limit);
  if (hint < 0) return;
  s.hintStart = hint;
  s.hintEnd = commentEnd(buf, hint, limit);
}

/** Among other statements it would reach a server, where its id is that of somebody else's thread. */
function refuseKill(s: Scanner): void {
  s.become('local', 'kill');
  s.killTarget = null;
  s.effects = 0;
}

/** Whether the one statement does nothing but set, or ask for, variables of the proxy. */
function isLagwiseMatter(
  s: Scanner,
  buf: Buffer,
  start: number,
  end: number,
  ctx: ClassifyContext,
): boolean {
  if (s.reason === 'set') return parseLagwiseSetting(buf, start, end, ctx) !== null;
  return s.reason === 'select' && parseLagwiseSelect(buf, start, end, ctx) !== null;
}

/**
 * Says where statements may go, from their bytes alone: one pass, no string, no allocation.
 *
 * The object returned by `classify` is always the same one and holds until the next call: copy
 * what has to live longer (prepared statements do).
 */
export class Classifier {
  readonly #scanner = new Scanner();

  /**
   * Classifies the statement in `buf[start, end)`. Never throws, whatever the bytes are. Of a
   * statement that is not yet complete, pass what is there if that is more than
   * MAX_STATEMENT_BYTES; a shorter piece would be taken for the whole.
   */
  classify(buf: Buffer, start: number, end: number, ctx: ClassifyContext): Classification {
    const s = this.#scanner;
    const isCut = end - start > MAX_STATEMENT_BYTES;
    s.reset(buf, start, isCut ? start + MAX_STATEMENT_BYTES : end, ctx);
    if (BLANK_START[buf[start] ?? 0] !== 0) noteHint(s, buf, start, end);
    s.next();
    this.#statement(s);
    while (s.lexer.kind === TOKEN.SEMICOLON) s.next();
    if (s.lexer.kind > TOKEN.BAD) this.#furtherStatements(s);
    else if (s.namesLagwise && !isCut && isLagwiseMatter(s, buf, start, end, ctx)) {
      s.become('local', 'lagwise-setting');
      s.effects = 0;
    }
    if (isCut) this.#cut(s);
    else if (s.lexer.kind === TOKEN.BAD) {
      s.become('unknown', 'not-lexed');
      s.effects |= EFFECT.OPAQUE;
    }
    s.finish();
    return s;
  }

  #statement(s: Scanner): void {
    this.#dispatch(s);
    s.rest();
    if (!s.asksConnectionId || s.reason === 'kill') return;
    const isAlone = s.tokens === LONE_CONNECTION_ID_TOKENS && s.reason === 'select';
    if (isAlone) s.become('local', 'connection-id');
    else s.raise('unknown', 'connection-id');
  }

  /** @param isInner of SET STATEMENT, which does not nest: a packet full of it would, and deep */
  #dispatch(s: Scanner, isInner = false): void {
    const { kind, word } = s.lexer;
    if (kind === TOKEN.OPEN) parseParenthesis(s);
    else if (kind === TOKEN.WORD && word === KW.SET) {
      if (!parseSet(s)) return;
      if (isInner) parseUnknown(s);
      else this.#innerStatement(s);
    } else if (kind === TOKEN.WORD) (PARSER_OF[word] ?? parseUnknown)(s);
    else if (!s.atEnd()) parseUnknown(s);
  }

  /** The statement behind SET STATEMENT … FOR; the values in front of it may call, too. */
  #innerStatement(s: Scanner): void {
    const { cls, reason } = s;
    this.#dispatch(s, true);
    s.rest();
    if (cls !== 'session') s.raise(cls, reason);
  }

  /** Several statements in one packet: the effects of all of them, the class of none. */
  #furtherStatements(s: Scanner): void {
    let kills = s.reason === 'kill';
    while (s.lexer.kind > TOKEN.BAD) {
      s.separate();
      s.begin();
      this.#statement(s);
      kills ||= s.reason === 'kill';
      while (s.lexer.kind === TOKEN.SEMICOLON) s.next();
    }
    s.become('unknown', 'multi-statement');
    if (kills) refuseKill(s);
  }

  /** The rest of the statement was not looked at; only a write is sure to stay what it is. */
  #cut(s: Scanner): void {
    s.effects |= EFFECT.OPAQUE;
    if (s.cls !== 'write') s.become('unknown', 'too-long');
  }
}
