import type { ClassifyContext } from '../sql/classification.ts';
import { Lexer } from '../sql/lexer.ts';
import { TOKEN } from '../sql/token.ts';
import { NameIndex } from './name-index.ts';

/** A longer statement is taken for one that changes them: it costs one reading. */
const MAX_BYTES = 64 * 1024;

/**
 * What is in every statement that makes, changes, drops or renames a function, a procedure, a view
 * or a package, or a schema with all of them, or loads functions.
 */
const WORDS = new NameIndex<true>();
for (const word of [
  'function',
  'procedure',
  'view',
  'package',
  'database',
  'schema',
  'rename',
  'component',
  'plugin',
]) {
  WORDS.add(word, true);
}

const lexer = new Lexer();

/**
 * Whether a statement (or one of several in a packet) may change what the catalogue of routines
 * says, so that `RoutineWatch.noteDdl` has to be called. Ask only of what is DDL, administration or
 * several statements; it is careful, not exact: a column called `view` will do. Never throws.
 */
export function mayChangeRoutines(
  buf: Uint8Array,
  start: number,
  end: number,
  context: ClassifyContext,
): boolean {
  if (end - start > MAX_BYTES) return true;
  lexer.reset(buf, start, end, context);
  for (let kind = lexer.next(); kind > TOKEN.BAD; kind = lexer.next()) {
    const isWord = kind === TOKEN.WORD && !lexer.afterDot;
    if (isWord && WORDS.get(buf, lexer.start, lexer.end) === true) return true;
  }
  // Bytes that cannot be read may be anything.
  return lexer.kind === TOKEN.BAD;
}
