import { CAP, has, union } from '../capability.ts';
import { ByteCursor } from '../cursor.ts';
import { PacketWriter } from '../writer.ts';
import { type LoginHeader, readLoginHeader, writeLoginHeader } from './login-header.ts';

/** What a client sends before TLS begins: the fixed head of its handshake response. */
export type SslRequest = LoginHeader;

const SSL_REQUEST_BYTES = 32;

/** Whether a client's first packet asks for TLS (and is not yet its handshake response). */
export function isSslRequest(payload: Buffer): boolean {
  return payload.length === SSL_REQUEST_BYTES && has(payload.readUInt32LE(0), CAP.SSL);
}

/** @see https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_ssl_request.html */
export function decodeSslRequest(payload: Buffer): SslRequest {
  const cursor = new ByteCursor(payload);
  const request = readLoginHeader(cursor);
  cursor.expectEnd();
  return request;
}

/** The request as a client sends it; the SSL flag is set whatever `caps` says. */
export function encodeSslRequest(request: SslRequest, seq: number): Buffer {
  const writer = new PacketWriter(SSL_REQUEST_BYTES);
  writeLoginHeader(writer, { ...request, caps: union(request.caps, CAP.SSL) });
  return writer.finish(seq);
}
