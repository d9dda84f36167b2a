import type { Identity } from '../pool/identity.ts';
import type { Lease } from '../pool/pool.ts';
import { ServerRefusedError } from '../pool/server-refused-error.ts';
import type { ServerView } from '../topology/snapshot.ts';
import { AccessDeniedError } from './client-auth.ts';
import { goneError } from './hold-queue.ts';
import { isUnreachable } from './loss.ts';
import type { SessionDeps } from './session-deps.ts';

/** Kept free at the end of a login, to tell the client why it failed. */
const RETRY_MARGIN_MS = 100;

/**
 * Has a real server judge a login; the connection that proves it becomes the session's first. The
 * primary is asked; a replica where there is no primary, so that readers can come in meanwhile.
 * @throws ServerRefusedError with the server's own error; LagwiseError when there is no server
 */
export async function proveLogin(
  deps: SessionDeps,
  identity: Identity,
  client: { address: string; gone: AbortSignal; deadlineAtMs: number },
): Promise<{ lease: Lease; leaseRole: 'primary' | 'replica' }> {
  const { credentials, holds } = deps;
  if (!credentials.passthrough) checkListed(deps, identity, client.address);
  // Before the login's own end, which would only say that the client was slow.
  const deadlineMs = client.deadlineAtMs - RETRY_MARGIN_MS;
  let failedIn = -1;
  for (;;) {
    const snapshot = await holds.wait(
      (next) => next.version > failedIn && judgeOf(next) !== null,
      deadlineMs,
      client.gone,
    );
    const judge = judgeOf(snapshot);
    if (judge === null) continue;
    try {
      const lease = await deps.pool.acquire(judge, identity);
      if (client.gone.aborted) {
        lease.release('reuse');
        throw goneError(client.gone);
      }
      credentials.learn(identity.user, identity.password);
      return { lease, leaseRole: judge.role === 'primary' ? 'primary' : 'replica' };
    } catch (error) {
      if (error instanceof ServerRefusedError && error.isWrongPassword) {
        credentials.forget(identity.user);
      }
      if (!isUnreachable(error) || performance.now() >= deadlineMs) throw error;
      failedIn = snapshot.version;
    }
  }
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
