import { ByteCursor } from '../cursor.ts';
import { PacketWriter, HEADER_BYTES } from '../writer.ts';
import { MAX_ATTRIBUTES_BYTES } from './handshake-response.ts';

/**
 * Connection attributes by name, e.g. `program_name`. A name given twice: the last one counts, as
 * with the server.
 */
export function decodeAttributes(raw: Buffer): Map<string, string> {
  const cursor = new ByteCursor(raw);
  const attributes = new Map<string, string>();
  while (cursor.remaining > 0) {
    const name = cursor.lenencBytes(MAX_ATTRIBUTES_BYTES).toString('utf8');
    attributes.set(name, cursor.lenencBytes(MAX_ATTRIBUTES_BYTES).toString('utf8'));
  }
  return attributes;
}

/** The opposite: the `attributes` of a handshake response or COM_CHANGE_USER. */
export function encodeAttributes(attributes: ReadonlyMap<string, string>): Buffer {
  const writer = new PacketWriter();
  for (const [name, value] of attributes) writer.lenencString(name).lenencString(value);
  return writer.finish(0).subarray(HEADER_BYTES);
}
