import type { ClassifyContext } from '../sql/classification.ts';
import { Lexer } from '../sql/lexer.ts';
import { TOKEN } from '../sql/token.ts';

/** How SHOW CREATE begins a line with a characteristic; the body never begins with a blank. */
const INDENT = '    ';
const COMMENT = `${INDENT}COMMENT `;

/** What a literal may be written with, in which the catalogue's text differs from the true one. */
const LITERAL_BYTES = /['"\\]/;

/**
 * Whether the catalogue's text of a routine may not be what its author wrote: ROUTINE_DEFINITION
 * shows string literals without their escapes, so `'a\''; DELETE FROM t; SET s = '\''` reads as one
 * long string, and `'\\'` as one that does not end.
 */
export function isBlurred(definition: string): boolean {
  return LITERAL_BYTES.test(definition);
}

/**
 * The body of a routine as it was written, out of what SHOW CREATE FUNCTION or PROCEDURE shows:
 * one line up to parameters and type, one indented line for each characteristic, the body.
 *
 * @param definition ROUTINE_DEFINITION of the same routine: both must begin alike
 * @returns null for what does not have that form
 */
export function bodyOf(
  statement: string,
  definition: string,
  context: ClassifyContext,
): string | null {
  const buf = Buffer.from(statement);
  const parameters = endOfParameters(buf, context);
  if (parameters < 0) return null;
  let at = endOfLine(buf, parameters, context);
  while (at >= 0 && buf.toString('latin1', at, at + INDENT.length) === INDENT) {
    const isComment = buf.toString('latin1', at, at + COMMENT.length) === COMMENT;
    // Only a comment may go over several lines.
    at = isComment ? endOfLine(buf, at, context) : buf.indexOf('\n', at) + 1 || -1;
  }
  if (at < 0) return null;
  const body = buf.toString('utf8', at);
  const alike = definition.slice(0, LITERAL_BYTES.exec(definition)?.index);
  return body.startsWith(alike) ? body : null;
}

/** Behind the parenthesis that closes the list of parameters; -1 without one. */
function endOfParameters(buf: Buffer, context: ClassifyContext): number {
  const lexer = new Lexer();
  lexer.reset(buf, 0, buf.length, context);
  let depth = 0;
  while (lexer.next() > TOKEN.BAD) {
    if (lexer.kind === TOKEN.OPEN) depth += 1;
    else if (lexer.kind === TOKEN.CLOSE) {
      depth -= 1;
      if (depth === 0) return lexer.end;
    }
  }
  return -1;
}

/** Behind the first line break from `start` on that is in no literal; -1 without one. */
function endOfLine(buf: Buffer, start: number, context: ClassifyContext): number {
  const lexer = new Lexer();
  lexer.reset(buf, start, buf.length, context);
  for (let from = start; lexer.next() > TOKEN.BAD; from = lexer.end) {
    const end = buf.indexOf('\n', from);
    if (end >= 0 && end < lexer.start) return end + 1;
  }
  return -1;
}
