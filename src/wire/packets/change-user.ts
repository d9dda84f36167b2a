import { CAP, has } from '../capability.ts';
import { nameEncoding } from '../charset.ts';
import { COM } from '../command.ts';
import { ByteCursor } from '../cursor.ts';
import { MalformedPacketError } from '../malformed.ts';
import { PacketWriter } from '../writer.ts';
import { readAttributes, readPluginName } from './handshake-response.ts';

/** COM_CHANGE_USER: log in anew on a connection that stands. */
export interface ChangeUser {
  readonly user: string;
  /** First answer to the plugin, at most 255 bytes. */
  readonly authResponse: Buffer;
  /** Schema to begin with; empty for none. */
  readonly database: string;
  /** Collation, all 16 bits of it; null where the packet ends before it. */
  readonly collationId: number | null;
  /** Empty where the client names none. */
  readonly pluginName: string;
  /** Connection attributes raw, null where there are none. */
  readonly attributes: Buffer | null;
}

/**
 * @param options `caps` in force; `collationId` of the connection: names come before the packet's
 *   own collation and are read by the old one
 * @see https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_change_user.html
 */
export function decodeChangeUser(payload: Buffer, options: ChangeUserOptions): ChangeUser {
  const { caps } = options;
  const encoding = nameEncoding(options.collationId);
  const cursor = new ByteCursor(payload);
  if (cursor.u8() !== COM.CHANGE_USER) throw new MalformedPacketError('Not a COM_CHANGE_USER');
  const user = cursor.nulBytes().toString(encoding);
  const authResponse = has(caps, CAP.SECURE_CONNECTION)
    ? cursor.bytes(cursor.u8())
    : cursor.nulBytes();
  const database = cursor.nulBytes().toString(encoding);
  const collationId = cursor.remaining > 0 ? cursor.u16() : null;
  const pluginName = has(caps, CAP.PLUGIN_AUTH) ? readPluginName(cursor) : '';
  const attributes = has(caps, CAP.CONNECT_ATTRS) ? readAttributes(cursor) : null;
  return { user, authResponse, database, collationId, pluginName, attributes };
}

/** The packet as a client sends it; a null collation ends it early. */
export function encodeChangeUser(request: ChangeUser, options: ChangeUserOptions): Buffer {
  const { caps } = options;
  const encoding = nameEncoding(options.collationId);
  const { authResponse } = request;
  const writer = new PacketWriter(128 + (request.attributes?.length ?? 0))
    .u8(COM.CHANGE_USER)
    .nulString(request.user, encoding);
  if (has(caps, CAP.SECURE_CONNECTION)) {
    if (authResponse.length > 0xff) {
      throw new MalformedPacketError('Auth response is over 255 bytes');
    }
    writer.u8(authResponse.length).bytes(authResponse);
  } else {
    if (authResponse.includes(0)) throw new MalformedPacketError('Auth response holds a NUL byte');
    writer.bytes(authResponse).u8(0);
  }
  writer.nulString(request.database, encoding);
  if (request.collationId !== null) {
    writer.u16(request.collationId);
    if (has(caps, CAP.PLUGIN_AUTH)) writer.nulString(request.pluginName, 'latin1');
    if (has(caps, CAP.CONNECT_ATTRS)) writer.lenencBytes(request.attributes ?? Buffer.alloc(0));
  }
  return writer.finish(0);
}

export interface ChangeUserOptions {
  readonly caps: number;
  readonly collationId: number;
}
