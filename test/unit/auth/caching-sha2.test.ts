import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import {
  clearPassword,
  fastDigest,
  readClearPassword,
  rsaDecryptPassword,
  rsaEncryptPassword,
  scramble,
  verifyFast,
  verifyFastDigest,
} from '../../../src/auth/caching-sha2.ts';
import { LagwiseError } from '../../../src/lib/errors.ts';
import { hex } from '../../support/hex.ts';

/** The nonce of go-sql-driver's tests; the answers were also computed with Python's hashlib. */
const NONCE = Buffer.from([
  10, 47, 74, 111, 75, 73, 34, 48, 88, 76, 114, 74, 37, 13, 3, 80, 82, 2, 23, 21,
]);
const SECRET = Buffer.from('secret');

describe('caching_sha2_password, fast path', () => {
  test.each([
    ['secret', 'f490e76f66d9d86665ce54d98c78d0acfe2fb0b08b423da807144873d30b312c'],
    ['Pässwörd 🔑', '894f8d761e1b60958c25affae9a8a53a812f488e67b9a813b85f5971d9692b86'],
  ])('answers for %s as other clients do', (password, answer) => {
    expect(scramble(Buffer.from(password), NONCE).toString('hex')).toBe(answer);
    expect(verifyFast(hex(answer), Buffer.from(password), NONCE)).toBe(true);
  });

  test('keeps a digest that serves in place of the password', () => {
    const digest = fastDigest(SECRET);
    expect(digest.toString('hex')).toBe(
      '3881219d087dd9c634373fd33dfa33a2cb6bfc6c520b64b8bb60ef2ceb534ae7',
    );
    expect(verifyFastDigest(scramble(SECRET, NONCE), digest, NONCE)).toBe(true);
  });

  test('refuses another password, another nonce, another length', () => {
    const answer = scramble(SECRET, NONCE);
    expect(verifyFast(answer, Buffer.from('Secret'), NONCE)).toBe(false);
    expect(verifyFast(answer, SECRET, randomBytes(20))).toBe(false);
    expect(verifyFast(answer.subarray(1), SECRET, NONCE)).toBe(false);
    expect(verifyFast(Buffer.alloc(0), SECRET, NONCE)).toBe(false);
    for (let bit = 0; bit < 256; bit += 1) {
      const wrong = Buffer.from(answer);
      wrong[bit >> 3] = (wrong[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(verifyFast(wrong, SECRET, NONCE)).toBe(false);
    }
  });

  test('takes an empty answer for an empty password only', () => {
    const empty = Buffer.alloc(0);
    expect(scramble(empty, NONCE)).toHaveLength(0);
    expect(verifyFast(empty, empty, NONCE)).toBe(true);
    expect(verifyFast(scramble(SECRET, NONCE), empty, NONCE)).toBe(false);
    expect(verifyFastDigest(empty, fastDigest(empty), NONCE)).toBe(false);
  });
});

describe('caching_sha2_password, full path', () => {
  const keys = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const pem = Buffer.from(keys.publicKey.export({ type: 'spki', format: 'pem' }));

  test.each(['secret', '', 'Pässwörd 🔑', 'longer than the nonce of twenty bytes'])(
    'carries %j through RSA',
    (text) => {
      const password = Buffer.from(text);
      const encrypted = rsaEncryptPassword(password, NONCE, pem);
      expect(encrypted).toHaveLength(256);
      expect(rsaDecryptPassword(encrypted, NONCE, keys.privateKey)).toEqual(password);
    },
  );

  test('refuses a password encrypted for another key', () => {
    const other = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const encrypted = rsaEncryptPassword(SECRET, NONCE, pem);
    expect(() => rsaDecryptPassword(encrypted, NONCE, other.privateKey)).toThrow(LagwiseError);
  });

  test('refuses a password masked with another nonce', () => {
    const encrypted = rsaEncryptPassword(SECRET, Buffer.alloc(20, 1), pem);
    expect(() => rsaDecryptPassword(encrypted, Buffer.alloc(20, 2), keys.privateKey)).toThrow(
      /another nonce/,
    );
  });

  test.each([
    ['garbage', randomBytes(256)],
    ['nothing', Buffer.alloc(0)],
    ['too much', randomBytes(4096)],
  ])('refuses %s as an encrypted password', (_name, data) => {
    expect(() => rsaDecryptPassword(data, NONCE, keys.privateKey)).toThrow(LagwiseError);
  });

  test('says so, without the password, when the key cannot carry it or is none', () => {
    const long = Buffer.alloc(300, 'p');
    for (const key of [pem, Buffer.from('no key')]) {
      const encrypt = () => rsaEncryptPassword(long, NONCE, key);
      expect(encrypt).toThrow(/use TLS to the server/);
      try {
        encrypt();
      } catch (error) {
        expect(String(error) + String(error instanceof Error ? error.cause : '')).not.toMatch(
          /ppp/,
        );
      }
    }
  });

  test('ends the password with a NUL over TLS', () => {
    expect(clearPassword(SECRET).toString('latin1')).toBe('secret\0');
    expect(readClearPassword(clearPassword(SECRET))).toEqual(SECRET);
    expect(readClearPassword(SECRET)).toEqual(SECRET);
    expect(readClearPassword(Buffer.alloc(0))).toHaveLength(0);
  });
});
