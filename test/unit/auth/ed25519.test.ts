import { createPrivateKey, randomBytes, sign } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { ED25519_NONCE_BYTES, ed25519Answer, ed25519PublicKey } from '../../../src/auth/ed25519.ts';
import { hex } from '../../support/hex.ts';

/** The platform's signature by a seed: for passwords of 32 bytes it must be the same. */
function platformSignature(seed: Buffer, message: Buffer): Buffer {
  const der = Buffer.concat([hex('302e020100300506032b657004220420'), seed]);
  return sign(null, message, createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }));
}

describe('client_ed25519', () => {
  test('has the public keys that MariaDB documents', () => {
    expect(ed25519PublicKey(Buffer.from('secret')).toString('base64')).toBe(
      'ZIgUREUg5PVgQ6LskhXmO+eZLS0nC8be6HPjYWR4YJY=',
    );
  });

  test('signs as RFC 8032 does where the password is a seed', () => {
    const seed = hex('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60');
    expect(ed25519PublicKey(seed).toString('hex')).toBe(
      'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
    );
    expect(ed25519Answer(seed, Buffer.alloc(0)).toString('hex')).toBe(
      'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
    );
  });

  test('signs as the platform does for random seeds and nonces', () => {
    for (let round = 0; round < 40; round += 1) {
      const seed = randomBytes(32);
      const nonce = randomBytes(ED25519_NONCE_BYTES);
      expect(ed25519Answer(seed, nonce)).toEqual(platformSignature(seed, nonce));
    }
  });

  test('takes passwords of any length', () => {
    const nonce = Buffer.alloc(ED25519_NONCE_BYTES, 7);
    const answers = ['', 'a', 'Pässwörd', 'x'.repeat(200)].map((password) =>
      ed25519Answer(Buffer.from(password), nonce).toString('hex'),
    );
    expect(new Set(answers).size).toBe(4);
    expect(answers.every((answer) => answer.length === 128)).toBe(true);
  });
});
