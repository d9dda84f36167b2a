import { versionNumber } from '../pool/backend-caps.ts';
import type { ClassifyContext } from '../sql/classification.ts';
import type { ServerView } from '../topology/snapshot.ts';
import { backslashUnsafeCharset, isBackslashUnsafe } from '../wire/charset.ts';
import type { SessionState } from './session-state.ts';

/** How a session's statements are to be read: always as the session's state is now. */
export class ClassifierContext implements ClassifyContext {
  readonly flavor: 'mysql' | 'mariadb';
  readonly serverVersion: number;
  private readonly state: SessionState;
  private readonly unsafeAtLogin: boolean;

  constructor(server: ServerView, collationId: number, state: SessionState) {
    this.flavor = server.flavor ?? 'mysql';
    this.serverVersion = server.version === null ? 0 : versionNumber(server.version);
    this.unsafeAtLogin = isBackslashUnsafe(collationId);
    this.state = state;
  }

  get noBackslashEscapes(): boolean {
    return this.state.noBackslashEscapes;
  }

  get ansiQuotes(): boolean {
    return this.state.ansiQuotes;
  }

  get backslashUnsafeCharset(): boolean {
    const { clientCharset } = this.state;
    if (clientCharset === null) return this.unsafeAtLogin;
    return backslashUnsafeCharset(clientCharset) !== null;
  }
}
