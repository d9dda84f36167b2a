import { createHash } from 'node:crypto';

/**
 * MariaDB's `client_ed25519`, the client's side: the nonce is signed with a key made of the
 * password. It is Ed25519 (RFC 8032) with one difference: the secret is the password itself, of any
 * length, where the standard has a seed of 32 bytes. The platform's Ed25519 takes only such seeds,
 * hence the arithmetic here. It takes about 3 ms and is for logging in to servers only.
 *
 * Its running time is not constant, though it follows no secret bit by bit: the ladder does the same
 * steps for every key. Who can time it is the server, to which the password is known anyway.
 * @see https://mariadb.com/docs/server/reference/plugins/authentication-plugins/authentication-plugin-ed25519
 */

/** Length of the nonce of this plugin; it has no NUL behind it. */
export const ED25519_NONCE_BYTES = 32;

/** A point in extended coordinates: x = X/Z, y = Y/Z, XY = TZ. */
interface Point {
  readonly X: bigint;
  readonly Y: bigint;
  readonly Z: bigint;
  readonly T: bigint;
}

/** The field's prime, the order of the base point, the curve's constant (RFC 8032 §5.1). */
const P = 2n ** 255n - 19n;
const L = 2n ** 252n + 27742317777372353535851937790883648493n;
const D = mod(-121665n * power(121666n, P - 2n));
const SCALAR_BITS = 255;

const BASE_X = 15112221349535400772501151409588531511454012693041857206046113283949847762202n;
const BASE_Y = 46316835694926478169428394003475163141307993866256225615783033603165251855960n;
const BASE: Point = { X: BASE_X, Y: BASE_Y, Z: 1n, T: mod(BASE_X * BASE_Y) };
const NEUTRAL: Point = { X: 0n, Y: 1n, Z: 1n, T: 0n };

/** A client's answer to the nonce: a signature of 64 bytes. */
export function ed25519Answer(password: Buffer, nonce: Buffer): Buffer {
  const { scalar, prefix } = secretOf(password);
  const r = littleEndian(sha512(prefix, nonce)) % L;
  const point = encode(multiplyBase(r));
  const challenge = littleEndian(sha512(point, encode(multiplyBase(scalar)), nonce)) % L;
  return Buffer.concat([point, toBytes((r + challenge * scalar) % L)]);
}

/** The public key that a server stores for a password. */
export function ed25519PublicKey(password: Buffer): Buffer {
  return encode(multiplyBase(secretOf(password).scalar));
}

function secretOf(password: Buffer): { scalar: bigint; prefix: Buffer } {
  const hash = sha512(password);
  const low = hash.subarray(0, 32);
  low.writeUInt8(low.readUInt8(0) & 0xf8, 0);
  low.writeUInt8((low.readUInt8(31) & 0x3f) | 0x40, 31);
  return { scalar: littleEndian(low), prefix: hash.subarray(32) };
}

/** Montgomery's ladder: one addition and one doubling for every bit, whatever it is. */
function multiplyBase(scalar: bigint): Point {
  let low = NEUTRAL;
  let high = BASE;
  for (let bit = SCALAR_BITS - 1; bit >= 0; bit -= 1) {
    const sum = add(low, high);
    const set = ((scalar >> BigInt(bit)) & 1n) === 1n;
    const doubled = set ? add(high, high) : add(low, low);
    low = set ? sum : doubled;
    high = set ? doubled : sum;
  }
  return low;
}

/** Complete: serves for doubling and for the neutral point too (RFC 8032 §5.1.4). */
function add(p: Point, q: Point): Point {
  const a = mod((p.Y - p.X) * (q.Y - q.X));
  const b = mod((p.Y + p.X) * (q.Y + q.X));
  const c = mod(2n * D * p.T * q.T);
  const d = mod(2n * p.Z * q.Z);
  const e = b - a;
  const f = d - c;
  const g = d + c;
  const h = b + a;
  return { X: mod(e * f), Y: mod(g * h), Z: mod(f * g), T: mod(e * h) };
}

/** y, with the lowest bit of x on top. */
function encode(point: Point): Buffer {
  const inverse = power(point.Z, P - 2n);
  const x = mod(point.X * inverse);
  const y = mod(point.Y * inverse);
  return toBytes(y | ((x & 1n) << 255n));
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  for (let square = mod(base), rest = exponent; rest > 0n; rest >>= 1n) {
    if ((rest & 1n) === 1n) result = mod(result * square);
    square = mod(square * square);
  }
  return result;
}

function mod(value: bigint): bigint {
  const rest = value % P;
  return rest < 0n ? rest + P : rest;
}

function littleEndian(bytes: Buffer): bigint {
  return BigInt(`0x${Buffer.from(bytes.toReversed()).toString('hex')}`);
}

function toBytes(value: bigint): Buffer {
  return Buffer.from(Buffer.from(value.toString(16).padStart(64, '0'), 'hex').toReversed());
}

function sha512(...parts: Buffer[]): Buffer {
  const hash = createHash('sha512');
  for (const part of parts) hash.update(part);
  return hash.digest();
}
