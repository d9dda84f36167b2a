import { createHash, randomBytes } from 'node:crypto';
import { wantedCaps } from './backend-caps.ts';
import type { Identity } from './identity.ts';

/** Passwords are compared, and keys made of them, only as digests that mean nothing elsewhere. */
const SALT = randomBytes(16);

/**
 * All that must be equal for two sessions to share server connections: account, password, and the
 * capabilities that shape what passes. What else a login tells a server (schema, character set) is
 * state, which is carried.
 */
export class PoolAccount {
  readonly key: string;
  readonly identity: Identity;
  /** Sessions and connections that are logged in as it. */
  uses = 0;
  /** Of these, sessions. */
  sessions = 0;

  constructor(key: string, identity: Identity) {
    this.key = key;
    this.identity = identity;
  }
}

/** The accounts in use. */
export class PoolAccounts {
  private readonly byKey = new Map<string, PoolAccount>();

  /** The account of an identity; it is remembered while it is used. */
  of(identity: Identity): PoolAccount {
    const key = keyOf(identity);
    const known = this.byKey.get(key);
    if (known !== undefined) return known;
    const account = new PoolAccount(key, identity);
    this.byKey.set(key, account);
    return account;
  }

  /** A session or a connection of it: while there is any, the next session finds the account. */
  use(account: PoolAccount): void {
    account.uses += 1;
  }

  unuse(account: PoolAccount): void {
    account.uses -= 1;
    if (account.uses === 0) this.byKey.delete(account.key);
  }
}

/** A name for identities that may share connections, from which no password can be had. */
function keyOf(identity: Identity): string {
  const shaping = wantedCaps(identity.caps, { schema: false, attributes: false });
  const secret = createHash('sha256').update(SALT).update(identity.password).digest('base64');
  return `${shaping}:${secret}:${identity.user}`;
}
