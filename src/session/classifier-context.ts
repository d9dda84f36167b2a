import { versionNumber } from '../pool/backend-caps.ts';
import { type CharsetKind, charsetKind } from '../sql/charset-kind.ts';
import type { ClassifyContext } from '../sql/classification.ts';
import type { RoutineFacts } from '../sql/routine-facts.ts';
import type { ServerView } from '../topology/snapshot.ts';
import { charsetOf } from '../wire/charset.ts';
import type { SessionState } from './session-state.ts';

/** How a session's statements are to be read: always as the session's state is now. */
export class ClassifierContext implements ClassifyContext {
  readonly flavor: 'mysql' | 'mariadb';
  readonly serverVersion: number;
  readonly ignoreSpace = false;
  readonly routines: RoutineFacts | null = null;
  private readonly state: SessionState;
  private readonly kindAtLogin: CharsetKind;

  constructor(server: ServerView, collationId: number, state: SessionState) {
    this.flavor = server.flavor ?? 'mysql';
    this.serverVersion = server.version === null ? 0 : versionNumber(server.version);
    this.kindAtLogin = charsetKind(charsetOf(collationId));
    this.state = state;
  }

  get noBackslashEscapes(): boolean {
    return this.state.noBackslashEscapes;
  }

  get ansiQuotes(): boolean {
    return this.state.ansiQuotes;
  }

  get charsetKind(): CharsetKind {
    const { clientCharset } = this.state;
    return clientCharset === null ? this.kindAtLogin : charsetKind(clientCharset);
  }
}
