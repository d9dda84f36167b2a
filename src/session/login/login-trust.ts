import type { BackendConnection } from '../../pool/backend-connection.ts';
import { ServerRefusedError } from '../../pool/server-refused-error.ts';
import type { ServerView } from '../../topology/snapshot.ts';
import type { LoginState } from '../state/session-state.ts';

/** A login that a server has accepted. */
export interface ProvenLogin {
  /** The server that was asked. */
  readonly server: ServerView;
  readonly state: LoginState;
  /** The session's own connection where it keeps one; null where connections are shared. */
  readonly connection: BackendConnection | null;
}

/** Logins remembered at most; each is forgotten after a second or so anyway. */
const MAX_TRUSTED = 10_000;

/**
 * Logins that a server has just accepted, so that a thousand clients which come at once do not make
 * it judge the same password a thousand times. It holds no password: keys are salted digests.
 */
export class LoginTrust {
  private readonly trustMs: number;
  private readonly accepted = new Map<string, { login: ProvenLogin; untilMs: number }>();
  /** Grows when accounts may have changed. */
  private epoch = 0;
  private readonly asking = new Map<string, Promise<ProvenLogin>>();

  /** @param trustMs how long a server's word is taken for others; 0: each login is judged */
  constructor(trustMs: number) {
    this.trustMs = trustMs;
  }

  /** Accounts may have changed: every login is judged anew. */
  clear(): void {
    this.accepted.clear();
    this.asking.clear();
    this.epoch += 1;
  }

  /**
   * The server's word on a login, asked now or a moment ago.
   * @throws what `ask` throws
   */
  async judge(key: string, ask: () => Promise<ProvenLogin>): Promise<ProvenLogin> {
    if (this.trustMs === 0) return await ask();
    const known = this.accepted.get(key);
    if (known !== undefined && known.untilMs > performance.now()) return known.login;
    const asked = this.asking.get(key);
    if (asked === undefined) return await this.ask(key, ask);
    try {
      return await asked;
    } catch (error) {
      if (error instanceof ServerRefusedError) throw error;
      // It was the other client's own failure: it left, or its time was up.
      return await ask();
    }
  }

  private async ask(key: string, ask: () => Promise<ProvenLogin>): Promise<ProvenLogin> {
    const { epoch } = this;
    const asking = ask();
    this.asking.set(key, asking);
    try {
      const login = await asking;
      // What a server said before accounts changed is no word about them now.
      if (epoch === this.epoch) this.remember(key, login);
      return login;
    } finally {
      if (this.asking.get(key) === asking) this.asking.delete(key);
    }
  }

  private remember(key: string, login: ProvenLogin): void {
    this.accepted.delete(key);
    this.accepted.set(key, { login, untilMs: performance.now() + this.trustMs });
    if (this.accepted.size <= MAX_TRUSTED) return;
    for (const oldest of this.accepted.keys()) {
      this.accepted.delete(oldest);
      return;
    }
  }
}
