import type { Flavor } from '../../src/topology/snapshot.ts';

/** How the connection reads the bytes of a statement. */
export const MODES = {
  plain: { sqlMode: null, charset: 'utf8mb4' },
  ansi: { sqlMode: 'ANSI_QUOTES', charset: 'utf8mb4' },
  noBackslash: { sqlMode: 'NO_BACKSLASH_ESCAPES', charset: 'utf8mb4' },
  ansiNoBackslash: { sqlMode: 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES', charset: 'utf8mb4' },
  ignoreSpace: { sqlMode: 'IGNORE_SPACE', charset: 'utf8mb4' },
  pipes: { sqlMode: 'PIPES_AS_CONCAT', charset: 'utf8mb4' },
  gbk: { sqlMode: null, charset: 'gbk' },
  sjis: { sqlMode: null, charset: 'sjis' },
  big5: { sqlMode: null, charset: 'big5' },
  cp932: { sqlMode: null, charset: 'cp932' },
  cp1250: { sqlMode: null, charset: 'cp1250' },
  latin1: { sqlMode: null, charset: 'latin1' },
} as const satisfies Record<string, { sqlMode: string | null; charset: string }>;
export type Mode = keyof typeof MODES;

/**
 * What the server cannot say of a statement that it runs, so that the corpus must:
 *
 * - `state`: changes what a session or a server holds, or asks for what only one connection knows
 *   (correctness rules A.3 and A.5); not for a replica even if a replica runs it.
 * - `primary`: the same, but not even the session's own servers will do: it changes a server, takes
 *   locks, or speaks to the binary log.
 * - `server`: tells of the server that is asked, so that the primary answers.
 */
export type Expectation = 'state' | 'primary' | 'server';

/** One statement of the corpus. */
export interface Statement {
  /** As bytes where the connection's character set matters. */
  readonly sql: string | Buffer;
  /** Run before it on the same connection. */
  readonly setup?: readonly string[];
  readonly mode?: Mode;
  readonly expect?: Expectation;
  /** False: it would end or cripple the server that judges, so only `expect` counts. */
  readonly run?: false;
}

/** Makes a chapter's statements for one flavor. Always the same ones. */
export type Chapter = (flavor: Flavor) => Statement[];

/** What statements of a list have in common. */
export type Common = Omit<Statement, 'sql'>;

/**
 * Statements from templates, one a line (blank lines do not count). `{{a¦b¦}}` stands for a choice;
 * every combination of the choices is made.
 */
export function lines(text: string, common: Common = {}): Statement[] {
  const templates = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  return templates.flatMap((template) => expand(template)).map((sql) => ({ sql, ...common }));
}

/** Statements as they stand, for text that has line ends or backticks. */
export function exactly(sqls: readonly (string | Buffer)[], common: Common = {}): Statement[] {
  return sqls.map((sql) => ({ sql, ...common }));
}

/** `lines` for what changes state that the server does not report. */
export function state(text: string, common: Common = {}): Statement[] {
  return lines(text, { expect: 'state', ...common });
}

/** `lines` for what only the primary may run. */
export function primary(text: string, common: Common = {}): Statement[] {
  return lines(text, { expect: 'primary', ...common });
}

/** `lines` for what tells of the server that answers. */
export function server(text: string, common: Common = {}): Statement[] {
  return lines(text, { expect: 'server', ...common });
}

/** `lines` for what must not be run here. */
export function unrun(text: string): Statement[] {
  return lines(text, { expect: 'state', run: false });
}

/** Every combination of a template's choices. */
function expand(template: string): string[] {
  const open = template.indexOf('{{');
  const close = template.indexOf('}}', open);
  if (open < 0 || close < 0) return [template.replaceAll(/ {2,}/g, ' ').trim()];
  const head = template.slice(0, open);
  const tail = template.slice(close + 2);
  return template
    .slice(open + 2, close)
    .split('¦')
    .flatMap((choice) => expand(head + choice + tail));
}
