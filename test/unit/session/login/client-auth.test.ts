import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, onTestFinished, test } from 'vitest';
import * as native from '../../../../src/auth/native-password.ts';
import { createNonce } from '../../../../src/auth/nonce.ts';
import { PLUGIN } from '../../../../src/auth/plugin.ts';
import { PacketChannel } from '../../../../src/net/packet-channel.ts';
import { type ClientClaim, obtainPassword } from '../../../../src/session/login/client-auth.ts';
import { Credentials } from '../../../../src/session/login/credentials.ts';
import { FakeStream } from '../../../support/fake-stream.ts';

const PASSWORD = Buffer.from('secret');
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 1024 });
const KEYS = { privateKey, publicPem: Buffer.from('pem') };

function passwordOf(claim: Partial<ClientClaim>, isKnown: boolean): Promise<Buffer> {
  const credentials = new Credentials('passthrough');
  if (isKnown) credentials.learn('app', PASSWORD);
  const channel = new PacketChannel(
    new FakeStream(),
    {
      peer: 'The client',
      timeout: 'client-timeout',
      network: 'client-network',
      protocol: 'client-protocol',
    },
    { deadlineMs: 10_000, maxPacketBytes: 1024 },
  );
  onTestFinished(() => void channel.detach());
  const nonce = createNonce();
  const full: ClientClaim = {
    user: 'app',
    plugin: PLUGIN.NATIVE,
    nonce,
    response: native.scramble(PASSWORD, nonce),
    secured: false,
    canSwitch: false,
    ...claim,
  };
  return obtainPassword(channel, full, KEYS, credentials);
}

describe('a client that cannot use authentication plugins', () => {
  test('gets in where its password is known', async () => {
    expect(await passwordOf({}, true)).toEqual(PASSWORD);
  });

  test('and not with another one', async () => {
    const response = Buffer.alloc(20, 1);
    await expect(passwordOf({ response }, true)).rejects.toThrow('the password is wrong');
  });

  test('is told the cure where it is not known', async () => {
    await expect(passwordOf({}, false)).rejects.toThrow('list the account in "users"');
  });

  test('needs none where it has none', async () => {
    expect(await passwordOf({ response: Buffer.alloc(0) }, false)).toEqual(Buffer.alloc(0));
  });
});
