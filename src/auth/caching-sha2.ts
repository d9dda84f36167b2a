import {
  constants,
  createHash,
  type KeyObject,
  privateDecrypt,
  publicEncrypt,
  timingSafeEqual,
} from 'node:crypto';
import { LagwiseError } from '../lib/errors.ts';
import { xorRepeating } from './xor.ts';

/**
 * `caching_sha2_password`. Fast path, where the server has the account cached: the client answers
 * the nonce with SHA256(password) XOR SHA256(SHA256(SHA256(password)), nonce). Full path: it sends
 * the password itself, over TLS as it is, without TLS masked with the nonce and encrypted by the
 * server's RSA key (OAEP with SHA-1). Passwords are buffers, and no error holds one.
 *
 * @see https://dev.mysql.com/doc/dev/mysql-server/latest/page_caching_sha2_authentication_exchanges.html
 */

/** From the client, in the full path without TLS: "send me your public key". */
export const REQUEST_PUBLIC_KEY = 0x02;
/** From the server, as auth data: the fast path sufficed; an OK follows. */
export const FAST_AUTH_OK = 0x03;
/** From the server, as auth data: send the password itself. */
export const FULL_AUTH_NEEDED = 0x04;

const SCRAMBLE_BYTES = 32;
const PADDING = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha1' } as const;
const NUL = Buffer.alloc(1);

/** A client's answer to the nonce; empty for an empty password. */
export function scramble(password: Buffer, nonce: Buffer): Buffer {
  if (password.length === 0) return Buffer.alloc(0);
  const stage1 = sha256(password);
  return xorRepeating(stage1, sha256(sha256(stage1), nonce));
}

/** What is needed for the fast path, without the password: SHA256(SHA256(password)). */
export function fastDigest(password: Buffer): Buffer {
  return sha256(sha256(password));
}

/** Whether `answer` is right for the password and `nonce`. Takes the same time for right and wrong. */
export function verifyFast(answer: Buffer, password: Buffer, nonce: Buffer): boolean {
  if (password.length === 0) return answer.length === 0;
  return verifyFastDigest(answer, fastDigest(password), nonce);
}

/** The same by `fastDigest` of the password. Never true for an empty password. */
export function verifyFastDigest(answer: Buffer, digest: Buffer, nonce: Buffer): boolean {
  if (answer.length !== SCRAMBLE_BYTES || digest.length !== SCRAMBLE_BYTES) return false;
  const stage1 = xorRepeating(answer, sha256(digest, nonce));
  return timingSafeEqual(sha256(stage1), digest);
}

/** What a client sends over TLS: the password and its NUL. */
export function clearPassword(password: Buffer): Buffer {
  return Buffer.concat([password, NUL]);
}

/** The password that a client sent over TLS; without its last NUL where there is one. */
export function readClearPassword(data: Buffer): Buffer {
  return data.at(-1) === 0 ? data.subarray(0, -1) : data;
}

/**
 * What a client sends to a server without TLS.
 * @param publicKeyPem as the server sent it
 */
export function rsaEncryptPassword(password: Buffer, nonce: Buffer, publicKeyPem: Buffer): Buffer {
  const masked = xorRepeating(clearPassword(password), nonce);
  try {
    return publicEncrypt({ key: publicKeyPem, ...PADDING }, masked);
  } catch (error) {
    // Either the key is none, or the password is longer than the key can carry.
    throw new LagwiseError(
      'backend-auth',
      'Server sent no public key that can encrypt this password; use TLS to the server',
      { cause: error },
    );
  }
}

/** The password that a client encrypted with our public key. */
export function rsaDecryptPassword(data: Buffer, nonce: Buffer, privateKey: KeyObject): Buffer {
  let masked: Buffer;
  try {
    masked = privateDecrypt({ key: privateKey, ...PADDING }, data);
  } catch (error) {
    throw new LagwiseError(
      'client-auth',
      'Encrypted password cannot be read; the client may hold an outdated public key',
      { cause: error },
    );
  }
  const password = xorRepeating(masked, nonce);
  if (password.at(-1) !== 0) {
    throw new LagwiseError(
      'client-auth',
      'Encrypted password has no end; the client used another nonce',
    );
  }
  return password.subarray(0, -1);
}

function sha256(...parts: Buffer[]): Buffer {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}
