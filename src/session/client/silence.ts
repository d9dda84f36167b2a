import type { Config } from '../../config/schema.ts';
import { LagwiseError } from '../../lib/errors.ts';
import type { EndReason } from '../../telemetry/labels.ts';
import type { Flavor } from '../../topology/snapshot.ts';
import { encodeErr, type ErrPacket } from '../../wire/packets/err.ts';

/** ER_CLIENT_INTERACTION_TIMEOUT in the server's words. */
const INACTIVE: ErrPacket = {
  code: 4031,
  sqlState: 'HY000',
  message:
    'The client was disconnected by the server because of inactivity. See wait_timeout and interactive_timeout for configuring this behavior.',
};

/** Why a session ends because its client is silent. */
export interface SilenceOver {
  readonly reason: EndReason;
  readonly error: LagwiseError | null;
  /** What a server would tell the client, null for nothing. */
  readonly words: Buffer | null;
}

/**
 * Whether a client has been silent for too long, between two commands or in the middle of one.
 * @param since monotonic ms; `idleSinceMs` null where a command is worked on
 */
export function silenceOver(
  listen: Pick<Config['listen'], 'idleTimeoutMs' | 'stallTimeoutMs'>,
  session: {
    readonly flavor: Flavor;
    readonly input: { readonly owedSinceMs: number | null };
    readonly state: { readonly variables: ReadonlyMap<string, string> };
  },
  since: { readonly idleSinceMs: number | null; readonly nowMs: number },
): SilenceOver | null {
  const { idleSinceMs, nowMs } = since;
  const { owedSinceMs } = session.input;
  if (owedSinceMs !== null) {
    if (nowMs - owedSinceMs <= listen.stallTimeoutMs) return null;
    const message = `The client began a command and sent nothing more of it for ${listen.stallTimeoutMs} ms (listen.stallTimeoutMs); it was not completed`;
    return {
      reason: 'client-timeout',
      error: new LagwiseError('client-timeout', message),
      words: null,
    };
  }
  if (idleSinceMs === null) return null;
  const idleMs = nowMs - idleSinceMs;
  if (idleMs > listen.idleTimeoutMs) return { reason: 'idle', error: null, words: null };
  const waitMs = waitTimeoutMs(session.state.variables);
  if (waitMs === null || idleMs <= waitMs) return null;
  // MariaDB closes without a word.
  const words = session.flavor === 'mysql' ? encodeErr(INACTIVE, 0) : null;
  return { reason: 'idle', error: null, words };
}

/** wait_timeout as the session has set it, null where it has not. Of servers it is in seconds. */
function waitTimeoutMs(variables: ReadonlyMap<string, string>): number | null {
  const set = variables.get('wait_timeout');
  const seconds = set === undefined ? Number.NaN : Number(set);
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : null;
}
