import type { Config } from '../../config/schema.ts';

/** Passwords remembered at most; the least recently learned goes first. */
const MAX_LEARNED = 10_000;

/**
 * The passwords that the fast login path needs: the configured ones, or, in passthrough mode, those
 * that a real server has accepted. In memory only.
 */
export class Credentials {
  /** Whether any account of the servers may log in, or only those listed. */
  readonly passthrough: boolean;
  private readonly passwords = new Map<string, Buffer>();

  constructor(users: Config['users']) {
    this.passthrough = typeof users === 'string';
    if (typeof users === 'string') return;
    for (const { user, password } of users) {
      this.passwords.set(user, Buffer.from(password.reveal()));
    }
  }

  /** The password known for a user, null when none is. */
  passwordOf(user: string): Buffer | null {
    return this.passwords.get(user) ?? null;
  }

  /** A server accepted this password. */
  learn(user: string, password: Buffer): void {
    if (!this.passthrough || this.passwords.get(user)?.equals(password) === true) return;
    this.passwords.delete(user);
    // A copy: the buffer that it came in holds a whole packet.
    this.passwords.set(user, Buffer.from(password));
    if (this.passwords.size <= MAX_LEARNED) return;
    for (const oldest of this.passwords.keys()) {
      this.passwords.delete(oldest);
      return;
    }
  }

  /** A server refused it: the next login goes the full way again. */
  forget(user: string): void {
    if (this.passthrough) this.passwords.delete(user);
  }
}
