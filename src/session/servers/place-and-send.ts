import { sourceOf } from '../../lib/error-policy.ts';
import { LagwiseError } from '../../lib/errors.ts';
import type { BackendConnection } from '../../pool/backend-connection.ts';
import { goneError } from '../../pool/pool-waiter.ts';
import type { Command } from '../command/command.ts';
import type { ErrorReplies } from './error-replies.ts';
import { awaitDemotion } from './primary-search.ts';
import type { Readiness } from '../state/readiness.ts';
import type { SessionBackends } from './session-backends.ts';
import type { Leaving } from './statement-waits.ts';
import type { SessionBinding } from '../state/session-binding.ts';
import type { SessionDeps } from '../session-deps.ts';

/** What of a session it takes to find a command its connection. */
export interface Placing {
  readonly deps: SessionDeps;
  readonly command: Command;
  readonly backends: SessionBackends;
  readonly readiness: Readiness;
  readonly errors: ErrorReplies;
  readonly binding: SessionBinding;
  /** Aborted when the client is, or the statement that waits. */
  readonly gone: Leaving;
  /** False: what must hold on its server does not, and it is another server's turn. */
  sendGuarded(connection: BackendConnection): Promise<boolean>;
}

/**
 * The way of a command off the hot path: opens a connection or waits for one, brings it to the
 * session's state, and sends; elsewhere if that fails where nothing is bound.
 * @param bound the connection on which it must run, null where any of its target will do
 * @throws LagwiseError when there is no server for it, or it is lost
 */
export async function placeAndSend(
  placing: Placing,
  bound: BackendConnection | null,
): Promise<void> {
  const { errors, binding, backends, command, readiness, deps } = placing;
  const { signal: gone } = placing.gone;
  const ended = await errors.endTransaction();
  if (ended !== null) binding.forget(ended);
  for (;;) {
    const refusal = errors.takeRefusal();
    if (refusal !== null) await awaitDemotion(deps, refusal, gone);
    const connection = bound ?? (await backends.obtain(command));
    // A KILL came when it was about to be had.
    if (gone.aborted) throw goneError(gone);
    const onReplica = connection === backends.replicaConnection;
    try {
      if (!(await readiness.make(connection))) continue;
      // Said behind the last of the proxy's own statements: nothing of the client's was sent.
      if (bound === null && connection.isClosed) {
        const why = `Server ${connection.server.id} closed the connection`;
        throw new LagwiseError('backend-network', why);
      }
      command.sentAtMs = performance.now();
      command.firstPartAtMs = -1;
      if (await placing.sendGuarded(connection)) return;
    } catch (error) {
      const isLost = bound === null && connection.isClosed && !gone.aborted;
      if (!isLost || !mayGoElsewhere(command, onReplica, error)) throw error;
      command.attempts += 1;
      if (!onReplica) continue;
      command.failure = 'lost';
      command.excludeServer(connection.server.id);
    }
  }
}

/**
 * Whether the command may try another connection: the one that it had was lost in a statement of
 * the proxy's own, before anything of the client's was sent.
 */
function mayGoElsewhere(command: Command, onReplica: boolean, error: unknown): boolean {
  if (onReplica) return command.isRepeatable;
  // The same server again, or the next primary. One that hangs would only be waited for once more.
  return command.mayTryAgain && sourceOf(error) === 'backend-network';
}
