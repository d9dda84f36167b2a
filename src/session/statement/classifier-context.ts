import { versionNumber } from '../../pool/backend-caps.ts';
import { type CharsetKind, charsetKind } from '../../sql/charset-kind.ts';
import type { ClassifyContext } from '../../sql/classification.ts';
import type { RoutineFacts } from '../../sql/routine-facts.ts';
import type { ServerView } from '../../topology/snapshot.ts';
import { charsetOf } from '../../wire/charset.ts';
import type { SessionState } from '../state/session-state.ts';

/** How a session's statements are to be read: always as the session's state is now. */
export class ClassifierContext implements ClassifyContext {
  readonly flavor: 'mysql' | 'mariadb';
  readonly serverVersion: number;
  private readonly state: SessionState;
  private readonly known: { readonly facts: RoutineFacts };
  private readonly kindAtLogin: CharsetKind;
  /** The character set that `kind` is of; null for that of the login. */
  private kindOf: string | null = null;
  private kind: CharsetKind;

  constructor(
    server: ServerView,
    login: { readonly collationId: number },
    now: { readonly state: SessionState; readonly routines: { readonly facts: RoutineFacts } },
  ) {
    this.flavor = server.flavor ?? 'mysql';
    this.serverVersion = server.version === null ? 0 : versionNumber(server.version);
    this.kindAtLogin = charsetKind(charsetOf(login.collationId));
    this.kind = this.kindAtLogin;
    this.state = now.state;
    this.known = now.routines;
  }

  get ignoreSpace(): boolean {
    return this.state.ignoreSpace;
  }

  get routines(): RoutineFacts {
    return this.known.facts;
  }

  get noBackslashEscapes(): boolean {
    return this.state.noBackslashEscapes;
  }

  get ansiQuotes(): boolean {
    return this.state.ansiQuotes;
  }

  get charsetKind(): CharsetKind {
    const { clientCharset } = this.state;
    if (clientCharset !== this.kindOf) {
      this.kindOf = clientCharset;
      this.kind = clientCharset === null ? this.kindAtLogin : charsetKind(clientCharset);
    }
    return this.kind;
  }
}
