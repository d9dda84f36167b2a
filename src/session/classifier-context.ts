import { versionNumber } from '../pool/backend-caps.ts';
import type { ClassifyContext } from '../sql/classification.ts';
import type { ServerView } from '../topology/snapshot.ts';
import { isBackslashUnsafe } from '../wire/charset.ts';
import type { SessionState } from './session-state.ts';

/** Charsets whose characters may end in the byte of a backslash or a quote. */
const UNSAFE_CHARSETS: ReadonlySet<string> = new Set(['big5', 'cp932', 'gb18030', 'gbk', 'sjis']);

/** How a session's statements are to be read, kept true as the session's state changes. */
export class ClassifierContext implements ClassifyContext {
  noBackslashEscapes = false;
  ansiQuotes = false;
  backslashUnsafeCharset: boolean;
  readonly flavor: 'mysql' | 'mariadb';
  readonly serverVersion: number;

  constructor(server: ServerView, collationId: number) {
    this.flavor = server.flavor ?? 'mysql';
    this.serverVersion = server.version === null ? 0 : versionNumber(server.version);
    this.backslashUnsafeCharset = isBackslashUnsafe(collationId);
  }

  follow(state: SessionState): void {
    this.noBackslashEscapes = state.noBackslashEscapes;
    this.ansiQuotes = state.ansiQuotes;
    const charset = state.variables.get('character_set_client');
    if (charset !== undefined) this.backslashUnsafeCharset = UNSAFE_CHARSETS.has(charset);
  }
}
