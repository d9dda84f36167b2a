/** Bytes of a hex dump; spaces and line breaks between the digits are of no account. */
export function hex(dump: string): Buffer {
  return Buffer.from(dump.replaceAll(/\s+/g, ''), 'hex');
}

/** Bytes of a text, for putting strings into a dump. */
export function ascii(text: string): string {
  return Buffer.from(text, 'latin1').toString('hex');
}
