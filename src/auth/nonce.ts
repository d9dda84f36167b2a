import { randomBytes } from 'node:crypto';

/** Length of the nonce of `mysql_native_password` and `caching_sha2_password`. */
export const NONCE_BYTES = 20;

const DOLLAR = 0x24;

/**
 * A new nonce for a greeting: seven bits a byte, as servers do, without NUL (some clients read it
 * as a string) and `$` (which parts the fields of stored `caching_sha2_password` hashes).
 */
export function createNonce(): Buffer {
  const nonce = Buffer.allocUnsafe(NONCE_BYTES);
  let filled = 0;
  while (filled < NONCE_BYTES) {
    for (const random of randomBytes(NONCE_BYTES * 2)) {
      const byte = random & 0x7f;
      // Drawn again, not moved to a neighbour: every allowed byte stays equally likely.
      if (byte === 0 || byte === DOLLAR || filled === NONCE_BYTES) continue;
      nonce[filled] = byte;
      filled += 1;
    }
  }
  return nonce;
}
