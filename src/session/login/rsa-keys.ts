import { createPublicKey, generateKeyPair } from 'node:crypto';
import { promisify } from 'node:util';
import type { RsaKeys } from './client-auth.ts';

const MODULUS_BITS = 2048;

/** A fresh pair: clients without TLS encrypt their passwords with the public half. */
export async function makeRsaKeys(): Promise<RsaKeys> {
  const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: MODULUS_BITS });
  const pem = createPublicKey(privateKey).export({ type: 'spki', format: 'pem' });
  return { privateKey, publicPem: Buffer.from(pem) };
}
