import type { KeyObject } from 'node:crypto';
import * as cachingSha2 from '../../auth/caching-sha2.ts';
import * as native from '../../auth/native-password.ts';
import { createNonce } from '../../auth/nonce.ts';
import { PLUGIN } from '../../auth/plugin.ts';
import { LagwiseError } from '../../lib/errors.ts';
import type { PacketChannel } from '../../net/packet-channel.ts';
import { encodeAuthMoreData } from '../../wire/packets/auth-more-data.ts';
import { encodeAuthSwitchRequest } from '../../wire/packets/auth-switch-request.ts';
import type { Credentials } from './credentials.ts';

/** The key pair by which clients without TLS send their password. */
export interface RsaKeys {
  readonly privateKey: KeyObject;
  readonly publicPem: Buffer;
}

/** What a client said of itself in its handshake response or COM_CHANGE_USER. */
export interface ClientClaim {
  readonly user: string;
  readonly plugin: string;
  readonly response: Buffer;
  readonly nonce: Buffer;
  /** Whether the connection is encrypted: only then may the password come in clear. */
  readonly secured: boolean;
  /** It can be asked to go on with another plugin (PLUGIN_AUTH). */
  readonly canSwitch: boolean;
}

/** ERROR 1045 in the server's words, for what the proxy itself refuses. */
export class AccessDeniedError extends LagwiseError {
  constructor(user: string, address: string, withPassword: boolean) {
    super(
      'client-auth',
      `Access denied for user '${user}'@'${address}' (using password: ${withPassword ? 'YES' : 'NO'})`,
    );
  }
}

const CANNOT_SWITCH =
  'This client cannot use authentication plugins, so its password must be known: list the account in "users"';
const WRONG_PASSWORD = 'Access denied: the password is wrong';

/**
 * Gets the client's clear password: from what is known, if the client proves that it knows it too
 * (fast path), else by the full exchange of `caching_sha2_password`. Whether the password is right
 * is then for a real server to say.
 * @throws LagwiseError `client-auth` when the client cannot or will not
 */
export async function obtainPassword(
  channel: PacketChannel,
  claim: ClientClaim,
  keys: RsaKeys,
  credentials: Credentials,
): Promise<Buffer> {
  const known = credentials.passwordOf(claim.user);
  if (claim.plugin === PLUGIN.NATIVE && known !== null) {
    if (native.verify(claim.response, known, claim.nonce)) return known;
  }
  if (!claim.canSwitch) {
    // What it has sent proves a password, but does not tell it.
    if (claim.response.length === 0) return Buffer.alloc(0);
    const isChecked = known !== null && claim.plugin === PLUGIN.NATIVE;
    throw new LagwiseError('client-auth', isChecked ? WRONG_PASSWORD : CANNOT_SWITCH);
  }
  const asked = claim.plugin === PLUGIN.CACHING_SHA2 ? claim : await switchPlugin(channel, claim);
  if (asked.response.length === 0) return Buffer.alloc(0);
  if (known !== null && cachingSha2.verifyFast(asked.response, known, asked.nonce)) {
    channel.send(encodeAuthMoreData(Buffer.from([cachingSha2.FAST_AUTH_OK]), channel.nextSeq));
    channel.nextSeq += 1;
    return known;
  }
  return await fullExchange(channel, asked, keys);
}

async function switchPlugin(channel: PacketChannel, claim: ClientClaim): Promise<ClientClaim> {
  const nonce = createNonce();
  channel.send(
    encodeAuthSwitchRequest({ pluginName: PLUGIN.CACHING_SHA2, nonce }, channel.nextSeq),
  );
  const { payload } = await channel.read();
  // Some clients send an empty password as one NUL.
  const empty = payload.length === 1 && payload[0] === 0;
  return {
    ...claim,
    plugin: PLUGIN.CACHING_SHA2,
    nonce,
    response: empty ? Buffer.alloc(0) : payload,
  };
}

async function fullExchange(
  channel: PacketChannel,
  claim: ClientClaim,
  keys: RsaKeys,
): Promise<Buffer> {
  channel.send(encodeAuthMoreData(Buffer.from([cachingSha2.FULL_AUTH_NEEDED]), channel.nextSeq));
  let { payload } = await channel.read();
  if (claim.secured) return cachingSha2.readClearPassword(payload);
  if (payload.length === 1 && payload[0] === cachingSha2.REQUEST_PUBLIC_KEY) {
    channel.send(encodeAuthMoreData(keys.publicPem, channel.nextSeq));
    ({ payload } = await channel.read());
  }
  return cachingSha2.rsaDecryptPassword(payload, claim.nonce, keys.privateKey);
}
