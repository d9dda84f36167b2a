import { CAP, has } from '../capability.ts';
import { nameEncoding } from '../charset.ts';
import { ByteCursor } from '../cursor.ts';
import { MalformedPacketError } from '../malformed.ts';
import { PacketWriter } from '../writer.ts';
import { type LoginHeader, readLoginHeader, writeLoginHeader } from './login-header.ts';

/** The client's answer to the greeting: who it is and what it can do. Optional parts by `caps`. */
export interface HandshakeResponse extends LoginHeader {
  readonly user: string;
  /** First answer to the server's plugin; may be empty. */
  readonly authResponse: Buffer;
  /** Schema to begin with (CONNECT_WITH_DB), else null. */
  readonly database: string | null;
  /** The client's plugin (PLUGIN_AUTH); empty where it names none. */
  readonly pluginName: string;
  /** Connection attributes as they came (CONNECT_ATTRS), without their length, else null. */
  readonly attributes: Buffer | null;
  /** Level that the client asks of the server (ZSTD_COMPRESSION), else null. */
  readonly zstdLevel: number | null;
}

/** The server's own bound for all connection attributes. */
export const MAX_ATTRIBUTES_BYTES = 64 * 1024;
/** Passwords and tickets are shorter; the server takes up to its packet bound. */
const MAX_AUTH_RESPONSE_BYTES = 16 * 1024;
/**
 * Longest handshake response taken: both bounds above, names of 64 KiB together, the fixed part.
 * For the framer of the login phase.
 */
export const MAX_LOGIN_PACKET_BYTES = MAX_ATTRIBUTES_BYTES + MAX_AUTH_RESPONSE_BYTES + 64 * 1024;

/** @see https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_response.html */
export function decodeHandshakeResponse(payload: Buffer): HandshakeResponse {
  const cursor = new ByteCursor(payload);
  const header = readLoginHeader(cursor);
  const { caps } = header;
  const encoding = nameEncoding(header.collationId);
  const user = cursor.nulBytes().toString(encoding);
  const authResponse = readAuthResponse(cursor, caps);
  const database = has(caps, CAP.CONNECT_WITH_DB) ? cursor.nulBytes().toString(encoding) : null;
  const pluginName = has(caps, CAP.PLUGIN_AUTH) ? readPluginName(cursor) : '';
  const attributes = has(caps, CAP.CONNECT_ATTRS) ? readAttributes(cursor) : null;
  const zstdLevel = has(caps, CAP.ZSTD_COMPRESSION) && cursor.remaining > 0 ? cursor.u8() : null;
  return { ...header, user, authResponse, database, pluginName, attributes, zstdLevel };
}

/** The answer as a client sends it; parts whose flag is not in `caps` are left out. */
export function encodeHandshakeResponse(response: HandshakeResponse, seq: number): Buffer {
  const { caps } = response;
  const encoding = nameEncoding(response.collationId);
  const writer = new PacketWriter(256 + (response.attributes?.length ?? 0));
  writeLoginHeader(writer, response);
  writer.nulString(response.user, encoding);
  writeAuthResponse(writer, response.authResponse, caps);
  if (has(caps, CAP.CONNECT_WITH_DB)) writer.nulString(response.database ?? '', encoding);
  if (has(caps, CAP.PLUGIN_AUTH)) writer.nulString(response.pluginName, 'latin1');
  if (has(caps, CAP.CONNECT_ATTRS)) writer.lenencBytes(response.attributes ?? Buffer.alloc(0));
  if (has(caps, CAP.ZSTD_COMPRESSION)) writer.u8(response.zstdLevel ?? DEFAULT_ZSTD_LEVEL);
  return writer.finish(seq);
}

/** What the server's own programs ask for. */
const DEFAULT_ZSTD_LEVEL = 3;

/** @see readAuthResponse of COM_CHANGE_USER for the form without length-encoding */
function readAuthResponse(cursor: ByteCursor, caps: number): Buffer {
  if (has(caps, CAP.PLUGIN_AUTH_LENENC_DATA)) return cursor.lenencBytes(MAX_AUTH_RESPONSE_BYTES);
  if (has(caps, CAP.SECURE_CONNECTION)) return cursor.bytes(cursor.u8());
  return cursor.nulBytes();
}

function writeAuthResponse(writer: PacketWriter, response: Buffer, caps: number): void {
  if (has(caps, CAP.PLUGIN_AUTH_LENENC_DATA)) {
    writer.lenencBytes(response);
  } else if (has(caps, CAP.SECURE_CONNECTION)) {
    if (response.length > 0xff) throw new MalformedPacketError('Auth response is over 255 bytes');
    writer.u8(response.length).bytes(response);
  } else {
    if (response.includes(0)) throw new MalformedPacketError('Auth response holds a NUL byte');
    writer.bytes(response).u8(0);
  }
}

/** Servers take a packet that ends here for "no plugin named", and some clients rely on it. */
export function readPluginName(cursor: ByteCursor): string {
  return cursor.remaining === 0 ? '' : cursor.nulBytes().toString('latin1');
}

/** Connection attributes raw; null where the packet ends before them. */
export function readAttributes(cursor: ByteCursor): Buffer | null {
  return cursor.remaining === 0 ? null : cursor.lenencBytes(MAX_ATTRIBUTES_BYTES);
}
