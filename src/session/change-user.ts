import { createNonce } from '../auth/nonce.ts';
import type { PacketChannel } from '../net/packet-channel.ts';
import type { Identity } from '../pool/identity.ts';
import { decodeChangeUser } from '../wire/packets/change-user.ts';
import { obtainPassword } from './client-auth.ts';
import type { Login } from './login.ts';
import { enter } from './login.ts';
import type { SessionDeps } from './session-deps.ts';

/**
 * COM_CHANGE_USER: another login on the same connection. All state is dropped, since the session
 * goes on over new connections to the servers.
 * @throws LagwiseError when it fails; the connection ends then, as on a server
 */
export async function changeUser(
  deps: SessionDeps,
  channel: PacketChannel,
  asking: { identity: Identity; secured: boolean; payload: Buffer },
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
  };
  const password = await obtainPassword(channel, claim, deps.rsaKeys, deps.credentials);
  const identity: Identity = {
    user: asked.user,
    password,
    schema: asked.database === '' ? null : asked.database,
    collationId: asked.collationId ?? before.collationId,
    caps: before.caps,
    attributes: asked.attributes === null ? before.attributes : Buffer.from(asked.attributes),
  };
  const entered = await enter(deps, channel, identity, address);
  return { identity, secured, ...entered, compression: null };
}
