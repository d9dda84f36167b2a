import { ByteCursor } from '../cursor.ts';
import { MalformedPacketError } from '../malformed.ts';
import { PacketWriter } from '../writer.ts';
import { nonceFromWire, nonceToWire } from './nonce-bytes.ts';

/** First byte of the packet by which a server changes the plugin during login. */
export const AUTH_SWITCH = 0xfe;

/** "Use this plugin instead, with this nonce." */
export interface AuthSwitchRequest {
  readonly pluginName: string;
  /** Without the NUL that ends a nonce of 20 bytes. */
  readonly nonce: Buffer;
}

/** @see https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_auth_switch_request.html */
export function decodeAuthSwitchRequest(payload: Buffer): AuthSwitchRequest {
  const cursor = new ByteCursor(payload);
  if (cursor.u8() !== AUTH_SWITCH) throw new MalformedPacketError('Not an auth switch request');
  if (cursor.remaining === 0) {
    // The old form, of one byte, asks for the password hash of MySQL 3.23.
    throw new MalformedPacketError('Server asks for mysql_old_password, which is not supported');
  }
  const pluginName = cursor.nulBytes().toString('latin1');
  return { pluginName, nonce: nonceFromWire(cursor.rest()) };
}

/** The request as a server sends it. */
export function encodeAuthSwitchRequest(request: AuthSwitchRequest, seq: number): Buffer {
  return new PacketWriter()
    .u8(AUTH_SWITCH)
    .nulString(request.pluginName, 'latin1')
    .bytes(nonceToWire(request.nonce))
    .finish(seq);
}
