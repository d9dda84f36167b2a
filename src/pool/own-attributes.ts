import { HEADER_BYTES, PacketWriter } from '../wire/writer.ts';

/** What servers show of connections that several clients share (session_connect_attrs). */
const ATTRIBUTES = [
  ['_client_name', 'lagwise'],
  ['program_name', 'lagwise'],
] as const;

/** Connection attributes of the pool's own logins, as they stand in a handshake response. */
export const OWN_ATTRIBUTES: Buffer = encode();

function encode(): Buffer {
  const writer = new PacketWriter();
  for (const [name, value] of ATTRIBUTES) writer.lenencString(name).lenencString(value);
  return writer.finish(0).subarray(HEADER_BYTES);
}
