import type { PoolAccount } from '../../pool/account.ts';
import type { BackendConnection } from '../../pool/backend-connection.ts';
import type { Identity } from '../../pool/identity.ts';
import { ServerRefusedError } from '../../pool/server-refused-error.ts';
import { StateProfile } from '../../pool/state-profile.ts';
import type { ServerView } from '../../topology/snapshot.ts';
import { AccessDeniedError } from './client-auth.ts';
import type { ProvenLogin } from './login-trust.ts';
import { isUnreachable } from '../servers/loss.ts';
import type { SessionDeps } from '../session-deps.ts';
import type { LoginState } from '../state/session-state.ts';

/** Kept free at the end of a login, to tell the client why it failed. */
const RETRY_MARGIN_MS = 100;

/** Who logs in, and how long it may take. */
interface Client {
  readonly address: string;
  readonly gone: AbortSignal;
  readonly deadlineAtMs: number;
}

/**
 * Has a real server judge a login. The primary is asked; a replica where there is no primary, so
 * that readers can come in meanwhile. What a server has just said of the very same login is not
 * asked again (`pool.trustLoginMs`).
 * @param account entered already: it is the caller's to leave
 * @throws ServerRefusedError with the server's own error; LagwiseError when there is no server
 */
export async function proveLogin(
  deps: SessionDeps,
  login: { identity: Identity; account: PoolAccount; keepsOwn: boolean },
  client: Client,
): Promise<ProvenLogin> {
  const { identity, account, keepsOwn } = login;
  if (!deps.credentials.passthrough) checkListed(deps, identity, client.address);
  const key = `${account.key}:${identity.collationId}:${identity.schema ?? ''}`;
  const ask = async () => await askServer(deps, login, client);
  return keepsOwn ? await ask() : await deps.trust.judge(key, ask);
}

async function askServer(
  deps: SessionDeps,
  { identity, account, keepsOwn }: { identity: Identity; account: PoolAccount; keepsOwn: boolean },
  client: Client,
): Promise<ProvenLogin> {
  const { credentials, holds, pool } = deps;
  // Before the login's own end, which would only say that the client was slow.
  const deadlineMs = client.deadlineAtMs - RETRY_MARGIN_MS;
  const { schema, collationId } = identity;
  const attributes = keepsOwn ? identity.attributes : account.identity.attributes;
  let failedIn = -1;
  for (;;) {
    const snapshot = await holds.wait(
      (next) => next.version > failedIn && judgeOf(next) !== null,
      deadlineMs,
      client.gone,
    );
    const server = judgeOf(snapshot);
    if (server === null) continue;
    try {
      const connection = await pool.acquire({
        server,
        account,
        profile: ANY_PROFILE,
        gone: client.gone,
        fresh: { schema, collationId, attributes },
        untilMs: deadlineMs,
      });
      credentials.learn(identity.user, identity.password);
      const state = stateOf(connection, schema);
      if (!keepsOwn) pool.release(connection, 'reuse', performance.now());
      return { server, state, connection: keepsOwn ? connection : null };
    } catch (error) {
      if (error instanceof ServerRefusedError && error.isWrongPassword) {
        credentials.forget(identity.user);
      }
      if (!isUnreachable(error) || performance.now() >= deadlineMs) throw error;
      failedIn = snapshot.version;
    }
  }
}

/** A fresh connection is in the state of its login, whatever is wished for. */
const ANY_PROFILE = StateProfile.of({
  schema: null,
  variables: new Map(),
  multiStatements: false,
});

function stateOf(connection: BackendConnection, schema: string | null): LoginState {
  return {
    schema,
    status: connection.initialStatus,
    sqlMode: connection.sqlMode,
    variables: connection.profile?.variables ?? new Map(),
    flavor: connection.flavor,
    multiStatements: connection.profile?.multiStatements ?? false,
  };
}

function judgeOf(snapshot: {
  readonly primary: ServerView | null;
  readonly servers: readonly ServerView[];
}): ServerView | null {
  if (snapshot.primary !== null) return snapshot.primary;
  return (
    snapshot.servers.find(({ role, ineligible }) => role === 'replica' && ineligible === null) ??
    snapshot.servers.find(({ role }) => role === 'replica') ??
    null
  );
}

function checkListed({ credentials }: SessionDeps, identity: Identity, address: string): void {
  const listed = credentials.passwordOf(identity.user);
  if (listed?.equals(identity.password) === true) return;
  throw new AccessDeniedError(identity.user, address, identity.password.length > 0);
}
