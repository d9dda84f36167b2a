import { createNonce } from '../../auth/nonce.ts';
import type { PacketChannel } from '../../net/packet-channel.ts';
import type { Identity } from '../../pool/identity.ts';
import type { Flavor } from '../../topology/snapshot.ts';
import { CAP, has, without } from '../../wire/capability.ts';
import { decodeChangeUser } from '../../wire/packets/change-user.ts';
import { obtainPassword } from './client-auth.ts';
import type { CommandRunner } from '../command/command-runner.ts';
import type { Horizon } from '../reads/horizon.ts';
import type { Login } from './login.ts';
import { enter } from './login.ts';
import type { SessionDeps } from '../session-deps.ts';
import type { SessionState } from '../state/session-state.ts';

/** What COM_CHANGE_USER leaves as it was, on servers too. */
export interface Survivors {
  /** What COM_SET_OPTION set last. */
  readonly multiStatements: boolean;
  /** FOUND_ROWS(); null where nobody can tell it any more. */
  readonly foundRows: number | null;
  /** What was written through this connection is there for the next user, too. */
  readonly horizon: Horizon;
}

/** Takes that from a session which is about to end. */
export function survivorsOf(session: {
  readonly state: SessionState;
  readonly runner: CommandRunner;
}): Survivors {
  const { multiStatements } = session.state;
  const { leftovers, reads } = session.runner.backends;
  reads.horizon.forgetReads();
  return { multiStatements, foundRows: leftovers.found.value, horizon: reads.horizon };
}

/**
 * COM_CHANGE_USER: another login on the same connection. All state is dropped, since the session
 * goes on over new connections to the servers.
 * @throws LagwiseError when it fails; the connection ends then, as on a server
 */
export async function changeUser(
  deps: SessionDeps,
  channel: PacketChannel,
  asking: { identity: Identity; secured: boolean; flavor: Flavor; payload: Buffer },
  address: string,
): Promise<Login> {
  const { identity: before, secured } = asking;
  const asked = decodeChangeUser(asking.payload, {
    caps: before.caps,
    collationId: before.collationId,
  });
  const claim = {
    user: asked.user,
    // The client's answer is to a nonce that this proxy no longer keeps: it is asked anew.
    plugin: '',
    response: asked.authResponse,
    nonce: createNonce(),
    secured,
    canSwitch: has(before.caps, CAP.PLUGIN_AUTH),
  };
  const password = await obtainPassword(channel, claim, deps.rsaKeys, deps.credentials);
  const identity: Identity = {
    user: asked.user,
    password,
    schema: asked.database === '' ? null : asked.database,
    collationId: asked.collationId ?? before.collationId,
    // MariaDB drops this flag of the login here.
    caps: asking.flavor === 'mariadb' ? without(before.caps, CAP.IGNORE_SPACE) : before.caps,
    attributes: asked.attributes === null ? before.attributes : Buffer.from(asked.attributes),
  };
  const entered = await enter(deps, channel, identity, address);
  return { identity, secured, ...entered, compression: null };
}
