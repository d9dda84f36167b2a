import * as cachingSha2 from '../auth/caching-sha2.ts';
import { ed25519Answer } from '../auth/ed25519.ts';
import * as native from '../auth/native-password.ts';
import { PLUGIN } from '../auth/plugin.ts';
import { LagwiseError } from '../lib/errors.ts';
import type { PacketChannel } from '../net/packet-channel.ts';
import { AUTH_MORE_DATA, decodeAuthMoreData } from '../wire/packets/auth-more-data.ts';
import { AUTH_SWITCH, decodeAuthSwitchRequest } from '../wire/packets/auth-switch-request.ts';
import { decodeErr, ERR } from '../wire/packets/err.ts';
import { OK } from '../wire/packets/ok.ts';
import { frame } from '../wire/writer.ts';
import { ServerRefusedError } from './server-refused-error.ts';

/** A login takes three challenges at most; a server that never ends is cut off. */
const MAX_CHALLENGES = 10;

/** `sha256_password` asks for the key by another byte than its successor. */
const SHA256_REQUEST_PUBLIC_KEY = 0x01;

/** What a login needs to answer a server's challenges. */
interface Credentials {
  readonly password: Buffer;
  readonly nonce: Buffer;
  readonly plugin: string;
  /** Whether the connection is encrypted: only then the clear password may be sent. */
  readonly secured: boolean;
}

/** The answer to the greeting's own plugin, or to a guess where that one is unknown to us. */
export function firstAnswer(
  plugin: string,
  password: Buffer,
  nonce: Buffer,
): { plugin: string; response: Buffer } {
  if (plugin === PLUGIN.NATIVE) {
    return { plugin, response: native.scramble(password, nonce) };
  }
  return { plugin: PLUGIN.CACHING_SHA2, response: cachingSha2.scramble(password, nonce) };
}

/**
 * Answers what the server asks until it says OK, whose payload is returned.
 * @throws ServerRefusedError with the server's own error
 */
export async function answerChallenges(
  channel: PacketChannel,
  server: string,
  credentials: Credentials,
): Promise<Buffer> {
  let current = credentials;
  for (let round = 0; round < MAX_CHALLENGES; round += 1) {
    const { payload } = await channel.read();
    switch (payload[0]) {
      case OK:
        return payload;
      case ERR:
        throw new ServerRefusedError(server, decodeErr(payload));
      case AUTH_SWITCH: {
        const asked = decodeAuthSwitchRequest(payload);
        current = { ...current, plugin: asked.pluginName, nonce: asked.nonce };
        send(channel, answerSwitch(server, current));
        break;
      }
      case AUTH_MORE_DATA:
        await answerMoreData(channel, current, decodeAuthMoreData(payload));
        break;
      default:
        throw unexpected(server);
    }
  }
  throw new LagwiseError(
    'backend-protocol',
    `Server ${server} does not come to an end of the login`,
  );
}

function answerSwitch(server: string, { plugin, password, nonce, secured }: Credentials): Buffer {
  switch (plugin) {
    case PLUGIN.CACHING_SHA2:
      return cachingSha2.scramble(password, nonce);
    case PLUGIN.NATIVE:
      return native.scramble(password, nonce);
    case PLUGIN.ED25519:
      return ed25519Answer(password, nonce);
    case PLUGIN.SHA256:
      if (secured || password.length === 0) return cachingSha2.clearPassword(password);
      return Buffer.from([SHA256_REQUEST_PUBLIC_KEY]);
    case PLUGIN.CLEAR:
      // An LDAP or PAM account: the clear password must not cross an open network.
      if (secured) return cachingSha2.clearPassword(password);
      throw new LagwiseError(
        'backend-auth',
        `Server ${server} asks for the clear password, but the connection has no TLS: set serverTls.mode to "required"`,
      );
    default:
      throw new LagwiseError(
        'backend-auth',
        `Server ${server} asks for the authentication plugin "${plugin}", which Lagwise cannot serve: use caching_sha2_password or mysql_native_password for this account`,
      );
  }
}

async function answerMoreData(
  channel: PacketChannel,
  { plugin, password, nonce, secured }: Credentials,
  data: Buffer,
): Promise<void> {
  if (plugin === PLUGIN.SHA256) {
    send(channel, cachingSha2.rsaEncryptPassword(password, nonce, data));
    return;
  }
  if (data[0] === cachingSha2.FAST_AUTH_OK) return;
  if (data[0] !== cachingSha2.FULL_AUTH_NEEDED) throw unexpected('at login');
  if (secured) {
    send(channel, cachingSha2.clearPassword(password));
    return;
  }
  send(channel, Buffer.from([cachingSha2.REQUEST_PUBLIC_KEY]));
  const { payload } = await channel.read();
  if (payload[0] === ERR) throw new ServerRefusedError('at login', decodeErr(payload));
  const key = decodeAuthMoreData(payload);
  send(channel, cachingSha2.rsaEncryptPassword(password, nonce, key));
}

function send(channel: PacketChannel, payload: Buffer): void {
  channel.send(frame(payload, channel.nextSeq));
}

function unexpected(server: string): LagwiseError {
  return new LagwiseError(
    'backend-protocol',
    `Server ${server} sent an unexpected packet at login`,
  );
}
