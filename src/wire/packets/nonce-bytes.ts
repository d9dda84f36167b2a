/** Length of the nonce of the plugins that matter (`native`, `sha256`, `caching_sha2`). */
export const NONCE_BYTES = 20;

/**
 * A nonce as a server sends it, without the NUL that ends one of 20 bytes. Nonces of other lengths
 * (`client_ed25519` has 32) stand as they are: for them a last zero byte is part of the nonce.
 */
export function nonceFromWire(data: Buffer): Buffer {
  const ended = data.length === NONCE_BYTES + 1 && data[NONCE_BYTES] === 0;
  return ended ? data.subarray(0, NONCE_BYTES) : data;
}

/** The opposite: one of 20 bytes gets its NUL. */
export function nonceToWire(nonce: Buffer): Buffer {
  return nonce.length === NONCE_BYTES ? Buffer.concat([nonce, Buffer.alloc(1)]) : nonce;
}
