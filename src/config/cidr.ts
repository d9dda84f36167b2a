/**
 * IP addresses and CIDR blocks as the 16 bytes of IPv6; an IPv4 address is `::ffff:a.b.c.d`, which
 * is also how a socket that listens on both kinds shows it. Own code, since `node:net` is not for
 * pure folders, and since its BlockList takes no text with a mask.
 */
export interface AddressBlock {
  /** 16 bytes, network order. */
  readonly bytes: Uint8Array;
  /** Leading bits that must be equal, 0 to 128. */
  readonly bits: number;
}

const V4_PREFIX_BITS = 96;

/** The 16 bytes of an IPv4 or IPv6 address (a zone such as `%eth0` is left out), null if it is none. */
export function parseAddress(text: string): Uint8Array | null {
  const [address = ''] = text.split('%', 1);
  if (!address.includes(':')) {
    const v4 = parseV4(address);
    return v4 === null ? null : Uint8Array.from([...ZEROS.slice(0, 10), 0xff, 0xff, ...v4]);
  }
  const halves = address.split('::');
  if (halves.length > 2) return null;
  const head = groupsOf(halves[0] ?? '', halves.length === 1);
  const tail = halves.length === 2 ? groupsOf(halves[1] ?? '', true) : [];
  if (head === null || tail === null) return null;
  const missing = 16 - head.length - tail.length;
  // `::` stands for at least one group of zeros; without it nothing may be missing.
  if (halves.length === 2 ? missing < 2 : missing !== 0) return null;
  return Uint8Array.from([...head, ...ZEROS.slice(0, missing), ...tail]);
}

/** A block written as `10.0.0.0/8`, `fd00::/8` or one address; null if it is neither. */
export function parseBlock(text: string): AddressBlock | null {
  const [address = '', mask, ...more] = text.split('/');
  const bytes = address.includes('%') ? null : parseAddress(address);
  if (bytes === null || more.length > 0) return null;
  if (mask === undefined) return { bytes, bits: 128 };
  const max = address.includes(':') ? 128 : 32;
  if (!/^\d{1,3}$/.test(mask) || Number(mask) > max) return null;
  return { bytes, bits: Number(mask) + (max === 32 ? V4_PREFIX_BITS : 0) };
}

/** Whether the address (16 bytes) lies in the block. */
export function isInBlock(address: Uint8Array, { bytes, bits }: AddressBlock): boolean {
  const whole = bits >> 3;
  for (let index = 0; index < whole; index += 1) {
    if (address[index] !== bytes[index]) return false;
  }
  const rest = bits & 7;
  if (rest === 0) return true;
  return ((address[whole] ?? 0) ^ (bytes[whole] ?? 0)) >> (8 - rest) === 0;
}

const ZEROS: readonly number[] = Array.from({ length: 16 }, () => 0);

function parseV4(text: string): readonly number[] | null {
  const parts = text.split('.');
  // No leading zeros: some programs read `010` as octal.
  const isAddress =
    parts.length === 4 &&
    parts.every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255);
  return isAddress ? parts.map(Number) : null;
}

/** Bytes of colon-separated groups; the last one of an address may be an IPv4 address. */
function groupsOf(text: string, endsAddress: boolean): number[] | null {
  if (text === '') return [];
  const groups = text.split(':');
  const bytes: number[] = [];
  for (const [index, group] of groups.entries()) {
    if (group.includes('.')) {
      const v4 = endsAddress && index === groups.length - 1 ? parseV4(group) : null;
      if (v4 === null) return null;
      bytes.push(...v4);
    } else if (/^[\da-fA-F]{1,4}$/.test(group)) {
      const value = Number.parseInt(group, 16);
      bytes.push(value >> 8, value & 0xff);
    } else return null;
  }
  return bytes.length <= 16 ? bytes : null;
}
