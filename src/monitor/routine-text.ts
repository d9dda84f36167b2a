import { CHARSET_KIND } from '../sql/charset-kind.ts';
import type { ClassifyContext } from '../sql/classification.ts';
import { Lexer } from '../sql/lexer.ts';
import { describeBody } from '../sql/routine-body.ts';
import { TOKEN } from '../sql/token.ts';
import type { Flavor } from '../topology/snapshot.ts';

/** How a text is to be read. */
export interface TextContext {
  readonly flavor: Flavor;
  readonly version: string;
  /** The sql_mode that a routine runs under; empty for a view, which is kept in a form of its own. */
  readonly sqlMode: string;
  /** Names of the routine's parameters. */
  readonly parameters: readonly string[];
}

/** What the text of a routine or view does and whom it uses. */
export interface TextFacts {
  readonly writes: boolean;
  readonly leavesState: boolean;
  /** Functions and procedures that it calls; `schema` null where it is not named. */
  readonly calls: readonly { readonly schema: string | null; readonly name: string }[];
  /** Which of the given views it may read, by their names in lower case. */
  readonly views: ReadonlySet<string>;
}

/** Reads a text; `viewNames` has the views that are looked for, in lower case. */
export type ReadText = (
  text: string,
  context: TextContext,
  viewNames: { readonly size: number; has(name: string): boolean },
) => TextFacts;

const lexer = new Lexer();

/** Reads the text of a routine or view. Never throws: what it does not understand does anything. */
export const readRoutineText: ReadText = (text, context, viewNames) => {
  const buf = Buffer.from(text);
  const classifyContext = contextOf(context);
  const { writes, state, calls } = describeBody(buf, classifyContext, context.parameters);
  return {
    writes,
    leavesState: state,
    calls: calls.map(readCall),
    views: viewNames.size === 0 ? NO_VIEWS : viewsNamed(buf, classifyContext, viewNames),
  };
};

const NO_VIEWS: ReadonlySet<string> = new Set();

/** Each name of the text that is a view's, be it a table, a column or an alias here. */
function viewsNamed(
  buf: Buffer,
  context: ClassifyContext,
  viewNames: { has(name: string): boolean },
): ReadonlySet<string> {
  const found = new Set<string>();
  lexer.reset(buf, 0, buf.length, context);
  for (let kind = lexer.next(); kind > TOKEN.BAD; kind = lexer.next()) {
    if (kind !== TOKEN.WORD && kind !== TOKEN.NAME) continue;
    const quote = kind === TOKEN.NAME ? 1 : 0;
    const name = buf.toString('utf8', lexer.start + quote, lexer.end - quote).toLowerCase();
    if (viewNames.has(name)) found.add(name);
  }
  return found;
}

/** How the lexer has to read a text of this server and mode. */
export function contextOf({
  flavor,
  version,
  sqlMode,
}: Omit<TextContext, 'parameters'>): ClassifyContext {
  const modes = new Set(sqlMode.toUpperCase().split(','));
  return {
    flavor,
    serverVersion: versionNumber(version),
    ansiQuotes: modes.has('ANSI_QUOTES'),
    noBackslashEscapes: modes.has('NO_BACKSLASH_ESCAPES'),
    ignoreSpace: modes.has('IGNORE_SPACE'),
    // The catalogue is read as utf8mb4.
    charsetKind: CHARSET_KIND.UTF8,
    routines: null,
  };
}

/** 90704 of `9.7.4-2`, 101119 of `10.11.19-MariaDB`. */
function versionNumber(version: string): number {
  const [major = 0, minor = 0, patch = 0] = version.split(/[.-]/, 3).map(Number);
  const number = major * 10_000 + minor * 100 + patch;
  return Number.isFinite(number) ? number : 0;
}

function readCall(call: string): { readonly schema: string | null; readonly name: string } {
  const dot = call.indexOf('.');
  if (dot < 0) return { schema: null, name: call };
  return { schema: call.slice(0, dot), name: call.slice(dot + 1) };
}
