/** A digest as people write it: 16 hexadecimal digits. */
const DIGEST_TEXT = /^[0-9a-f]{16}$/i;

/** The two halves of a 64-bit digest, both unsigned 32-bit numbers. */
export interface DigestHalves {
  readonly hi: number;
  readonly lo: number;
}

/** The 16 digits of a digest, in lower case. */
export function digestName(hi: number, lo: number): string {
  return hex(hi) + hex(lo);
}

/** The digest that was written as 16 digits; null for anything else. */
export function parseDigestName(text: string): DigestHalves | null {
  if (!DIGEST_TEXT.test(text)) return null;
  return { hi: Number.parseInt(text.slice(0, 8), 16), lo: Number.parseInt(text.slice(8), 16) };
}

function hex(half: number): string {
  return (half >>> 0).toString(16).padStart(8, '0');
}
