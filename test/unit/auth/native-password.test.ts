import { describe, expect, test } from 'vitest';
import { digestOf, scramble, verify, verifyDigest } from '../../../src/auth/native-password.ts';
import { createNonce, NONCE_BYTES } from '../../../src/auth/nonce.ts';
import { hex } from '../../support/hex.ts';

const NONCE = Buffer.from([
  10, 47, 74, 111, 75, 73, 34, 48, 88, 76, 114, 74, 37, 13, 3, 80, 82, 2, 23, 21,
]);
const SECRET = Buffer.from('secret');

describe('mysql_native_password', () => {
  test.each([
    ['secret', '6a149bdd80bda1ebf0fa2bd2cf2e9717fecc34bb'],
    ['Pässwörd 🔑', '1ae43318d852f01f0fff68b14f5828aa7152a9d7'],
  ])('answers for %s as computed independently', (password, answer) => {
    expect(scramble(Buffer.from(password), NONCE).toString('hex')).toBe(answer);
    expect(verify(hex(answer), Buffer.from(password), NONCE)).toBe(true);
  });

  test('checks by the digest that servers store', () => {
    // PASSWORD('secret') of a server, less its star.
    expect(digestOf(SECRET).toString('hex')).toBe('14e65567abdb5135d0cfd9a70b3032c179a49ee7');
    expect(verifyDigest(scramble(SECRET, NONCE), digestOf(SECRET), NONCE)).toBe(true);
  });

  test('refuses another password, another nonce, another length', () => {
    const answer = scramble(SECRET, NONCE);
    expect(verify(answer, Buffer.from('other'), NONCE)).toBe(false);
    expect(verify(answer, SECRET, createNonce())).toBe(false);
    expect(verify(Buffer.concat([answer, answer]), SECRET, NONCE)).toBe(false);
    expect(verify(Buffer.alloc(0), SECRET, NONCE)).toBe(false);
  });

  test('takes an empty answer for an empty password only', () => {
    const empty = Buffer.alloc(0);
    expect(scramble(empty, NONCE)).toHaveLength(0);
    expect(verify(empty, empty, NONCE)).toBe(true);
    expect(verify(scramble(SECRET, NONCE), empty, NONCE)).toBe(false);
  });
});

describe('nonce', () => {
  test('is of twenty bytes, seven bits each, without NUL and dollar, and never the same', () => {
    const seen = new Set<string>();
    const values = new Set<number>();
    for (let count = 0; count < 2000; count += 1) {
      const nonce = createNonce();
      expect(nonce).toHaveLength(NONCE_BYTES);
      for (const byte of nonce) values.add(byte);
      seen.add(nonce.toString('hex'));
    }
    expect(seen.size).toBe(2000);
    expect(values.has(0)).toBe(false);
    expect(values.has(0x24)).toBe(false);
    expect(Math.max(...values)).toBe(127);
    // All that is allowed occurs: 40 000 bytes miss one of 126 values about never.
    expect(values.size).toBe(126);
  });
});
