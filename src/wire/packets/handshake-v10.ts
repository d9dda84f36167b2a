import { CAP, has } from '../capability.ts';
import { ByteCursor } from '../cursor.ts';
import { MalformedPacketError } from '../malformed.ts';
import { PacketWriter } from '../writer.ts';
import { NONCE_BYTES, nonceFromWire, nonceToWire } from './nonce-bytes.ts';

/** First byte of a packet by which a server greets. An ERR (0xFF) may stand in its place. */
const HANDSHAKE_V10 = 10;

/** The server's greeting, the first packet of a connection. */
export interface HandshakeV10 {
  /** As `VERSION()` has it: MariaDB's prefix for old clients is taken off. */
  readonly serverVersion: string;
  /** Whether the version came (or is sent) behind `5.5.5-`, as MariaDB 10 does. */
  readonly versionPrefix: boolean;
  readonly threadId: number;
  /** What the server's plugin hashes with the password, without the NUL that ends it. */
  readonly nonce: Buffer;
  readonly caps: number;
  /** MariaDB's extended flags, which it shows by leaving `LONG_PASSWORD` unset; 0 from MySQL. */
  readonly extendedCaps: number;
  /** Default collation, its low 8 bits. */
  readonly collationId: number;
  readonly status: number;
  /** Empty where the server knows no plugins. */
  readonly pluginName: string;
}

/** Old clients take a first digit over 9 for a broken version, hence MariaDB 10's prefix. */
const VERSION_PREFIX = '5.5.5-';
const FIRST_PART_BYTES = 8;
/** The manual's minimum for the second part, its NUL included. */
const MIN_SECOND_PART_BYTES = 13;

/** Whether a greeting comes from a MariaDB server. */
export function isMariaDb(greeting: Pick<HandshakeV10, 'caps' | 'serverVersion'>): boolean {
  return !has(greeting.caps, CAP.LONG_PASSWORD) || /mariadb/i.test(greeting.serverVersion);
}

/** @see https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_v10.html */
export function decodeHandshakeV10(payload: Buffer): HandshakeV10 {
  const cursor = new ByteCursor(payload);
  const protocol = cursor.u8();
  if (protocol !== HANDSHAKE_V10) {
    throw new MalformedPacketError(`Server speaks protocol ${protocol}, only 10 is supported`);
  }
  const version = cursor.nulBytes().toString('utf8');
  const threadId = cursor.u32();
  const firstPart = cursor.bytes(FIRST_PART_BYTES);
  cursor.skip(1);
  const lowCaps = cursor.u16();
  const collationId = cursor.u8();
  const status = cursor.u16();
  const caps = (lowCaps | (cursor.u16() << 16)) >>> 0;
  const nonceLength = cursor.u8();
  cursor.skip(6);
  const reserved = cursor.u32();
  const secondPart = cursor.bytes(Math.max(MIN_SECOND_PART_BYTES, nonceLength - FIRST_PART_BYTES));
  const versionPrefix = version.startsWith(VERSION_PREFIX) && /mariadb/i.test(version);
  return {
    serverVersion: versionPrefix ? version.slice(VERSION_PREFIX.length) : version,
    versionPrefix,
    threadId,
    nonce: nonceFromWire(Buffer.concat([firstPart, secondPart])),
    caps,
    extendedCaps: has(caps, CAP.LONG_PASSWORD) ? 0 : reserved,
    collationId,
    status,
    pluginName: has(caps, CAP.PLUGIN_AUTH) ? cursor.nulBytes().toString('latin1') : '',
  };
}

/** The greeting as a server sends it; `nonce` must have 20 bytes. */
export function encodeHandshakeV10(greeting: HandshakeV10, seq = 0): Buffer {
  if (greeting.nonce.length !== NONCE_BYTES) {
    throw new MalformedPacketError(`A greeting carries a nonce of ${NONCE_BYTES} bytes`);
  }
  const nonce = nonceToWire(greeting.nonce);
  const pluginAuth = has(greeting.caps, CAP.PLUGIN_AUTH);
  const writer = new PacketWriter()
    .u8(HANDSHAKE_V10)
    .nulString((greeting.versionPrefix ? VERSION_PREFIX : '') + greeting.serverVersion)
    .u32(greeting.threadId)
    .bytes(nonce.subarray(0, FIRST_PART_BYTES))
    .u8(0)
    .u16(greeting.caps & 0xffff)
    .u8(greeting.collationId & 0xff)
    .u16(greeting.status)
    .u16(greeting.caps >>> 16)
    .u8(pluginAuth ? nonce.length : 0)
    .zeros(6)
    .u32(has(greeting.caps, CAP.LONG_PASSWORD) ? 0 : greeting.extendedCaps)
    .bytes(nonce.subarray(FIRST_PART_BYTES));
  if (pluginAuth) writer.nulString(greeting.pluginName, 'latin1');
  return writer.finish(seq);
}
