import { createHash, timingSafeEqual } from 'node:crypto';
import { xorRepeating } from './xor.ts';

/** `mysql_native_password`: SHA1(password) XOR SHA1(nonce, SHA1(SHA1(password))). */

const SCRAMBLE_BYTES = 20;

/** A client's answer to the nonce; empty for an empty password. */
export function scramble(password: Buffer, nonce: Buffer): Buffer {
  if (password.length === 0) return Buffer.alloc(0);
  const stage1 = sha1(password);
  return xorRepeating(stage1, sha1(nonce, sha1(stage1)));
}

/** What is needed to check answers, without the password: SHA1(SHA1(password)). */
export function digestOf(password: Buffer): Buffer {
  return sha1(sha1(password));
}

/** Whether `answer` is right for the password and `nonce`. Takes the same time for right and wrong. */
export function verify(answer: Buffer, password: Buffer, nonce: Buffer): boolean {
  if (password.length === 0) return answer.length === 0;
  return verifyDigest(answer, digestOf(password), nonce);
}

/** The same by `digestOf` of the password. Never true for an empty password. */
export function verifyDigest(answer: Buffer, digest: Buffer, nonce: Buffer): boolean {
  if (answer.length !== SCRAMBLE_BYTES || digest.length !== SCRAMBLE_BYTES) return false;
  const stage1 = xorRepeating(answer, sha1(nonce, digest));
  return timingSafeEqual(sha1(stage1), digest);
}

function sha1(...parts: Buffer[]): Buffer {
  const hash = createHash('sha1');
  for (const part of parts) hash.update(part);
  return hash.digest();
}
